"""The runs of a study: every arm at every number of masks and reports, once a seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rsuper_bench.study.config import Arm, StudyConfig


@dataclass(frozen=True)
class Cell:
    """One point of the grid; its runs differ in the seed only. None: all there are."""

    arm: str
    masks: int | None
    reports: int | None

    @property
    def label(self) -> str:
        """``combined-masks4-reportsall``: the folder of its runs."""
        return f"{self.arm}-masks{_shown(self.masks)}-reports{_shown(self.reports)}"


@dataclass(frozen=True)
class Run:
    """One training."""

    cell: Cell
    arm: Arm
    seed: int

    @property
    def name(self) -> str:
        """Its folder."""
        return f"{self.cell.label}-seed{self.seed}"

    def changes(self, config: StudyConfig) -> tuple[str, ...]:
        """What ``train --set`` gets."""
        numbers = []
        if self.cell.masks not in (None, 0):
            numbers.append(f"max_mask_cases={self.cell.masks}")
        if self.cell.reports not in (None, 0):
            numbers.append(f"max_report_cases={self.cell.reports}")
        return (*config.set, *self.arm.set, *numbers, f"seed={self.seed}")


def cells_of(config: StudyConfig) -> list[Cell]:
    """All points of the grid, in the order of the config."""
    return [Cell(arm.name, masks, reports) for arm in config.arms for masks in arm.masks for reports in arm.reports]


def runs_of(config: StudyConfig) -> Iterator[Run]:
    """All runs, seed by seed: a study that is stopped early has every point once before any twice."""
    for seed in config.seeds:
        for cell in cells_of(config):
            arm = config.arm(cell.arm)
            if arm is None:
                raise LookupError(cell.arm)
            yield Run(cell, arm, seed)


def _shown(number: int | None) -> str:
    return "all" if number is None else str(number)
