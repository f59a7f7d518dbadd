"""The ``dicom`` source: a PACS export of any nesting -> one case a study.

Nothing that names a patient leaves this module: ids are pseudonyms, dates are not carried, and of the header only what
``facts.py`` names is. docs/from-pacs-to-release.md walks through it.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rsuper_bench.benchmark.errors import ConfigError, DataError, Problem, RsuperBenchError
from rsuper_bench.benchmark.files import csv_text, digest_of, write_text
from rsuper_bench.dataset_builder.dicom.config import DicomConfig
from rsuper_bench.dataset_builder.dicom.export import read_export
from rsuper_bench.dataset_builder.dicom.headers import quiet
from rsuper_bench.dataset_builder.dicom.pseudonym import Pseudonyms, read_salt
from rsuper_bench.dataset_builder.dicom.segmentation import SegmentedMasks, read_segmentations
from rsuper_bench.dataset_builder.dicom.studies import ChosenStudy, Decisions, decide
from rsuper_bench.dataset_builder.dicom.volume import read_volume
from rsuper_bench.dataset_builder.raw_case import CaseKey, RawCase
from rsuper_bench.dataset_builder.rejection import Rejection


@dataclass(frozen=True)
class DicomKey(CaseKey):
    """A study as workers get it: the files of its series and its report, so that none scans the export again."""

    study: ChosenStudy | None = field(default=None, repr=False)


@dataclass(frozen=True)
class DicomSource:
    """Cases of a PACS export. The export is scanned once; a worker gets what it needs with the key."""

    root: Path
    config: DicomConfig

    @classmethod
    def open(cls, root: Path, config: DicomConfig) -> DicomSource:
        """Open an export.

        Raises:
            ConfigError: No such folder.
        """
        if not root.is_dir():
            raise ConfigError.of([Problem("--input", f"no such folder {root}", "a folder", "Check the path.")])
        return cls(root.resolve(), config)

    def __getstate__(self) -> dict[str, Any]:
        """Without the scan."""
        return {"root": self.root, "config": self.config}

    def keys(self) -> list[CaseKey]:
        """A key for each usable study, sorted.

        Raises:
            DataError: When no study can be used, with how many were refused for which reason.
        """
        decisions = self._decisions
        if not decisions.chosen:
            raise _nothing(decisions)
        return sorted(
            (
                DicomKey(study.case_id, study.patient_id, None, None, self._digest(study), study)
                for study in decisions.chosen
            ),
            key=lambda key: key.case_id,
        )

    def rejections(self) -> list[Rejection]:
        """Studies, series, reports and files that are not used."""
        return self._decisions.rejections

    def notes(self) -> list[str]:
        """What was passed over, in numbers."""
        return self._decisions.notes

    def make(self, key: CaseKey) -> RawCase:
        """Read the series of a study.

        Raises:
            CaseError: A file that is gone or damaged, or a segmentation that does not fit.
        """
        study = key.study if isinstance(key, DicomKey) else None
        if study is None:
            raise ValueError(f"not a key of this source: {key.case_id}")
        ct = read_volume(self.root, study.files, study.shape, np.array(study.affine_lps), name=study.case_id)
        masks = SegmentedMasks()
        if study.segmentations:
            uids = [uid for _, uid in study.files]
            options = self.config.segmentations
            masks = read_segmentations(self.root, study.segmentations, uids, ct, options, name=study.case_id)
        facts = study.facts
        return RawCase(
            case_id=study.case_id,
            patient_id=study.patient_id,
            source=self.config.source,
            licence=self.config.licence,
            redistributable=self.config.redistributable,
            ct=ct,
            report=study.report,
            pathology_report=study.pathology_report,
            organs=masks.organs,
            lesions=masks.lesions,
            lesion_types=tuple(sorted(masks.lesion_types)),
            sex=facts.sex,
            age=facts.age,
            phase=facts.phase,
            scanner=facts.scanner,
            kvp=facts.kvp,
            study_date=date.fromisoformat(facts.study_date) if facts.study_date else None,
            date_order=self.config.date_order,
        )

    @cached_property
    def _decisions(self) -> Decisions:
        if self.config.salt_file is None:
            raise ValueError("a config without a salt file; load_dicom_config gives it one")
        pseudonyms = Pseudonyms(read_salt(self.config.salt_file))
        with quiet():
            decisions = decide(self.root, read_export(self.root), self.config, pseudonyms)
        if self.config.linkage_file is not None:
            _write_linkage(self.config.linkage_file, decisions)
        return decisions

    def _digest(self, study: ChosenStudy) -> str:
        config = self.config
        segmentations = config.segmentations.model_dump(mode="json")
        options = [config.source, config.licence, config.redistributable, segmentations, config.date_order]
        return digest_of([asdict(study), options])


def _write_linkage(path: Path, decisions: Decisions) -> None:
    rows = [
        {"pseudonym": pseudonym, "kind": kind, "original": original}
        for pseudonym, kind, original in sorted(set(decisions.linkage))
    ]
    write_text(path, csv_text(rows, ("pseudonym", "kind", "original")))
    os.chmod(path, 0o600)  # noqa: PTH101


def _nothing(decisions: Decisions) -> RsuperBenchError:
    counts: dict[str, int] = {}
    for item in decisions.rejections:
        counts[item.reason] = counts.get(item.reason, 0) + 1
    shown = ", ".join(f"{number} {reason}" for reason, number in sorted(counts.items())) or "no DICOM file"
    fix = "docs/from-pacs-to-release.md says what each code means and what to do."
    found = f"no usable study of {decisions.n_studies} ({shown})"
    return DataError.of([Problem("--input", found, "CT studies with a report", fix)])
