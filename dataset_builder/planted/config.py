"""Every knob of the planted source."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from rsuper_bench.benchmark.records import Fraction, Identifier, Phase, Record
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.lesions.config import LesionConfig
from rsuper_bench.dataset_builder.report_grammar import ReportStyle


class PlantedConfig(Record):
    """What ``dataset build --source planted --config YAML`` reads.

    Attributes:
        tumor_types: Organs to plant in; empty: every supported organ that the CT shows.
        min_organ_mm3: An organ with less in view is left out of reports, masks and planting.
        healthy: Share of cases without any lesion.
        prevalence: Chance of tumors in each organ of the other cases.
        lesions: How the tumors look.
        noise_hu: Noise added to each case, so that no two are alike.
        shift_hu: Largest change of brightness of the whole image, either way.
        anatomy: Name of the anatomy in ``derived_from``; by default from the CT's check sum.
        licence: Licence of the CT.
        redistributable: Whether that licence lets the cases be shared.
        phase: Contrast phase of the CT; decides the words of the report.
        report: Habits of the writer. Sizes are those of the planted mask.
    """

    tumor_types: tuple[TumorType, ...] = ()
    min_organ_mm3: Annotated[float, Field(gt=0)] = 2500.0
    healthy: Fraction = 0.25
    prevalence: Fraction = 0.3
    lesions: LesionConfig = LesionConfig(size_mm=(8.0, 45.0), multifocal=0.2, max_tumors=3)
    noise_hu: Annotated[float, Field(ge=0, le=100)] = 4.0
    shift_hu: Annotated[float, Field(ge=0, le=50)] = 3.0
    anatomy: Identifier | None = None
    licence: Annotated[str, StringConstraints(min_length=1, max_length=200)] = "unspecified"
    redistributable: bool = False
    phase: Phase = Phase.UNKNOWN
    report: ReportStyle = ReportStyle()
