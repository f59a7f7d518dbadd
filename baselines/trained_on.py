"""What a run says of the cases it was trained on: counts, and nothing that names a case."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict

from rsuper_bench.benchmark.records import Record


class PoolSummary(Record):
    """Training cases drawn for their masks, or for their reports; ``report_errors`` were made on purpose."""

    model_config = ConfigDict(extra="ignore")

    cases: int
    synthetic: int = 0
    licences: dict[str, int] = {}
    known: dict[str, dict[str, int]] = {}
    report_errors: dict[str, int] = {}


class TrainedOn(Record):
    """What ``training_data.json`` says, counts alone: other fields do not leave the machine."""

    model_config = ConfigDict(extra="ignore")

    release: str
    masks: PoolSummary | None = None
    reports: PoolSummary | None = None

    @property
    def pools(self) -> dict[str, PoolSummary]:
        """The pools there are."""
        return {name: pool for name, pool in (("masks", self.masks), ("reports", self.reports)) if pool is not None}

    @property
    def synthetic(self) -> bool:
        """Whether any training case is computer-made."""
        return any(pool.synthetic for pool in self.pools.values())

    def to_json(self) -> dict[str, Any]:
        """What the file holds."""
        return self.model_dump(mode="json", exclude_none=True)
