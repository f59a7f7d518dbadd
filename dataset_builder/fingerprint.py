"""A fingerprint of a CT that survives re-saving and resampling, to find one scan in two places."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.nifti import Volume

WINDOW_HU = (-160, 240)
_BINS = 32  # the field of view is averaged to 32 x 32 x 32
_FREQUENCIES = 8  # cosines along each axis; their signs are the bits
N_BITS = _FREQUENCIES**3
# Bits that may differ in one scan. Measured on the five real scans that the tests use: the same scan on other grids
# differs in up to 56 bits (30 thick slices; the others in up to 20), scans of two patients in 237 or more.
MAX_DISTANCE = 60


def fingerprint(ct: Volume) -> str:
    """128 hex digits: the signs of the lowest spatial frequencies of the scan, windowed to soft tissue.

    The whole field of view counts, in RAS order, so that spacing, orientation, file format and number type do not
    matter; a crop is another image. All sums are of whole numbers below 2^53: every machine gets the same digits.
    """
    data = ct.canonical().data
    low, high = WINDOW_HU
    across, along, up = (_shares(size) for size in data.shape)
    pooled = np.zeros((_BINS, _BINS, _BINS))
    for z in range(data.shape[2]):
        plane = (np.rint(data[:, :, z]).clip(low, high) - low).astype(np.float64)
        pooled += (across @ plane @ along.T)[:, :, None] * up[None, None, :, z]
    pooled //= np.prod(data.shape, dtype=np.int64)
    cosines = _cosines()
    spectrum = np.einsum("ax,by,cz,xyz->abc", cosines, cosines, cosines, pooled, optimize=True)
    return np.packbits((spectrum > 0).ravel()).tobytes().hex()


def distances(one: NDArray[np.uint64], others: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Number of differing bits, of the closest of the eight mirror images: scans are saved with a wrong direction.

    Args:
        one: ``(8,)``, from :func:`as_words`.
        others: ``(N, 8)``.
    """
    differing = one ^ others
    counts = [np.bitwise_count(differing ^ mirror).sum(axis=-1, dtype=np.int64) for mirror in _mirrors()]
    return np.asarray(np.min(counts, axis=0), dtype=np.int64)


def as_words(digits: str) -> NDArray[np.uint64]:
    """``(8,)`` words of 64 bits."""
    return np.frombuffer(bytes.fromhex(digits), dtype=np.uint64)


def _shares(size: int) -> NDArray[np.float64]:
    """``(32, size)``: how much of each voxel falls into each bin, in 1/32 of a voxel."""
    starts = np.arange(size) * _BINS
    edges = np.arange(_BINS) * size
    overlap = np.minimum(starts + _BINS, edges[:, None] + size) - np.maximum(starts, edges[:, None])
    return np.asarray(overlap.clip(0), dtype=np.float64)


@cache
def _cosines() -> NDArray[np.float64]:
    """``(8, 32)``: cosines 1 to 8 in whole 1/256; without the mean, which says nothing."""
    place = np.arange(_BINS) + 0.5
    return np.asarray(np.rint(256 * np.cos(np.pi / _BINS * np.arange(1, _FREQUENCIES + 1)[:, None] * place)))


@cache
def _mirrors() -> NDArray[np.uint64]:
    """``(8, 8)``: the bits that change when axes are mirrored, where an odd cosine turns into its negative."""
    odd = np.arange(1, _FREQUENCIES + 1) % 2
    masks = [
        (x * odd[:, None, None] + y * odd[None, :, None] + z * odd[None, None, :]) % 2
        for x, y, z in itertools.product((0, 1), repeat=3)
    ]
    return np.stack([np.frombuffer(np.packbits(mask.astype(bool).ravel()).tobytes(), np.uint64) for mask in masks])
