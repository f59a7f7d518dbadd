"""A recipe: everything that decides what a training run does, in one strict YAML file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, PositiveFloat, PositiveInt, Strict, ValidationError, model_validator

from rsuper_bench.baselines.options import Augmentation, CropPolicy, LossOptions, Weight
from rsuper_bench.baselines.shipped import shipped_recipe, shipped_recipes
from rsuper_bench.benchmark.errors import ConfigError, Problem
from rsuper_bench.benchmark.files import digest_of, read_text
from rsuper_bench.benchmark.markdown import printable
from rsuper_bench.benchmark.model_problems import model_problems
from rsuper_bench.benchmark.records import Fraction, Kind, Record
from rsuper_bench.benchmark.tumor_types import TumorType

Pool = Literal["masks", "reports"]
Objective = Literal[
    "mask_only", "report_only", "combined", "multi_task", "clip_like", "models_genesis", "pseudo_labels"
]
OrganGate = Literal["model", "release", "none"]


TERMS = {
    "mask_only": ("segmentation", "organs"),
    "report_only": ("segmentation", "organs", "volume", "ball", "attenuation"),
    "combined": ("segmentation", "organs", "volume", "ball", "attenuation"),
    "multi_task": ("segmentation", "organs", "presence"),
    "clip_like": ("segmentation", "organs", "contrast"),
    "models_genesis": ("segmentation", "organs", "restoration"),
    "pseudo_labels": ("segmentation", "organs"),
}
OPTIONAL_TERMS = {"report_only": ("malignancy",), "combined": ("malignancy",)}
POOLS: dict[str, set[Pool]] = {"mask_only": {"masks"}, "report_only": {"reports"}, "pseudo_labels": {"masks"}}
BASELINES = ("mask_only", "report_only", "combined")


Side = Annotated[int, Field(gt=0, le=4096)]  # voxels; longer is no crop but a slip


class NotStated(StrEnum):
    """What a silent report means in training (METHOD 1)."""

    UNKNOWN = "unknown"
    NEGATIVE = "negative"


class NetworkSpec(Record):
    """A network by name. ``fold`` trades resolution for channels at both ends (networks/segmenter.py).

    ``compile`` runs it through torch.compile in training: minutes of waiting at the start, then faster steps.
    """

    name: str
    fold: Annotated[int, Field(ge=1, le=8)] = 1
    compile: bool = False
    options: dict[str, Any] = {}


class Stage(Record):
    """A stretch of training with its own peak learning rate, warm-up (schedule.py) and decay to 0."""

    steps: Annotated[int, Field(gt=0, le=10**9)]
    learning_rate: PositiveFloat
    warmup_steps: Annotated[int, Field(ge=0)] = 0
    warmup: Literal["linear", "exponential"] = "linear"


class Recipe(Record):
    """A complete description of a training run.

    Attributes:
        objective: Which terms there are (objectives.py).
        cases: For each stage, the pools a batch is drawn from and their shares.
        weights: Weight of every term of the objective: one number, or one a stage.
        max_mask_cases: Use the lesion masks of at most so many training cases (the first by a hash of seed and id).
            Null where no stage draws cases for their masks.
        max_report_cases: Use the reports of at most so many of the other cases, chosen in the same way.
        window_hu: CT values are clipped to it, then z-scored per volume.
        report_errors: Share of the organs of report cases whose reading is made wrong on purpose (report_errors.py). 0
            where no stage draws cases for their reports.
        not_stated: What a silent report means.
        positive_kinds: Kinds of finding that are tumors; an organ with none of them is negative.
        region_margin_mm: Reported regions are grown by this radius before volumes are summed and balls placed.
        unknown_margin_mm: Voxels so close to an unknown one are unknown too.
        organ_input: Whether the network also sees the release's organ masks and the CT relative to them (inputs.py);
            they are then an input at test time too.
        initial_probability: What the untrained lesion channels say everywhere.
        batch: Crops of a step, over all processes.
        accumulate: In how many parts a process computes its crops: less memory, more time, the same step
            (accumulation.py).
        precision: ``bf16`` runs the network in bfloat16, ``auto`` where the GPU computes in it; losses, weights and
            optimiser are float32 in any case.
        overlay_every: A picture of what the network and the report say after every so many steps (overlays.py).
        organ_gate: Where predicted lesions are kept: in the organ the ``model`` predicts, in the organ masks of the
            ``release``, or everywhere (``none``).
    """

    name: Annotated[str, Field(min_length=1, max_length=100)]
    objective: Objective
    cases: Annotated[tuple[dict[Pool, PositiveFloat], ...], Field(min_length=1)]
    weights: dict[str, Weight | tuple[Weight, ...]]
    max_mask_cases: PositiveInt | None = None
    max_report_cases: PositiveInt | None = None
    report_errors: Annotated[Fraction, Strict()] = 0.0
    tumor_types: Annotated[tuple[TumorType, ...], Field(min_length=1)]
    positive_kinds: Annotated[tuple[Kind, ...], Field(min_length=1)]
    not_stated: NotStated
    grid_mm: Annotated[float, Field(gt=0, le=20)]
    window_hu: tuple[float, float]
    crop: tuple[Side, Side, Side]
    crops: CropPolicy
    region_margin_mm: Annotated[float, Field(ge=0, le=100)]
    unknown_margin_mm: Annotated[float, Field(ge=0, le=100)]
    network: NetworkSpec
    organ_input: bool
    initial_probability: Annotated[float, Field(gt=0, lt=1)]
    losses: LossOptions
    augmentation: Augmentation | None
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    batch: PositiveInt
    accumulate: PositiveInt = 1
    precision: Literal["auto", "bf16", "fp32"] = "auto"
    betas: tuple[Fraction, Fraction]
    weight_decay: Annotated[float, Field(ge=0)]
    max_grad_norm: PositiveFloat
    poly_power: PositiveFloat
    ema: Annotated[float, Field(ge=0, lt=1)]
    save_every: PositiveInt
    overlay_every: PositiveInt | None = None
    organ_gate: OrganGate
    seed: Annotated[int, Field(ge=0, lt=2**32)]

    @property
    def steps(self) -> int:
        """Steps of all stages."""
        return sum(stage.steps for stage in self.stages)

    @property
    def uses_masks(self) -> bool:
        """Whether any stage draws cases for their masks."""
        return any("masks" in pools for pools in self.cases)

    @property
    def uses_reports(self) -> bool:
        """Whether any stage draws cases for their reports."""
        return any("reports" in pools for pools in self.cases)

    @property
    def digest(self) -> str:
        """Digest of every field."""
        return digest_of(self)

    @property
    def grid_digest(self) -> str:
        """Digest of what a prepared store depends on."""
        return digest_of({"grid_mm": self.grid_mm, "window_hu": self.window_hu, "version": STORE_VERSION})

    def weight(self, term: str, stage: int) -> float:
        """Weight of a term in a stage."""
        value = self.weights[term]
        return value[stage] if isinstance(value, tuple) else value

    def stage_at(self, step: int) -> tuple[int, int]:
        """Index of the stage that step (from 0) belongs to, and the step inside it."""
        for index, stage in enumerate(self.stages):
            if step < stage.steps:
                return index, step
            step -= stage.steps
        raise IndexError("past the last step")

    def differences_from(self, before: Any) -> str:
        """What another recipe, as YAML or JSON holds it, says otherwise: ``batch: 2 -> 4``; no empty text."""
        now = self.model_dump(mode="json")
        if not isinstance(before, dict):
            return "which one is not known"
        keys = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
        shown = [f"{key}: {before.get(key)} -> {now.get(key)}" for key in keys]
        text = "; ".join(line if len(line) < 100 else line.partition(":")[0] for line in shown)
        return printable(text) or "an older version"

    def is_written(self, written: Any) -> bool:
        """Whether YAML holds this recipe; keys of today that it lacks have their default here."""
        try:
            return Recipe.model_validate(written) == self
        except ValidationError:
            return False

    def has_digest(self, digest: str | None, written: Any) -> bool:
        """Whether a digest is this recipe's, or that of the same one from before recipes had all of today's keys.

        Args:
            digest: Found beside a state or weights.
            written: The recipe beside them, as YAML holds it.
        """
        if digest is None or digest == self.digest:
            return digest is not None
        try:
            return digest_of(written) == digest and self.is_written(written)
        except (TypeError, ValueError):  # nothing that a recipe was ever written as
            return False

    def to_yaml(self) -> str:
        """The complete recipe; reading it back gives the same recipe."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, width=120)

    @model_validator(mode="after")
    def _fits_together(self) -> Recipe:
        if problems := [*self._wrong_terms(), *self._wrong_stages(), *self._wrong_values()]:
            raise ValueError("; ".join(problems))
        return self

    def _wrong_terms(self) -> Iterator[str]:
        terms = TERMS[self.objective]
        known = (*terms, *OPTIONAL_TERMS.get(self.objective, ()))
        for name in sorted(set(self.weights) - set(known)):
            close = get_close_matches(name, known, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"its terms are {', '.join(known)}"
            yield f"{self.objective} has no term {name} ({hint})"
        if missing := [term for term in terms if term not in self.weights]:
            yield f"weights lacks {', '.join(missing)}"
        stages = range(len(self.stages))
        for name, value in self.weights.items():
            if isinstance(value, tuple) and len(value) != len(stages):
                yield f"weights.{name} has {len(value)} values for {len(stages)} stages"
                return
        if any(not any(self.weight(term, stage) for term in self.weights) for stage in stages):
            yield "each stage needs a term with a weight above 0"

    def _wrong_stages(self) -> Iterator[str]:
        if len(self.cases) != len(self.stages):
            yield f"cases has {len(self.cases)} entries for {len(self.stages)} stages"
        allowed = POOLS.get(self.objective, {"masks", "reports"})
        if any(not pools or not set(pools) <= allowed for pools in self.cases):
            yield f"each entry of cases of {self.objective} draws from {' and '.join(sorted(allowed))}"
        for number, stage in enumerate(self.stages):
            if stage.warmup_steps >= stage.steps:
                yield f"stages.{number} has {stage.steps} steps, no more than its warmup_steps {stage.warmup_steps}"

    def _wrong_values(self) -> Iterator[str]:
        if self.window_hu[0] >= self.window_hu[1]:
            yield "the first value of window_hu is its lower end"
        if max(self.betas) >= 1:
            yield "betas are below 1"
        if len(set(self.tumor_types)) != len(self.tumor_types):
            yield "a tumor type stands twice"
        if self.batch % self.accumulate:
            yield f"batch {self.batch} cannot be computed in {self.accumulate} equal parts (accumulate)"
        if self.accumulate > 1 and "restoration" in self.weights:
            yield "restoration needs accumulate 1: its network sees another image than the batch's"
        reports = self.uses_reports or self.objective == "pseudo_labels"  # it draws masks in report cases
        for kind, value, used in (
            ("mask", self.max_mask_cases, self.uses_masks),
            ("report", self.max_report_cases, reports),
        ):
            if value is not None and not used:
                yield f"max_{kind}_cases {value} has no effect: no stage draws cases for their {kind}s (null is right)"
        if self.report_errors and not reports:
            yield f"report_errors {self.report_errors:g} has no effect: no stage draws cases for their reports"


MEMBER_OF_UNION = re.compile(r"\.(constrained-float|tuple\[constrained-float, \.\.\.\])(\.\d+)?$")  # pydantic's
STORE_VERSION = 2  # raised by any change of what prepare writes


def load_recipe(name: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a shipped recipe by name, or a YAML file, and change some of its values.

    Args:
        name: A shipped name, or a path that ends in ``.yaml`` or ``.yml``.
        overrides: ``KEY=VALUE``; a dotted key reaches inside (``stages.0.steps=10``), the value is YAML.

    Raises:
        ConfigError: Unknown name or key ("did you mean"), a malformed file, or values that do not fit together.
    """
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        if str(name) not in shipped_recipes():
            close = get_close_matches(str(name), shipped_recipes(), n=1)
            fix = f"Did you mean '{close[0]}'?" if close else "Name one of these, or a YAML file."
            expected = f"one of {', '.join(shipped_recipes())}"
            raise ConfigError.of([Problem("--recipe", f"unknown recipe '{name}'", expected, fix)])
        value: Any = shipped_recipe(str(name))
    else:
        value = _from_file(path)
    for override in overrides:
        value = _override(value, override)
    try:
        return Recipe.model_validate(value)
    except ValidationError as cause:
        problems = [_said_plainly(problem) for problem in model_problems(cause, Recipe, str(name))]
        raise ConfigError.of(list(dict.fromkeys(problems))) from None


def _from_file(path: Path) -> Any:
    try:
        return yaml.safe_load(read_text(path, ConfigError))
    except (yaml.YAMLError, RecursionError) as cause:
        line = getattr(getattr(cause, "problem_mark", None), "line", 0) + 1
        raise ConfigError.of(
            [Problem(f"{path}:{line}", "cannot be parsed", "YAML", "Mend the syntax at this line.")]
        ) from None


def _override(value: Any, override: str) -> Any:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise ConfigError.of(
            [Problem("--set", f"'{override}'", "KEY=VALUE", "For example --set stages.0.steps=10 --set batch=2.")]
        )
    try:
        new = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError.of([Problem(f"--set {key}", "a value that is not YAML", "YAML", "Quote it.")]) from None
    return _placed(value, key.split("."), new, key)


def _placed(value: Any, path: list[str], new: Any, key: str) -> Any:
    """Copy of a parsed YAML value with the place ``path`` replaced."""
    if not path:
        return new
    first, rest = path[0], path[1:]
    if isinstance(value, list) and first.isdigit() and int(first) < len(value):
        return [_placed(item, rest, new, key) if index == int(first) else item for index, item in enumerate(value)]
    if isinstance(value, dict):
        return value | {first: _placed(value.get(first, {} if rest else None), rest, new, key)}
    raise ConfigError.of([Problem(f"--set {key}", f"no place '{first}'", "a key of the recipe", "Check the name.")])


def _said_plainly(problem: Problem) -> Problem:
    """A weight is a number or a list of them; pydantic complains of both."""
    where = MEMBER_OF_UNION.sub("", problem.where)
    if where == problem.where:
        return problem
    return Problem(where, problem.found, "a number from 0, or a list with one a stage", problem.fix)
