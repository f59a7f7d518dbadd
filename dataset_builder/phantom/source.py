"""The phantom source: keys, patients, and one case made from (seed, case id) alone."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.nifti import Volume
from rsuper_bench.benchmark.records import Finding, Kind, NotEvaluable, Phase, ReportFindings, Split
from rsuper_bench.benchmark.tumor_types import Sex, TumorType, region_labels
from rsuper_bench.dataset_builder.label_map import ORGAN_NUMBER
from rsuper_bench.dataset_builder.phantom.anatomy import draw_person
from rsuper_bench.dataset_builder.phantom.config import PhantomConfig, Scanner
from rsuper_bench.dataset_builder.phantom.image import finish, start_canvas
from rsuper_bench.dataset_builder.phantom.lesions import Canvas, Drawn, draw_lesion, plan_lesions
from rsuper_bench.dataset_builder.phantom.places import locate
from rsuper_bench.dataset_builder.phantom.stones import draw_stones
from rsuper_bench.dataset_builder.raw_case import CaseKey, RawCase
from rsuper_bench.dataset_builder.report_grammar import Scene, WrittenReport, write_report

LICENCE = "CC0-1.0"
_ID = re.compile(r"phantom-(\d{5})")
_MOST_CTS = 4  # of one patient
_MIN_ORGAN_MM3 = 500.0  # less of an organ in the field of view is as good as none

# One independent stream of randomness for each thing, so that changing one knob moves only what it is about.
_PATIENT, _CT, _REPORT, _FOLLOWUP = range(4)


@dataclass(frozen=True)
class _Acquisition:
    phase: Phase
    scanner: Scanner


class PhantomSource:
    """Procedural abdominal CTs with reports. Implements :class:`~rsuper_bench.dataset_builder.raw_case.Source`."""

    def __init__(self, config: PhantomConfig, seed: int) -> None:
        self.config = config
        self.seed = seed

    def keys(self) -> list[CaseKey]:
        """All cases: ``phantom-00000`` and on. The split is set when the config fixes the split sizes."""
        return [
            CaseKey(f"phantom-{index:05d}", self._patient_id(index), self._split(index))
            for index in range(self.config.total_cases)
        ]

    def make(self, key: CaseKey) -> RawCase:
        """Make one case; depends on the config, the seed and the case id only.

        Raises:
            DataError: When the id is none of ours.
        """
        return self._made(key)[0]

    def expected(self, key: CaseKey) -> ReportFindings:
        """What a perfect extractor reads in the report of a case: for tests and agreement."""
        return self._made(key)[1].expected(key.case_id)

    def _made(self, key: CaseKey) -> tuple[RawCase, WrittenReport]:
        config = self.config
        index = self._index(key.case_id)
        patient = self._first_ct(index)
        patient_rng = self._rng(_PATIENT, patient)
        sex = Sex.FEMALE if patient_rng.random() < config.share_female else Sex.MALE
        age = float(np.floor(patient_rng.uniform(*config.age_years)))
        person = draw_person(
            np.random.default_rng(patient_rng.integers(2**63)),
            sex,
            pose_mm=config.pose_jitter_mm,
            size_jitter=config.size_jitter,
        )
        exists = [kind for kind in config.tumor_types if kind.anatomy.only_sex in (None, sex)]
        plans = plan_lesions(np.random.default_rng(patient_rng.integers(2**63)), config, exists)
        ct_rng = self._rng(_CT, index)
        acquisition = self._acquisition(ct_rng)
        growth = 1.0 if index == patient else float(np.exp(ct_rng.normal(0.05 * (index - patient), 0.08)))
        canvas = start_canvas(person, config, acquisition.phase, ct_rng)
        in_view = [kind for kind in exists if self._in_view(canvas, kind)]
        stones = draw_stones(canvas, config, in_view, np.random.default_rng(patient_rng.integers(2**63)))
        drawn = [
            item
            for plan in plans
            if plan.tumor_type in in_view
            and (item := draw_lesion(canvas, plan, config.lesions, growth=growth, scale=config.body_scale)) is not None
        ]
        ct = finish(canvas, config, acquisition.scanner, ct_rng)
        affine = _affine(config)
        truth = tuple(self._true_finding(canvas, item) for item in drawn)
        report_rng = self._rng(_REPORT, index)
        written = write_report(
            Scene(
                findings=tuple(self._as_measured(item, report_rng) for item in truth),
                organs=tuple(in_view),
                stones=stones,
                sex=sex,
                age=age,
                phase=acquisition.phase,
            ),
            report_rng,
            config.report,
        )
        absent = {
            kind: NotEvaluable.OUT_OF_VIEW if kind in exists else NotEvaluable.ABSENT_BY_SEX
            for kind in config.tumor_types
            if kind not in in_view
        }
        masked = self._has_mask(patient, key.split)
        case = RawCase(
            case_id=key.case_id,
            patient_id=self._patient_id(index),
            source="phantom",
            licence=LICENCE,
            redistributable=True,
            ct=Volume(ct, affine),
            report=written.text,
            organs=Volume(canvas.organs, affine),
            lesions=Volume(canvas.lesions, affine) if masked else None,
            lesion_types=tuple(config.tumor_types) if masked else (),
            sex=sex,
            age=age,
            phase=acquisition.phase,
            scanner=acquisition.scanner.name,
            kvp=acquisition.scanner.kvp,
            split=key.split,
            synthetic=True,
            not_evaluable=absent,
            planted_findings=truth,
        )
        return case, written

    def _rng(self, stream: int, index: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence([self.seed, stream, index]))

    def _index(self, case_id: str) -> int:
        match = _ID.fullmatch(case_id)
        if match is None or int(match[1]) >= self.config.total_cases:
            raise DataError.of(
                [Problem(f"case {case_id[:40]!a}", "no such phantom", "a case that keys() lists", "Check the id.")]
            )
        return int(match[1])

    @cached_property
    def _split_starts(self) -> dict[int, Split]:
        config = self.config
        if config.n_train is None or config.n_validation is None or config.n_test is None:
            return {}
        starts = {0: Split.TRAIN}
        if config.n_validation:
            starts[config.n_train] = Split.VALIDATION
        if config.n_test:
            starts[config.n_train + config.n_validation] = Split.TEST
        return starts

    def _split(self, index: int) -> Split | None:
        passed = [split for start, split in self._split_starts.items() if start <= index]
        return passed[-1] if passed else None

    def _first_ct(self, index: int) -> int:
        """Index of the first CT of the patient of a case. A patient never crosses the start of a split."""
        first = index
        while self._continues(first):
            first -= 1
        # Runs are cut every few cases, counted from where the run begins.
        return first + (index - first) // _MOST_CTS * _MOST_CTS

    def _continues(self, index: int) -> bool:
        if index == 0 or index in self._split_starts:
            return False
        return bool(self._rng(_FOLLOWUP, index).random() < self.config.share_followup)

    def _patient_id(self, index: int) -> str:
        return f"phantom-patient-{self._first_ct(index):05d}"

    def _has_mask(self, patient: int, split: Split | None) -> bool:
        """Whether a patient has lesion masks: spread evenly over the patients, not left to chance."""
        share = self.config.mask_share
        if split in (Split.VALIDATION, Split.TEST):
            return True
        return int(np.floor((patient + 1) * share + 1e-9)) > int(np.floor(patient * share + 1e-9))

    def _acquisition(self, rng: np.random.Generator) -> _Acquisition:
        phases = list(self.config.phases)
        weights = np.array([self.config.phases[phase] for phase in phases])
        phase = phases[int(rng.choice(len(phases), p=weights / weights.sum()))]
        return _Acquisition(phase, self.config.scanners[int(rng.integers(len(self.config.scanners)))])

    def _in_view(self, canvas: Canvas, kind: TumorType) -> bool:
        numbers = [ORGAN_NUMBER[label] for label in region_labels(kind, ORGAN_NUMBER)]
        voxels = int(np.isin(canvas.organs, numbers).sum())
        return voxels * float(np.prod(canvas.spacing_mm)) >= _MIN_ORGAN_MM3 * self.config.body_scale**3

    def _true_finding(self, canvas: Canvas, item: Drawn) -> Finding:
        return item.finding.model_copy(update={"location": locate(canvas.organs, item)})

    def _as_measured(self, finding: Finding, rng: np.random.Generator) -> Finding:
        """What a radiologist measures: the true axes with the error of METHOD 11."""
        config = self.config
        common = config.size_bias * np.exp(rng.normal(0, config.size_noise))
        axes = [
            float(max(axis * common * np.exp(rng.normal(0, config.size_noise / 3)), 1.0))
            for axis in finding.diameters_mm
        ]
        kind = finding.kind if finding.kind is Kind.CYST else Kind.MASS
        return finding.model_copy(update={"diameters_mm": tuple(sorted(axes, reverse=True)), "kind": kind})


def _affine(config: PhantomConfig) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """RAS: x grows to the patient's right, y to the front, z to the head; the origin is the middle of the grid."""
    affine = np.diag([*config.spacing_mm, 1.0])
    affine[:3, 3] = [-(n - 1) / 2 * step for n, step in zip(config.shape, config.spacing_mm, strict=True)]
    return affine
