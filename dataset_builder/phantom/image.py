"""From tissue codes to HU: enhancement, texture, and what a scanner does to it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rsuper_bench.benchmark.records import Phase
from rsuper_bench.dataset_builder.label_map import ORGAN_NUMBER
from rsuper_bench.dataset_builder.lesions.draw import Canvas, FieldTexture
from rsuper_bench.dataset_builder.lesions.organ_map import OrganMap
from rsuper_bench.dataset_builder.noise import correlated_noise
from rsuper_bench.dataset_builder.phantom.anatomy import Person, draw_codes
from rsuper_bench.dataset_builder.phantom.config import PhantomConfig, Scanner
from rsuper_bench.dataset_builder.phantom.shapes import Grid
from rsuper_bench.dataset_builder.phantom.tissues import CODE, TISSUES, hu_table, label_table, texture_table

LOWEST_HU, HIGHEST_HU = -1024, 3071
_TEXTURE_GRAIN_MM = 3.0


def start_canvas(person: Person, config: PhantomConfig, phase: Phase, rng: np.random.Generator) -> Canvas:
    """Draw a person without lesions, in one contrast phase."""
    grid = Grid.centred(config.shape, config.spacing_mm, config.body_scale, config.center_mm)
    codes = draw_codes(person, grid)
    table = hu_table(phase)
    by_label: dict[int, float] = {}
    shifts: dict[str, float] = {}
    for code, tissue in enumerate(TISSUES):
        if tissue.label == tissue.name:  # an organ's own tissue, not its vessels
            organ = tissue.name.split("_")[0]  # left and right, head and tail enhance alike
            if organ not in shifts:
                shifts[organ] = _variation(tissue.name, config, rng)
            table[code] += shifts[organ]
            by_label[ORGAN_NUMBER[tissue.label]] = float(table[code])
    texture = correlated_noise(grid.shape, config.spacing_mm, _TEXTURE_GRAIN_MM, rng) * np.float32(config.texture_hu)
    hu = table[codes]
    strength = texture_table()
    for z in range(codes.shape[2]):  # slice by slice: a large image has room for few copies of itself
        hu[:, :, z] += strength[codes[:, :, z]] * texture[:, :, z]
    organs = OrganMap(label_table()[codes], config.spacing_mm)
    return Canvas(
        hu=hu,
        organs=organs,
        fat=codes == CODE["visceral_fat"],
        organ_hu=by_label,
        texture=FieldTexture(texture),
    )


def _variation(name: str, config: PhantomConfig, rng: np.random.Generator) -> float:
    shift = float(np.clip(rng.standard_normal(), -2, 2)) * config.organ_variation_hu
    fluid = name in ("gallbladder", "urinary_bladder")
    return shift * 0.3 if fluid else shift


def finish(canvas: Canvas, config: PhantomConfig, scanner: Scanner, rng: np.random.Generator) -> NDArray[np.int16]:
    """Blur and noise of the scanner; int16 HU in [-1024, 3071]."""
    sigmas = [scanner.blur_mm / step for step in config.spacing_mm]
    hu = ndimage.gaussian_filter(canvas.hu, sigmas, mode="nearest", truncate=3)
    grain = np.float32(config.noise_hu * scanner.noise)
    hu += correlated_noise(hu.shape, config.spacing_mm, config.noise_grain_mm, rng) * grain
    return np.rint(np.clip(hu, LOWEST_HU, HIGHEST_HU)).astype(np.int16)
