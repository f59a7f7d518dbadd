"""The phantom source: one case from its configuration, the seed and the case id alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.nifti import Volume
from rsuper_bench.benchmark.records import Finding, NotEvaluable, Phase, ReportFindings
from rsuper_bench.benchmark.tumor_types import Sex, TumorType
from rsuper_bench.dataset_builder.lesions.draw import Canvas, draw_lesion
from rsuper_bench.dataset_builder.lesions.plan import Plan
from rsuper_bench.dataset_builder.phantom.anatomy import Person, draw_person
from rsuper_bench.dataset_builder.phantom.config import PhantomConfig, Scanner
from rsuper_bench.dataset_builder.phantom.image import finish, start_canvas
from rsuper_bench.dataset_builder.phantom.lesions import plan_lesions
from rsuper_bench.dataset_builder.phantom.organ_errors import with_border_errors
from rsuper_bench.dataset_builder.phantom.roster import Roster
from rsuper_bench.dataset_builder.phantom.stones import draw_stones
from rsuper_bench.dataset_builder.raw_case import CaseKey, RawCase
from rsuper_bench.dataset_builder.report_grammar import Scene, WrittenReport, write_report

LICENCE = "CC0-1.0"
_MIN_ORGAN_MM3 = 500.0  # of an adult; less of an organ in the field of view is as good as none
_GROWTH_A_CT = 0.05  # mean log growth of a tumor's diameter from one CT of a patient to the next
_GROWTH_SD = 0.08

# One stream of randomness for each thing, so that changing one knob moves only what it is about.
_PATIENT, _CT, _REPORT, _ORGAN_MASK = range(4)


@dataclass(frozen=True)
class _Patient:
    """What all CTs of one patient share."""

    sex: Sex
    age: float
    person: Person
    plans: tuple[Plan, ...]
    exists: tuple[TumorType, ...]  # configured organs that a patient of this sex has
    stone_seed: int


@dataclass(frozen=True)
class _Scan:
    """One CT of a patient, before it is a case."""

    ct: NDArray[np.int16]
    canvas: Canvas
    scene: Scene
    truth: tuple[Finding, ...]
    scanner: Scanner


class PhantomSource:
    """Procedural abdominal CTs with reports. Implements :class:`~rsuper_bench.dataset_builder.raw_case.Source`."""

    def __init__(self, config: PhantomConfig, seed: int) -> None:
        self.config = config
        self.seed = seed
        self._roster = Roster(config, seed)

    def keys(self) -> list[CaseKey]:
        """All cases, ``phantom-00000`` and on. The split is set when the config fixes the split sizes."""
        roster = self._roster
        return [
            CaseKey(roster.case_id(index), roster.patient_id(index), roster.split(index))
            for index in range(self.config.total_cases)
        ]

    def make(self, key: CaseKey) -> RawCase:
        """Make one case.

        Raises:
            DataError: When the id is none of ours.
        """
        index = self._roster.index(key.case_id)
        patient = self._patient(index)
        scan = self._scan(index, patient)
        config, affine = self.config, _affine(self.config)
        masked = self._roster.has_mask(index)
        return RawCase(
            case_id=key.case_id,
            patient_id=self._roster.patient_id(index),
            source="phantom",
            licence=LICENCE,
            redistributable=True,
            ct=Volume(scan.ct, affine),
            report=self._report(index, scan.scene).text,
            organs=Volume(self._organ_mask(index, scan), affine),
            lesions=Volume(scan.canvas.lesions, affine) if masked else None,
            lesion_types=scan.scene.organs if masked else (),
            sex=patient.sex,
            age=patient.age,
            phase=scan.scene.phase,
            scanner=scan.scanner.name,
            kvp=scan.scanner.kvp,
            split=self._roster.split(index),
            synthetic=True,
            not_evaluable={
                kind: NotEvaluable.OUT_OF_VIEW if kind in patient.exists else NotEvaluable.ABSENT_BY_SEX
                for kind in config.tumor_types
                if kind not in scan.scene.organs
            },
            planted_findings=scan.truth,
        )

    def expected(self, key: CaseKey) -> ReportFindings:
        """What a perfect extractor reads in the report of a case; for tests and for scoring extractors."""
        index = self._roster.index(key.case_id)
        return self._report(index, self._scan(index, self._patient(index)).scene).expected(key.case_id)

    def _rng(self, stream: int, index: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence([self.seed, stream, index]))

    def _patient(self, index: int) -> _Patient:
        config = self.config
        rng = self._rng(_PATIENT, self._roster.first_ct(index))
        sex = Sex.FEMALE if rng.random() < config.share_female else Sex.MALE
        age = float(np.floor(rng.uniform(*config.age_years)))
        body, lesions, stones = (int(seed) for seed in rng.integers(2**63, size=3))
        exists = tuple(kind for kind in config.tumor_types if kind.anatomy.only_sex in (None, sex))
        person = draw_person(
            np.random.default_rng(body), sex, pose_mm=config.pose_jitter_mm, size_jitter=config.size_jitter
        )
        return _Patient(sex, age, person, plan_lesions(np.random.default_rng(lesions), config, exists), exists, stones)

    def _scan(self, index: int, patient: _Patient) -> _Scan:
        config = self.config
        rng = self._rng(_CT, index)
        phase = _weighted(config.phases, rng)
        scanner = config.scanners[int(rng.integers(len(config.scanners)))]
        later = index - self._roster.first_ct(index)
        growth = float(np.exp(rng.normal(_GROWTH_A_CT * later, _GROWTH_SD))) if later else 1.0
        canvas = start_canvas(patient.person, config, phase, rng)
        least_mm3 = _MIN_ORGAN_MM3 * config.body_scale**3
        in_view = tuple(
            kind for kind in patient.exists if canvas.organs.volume_mm3(canvas.organs.numbers(kind)) >= least_mm3
        )
        stones = draw_stones(canvas, config, in_view, np.random.default_rng(patient.stone_seed))
        truth = []
        for plan in patient.plans:
            if plan.tumor_type in in_view:
                drawn = draw_lesion(canvas, plan, config.lesions, growth=growth, scale=config.body_scale)
                truth += [drawn.finding] if drawn else []
        measured = tuple(_as_measured(finding, config, rng) for finding in truth)
        scene = Scene(measured, in_view, stones, patient.sex, patient.age, phase)
        return _Scan(finish(canvas, config, scanner, rng), canvas, scene, tuple(truth), scanner)

    def _organ_mask(self, index: int, scan: _Scan) -> NDArray[np.uint8]:
        config, labels = self.config, scan.canvas.organs.labels
        return with_border_errors(labels, config.spacing_mm, config.organ_mask_error_mm, self._rng(_ORGAN_MASK, index))

    def _report(self, index: int, scene: Scene) -> WrittenReport:
        return write_report(scene, self._rng(_REPORT, index), self.config.report)


def _weighted(weights: dict[Phase, float], rng: np.random.Generator) -> Phase:
    shares = np.array(list(weights.values()))
    return list(weights)[int(rng.choice(len(shares), p=shares / shares.sum()))]


def _as_measured(finding: Finding, config: PhantomConfig, rng: np.random.Generator) -> Finding:
    """What a radiologist measures: the true axes with one error for the lesion and a small one for each axis."""
    common = config.size_bias * np.exp(rng.normal(0, config.size_noise))
    axes = np.array(finding.diameters_mm) * common * np.exp(rng.normal(0, config.size_noise / 3, 3))
    return finding.model_copy(update={"diameters_mm": tuple(sorted(axes.clip(1.0).tolist(), reverse=True))})


def _affine(config: PhantomConfig) -> NDArray[np.float64]:
    """RAS: x grows to the patient's right, y to the front, z to the head; the origin is the middle of the grid."""
    affine = np.diag([*config.spacing_mm, 1.0])
    affine[:3, 3] = [-(n - 1) / 2 * step for n, step in zip(config.shape, config.spacing_mm, strict=True)]
    return affine
