"""Every knob of the phantom, in one strict model."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated

from pydantic import Field, PositiveFloat, StringConstraints, model_validator

from rsuper_bench.benchmark.files import read_model
from rsuper_bench.benchmark.records import Fraction, Phase, Record
from rsuper_bench.benchmark.tumor_types import SEVEN_TYPES, TumorType
from rsuper_bench.dataset_builder.lesions.config import LesionConfig, Range
from rsuper_bench.dataset_builder.report_grammar.style import ReportStyle

SUPPORTED_TYPES = (*SEVEN_TYPES, TumorType.PANCREAS, TumorType.KIDNEY, TumorType.LIVER)
Axis = Annotated[int, Field(ge=16, le=1024)]


class Scanner(Record):
    """A make of scanner: how noisy and how sharp its images are."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    noise: PositiveFloat = 1.0  # times the configured noise
    blur_mm: Annotated[float, Field(ge=0, le=10)] = 1.0  # standard deviation of the point spread
    kvp: PositiveFloat = 120.0


class PhantomConfig(Record):
    """What ``dataset build --source phantom --config YAML`` reads.

    Attributes:
        n_cases: Cases to make when no split sizes are given; the builder then draws the splits.
        n_train, n_validation, n_test: Fixed split sizes (all three or none); a patient stays in one split.
        body_scale: Size of the body relative to an adult; small bodies fit small grids.
        center_mm: Body coordinates of the middle of the grid, in millimetres of the adult body: x to the right,
            y to the front, z to the head, z = 0 at the level of the kidneys.
        prevalence: Share of patients with a tumor, for every type or one by one (missing types: none).
        mask_share: Share of patients with a lesion mask. With fixed splits it holds for training only, and
            validation and test keep all their masks.
        size_noise: Standard deviation of the log ratio of the reported to the measured diameter (METHOD 11).
        size_bias: Median of that ratio.
        organ_mask_error_mm: How far the borders of the organ masks are off, as those of a segmenter are; the lesion
            masks and the truth are not.
        share_followup: Chance that a case is one more CT of the patient before it.
    """

    n_cases: Annotated[int, Field(ge=1, le=99_999)] = 100
    n_train: Annotated[int, Field(ge=1)] | None = None
    n_validation: Annotated[int, Field(ge=0)] | None = None
    n_test: Annotated[int, Field(ge=0)] | None = None
    shape: tuple[Axis, Axis, Axis] = (96, 96, 96)
    spacing_mm: tuple[PositiveFloat, PositiveFloat, PositiveFloat] = (4.0, 4.0, 4.0)
    body_scale: Annotated[float, Field(ge=0.3, le=1.5)] = 1.0
    center_mm: tuple[float, float, float] = (0.0, 0.0, -40.0)
    tumor_types: Annotated[tuple[TumorType, ...], Field(min_length=1)] = SUPPORTED_TYPES
    prevalence: Fraction | dict[TumorType, Fraction] = 0.3
    lesions: LesionConfig = LesionConfig()
    cyst_rate: dict[TumorType, Fraction] = {
        TumorType.LIVER: 0.2,
        TumorType.KIDNEY: 0.3,
        TumorType.SPLEEN: 0.05,
        TumorType.PANCREAS: 0.05,
    }
    cyst_size_mm: Range = (6.0, 30.0)
    stone_rate: dict[TumorType, Fraction] = {
        TumorType.GALLBLADDER: 0.15,
        TumorType.KIDNEY: 0.12,
        TumorType.BLADDER: 0.03,
    }
    noise_hu: Annotated[float, Field(ge=0, le=200)] = 12.0
    noise_grain_mm: Annotated[float, Field(ge=0, le=20)] = 1.6  # standard deviation of the noise's correlation
    texture_hu: Annotated[float, Field(ge=0, le=50)] = 5.0
    organ_variation_hu: Annotated[float, Field(ge=0, le=50)] = 6.0  # between patients
    phases: dict[Phase, Annotated[float, Field(ge=0)]] = {
        Phase.PORTAL_VENOUS: 0.85,
        Phase.ARTERIAL: 0.1,
        Phase.NON_CONTRAST: 0.05,
    }
    scanners: Annotated[tuple[Scanner, ...], Field(min_length=1)] = (
        Scanner(name="phantom-a"),
        Scanner(name="phantom-b", noise=1.3, blur_mm=0.7, kvp=100.0),
        Scanner(name="phantom-c", noise=0.8, blur_mm=1.5),
    )
    share_female: Fraction = 0.5
    age_years: Range = (22.0, 88.0)
    pose_jitter_mm: Annotated[float, Field(ge=0, le=20)] = 4.0
    size_jitter: Annotated[float, Field(ge=0, le=0.3)] = 0.08
    share_followup: Fraction = 0.1
    mask_share: Fraction = 1.0
    size_noise: Annotated[float, Field(ge=0, le=1)] = 0.12
    size_bias: PositiveFloat = 1.0
    organ_mask_error_mm: Annotated[float, Field(ge=0, le=20)] = 0.0
    report: ReportStyle = ReportStyle()

    @model_validator(mode="after")
    def _fits_together(self) -> PhantomConfig:
        sizes = (self.n_train, self.n_validation, self.n_test)
        if any(size is not None for size in sizes) and None in sizes:
            raise ValueError("n_train, n_validation and n_test are given together or not at all")
        unsupported = [kind for kind in self.tumor_types if kind not in SUPPORTED_TYPES]
        if unsupported:
            raise ValueError(f"phantoms have no {', '.join(unsupported)}; they have {', '.join(SUPPORTED_TYPES)}")
        if len(set(self.tumor_types)) != len(self.tumor_types):
            raise ValueError("a tumor type stands twice")
        if Phase.UNKNOWN in self.phases or not sum(self.phases.values()) > 0:
            raise ValueError("phases needs a share above 0, and none for 'unknown'")
        for low, high in (self.cyst_size_mm, self.age_years):
            if low > high:
                raise ValueError("the first of a range is its lower end")
        if self.cyst_size_mm[0] <= 0:
            raise ValueError("cyst_size_mm starts above 0")
        if not 1 <= self.total_cases <= 99_999:
            raise ValueError("1 to 99999 cases")
        return self

    @property
    def total_cases(self) -> int:
        """Number of cases, from the split sizes where they are given."""
        if self.n_train is None or self.n_validation is None or self.n_test is None:
            return self.n_cases
        return self.n_train + self.n_validation + self.n_test

    def prevalence_of(self, kind: TumorType) -> float:
        """Chance that a patient has tumors of a type."""
        return self.prevalence.get(kind, 0.0) if isinstance(self.prevalence, dict) else self.prevalence


def shipped_config(name: str) -> Path:
    """Path of a YAML file that comes with the package, such as ``phantom-demo``."""
    return Path(str(files("rsuper_bench.dataset_builder") / "configs" / f"{name}.yaml"))


def load_phantom_config(name: str | Path) -> PhantomConfig:
    """Read a shipped config by name or a YAML file.

    Raises:
        ConfigError: Listing every wrong key at once.
    """
    path = Path(name)
    return read_model(path if path.suffix in (".yaml", ".yml", ".json") else shipped_config(str(name)), PhantomConfig)
