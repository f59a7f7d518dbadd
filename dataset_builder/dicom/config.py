"""What ``--config`` of the ``dicom`` source may hold; every key has a default."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, StringConstraints, model_validator

from rsuper_bench.benchmark.errors import ConfigError, Problem
from rsuper_bench.benchmark.files import read_model
from rsuper_bench.benchmark.records import Phase, Record
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.organ_masks import OrganMasksConfig, beside
from rsuper_bench.dataset_builder.phi.dates import DateOrder

Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]
DEFAULT_PHASES = (Phase.PORTAL_VENOUS, Phase.DELAYED, Phase.UNKNOWN, Phase.ARTERIAL, Phase.NON_CONTRAST)


class ReportTable(Record):
    """A CSV of reports and its columns: ``report`` and at least one that says which study it is of.

    Attributes:
        delimiter: Between cells; a spreadsheet may write semicolons or tabs.
        encoding: Of the text; spreadsheets on Windows may write ``cp1252``.
        several: What to do when a study has different reports: ``reject`` it, or ``join`` them in file order.
    """

    file: Path
    report: Text = "report"
    study_uid: Text | None = None
    accession: Text | None = None
    patient_id: Text | None = None
    pathology_report: Text | None = None
    delimiter: Literal[",", ";", "\t"] = ","
    encoding: Literal["utf-8", "cp1252", "latin-1", "utf-16"] = "utf-8"
    several: Literal["reject", "join"] = "reject"

    @model_validator(mode="after")
    def _has_a_key(self) -> ReportTable:
        if not (self.study_uid or self.accession or self.patient_id):
            raise ValueError("names no column that says which study a report is of: study_uid, accession or patient_id")
        return self


class SegmentationConfig(Record):
    """Which segments of DICOM SEG objects are what. Organs of known names need no entry; lesions always do.

    Attributes:
        organs: Segment label -> organ label.
        lesions: Segment label -> tumor type; *all* lesions of that type must be drawn.
    """

    organs: dict[str, str] = {}
    lesions: dict[str, TumorType] = {}


class DicomConfig(Record):
    """Options of the ``dicom`` source.

    Attributes:
        salt_file: Secret that pseudonyms are made with; made at the first build when there is none.
        linkage_file: If given, a table that says which study each pseudonym is. Keep it in the hospital.
        min_slices: A series with fewer is no body CT.
        phases: Contrast phases, most wanted first; one that is not listed is not taken.
        allow_lossy: Take lossy compressed series too.
        allow_other_body_parts: Take CTs of the head and limbs too.
        date_order: How reports write dates in numbers; without it ``03/04/2021`` is blanked and not counted in days.
        spacing_tolerance: Share of the slice distance by which a gap may differ from the others.
    """

    reports: ReportTable | None = None
    use_structured_reports: bool = True
    segmentations: SegmentationConfig = SegmentationConfig()
    organ_masks: OrganMasksConfig | None = None
    salt_file: Path | None = None
    linkage_file: Path | None = None
    min_slices: Annotated[int, Field(ge=2)] = 20
    phases: Annotated[tuple[Phase, ...], Field(min_length=1)] = DEFAULT_PHASES
    allow_lossy: bool = False
    allow_other_body_parts: bool = False
    date_order: DateOrder | None = None
    spacing_tolerance: Annotated[PositiveFloat, Field(le=0.5)] = 0.05
    source: Text = "dicom"
    licence: Text = "unknown"
    redistributable: bool = False


def load_dicom_config(path: Path | None, *, export: Path, out: Path | None = None) -> DicomConfig:
    """Read the config; paths in it are relative to it, and the salt gets its default place beside the export.

    Raises:
        ConfigError: Listing every wrong key and file.
    """
    config = DicomConfig() if path is None else read_model(path, DicomConfig)
    folder = Path.cwd() if path is None else path.parent
    changes: dict[str, object] = {
        "salt_file": folder / config.salt_file if config.salt_file else export.parent / f"{export.name}.salt",
        "linkage_file": folder / config.linkage_file if config.linkage_file else None,
        "organ_masks": beside(config.organ_masks, folder),
    }
    if config.reports is not None:
        file = folder / config.reports.file
        if not file.is_file():
            raise ConfigError.of([Problem(f"{path}: reports.file", "no such file", "a CSV", "Check the path.")])
        changes["reports"] = config.reports.model_copy(update={"file": file.resolve()})
    for key in ("salt_file", "linkage_file"):
        place = changes[key]
        for name, around in (("the export", export), ("the release", out)):
            if isinstance(place, Path) and around is not None and place.resolve().is_relative_to(around.resolve()):
                found = f"inside {name}"
                raise ConfigError.of([Problem(f"{path}: {key}", found, "a place outside of it", "Name another place.")])
    return config.model_copy(update=changes)
