"""The planted source: lesions drawn into one real CT, described by a report.

All cases share the anatomy, so together they are no evidence: ``derived_from`` lets the builder refuse to spread them
over splits.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.files import sha256_file
from rsuper_bench.benchmark.nifti import Volume
from rsuper_bench.benchmark.records import Attenuation, Finding, NotEvaluable, ReportFindings
from rsuper_bench.benchmark.tumor_types import Side, TumorType
from rsuper_bench.dataset_builder.lesions.draw import Canvas, draw_lesion
from rsuper_bench.dataset_builder.lesions.organ_map import OrganMap
from rsuper_bench.dataset_builder.lesions.plan import Plan, plan_tumors
from rsuper_bench.dataset_builder.noise import correlated_noise
from rsuper_bench.dataset_builder.planted.anatomy import AERATED_HU, Anatomy, read_anatomy
from rsuper_bench.dataset_builder.planted.config import PlantedConfig
from rsuper_bench.dataset_builder.raw_case import CaseKey, RawCase
from rsuper_bench.dataset_builder.report_grammar import Scene, WrittenReport, write_report

_ID = re.compile(r"planted-(\d{5})")
_SOLID_IN_LUNG_HU = 35.0
_NOISE_GRAIN_MM = 2.0
_LESIONS, _IMAGE, _REPORT = range(3)  # streams of randomness of a case


class PlantedSource:
    """Cases planted into one CT. Implements :class:`~rsuper_bench.dataset_builder.raw_case.Source`.

    Args:
        ct: NIfTI file.
        organs: Label map on the same grid.
        labels: CSV with the columns ``label`` and ``name``; names as in TotalSegmentator.
        n: Number of cases.
        seed: Any integer from 0.
        config: Everything else.

    Raises:
        DataError: When ``n`` is no possible number of cases.
    """

    def __init__(
        self, ct: Path, organs: Path, labels: Path, n: int, seed: int, config: PlantedConfig | None = None
    ) -> None:
        if not 1 <= n <= 99_999:
            raise DataError.of([Problem("--n", f"{n} cases", "1 to 99999", "Ask for another number of cases.")])
        self.config = config or PlantedConfig()
        self.seed = seed
        self._n = n
        self._paths = (ct, organs, labels)

    @cached_property
    def derived_from(self) -> str:
        """Name of the anatomy that all cases come from."""
        return self.config.anatomy or f"ct-{sha256_file(self._paths[0])[:16]}"

    def keys(self) -> list[CaseKey]:
        """``planted-00000`` and on; one patient id a case, one anatomy for all.

        Raises:
            DataError: When CT, organs or labels cannot be used.
        """
        _ = self._anatomy  # all problems of the input before any case
        digest = "-".join(sha256_file(path)[:16] for path in self._paths)
        names = [f"planted-{index:05d}" for index in range(self._n)]
        return [CaseKey(name, name, derived_from=self.derived_from, input_digest=digest) for name in names]

    def make(self, key: CaseKey) -> RawCase:
        """Plant one case.

        Raises:
            DataError: When the id is none of ours, or the input cannot be used.
        """
        anatomy, config = self._anatomy, self.config
        canvas, truth = self._planted(key)
        affine = anatomy.ct.affine
        return RawCase(
            case_id=key.case_id,
            patient_id=key.case_id,
            source="planted",
            licence=config.licence,
            redistributable=config.redistributable,
            ct=Volume(self._image(key, canvas.hu), affine),
            report=self._report(key, truth).text,
            organs=Volume(canvas.organs.labels, affine),
            lesions=Volume(canvas.lesions, affine),
            lesion_types=anatomy.kinds,
            sex=anatomy.sex,
            phase=config.phase,
            synthetic=True,
            derived_from=self.derived_from,
            not_evaluable={kind: NotEvaluable.OUT_OF_VIEW for kind in config.tumor_types if kind not in anatomy.kinds},
            planted_findings=truth,
        )

    def expected(self, key: CaseKey) -> ReportFindings:
        """What a perfect extractor reads in the report of a case."""
        return self._report(key, self._planted(key)[1]).expected(key.case_id)

    @cached_property
    def _anatomy(self) -> Anatomy:
        return read_anatomy(*self._paths, self.config)

    def _rng(self, key: CaseKey, stream: int) -> np.random.Generator:
        match = _ID.fullmatch(key.case_id)
        if match is None or int(match[1]) >= self._n:
            shown = ascii(key.case_id[:40])
            raise DataError.of(
                [Problem(f"case {shown}", "no such planted case", "a case that keys() lists", "Check the id.")]
            )
        return np.random.default_rng(np.random.SeedSequence([self.seed, stream, int(match[1])]))

    def _planted(self, key: CaseKey) -> tuple[Canvas, tuple[Finding, ...]]:
        """Draw the lesions of a case into a copy of the anatomy."""
        anatomy, config = self._anatomy, self.config
        rng = self._rng(key, _LESIONS)
        canvas = Canvas(
            hu=anatomy.ct.data.astype(np.float32),
            organs=OrganMap(anatomy.organs.labels.copy(), anatomy.organs.spacing_mm),
            fat=anatomy.fat.copy(),
            organ_hu=anatomy.organ_hu,
            texture=anatomy.texture,
        )
        canvas.taken |= anatomy.blocked
        plans: list[Plan] = []
        healthy = rng.random() < config.healthy
        for kind in anatomy.kinds:
            own = np.random.default_rng(rng.integers(2**63))
            if not healthy and own.random() < config.prevalence:
                plans += [_fitted(plan, canvas) for plan in plan_tumors(own, config.lesions, kind)]
        plans.sort(key=lambda plan: -plan.size_mm)
        drawn = [draw_lesion(canvas, plan, config.lesions) for plan in plans]
        return canvas, tuple(item.finding for item in drawn if item is not None)

    def _image(self, key: CaseKey, hu: NDArray[np.float32]) -> NDArray[np.int16]:
        """The planted image with a little noise and another brightness of its own, in the range of the CT."""
        config, rng = self.config, self._rng(key, _IMAGE)
        low, high = max(float(hu.min()), -1024), min(float(hu.max()), 3071)
        grain = correlated_noise(hu.shape, self._anatomy.organs.spacing_mm, _NOISE_GRAIN_MM, rng)
        changed = hu + grain * np.float32(config.noise_hu) + np.float32(rng.uniform(-1, 1) * config.shift_hu)
        return np.rint(np.clip(changed, low, high)).astype(np.int16)

    def _report(self, key: CaseKey, truth: tuple[Finding, ...]) -> WrittenReport:
        scene = Scene(truth, self._anatomy.kinds, sex=self._anatomy.sex, phase=self.config.phase)
        return write_report(scene, self._rng(key, _REPORT), self.config.report)


def _fitted(plan: Plan, canvas: Canvas) -> Plan:
    """Move a tumor planned on a side out of view to the other, and make tumors of the lung soft tissue."""
    if not canvas.organs.numbers(plan.tumor_type, plan.side):
        plan = replace(plan, side=Side.LEFT if plan.side is Side.RIGHT else Side.RIGHT)
    numbers = canvas.organs.numbers(plan.tumor_type, plan.side)
    typical = float(np.mean([canvas.organ_hu[number] for number in numbers]))
    if typical > AERATED_HU or plan.tumor_type is not TumorType.LUNG:
        return plan
    return replace(plan, attenuation=Attenuation.HYPER, contrast_hu=_SOLID_IN_LUNG_HU - typical)
