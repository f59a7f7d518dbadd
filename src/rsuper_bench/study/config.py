"""What ``rsuper-bench study`` reads: a grid of recipes, numbers of masks and reports, and seeds."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, Strict, StringConstraints, model_validator

from rsuper_bench.benchmark.errors import ConfigError, Problem
from rsuper_bench.benchmark.files import read_model
from rsuper_bench.benchmark.records import Record

ArmName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_]{0,39}$")]
Override = Annotated[str, StringConstraints(pattern=r"^[^=\s]+=.*$")]
# A number, or a word for none. Strict: YAML's `off` and `no` would be 0.
Setting = Annotated[float, Strict()] | Annotated[str, StringConstraints(min_length=1, max_length=40)]
BASELINES = ("mask_only", "report_only", "combined")


class SourceSpec(Record):
    """The release a study makes for itself: ``dataset build --source ... --config ... --seed ...``."""

    source: Literal["phantom"] = "phantom"
    config: str
    seed: NonNegativeInt = 0


class Axis(Record):
    """Something that is varied.

    Attributes:
        label: Beneath the figure.
        base: Where the arm that the settings are compared with stands: it is one of the points, not trained twice.
    """

    label: Annotated[str, StringConstraints(min_length=1, max_length=80)]
    base: Setting


class Arm(Record):
    """One recipe at several numbers of masks and reports.

    Attributes:
        name: Names the runs and the curve.
        recipe: Shipped name, or a YAML file beside the study's.
        masks: Numbers of training cases whose lesion masks may be used; null is all there are. ``[0]`` for a recipe
            that uses none.
        reports: The same for reports.
        set: Changes of the recipe, as ``train --set`` takes them.
        part: What the arm is for: the baselines, an ablation of one of them, or a setting that is varied.
        of: For an ablation or a setting: the arm it is compared with.
        axis: For a setting: what is varied.
        at: For a setting: its value on that axis.
    """

    name: ArmName
    recipe: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    masks: Annotated[tuple[NonNegativeInt | None, ...], Field(min_length=1)] = (None,)
    reports: Annotated[tuple[NonNegativeInt | None, ...], Field(min_length=1)] = (None,)
    set: tuple[Override, ...] = ()
    part: Literal["baseline", "ablation", "setting"] = "baseline"
    of: ArmName | None = None
    axis: ArmName | None = None
    at: Setting | None = None


class StudyConfig(Record):
    """A study. The seeds are those of the trainings; the cases are the same in all of them.

    Attributes:
        release: Release folder or ``org/name@revision``, or how to make one.
        rule: How thresholds are frozen on validation.
        set: Changes of every recipe.
        axes: What the settings vary, by the names that arms use.
        mask_only, report_only, combined: Names of the arms that the figures compare.
    """

    name: ArmName
    description: str = ""
    task: Annotated[str, StringConstraints(min_length=1)]
    release: SourceSpec | str
    rule: str = "youden"
    seeds: Annotated[tuple[NonNegativeInt, ...], Field(min_length=1)] = (0, 1, 2)
    set: tuple[Override, ...] = ()
    arms: Annotated[tuple[Arm, ...], Field(min_length=1)]
    axes: dict[ArmName, Axis] = {}
    mask_only: ArmName = "mask_only"
    report_only: ArmName = "report_only"
    combined: ArmName = "combined"
    bootstrap_replicates: PositiveInt = 2000

    @model_validator(mode="after")
    def _names_agree(self) -> StudyConfig:
        names = [arm.name for arm in self.arms]
        if len(set(names)) != len(names):
            raise ValueError("two arms have one name")
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError("a seed stands twice")
        for arm in self.arms:
            if (arm.part == "baseline") is not (arm.of is None):
                raise ValueError(f"arm {arm.name}: an ablation or setting names the arm it is compared with (of)")
            if arm.of is not None:
                self._check_base(arm)
            if not (arm.part == "setting") == (arm.axis is not None) == (arm.at is not None):
                raise ValueError(f"arm {arm.name}: a setting, and nothing else, has an axis and a value on it (at)")
            if arm.axis is not None and arm.axis not in self.axes:
                raise ValueError(f"arm {arm.name}: axes has no {arm.axis}")
        for name in BASELINES:
            if (arm := getattr(self, name)) != name and arm not in names:
                raise ValueError(f"{name}: no arm is called {arm}")
        for name, axis in self.axes.items():
            settings = self.settings(name)
            if len({arm.of for arm in settings}) != 1:
                raise ValueError(f"axes.{name}: its settings, of which there is one at least, are of one arm")
            places = [axis.base, *(arm.at for arm in settings)]
            if len(set(places)) != len(places):
                raise ValueError(f"axes.{name}: two arms stand at one value")
        return self

    def _check_base(self, arm: Arm) -> None:
        """What an arm is compared with is another arm, at its own numbers of masks and reports."""
        base = self.arm(arm.of or "")
        if base is None or base is arm:
            raise ValueError(f"arm {arm.name}: no {'other ' * (base is arm)}arm is called {arm.of}")
        for pool, own, others in (("masks", arm.masks, base.masks), ("reports", arm.reports, base.reports)):
            if lone := [number for number in own if number not in others]:
                shown = ", ".join("all" if number is None else str(number) for number in lone)
                raise ValueError(f"arm {arm.name}: {arm.of} has no point with {shown} {pool} to compare it with")

    def settings(self, axis: str) -> list[Arm]:
        """The arms with a value on an axis, in the order of the config."""
        return [arm for arm in self.arms if arm.axis == axis]

    def arm(self, name: str) -> Arm | None:
        """The arm of a name; None if the study has none."""
        return next((arm for arm in self.arms if arm.name == name), None)


def shipped_studies() -> list[str]:
    """Names of the studies that come with the package."""
    folder = files("rsuper_bench") / "study" / "configs"
    return sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml"))


def load_study(name: str | Path) -> StudyConfig:
    """Read a shipped study by name, or a YAML file.

    Raises:
        ConfigError: Unknown name ("did you mean"), or every wrong key at once.
    """
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        return read_model(path, StudyConfig)
    if str(name) not in shipped_studies():
        from difflib import get_close_matches

        close = get_close_matches(str(name), shipped_studies(), n=1)
        fix = f"Did you mean '{close[0]}'?" if close else "Name one of these, or a YAML file."
        expected = f"one of {', '.join(shipped_studies())}"
        raise ConfigError.of([Problem("CONFIG", f"unknown study '{name}'", expected, fix)])
    return read_model(Path(str(files("rsuper_bench") / "study" / "configs" / f"{name}.yaml")), StudyConfig)
