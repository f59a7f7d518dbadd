"""Noise of synthetic images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def correlated_noise(
    shape: Sequence[int], spacing_mm: Sequence[float], grain_mm: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Noise of unit variance, smooth over ``grain_mm`` (standard deviation of the kernel)."""
    noise = rng.standard_normal(tuple(shape), dtype=np.float32)
    sigmas = [grain_mm / step for step in spacing_mm]
    ndimage.gaussian_filter(noise, sigmas, mode="wrap", truncate=3, output=noise)
    noise /= max(float(noise.std()), 1e-6)
    return noise
