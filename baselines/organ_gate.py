"""Where predicted lesions are kept (METHOD 9)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.baselines.recipe import OrganGate

Map = NDArray[np.float32]


def gated(lesion: Map, organ: Map | None, shown: NDArray[np.bool_], where: OrganGate) -> Map:
    """Remove what lies outside the organ (METHOD 9).

    Args:
        lesion: ``(X, Y, Z)`` tumor probability.
        organ: Same shape, the model's own organ probability; None unless ``where`` is ``model``.
        shown: Same shape, the organ in the masks of the release.
        where: Which of the two counts, if any.

    Returns:
        Tumor probability, 0 outside the organ. An organ that the mask does not show leaves nothing.
    """
    if where == "none":
        return lesion
    inside = shown if organ is None else organ >= 0.5
    return np.where(inside, lesion, np.float32(0))
