"""Which tumors and cysts a phantom patient has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.lesions.plan import Plan, plan_cyst, plan_tumors
from rsuper_bench.dataset_builder.phantom.config import PhantomConfig

_SECOND_CYST = 0.3


def plan_lesions(rng: np.random.Generator, config: PhantomConfig, kinds: Sequence[TumorType]) -> tuple[Plan, ...]:
    """Plan the lesions of a patient; several CTs of the patient then show the same ones.

    Returns:
        The plans, large ones first: they need the room.
    """
    plans: list[Plan] = []
    for kind in kinds:
        # One generator a type: a change of one type's prevalence leaves the others alone.
        own = np.random.default_rng(rng.integers(2**63))
        if own.random() < config.prevalence_of(kind):
            plans += plan_tumors(own, config.lesions, kind)
        if own.random() < config.cyst_rate.get(kind, 0.0):
            plans += [plan_cyst(own, config.cyst_size_mm, kind) for _ in range(1 + int(own.random() < _SECOND_CYST))]
    return tuple(sorted(plans, key=lambda item: -item.size_mm))
