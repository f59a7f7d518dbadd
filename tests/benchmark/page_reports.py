"""Made-up reports for the tests of the page, and what to try it with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from conftest import THREE, make_record, noisy_scores, random_records, write_release, write_submission

from rsuper_bench.benchmark.evaluation import evaluate
from rsuper_bench.benchmark.records import CaseRecord, Finding, Presence, Split
from rsuper_bench.benchmark.report import EvaluationReport, Outcome, SubmissionInfo
from rsuper_bench.benchmark.stratum import Axis
from rsuper_bench.benchmark.submission import load_submission
from rsuper_bench.benchmark.task import Task
from rsuper_bench.benchmark.thresholds import calibrate
from rsuper_bench.benchmark.tumor_types import TumorType

LIVER = TumorType.LIVER
HOSTILE = "<script>document.title='owned'</script><img src=x onerror=alert(1)>\"'&$\\frac{1}${{7*7}}\u202e\x07 ﷽"


def varied(records: list[CaseRecord], seed: int) -> list[CaseRecord]:
    """The same cases with sizes, ages, phases and scanners."""
    rng = np.random.default_rng(seed)
    scanners = ("Siemens Force", "GE Revolution", HOSTILE)
    changed = []
    for record in records:
        findings = tuple(
            Finding(tumor_type=kind, diameters_mm=(round(float(rng.uniform(5, 60)), 1),))
            for kind, presence in record.presence.items()
            if presence is Presence.PRESENT and rng.random() < 0.9
        )
        ct = record.ct.model_copy(update={"scanner": scanners[int(rng.integers(3))]})
        fields = {"findings": findings, "ct": ct, "age": float(rng.integers(20, 90))}
        changed.append(record.model_copy(update=fields))
    return changed


def made_up(
    folder: Path,
    kinds: tuple[TumorType, ...],
    *,
    n: int = 60,
    frozen: bool = True,
    readers: int = 0,
    synthetic: bool = False,
    info: dict[str, str] | None = None,
) -> EvaluationReport:
    """Evaluate noisy scores of made-up cases."""
    records = [
        *varied(random_records(1, 40, Split.VALIDATION, kinds=kinds, synthetic=synthetic), 1),
        *varied(random_records(2, n, Split.TEST, kinds=kinds, synthetic=synthetic), 2),
    ]
    release = write_release(folder / "release", records)
    task = Task(
        name="made-up-v1",
        description="Made-up cases.",
        tumor_types=kinds,
        strata=tuple(Axis),
        bootstrap_replicates=100,
        synthetic=synthetic,
    )
    by_split = {split: [record for record in records if record.split is split] for split in Split}
    submissions = {
        split: load_submission(write_submission(folder / f"sub-{split}", noisy_scores(3, some, kinds), **(info or {})))
        for split, some in by_split.items()
        if some
    }
    thresholds = (
        calibrate(submissions[Split.VALIDATION], task, release, split=Split.VALIDATION, rule="youden")
        if frozen
        else None
    )
    table = None
    if readers:
        rng = np.random.default_rng(4)
        lines = ["case_id,reader,tumor_type,call"]
        for reader in range(readers):
            for record in by_split[Split.TEST]:
                for kind, presence in record.presence.items():
                    right = rng.random() < 0.8
                    call = int((presence is Presence.PRESENT) == right)
                    lines.append(f"{record.case_id},<b>reader {reader}</b>,{kind},{call}")
        table = folder / "readers.csv"
        table.write_text("\n".join(lines) + "\n")
    return evaluate(submissions[Split.TEST], task, release, thresholds=thresholds, readers=table)


def without_literature(report: EvaluationReport) -> EvaluationReport:
    """No radiologist at all."""
    return report.model_copy(update={"readers": report.readers.model_copy(update={"literature": ()})})


def all_excluded(folder: Path) -> EvaluationReport:
    """No case counts for any type."""
    records = [make_record(f"c{index}", dict.fromkeys(THREE, Presence.UNCERTAIN)) for index in range(5)]
    release = write_release(folder / "release", records)
    task = Task(name="made-up-v1", description="", tumor_types=THREE, bootstrap_replicates=100, strata=tuple(Axis))
    rows = [(record.case_id, str(kind), 0.5) for record in records for kind in THREE]
    return evaluate(load_submission(write_submission(folder / "sub", rows)), task, release)


def with_cases(report: EvaluationReport, n: int) -> EvaluationReport:
    """The same report with n times as many cases behind it as it has types."""
    rng = np.random.default_rng(5)
    outcomes = [
        Outcome(
            case_id=f"case_{index:05d}",
            patient=f"{index:016x}",
            tumor_type=kind,
            reference=int(truth),
            score=round(float(score), 5),
            call=int(score > 0.5),
        )
        for kind in report.counts
        for index, (truth, score) in enumerate(
            zip(rng.random(n) < 0.3, 1 / (1 + np.exp(-rng.normal(size=n))), strict=True)
        )
    ]
    return report.model_copy(update={"outcomes": tuple(outcomes)})


def hostile(report: EvaluationReport) -> EvaluationReport:
    """Every name that comes from outside is an attack."""
    info = SubmissionInfo(
        team=HOSTILE,
        method=HOSTILE + "x" * 100,
        description=HOSTILE * 5,
        training_data=(HOSTILE,) * 3,
        licence=HOSTILE,
        contact=HOSTILE,
    )
    literature = tuple(
        item.model_copy(update=dict.fromkeys(("citation", "grade", "unit", "n_patients", "ct", "n_readers"), HOSTILE))
        for item in report.readers.literature
    )
    return report.model_copy(
        update={
            "submission": info,
            "data": report.data.model_copy(update={"release": HOSTILE}),
            "statements": (*report.statements, HOSTILE),
            "readers": report.readers.model_copy(update={"literature": literature, "statement": HOSTILE}),
            "task_definition": report.task_definition.model_copy(update={"description": HOSTILE}),
            "provenance": {**report.provenance, HOSTILE: HOSTILE},
            "lesions_reason": HOSTILE,
        }
    )
