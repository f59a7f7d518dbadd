"""Which of the usable series of a study is taken: one, by a rule that depends on nothing but the series."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rsuper_bench.benchmark.records import Phase
from rsuper_bench.dataset_builder.dicom.phase import contrast_phase
from rsuper_bench.dataset_builder.dicom.series import CheckedSeries

_SHARP = re.compile(
    r"\b(lung|bone|pulm\w*|knochen|lunge|sharp|edge|[bqi][rf]?([5-9]\d)[a-z]?|fc(5\d|30|8\d))\b", re.IGNORECASE
)
_COVERS = 2 / 3  # of the longest usable series


def choose_series(candidates: Sequence[CheckedSeries], phases: Sequence[Phase]) -> CheckedSeries | None:
    """The series of a study that becomes its case; None if there is none of a wanted phase.

    In this order: it covers two thirds of what the longest covers; the phase that stands first in ``phases``; original
    before derived; a soft-tissue kernel before lung and bone kernels; more slices; thinner slices; the smaller UID.
    """
    longest_mm = max((series.length_mm for series in candidates), default=0.0)
    wanted = [series for series in candidates if contrast_phase(series.info) in phases]

    def rank(series: CheckedSeries) -> tuple[object, ...]:
        info = series.info
        return (
            series.length_mm < _COVERS * longest_mm,
            phases.index(contrast_phase(info)),
            "ORIGINAL" not in info.image_type[:1],
            _SHARP.search(f"{info.kernel} {info.description.replace('_', ' ')}") is not None,
            -len(series.slices),
            info.thickness_mm or series.spacing_mm,
            series.uid,
        )

    return min(wanted, key=rank, default=None)
