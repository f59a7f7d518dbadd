"""METHOD 4 written out naively: direct convolution on the whole grid, one full sort a tumor. The tests' oracle."""

from math import prod

import torch
from torch.nn.functional import conv3d


def distances_mm(shape, centre, spacing):
    axes = [torch.arange(n, dtype=torch.float64) for n in shape]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    return ((grid - torch.tensor(centre, dtype=torch.float64)) * torch.tensor(spacing, dtype=torch.float64)).norm(
        dim=-1
    )


def ball_kernel(diameter_mm, spacing, sigma_radii):
    half = [int(diameter_mm / 2 / s + 1e-6) for s in spacing]
    far = distances_mm([2 * h + 1 for h in half], half, spacing)
    weights = torch.exp(-(far**2) / (2 * (sigma_radii * diameter_mm / 2) ** 2)) * (far <= diameter_mm / 2 + 1e-6)
    return weights / weights.sum()


def slow_pseudo_mask(probability, region, diameters_mm, volumes_mm3, *, spacing_mm, margin=0.25, sigma_radii=3.0):
    """Core, tumor and halo of each placed tumor and the centres, as dicts by report index; every size is known."""
    voxel_mm3 = prod(spacing_mm)
    free = region.clone().bool()
    core, tumor, halo, centres = {}, {}, {}, {}
    for index in sorted(range(len(volumes_mm3)), key=lambda i: (-volumes_mm3[i], -diameters_mm[i])):
        diameter, volume = max(diameters_mm[index], 3.0), volumes_mm3[index]
        needed = max(round(volume / voxel_mm3), 1)
        if not free.any() or (tumor and free.sum() < needed):
            continue
        kernel = ball_kernel(diameter, spacing_mm, sigma_radii)
        seen = (probability.double() * free)[None, None]
        score = conv3d(seen, kernel[None, None], padding=[n // 2 for n in kernel.shape])[0, 0]
        score[~free] = -1
        best = int(score.argmax())
        centre = [int(i) for i in torch.unravel_index(torch.tensor(best), score.shape)]
        far = distances_mm(score.shape, centre, spacing_mm)
        wide = diameter * (1 + margin)
        while ((far <= wide / 2 + 1e-6) & free).sum() < min(needed, int(free.sum())):
            wide *= 1.1
        inside = (far <= wide / 2 + 1e-6) & free
        order = sorted(
            inside.nonzero().tolist(), key=lambda v: (-float(probability[tuple(v)]), float(far[tuple(v)]), v)
        )
        core_mm3 = max(volume * (1 - min(margin, 0.5)), min(100.0, volume))
        for masks, amount in ((core, core_mm3), (tumor, volume), (halo, volume * (1 + margin))):
            mask = torch.zeros_like(free)
            for voxel in order[: max(round(amount / voxel_mm3), 1)]:
                mask[tuple(voxel)] = True
            masks[index] = mask
        free &= ~halo[index]
        centres[index] = centre
    return core, tumor, halo, centres
