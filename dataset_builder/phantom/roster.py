"""Who is in the data: case ids, patients with several CTs, fixed splits, who has masks. No image is needed."""

from __future__ import annotations

import re
from functools import cached_property
from math import floor

import numpy as np

from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.records import Split
from rsuper_bench.dataset_builder.phantom.config import PhantomConfig

_ID = re.compile(r"phantom-(\d{5})")
_MOST_CTS = 4  # of one patient
_FOLLOWUP = 3  # stream of randomness, beside those of the source


class Roster:
    """Answers about a case from its index alone, so that any worker can ask about any case."""

    def __init__(self, config: PhantomConfig, seed: int) -> None:
        self.config = config
        self.seed = seed

    def case_id(self, index: int) -> str:
        """``phantom-00000`` and on."""
        return f"phantom-{index:05d}"

    def patient_id(self, index: int) -> str:
        """Named after the patient's first case."""
        return f"phantom-patient-{self.first_ct(index):05d}"

    def index(self, case_id: str) -> int:
        """Inverse of :meth:`case_id`.

        Raises:
            DataError: When the id is none of ours.
        """
        match = _ID.fullmatch(case_id)
        if match is None or int(match[1]) >= self.config.total_cases:
            raise DataError.of(
                [Problem(f"case {case_id[:40]!a}", "no such phantom", "a case that keys() lists", "Check the id.")]
            )
        return int(match[1])

    @cached_property
    def _starts(self) -> dict[int, Split]:
        config = self.config
        if config.n_train is None or config.n_validation is None or config.n_test is None:
            return {}
        starts = {0: Split.TRAIN}
        if config.n_validation:
            starts[config.n_train] = Split.VALIDATION
        if config.n_test:
            starts[config.n_train + config.n_validation] = Split.TEST
        return starts

    def split(self, index: int) -> Split | None:
        """The fixed split, or None when the builder draws it."""
        passed = [split for start, split in self._starts.items() if start <= index]
        return passed[-1] if passed else None

    def first_ct(self, index: int) -> int:
        """Index of the patient's first CT. A patient never crosses the start of a split."""
        first = index
        while self._continues(first):
            first -= 1
        return first + (index - first) // _MOST_CTS * _MOST_CTS

    def _continues(self, index: int) -> bool:
        if index == 0 or index in self._starts:
            return False
        rng = np.random.default_rng(np.random.SeedSequence([self.seed, _FOLLOWUP, index]))
        return bool(rng.random() < self.config.share_followup)

    def has_mask(self, index: int) -> bool:
        """Whether the patient of a case has lesion masks: spread evenly over patients, not left to chance."""
        if self.split(index) in (Split.VALIDATION, Split.TEST):
            return True
        share, patient = self.config.mask_share, self.first_ct(index)
        return floor((patient + 1) * share + 1e-9) > floor(patient * share + 1e-9)
