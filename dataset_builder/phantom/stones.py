"""Stones: bright confounders that are no findings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rsuper_bench.benchmark.tumor_types import Side, TumorType
from rsuper_bench.dataset_builder.lesions.draw import Canvas
from rsuper_bench.dataset_builder.phantom.config import PhantomConfig
from rsuper_bench.dataset_builder.report_grammar import Stone

_STONE_HU = 900.0


def draw_stones(
    canvas: Canvas, config: PhantomConfig, in_view: Sequence[TumorType], rng: np.random.Generator
) -> tuple[Stone, ...]:
    """Put stones into gallbladder, kidneys and bladder, and keep lesions off them."""
    stones = []
    for kind, rate in config.stone_rate.items():
        present = rng.random() < rate
        side = (Side.LEFT if rng.random() < 0.5 else Side.RIGHT) if kind.anatomy.sided else None
        size_mm = float(rng.uniform(3, 9)) if kind is TumorType.KIDNEY else float(rng.uniform(4, 14))
        where = float(rng.random())
        if not present or kind not in in_view:
            continue
        numbers = canvas.organs.numbers(kind, side)
        if not numbers:
            continue
        box = canvas.organs.box_of(numbers)
        places = np.argwhere(np.isin(canvas.organs.labels[box], numbers)) + [part.start for part in box]
        # Stones of hollow organs sink to the back of a patient who lies on the back.
        places = places[np.argsort(places[:, 1], kind="stable")]
        share = where if kind is TumorType.KIDNEY else 0.12 * where
        center = places[int(share * (len(places) - 1))]
        _draw_ball(canvas, center, size_mm)
        stones.append(Stone(kind, side, size_mm))
    return tuple(stones)


def _draw_ball(canvas: Canvas, center: np.ndarray[tuple[int], np.dtype[np.int64]], size_mm: float) -> None:
    reach = [int(np.ceil((size_mm / 2 + step) / step)) for step in canvas.organs.spacing_mm]
    box = tuple(
        slice(max(int(c) - r, 0), min(int(c) + r + 1, n))
        for c, r, n in zip(center, reach, canvas.hu.shape, strict=True)
    )
    axes = [
        (np.arange(s.start, s.stop) - c) * step
        for s, c, step in zip(box, center, canvas.organs.spacing_mm, strict=True)
    ]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    distance = np.sqrt(x**2 + y**2 + z**2)
    # The share of a voxel that a stone smaller than it fills.
    step = float(np.cbrt(np.prod(canvas.organs.spacing_mm)))
    weight = np.clip((size_mm / 2 - distance) / step + 0.5, 0, 1) * min(1.0, (size_mm / step) ** 3)
    region = canvas.hu[box]
    region += (weight * (_STONE_HU - region)).astype(np.float32)
    canvas.taken[box] |= weight > 0
