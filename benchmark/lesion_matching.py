"""Which candidate found which lesion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MIN_OVERLAP = 0.1  # intersection over union, as in PI-CAI


@dataclass(frozen=True)
class Matches:
    """What became of lesions and candidates.

    Attributes:
        candidate: ``(L,)`` index of the candidate that found each lesion, -1 where none did.
        overlap: ``(L,)`` their intersection over union, 0 where none did.
        repeats: Candidates on a lesion that another one found: neither hits nor false alarms.
        false_alarms: Candidates on no lesion.
    """

    candidate: NDArray[np.intp]
    overlap: NDArray[np.float64]
    repeats: tuple[int, ...]
    false_alarms: tuple[int, ...]


def overlaps(
    candidates: NDArray[Any], lesions: NDArray[Any], *, lesion_sizes: NDArray[np.intp]
) -> dict[tuple[int, int], float]:
    """Intersection over union of every pair that shares a voxel, by candidate and lesion index (label less one).

    Args:
        candidates: ``(X, Y, Z)`` labels, 0 = none, of a box that holds all candidates.
        lesions: The same box of the labels of the lesions, which may reach beyond it.
        lesion_sizes: Voxels of each lesion in the whole image, by label.
    """
    both = (candidates > 0) & (lesions > 0)
    if not both.any():
        return {}
    candidate_sizes = np.bincount(candidates[candidates > 0])
    n_lesions = len(lesion_sizes)
    codes, shared = np.unique(
        candidates[both].astype(np.int64) * n_lesions + lesions[both].astype(np.int64), return_counts=True
    )
    found = {}
    for code, voxels in zip(codes.tolist(), shared.tolist(), strict=True):
        candidate, lesion = divmod(code, n_lesions)
        found[candidate - 1, lesion - 1] = voxels / (
            int(candidate_sizes[candidate]) + int(lesion_sizes[lesion]) - voxels
        )
    return found


def match_lesions(overlap: dict[tuple[int, int], float], confidence: NDArray[np.float64], n_lesions: int) -> Matches:
    """Pair candidates with lesions one to one, the most confident candidate first.

    Pairs that overlap by at least :data:`MIN_OVERLAP` are taken by falling confidence, then by falling overlap, where
    both sides are still free. Raising a threshold then only removes candidates; it never changes who found what.

    Args:
        overlap: By candidate and lesion index; pairs that are not in it do not meet.
        confidence: ``(N,)`` of the candidates.
        n_lesions: Number of lesions.
    """
    pairs = [pair for pair, share in overlap.items() if share >= MIN_OVERLAP]
    pairs.sort(key=lambda pair: (-confidence[pair[0]], -overlap[pair], pair))
    candidate = np.full(n_lesions, -1, dtype=np.intp)
    share = np.zeros(n_lesions)
    used: set[int] = set()
    for one, lesion in pairs:
        if one not in used and candidate[lesion] < 0:
            candidate[lesion], share[lesion] = one, overlap[one, lesion]
            used.add(one)
    on_a_lesion = {one for one, _ in pairs}
    return Matches(
        candidate,
        share,
        repeats=tuple(sorted(on_a_lesion - used)),
        false_alarms=tuple(index for index in range(len(confidence)) if index not in on_a_lesion),
    )
