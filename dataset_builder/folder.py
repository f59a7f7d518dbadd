"""The ``folder`` source: ``cases.csv`` with a row a CT, and NIfTI files beside it.

    cases.csv        case_id, patient_id, report, ct and, if you have them: pathology_report, organs, lesions,
                     lesion_types, sex, age, phase, split, source, licence, redistributable, scanner, kvp, derived_from,
                     study_date
    label_map.json   {"organs": {"1": "spleen"}, "lesions": {"1": "liver"}}, when masks are label maps

``organs`` is a label map or a folder with one binary mask a label (``spleen.nii.gz``, as TotalSegmentator writes).
``lesions`` is a label map, or one binary mask with its type in ``lesion_types``, or a folder with one binary mask a
type (``liver_lesion.nii.gz``). ``lesion_types`` names the types of which all lesions are drawn, so that an empty mask
means "none there". docs/folder-input.md has an example.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from functools import cached_property, lru_cache
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

from pydantic import StringConstraints

from rsuper_bench.benchmark.errors import ConfigError, DataError, Problem
from rsuper_bench.benchmark.files import digest_of, read_model, sha256_file
from rsuper_bench.benchmark.nifti import Volume, read_nifti
from rsuper_bench.benchmark.records import Record
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.folder_checks import grid_problems, label_problems, where
from rsuper_bench.dataset_builder.folder_masks import (
    LABEL_MAP_FILE,
    InputLabelMap,
    MaskReader,
    mask_files,
    mask_name,
    read_input_label_map,
)
from rsuper_bench.dataset_builder.folder_row import TABLE, FolderRow, RowProblem
from rsuper_bench.dataset_builder.folder_table import FolderTable, read_folder_table
from rsuper_bench.dataset_builder.mask_names import lesion_type, organ_number
from rsuper_bench.dataset_builder.organ_masks import OrganMasksConfig, beside
from rsuper_bench.dataset_builder.phi.dates import DateOrder
from rsuper_bench.dataset_builder.raw_case import CaseKey, RawCase
from rsuper_bench.dataset_builder.rejection import CaseError, Reason, Rejection


class FolderConfig(Record):
    """What ``--config`` may hold: values for rows that leave the column empty, and where organ masks come from."""

    source: Annotated[str, StringConstraints(min_length=1, max_length=200)] = "folder"
    licence: Annotated[str, StringConstraints(min_length=1, max_length=200)] = "unknown"
    redistributable: bool = False
    organ_masks: OrganMasksConfig | None = None
    date_order: DateOrder | None = None


@dataclass(frozen=True)
class FolderSource:
    """Cases of a folder. Small when pickled: a worker reads the table again.

    Attributes:
        folder: Holds ``cases.csv``.
        table_digest: Of ``cases.csv`` when the build began.
    """

    folder: Path
    config: FolderConfig
    label_map: InputLabelMap
    table_digest: str
    reject_bad: bool = False

    @classmethod
    def open(cls, folder: Path, *, config: Path | None = None, reject_bad: bool = False) -> FolderSource:
        """Open a folder.

        Raises:
            ConfigError: No such folder, or a bad config.
            DataError: No ``cases.csv``, or a malformed ``label_map.json``.
        """
        if not folder.is_dir():
            raise ConfigError.of([Problem("--input", f"no such folder {folder}", "a folder", "Check the path.")])
        if not (folder / TABLE).is_file():
            raise DataError.of([Problem(str(folder / TABLE), "no such file", "a table of the cases", "Write it.")])
        options = FolderConfig() if config is None else read_model(config, FolderConfig)
        masks = None if config is None else beside(options.organ_masks, config.parent)
        return cls(
            folder=folder.resolve(),
            config=options.model_copy(update={"organ_masks": masks}),
            label_map=read_input_label_map(folder),
            table_digest=sha256_file(folder / TABLE),
            reject_bad=reject_bad,
        )

    def keys(self) -> list[CaseKey]:
        """All usable cases, sorted.

        Raises:
            DataError: Listing everything that the table and the headers of the files show to be wrong; with
                ``reject_bad`` only what spoils the table as a whole.
        """
        if self._table.columns or (self._problems and not self.reject_bad):
            raise DataError.of([*self._table.columns, *(item.problem for item in self._problems)])
        bad = {item.input_id for item in self._problems}
        return sorted(
            (
                CaseKey(row.case_id, row.patient_id, row.split, row.derived_from, self._input_digest(row))
                for row in self._table.rows
                if row.case_id not in bad
            ),
            key=lambda key: key.case_id,
        )

    def rejections(self) -> list[Rejection]:
        """Rows that :meth:`keys` leaves out."""
        return [
            Rejection(item.input_id, item.reason, f"{item.problem.where}: {item.problem.found}")
            for item in self._problems
        ]

    def notes(self) -> list[str]:
        """What is left out on purpose, worth a line to the user."""
        notes = []
        if self._table.ignored:
            notes.append(f"columns of {TABLE} that mean nothing here: {', '.join(self._table.ignored)}")
        unknown = sorted(name for name in self.label_map.organs.values() if organ_number(name) is None)
        if unknown:
            notes.append(f"organs of {LABEL_MAP_FILE} that have no label in a release: {', '.join(unknown)}")
        return notes

    def make(self, key: CaseKey) -> RawCase:
        """Read one case.

        Raises:
            CaseError: With a reason code.
        """
        row = _rows(self.folder, self.table_digest)[key.case_id]
        try:
            ct = read_nifti(self.folder / row.ct, name=where(row, "ct"))
        except DataError as cause:
            raise CaseError.because(Reason.UNREADABLE_IMAGE, cause.problems) from None
        organs = lesions = None
        if row.organs is not None:
            organs = MaskReader(where(row, "organs"), self.label_map).organs(self.folder / row.organs)
        if row.lesions is not None:
            only = None if self.label_map.lesions else row.lesion_types[0] if row.lesion_types else None
            lesions = MaskReader(where(row, "lesions"), self.label_map).lesions(self.folder / row.lesions, only)
        return self._raw(row, ct, organs, lesions)

    def _raw(self, row: FolderRow, ct: Volume, organs: Volume | None, lesions: Volume | None) -> RawCase:
        defaults = self.config
        return RawCase(
            case_id=row.case_id,
            patient_id=row.patient_id,
            source=row.source or defaults.source,
            licence=row.licence or defaults.licence,
            redistributable=defaults.redistributable if row.redistributable is None else row.redistributable,
            ct=ct,
            report=row.report,
            pathology_report=row.pathology_report,
            organs=organs,
            lesions=lesions,
            lesion_types=self._drawn_types(row),
            sex=row.sex,
            age=row.age,
            phase=row.phase,
            scanner=row.scanner,
            kvp=row.kvp,
            split=row.split,
            derived_from=row.derived_from,
            study_date=date.fromisoformat(row.study_date) if row.study_date else None,
            date_order=defaults.date_order,
        )

    def _drawn_types(self, row: FolderRow) -> tuple[TumorType, ...]:
        """Types whose lesions are all drawn: as the row says, or all that the mask can show."""
        if row.lesions is None or row.lesion_types:
            return row.lesion_types
        path = self.folder / row.lesions
        if path.is_dir():
            kinds = (lesion_type(mask_name(item)) for item in mask_files(path))
            return tuple(sorted({kind for kind in kinds if kind is not None}))
        return tuple(sorted(set(self.label_map.lesions.values())))

    @cached_property
    def _table(self) -> FolderTable:
        return read_folder_table(self.folder)

    @cached_property
    def _problems(self) -> list[RowProblem]:
        """Problems of rows: of the cells, then of the files that good cells name."""
        table = self._table
        grids = (grid_problems(self.folder, row) for row in (*table.rows, *table.others))
        labels = (label_problems(self.folder, self.label_map, row) for row in table.rows)
        return [*table.problems, *chain.from_iterable(grids), *chain.from_iterable(labels)]

    def _input_digest(self, row: FolderRow) -> str:
        paths = [self.folder / name for name in (row.ct, row.organs, row.lesions) if name is not None]
        stats = [
            (file.name, file.stat().st_size, file.stat().st_mtime_ns) for path in paths for file in mask_files(path)
        ]
        parts: dict[str, Any] = asdict(row) | {"number": None, "stats": stats}
        return digest_of(
            [
                parts,
                self.config.model_dump(mode="json", exclude={"organ_masks"}),
                self.label_map.model_dump(mode="json"),
            ]
        )


@lru_cache(maxsize=1)
def _rows(folder: Path, table_digest: str) -> dict[str, FolderRow]:
    if sha256_file(folder / TABLE) != table_digest:
        raise DataError.of([Problem(TABLE, "changed during the build", "the same table", "Run the build again.")])
    return {row.case_id: row for row in read_folder_table(folder).rows}
