"""The planted source: lesions drawn into one real CT with organ labels, described by a report.

All cases share the anatomy, so together they are no evidence: ``derived_from`` lets the builder refuse to spread them
over splits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, StringConstraints
from scipy import ndimage

from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.files import read_table, sha256_file
from rsuper_bench.benchmark.nifti import Volume, read_nifti
from rsuper_bench.benchmark.records import Attenuation, Fraction, Identifier, Phase, Record, ReportFindings
from rsuper_bench.benchmark.tumor_types import Sex, TumorType
from rsuper_bench.dataset_builder.label_map import ORGAN_NUMBER
from rsuper_bench.dataset_builder.lesions.config import LesionConfig
from rsuper_bench.dataset_builder.lesions.draw import Canvas, Drawn, draw_lesion
from rsuper_bench.dataset_builder.lesions.plan import Plan, plan_tumors
from rsuper_bench.dataset_builder.lesions.shape import Slices
from rsuper_bench.dataset_builder.raw_case import CaseKey, RawCase
from rsuper_bench.dataset_builder.report_grammar import ReportStyle, Scene, WrittenReport, write_report

_BODY_HU = -300.0
_SOFT_TISSUE_HU = (-50.0, 200.0)  # gas and contrast inside a hollow organ are not its attenuation
_FAT_HU = (-140.0, -40.0)
_AERATED_HU = -300.0  # an organ darker than this is lung: what grows there is soft tissue
_SOLID_IN_LUNG_HU = 35.0
_RESIDUAL_MM = 6.0  # the texture of an organ is what a blur of this width takes away
_PLACES_TRIED = 12
_MIN_TEXTURE_VOXELS = 30
_NOISE_GRAIN_MM = 2.0
# Parts that label sets name one by one, under the name they have in our masks.
_PARTS_OF = {"vertebrae_": "vertebrae", "sacrum": "vertebrae", "kidney_cyst_": "kidney_"}
_LESIONS, _IMAGE, _REPORT = range(3)  # streams of randomness of a case


class PlantedConfig(Record):
    """What ``dataset build --source planted --config YAML`` reads.

    Attributes:
        tumor_types: Organs to plant in; empty: every supported organ that the CT shows.
        min_organ_mm3: An organ with less in view is left out, and its type is not evaluable.
        healthy: Share of cases without any lesion.
        prevalence: Chance of tumors in each organ of the other cases.
        noise_hu: Noise added to each case, so that no two are alike.
        shift_hu: Largest change of brightness of the whole image, either way.
        anatomy: Name of the anatomy in ``derived_from``; by default from the CT's check sum.
        licence: Licence of the CT.
        redistributable: Whether that licence lets the cases be shared.
        phase: Contrast phase of the CT.
    """

    tumor_types: tuple[TumorType, ...] = ()
    min_organ_mm3: Annotated[float, Field(gt=0)] = 2500.0
    lesions: LesionConfig = LesionConfig(size_mm=(8.0, 45.0), multifocal=0.2, max_tumors=3)
    healthy: Fraction = 0.25
    prevalence: Fraction = 0.3
    noise_hu: Annotated[float, Field(ge=0, le=100)] = 4.0
    shift_hu: Annotated[float, Field(ge=0, le=50)] = 3.0
    anatomy: Identifier | None = None
    licence: Annotated[str, StringConstraints(min_length=1, max_length=200)] = "unspecified"
    redistributable: bool = False
    phase: Phase = Phase.UNKNOWN
    report: ReportStyle = ReportStyle()


@dataclass(frozen=True)
class _Anatomy:
    """The real CT, ready to be planted into."""

    ct: Volume
    organs: NDArray[np.uint8]
    fat: NDArray[np.bool_]
    organ_hu: dict[int, float]
    texture: ResidualTexture
    kinds: tuple[TumorType, ...]
    sex: Sex | None


class ResidualTexture:
    """The organ's own structure, taken from another place of the same organ.

    What a blur inside the organ takes away, without the outliers (vessels, stones, metal, the organ's edge). Lung has
    no soft tissue to copy, so its tumors take the structure of the quietest soft organ.

    Args:
        hu: The image.
        organs: Organ labels.
        boxes: Box around each label.
        organ_hu: Typical HU of each label.
        spacing_mm: Voxel size.
    """

    def __init__(
        self,
        hu: NDArray[np.float32],
        organs: NDArray[np.uint8],
        boxes: dict[int, Slices],
        organ_hu: dict[int, float],
        spacing_mm: tuple[float, float, float],
    ) -> None:
        self._organs = organs
        self._boxes = boxes
        self._residual = np.zeros(hu.shape, np.float32)
        spreads: dict[int, float] = {}
        for number, box in boxes.items():
            region = organs[box] == number
            if number == ORGAN_NUMBER["body"] or organ_hu[number] <= _AERATED_HU or region.sum() < _MIN_TEXTURE_VOXELS:
                continue
            residual = _residual(hu[box], region, [_RESIDUAL_MM / step for step in spacing_mm])
            self._residual[box][region] = residual[region]
            spreads[number] = float(residual[region].std())
        self._soft = set(spreads)
        self._quietest = min(spreads, key=lambda number: spreads[number], default=0)

    def patch(self, box: Slices, organ: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """Structure for a box: the part of as many tried places that lies most inside the organ; gaps are drawn."""
        source = organ if organ in self._soft else self._quietest
        shape = [side.stop - side.start for side in box]
        if not source:
            return np.zeros(shape, np.float32)
        home = self._boxes[source]
        organs, residual = self._organs[home], self._residual[home]
        inside = np.argwhere(organs == source)
        filled = rng.choice(residual[organs == source], size=shape)
        best = 0
        for _ in range(_PLACES_TRIED):
            corner = inside[int(rng.integers(len(inside)))] - np.array(shape) // 2
            there = tuple(slice(max(c, 0), min(c + n, m)) for c, n, m in zip(corner, shape, organs.shape, strict=True))
            here = tuple(slice(s.start - c, s.stop - c) for s, c in zip(there, corner, strict=True))
            covered = organs[there] == source
            if covered.sum() > best:
                best, place, target, kept = int(covered.sum()), there, here, covered
        filled[target] = np.where(kept, residual[place], filled[target])
        return np.asarray(filled - filled.mean(), dtype=np.float32)


def _residual(hu: NDArray[np.float32], region: NDArray[np.bool_], sigmas: list[float]) -> NDArray[np.float32]:
    weight = ndimage.gaussian_filter(region.astype(np.float32), sigmas)
    smooth = ndimage.gaussian_filter(np.where(region, hu, np.float32(0)), sigmas) / np.maximum(weight, 1e-3)
    residual = hu - smooth
    spread = 1.4826 * float(np.median(np.abs(residual[region])))
    return np.asarray(np.clip(residual, -2.5 * spread, 2.5 * spread), dtype=np.float32)


class PlantedSource:
    """Cases planted into one CT. Implements :class:`~rsuper_bench.dataset_builder.raw_case.Source`.

    Args:
        ct: NIfTI file.
        organs: Label map on the same grid.
        labels: CSV with the columns ``label`` and ``name``; names as in TotalSegmentator.
        n: Number of cases.
        seed: Any integer from 0.
        config: Everything else.
    """

    def __init__(
        self, ct: Path, organs: Path, labels: Path, n: int, seed: int, config: PlantedConfig | None = None
    ) -> None:
        if n < 1:
            raise DataError.of([Problem("--n", f"{n} cases", "at least 1", "Ask for at least one case.")])
        self.config = config or PlantedConfig()
        self.seed = seed
        self._n = n
        self._paths = (ct, organs, labels)

    @cached_property
    def derived_from(self) -> str:
        """Name of the anatomy."""
        return self.config.anatomy or f"ct-{self._digest[:16]}"

    @cached_property
    def _digest(self) -> str:
        ct = self._paths[0]
        if not ct.is_file():
            raise DataError.of([Problem(str(ct), "no such file", "a NIfTI file", "Check the path.")])
        return sha256_file(ct)

    def keys(self) -> list[CaseKey]:
        """``planted-00000`` and on; one patient id a case, one anatomy for all.

        Raises:
            DataError: When CT, organs or labels cannot be used.
        """
        _ = self._anatomy
        names = [f"planted-{index:05d}" for index in range(self._n)]
        return [CaseKey(name, name, derived_from=self.derived_from) for name in names]

    def make(self, key: CaseKey) -> RawCase:
        """Plant one case."""
        anatomy, config = self._anatomy, self.config
        canvas, drawn = self._planted(key)
        image = canvas.hu
        low, high = image.min(), image.max()
        rng = self._rng(key, _IMAGE)
        image += self._noise(image.shape, rng) + np.float32(rng.uniform(-config.shift_hu, config.shift_hu))
        ct = np.rint(np.clip(image, max(float(low), -1024), min(float(high), 3071))).astype(np.int16)
        affine = anatomy.ct.affine
        return RawCase(
            case_id=key.case_id,
            patient_id=key.patient_id,
            source="planted",
            licence=config.licence,
            redistributable=config.redistributable,
            ct=Volume(ct, affine),
            report=self._report(key, drawn).text,
            organs=Volume(canvas.organs, affine),
            lesions=Volume(canvas.lesions, affine),
            lesion_types=anatomy.kinds,
            sex=anatomy.sex,
            phase=config.phase,
            synthetic=True,
            derived_from=self.derived_from,
            planted_findings=tuple(item.finding for item in drawn),
        )

    def expected(self, key: CaseKey) -> ReportFindings:
        """What a perfect extractor reads in the report of a case."""
        return self._report(key, self._planted(key)[1]).expected(key.case_id)

    def _rng(self, key: CaseKey, stream: int) -> np.random.Generator:
        return np.random.default_rng(np.random.SeedSequence([self.seed, stream, int(key.case_id.rsplit("-", 1)[-1])]))

    def _planted(self, key: CaseKey) -> tuple[Canvas, list[Drawn]]:
        anatomy, config = self._anatomy, self.config
        canvas = Canvas(
            hu=anatomy.ct.data.astype(np.float32),
            organs=anatomy.organs.copy(),
            fat=anatomy.fat.copy(),
            organ_hu=anatomy.organ_hu,
            texture=anatomy.texture,
            spacing_mm=anatomy.ct.spacing_mm,
        )
        # Gas in bowel is no place for a tumor.
        canvas.taken |= _gas(anatomy)
        rng = self._rng(key, _LESIONS)
        plans: list[Plan] = []
        healthy = rng.random() < config.healthy
        for kind in anatomy.kinds:
            own = np.random.default_rng(rng.integers(2**63))
            if not healthy and own.random() < config.prevalence:
                plans += [self._fitted(plan, canvas) for plan in plan_tumors(own, config.lesions, kind)]
        plans.sort(key=lambda plan: -plan.size_mm)
        drawn = [draw_lesion(canvas, plan, config.lesions) for plan in plans]
        return canvas, [item for item in drawn if item is not None]

    def _fitted(self, plan: Plan, canvas: Canvas) -> Plan:
        """Tumors of the lung are soft tissue, whatever the configured contrast."""
        numbers = canvas.numbers(plan.tumor_type, plan.side)
        darkest = min((canvas.organ_hu[number] for number in numbers), default=0.0)
        if darkest > _AERATED_HU:
            return plan
        return Plan(
            **{
                **plan.__dict__,
                "attenuation": Attenuation.HYPER,
                "contrast_hu": _SOLID_IN_LUNG_HU - darkest,
            }
        )

    def _noise(self, shape: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
        noise = rng.standard_normal(shape, dtype=np.float32)
        sigmas = [_NOISE_GRAIN_MM / step for step in self._anatomy.ct.spacing_mm]
        noise = ndimage.gaussian_filter(noise, sigmas, mode="wrap", truncate=3)
        return np.asarray(noise * np.float32(self.config.noise_hu / max(float(noise.std()), 1e-6)), dtype=np.float32)

    def _report(self, key: CaseKey, drawn: list[Drawn]) -> WrittenReport:
        anatomy = self._anatomy
        scene = Scene(
            findings=tuple(item.finding for item in drawn),
            organs=anatomy.kinds,
            sex=anatomy.sex,
            phase=self.config.phase,
        )
        return write_report(scene, self._rng(key, _REPORT), self.config.report)

    @cached_property
    def _anatomy(self) -> _Anatomy:
        ct_path, organs_path, labels_path = self._paths
        ct, labels = read_nifti(ct_path).canonical(), read_nifti(organs_path).canonical()
        problems = []
        if not ct.same_grid(labels):
            problems.append(
                Problem(
                    str(organs_path),
                    f"a grid of {labels.data.shape}",
                    f"the grid of the CT, {ct.data.shape} and the same affine",
                    "Resample the organ labels to the CT.",
                )
            )
        if ct.orientation != "RAS":
            problems.append(Problem(str(ct_path), ct.orientation, "an image that can be turned to RAS", "Resample it."))
        if problems:
            raise DataError.of(problems)
        organs = _our_numbers(labels, labels_path)
        organs[(organs == 0) & _body(ct)] = ORGAN_NUMBER["body"]
        hu = ct.data.astype(np.float32)
        canvas = Canvas(hu, organs, np.zeros(organs.shape, dtype=bool), {}, _NO_TEXTURE, ct.spacing_mm)
        wanted = self.config.tumor_types or tuple(TumorType)
        least = self.config.min_organ_mm3
        kinds = tuple(kind for kind in wanted if canvas.organ_mm3(canvas.numbers(kind)) >= least)
        if not kinds:
            raise DataError.of(
                [
                    Problem(
                        str(organs_path),
                        f"no supported organ with {least:g} mm3 or more",
                        "labels such as liver, spleen, kidney_left",
                        f"Check the names in {labels_path.name}.",
                    )
                ]
            )
        organ_hu = {number: _typical_hu(hu[box][organs[box] == number]) for number, box in canvas.boxes.items()}
        return _Anatomy(
            ct=ct,
            organs=organs,
            fat=_fat(hu, organs == ORGAN_NUMBER["body"]),
            organ_hu=organ_hu,
            texture=ResidualTexture(hu, organs, canvas.boxes, organ_hu, ct.spacing_mm),
            kinds=kinds,
            sex=_sex(canvas),
        )


class _NoTexture:
    def patch(self, box: Slices, organ: int, rng: np.random.Generator) -> NDArray[np.float32]:  # noqa: ARG002
        return np.zeros([side.stop - side.start for side in box], np.float32)


_NO_TEXTURE = _NoTexture()


def _our_numbers(labels: Volume, path: Path) -> NDArray[np.uint8]:
    """Organ labels with the numbers of our label map; what we have no name for becomes 0."""
    rows = read_table(path, ["label", "name"])
    problems, table = [], {}
    for number, row in enumerate(rows, start=2):
        if not row["label"].strip().isdigit():
            problems.append(Problem(f"{path}: row {number}", "label is no number", "a whole number", "Correct it."))
            continue
        name = row["name"].strip()
        for prefix, ours in _PARTS_OF.items():
            if name.startswith(prefix):
                name = ours + name.removeprefix(prefix) if ours.endswith("_") else ours
        table[int(row["label"])] = ORGAN_NUMBER.get(name, 0)
    if labels.data.dtype.kind == "f" and (labels.data != np.rint(labels.data)).any():
        problems.append(Problem("--organs", "labels that are no whole numbers", "a label map", "Save it as integers."))
    if problems:
        raise DataError.of(problems)
    organs = np.zeros(labels.data.shape, np.uint8)
    for value in np.unique(labels.data).tolist():
        organs[labels.data == value] = table.get(int(value), 0)
    return organs


def _body(ct: Volume) -> NDArray[np.bool_]:
    """The largest thing denser than air, its air-filled holes included slice by slice."""
    dense = ndimage.binary_opening(ct.data > _BODY_HU, iterations=1)
    parts, count = ndimage.label(dense)
    if not count:
        return np.zeros(ct.data.shape, dtype=bool)
    largest = parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    for z in range(largest.shape[2]):
        largest[:, :, z] = ndimage.binary_fill_holes(largest[:, :, z])
    return np.asarray(largest)


def _fat(hu: NDArray[np.float32], body: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fat without its specks of noise and small vessels: what a tumor can grow into."""
    raw = body & (hu > _FAT_HU[0]) & (hu < _FAT_HU[1])
    block = np.ones((3, 3, 3), dtype=bool)
    closed = ndimage.binary_closing(raw, block) & body
    return np.asarray(ndimage.binary_opening(closed, block))


def _typical_hu(values: NDArray[np.float32]) -> float:
    soft = values[(values > _SOFT_TISSUE_HU[0]) & (values < _SOFT_TISSUE_HU[1])]
    return float(np.median(soft if len(soft) > len(values) / 4 else values))


def _gas(anatomy: _Anatomy) -> NDArray[np.bool_]:
    lung = np.isin(anatomy.organs, [n for n, hu in anatomy.organ_hu.items() if hu < _AERATED_HU])
    return np.asarray((anatomy.ct.data < -200) & ~lung)


def _sex(canvas: Canvas) -> Sex | None:
    male, female = (bool(canvas.numbers(kind)) for kind in (TumorType.PROSTATE, TumorType.UTERUS))
    if male == female:
        return None
    return Sex.MALE if male else Sex.FEMALE
