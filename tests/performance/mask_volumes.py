"""Time the volumes of predicted masks: ``python tests/performance/mask_volumes.py [repeats]`` (3).

One case of 256 x 256 x 200 voxels of 0.8 x 0.8 x 1.5 mm with three lesion maps, at nine thresholds, beside the plain
form: a zoom of the whole volume to 1 mm, then scipy's erosion and dilation of the whole volume once a threshold. The
maps are synthetic: one large lesion, four small ones, and one over an organ that is faintly positive everywhere.

Both must give the same volumes to the voxel where both work on the same grid: on maps of 1 mm, which neither of them
resamples, and on 250 x 250 x 200 voxels, whose zoom to 1 mm has whole factors. One thread.
"""

from __future__ import annotations

import sys
import time
from statistics import median

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion, gaussian_filter, zoom

from rsuper_bench.benchmark.lesion_candidates import find_candidates
from rsuper_bench.benchmark.mask_prediction import denoised_volumes_mm3
from rsuper_bench.benchmark.nifti import Volume

SHAPE, SPACING_MM = (256, 256, 200), (0.8, 0.8, 1.5)
THRESHOLDS = tuple(round(0.1 * step, 1) for step in range(1, 10))
TARGET = 10
_ROUNDING = 1e-5  # as in the package: half on paper is half


def blob(shape: tuple[int, ...], centre: tuple[float, ...], radius: float, peak: float) -> NDArray[np.float32]:
    """A smooth ball, in voxels."""
    axes = [np.arange(size, dtype=np.float32) for size in shape]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    distance = np.sqrt((x - centre[0]) ** 2 + (y - centre[1]) ** 2 + (z - centre[2]) ** 2)
    return (peak / (1 + np.exp(np.minimum((distance - radius) / 1.5, 50)))).astype(np.float32)


def lesion_maps(shape: tuple[int, ...]) -> list[NDArray[np.float32]]:
    """Three maps as a network gives them: smooth, with a little noise where they are positive."""
    rng = np.random.default_rng(0)
    places = rng.uniform(60, 140, (4, 3))
    maps = [
        blob(shape, (120, 110, 90), 25, 0.95),
        np.maximum.reduce([blob(shape, tuple(place), 6, 0.85) for place in places]),
        np.maximum(blob(shape, (100, 130, 100), 60, 0.18), blob(shape, (90, 120, 100), 12, 0.9)),
    ]
    noise = gaussian_filter(rng.normal(size=shape).astype(np.float32), 1)
    return [np.clip(item * (1 + 0.3 * noise), 0, 1) for item in maps]


def naive_volumes_mm3(data: NDArray[np.float32], spacing_mm: tuple[float, ...]) -> list[float]:
    """The plain form: the whole volume, every time."""
    fine = data
    if spacing_mm != (1.0, 1.0, 1.0):
        fine = zoom(data, spacing_mm, order=1, mode="nearest", grid_mode=True)
    cube = np.ones((3, 3, 3))
    volumes = []
    for threshold in THRESHOLDS:
        binary = fine >= threshold - _ROUNDING
        kept = binary_dilation(binary_erosion(binary, cube), cube, iterations=2) & binary
        volumes.append(float(kept.sum()))
    return volumes


def seconds(work: object, repeats: int) -> float:
    """Median time of a call, of the processor: the wall clock also measures the neighbours."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()  # type: ignore[operator]
        times.append(time.process_time() - start)
    return median(times)


def same_volumes(shape: tuple[int, ...], spacing_mm: tuple[float, ...]) -> bool:
    """Whether both forms agree to the voxel at every threshold of every map."""
    affine = np.diag([*spacing_mm, 1.0])
    return all(
        list(denoised_volumes_mm3(Volume(data, affine), THRESHOLDS)) == naive_volumes_mm3(data, spacing_mm)
        for data in lesion_maps(shape)
    )


def main() -> None:
    """Print times, ratio and agreement; exit 1 when the volumes differ or the ratio is missed."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    maps, affine = lesion_maps(SHAPE), np.diag([*SPACING_MM, 1.0])
    volumes = [Volume(data, affine) for data in maps]
    ours = seconds(lambda: [denoised_volumes_mm3(item, THRESHOLDS) for item in volumes], repeats)
    plain = seconds(lambda: [naive_volumes_mm3(data, SPACING_MM) for data in maps], 1)
    once = seconds(lambda: [denoised_volumes_mm3(item, (0.5,)) for item in volumes], repeats)
    candidates = seconds(lambda: [find_candidates(data) for data in maps], repeats)
    shown = [[round(volume) for volume in denoised_volumes_mm3(item, THRESHOLDS)] for item in volumes]
    print(f"volumes in mm^3 from 0.1 to 0.9: {shown}")
    print(f"three maps, nine thresholds: {ours:.3f} s; plain form {plain:.2f} s; {plain / ours:.0f} times as fast")
    print(f"the same maps at 0.5 alone, as the evaluator does: {once:.3f} s; their candidates: {candidates:.3f} s")
    agree = {
        "1 mm, 160 x 160 x 150": same_volumes((160, 160, 150), (1.0, 1.0, 1.0)),
        "0.8 x 0.8 x 1.5 mm, 250 x 250 x 200": same_volumes((250, 250, 200), (0.8, 0.8, 1.5)),
    }
    for grid, same in agree.items():
        print(f"volumes on {grid}: {'the same to the voxel' if same else 'THEY DIFFER'}")
    sys.exit(0 if all(agree.values()) and plain / ours >= TARGET else 1)


if __name__ == "__main__":
    main()
