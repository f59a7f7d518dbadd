"""Try one mutated submission: it must be scored as it says, or refused with one clear error."""

from __future__ import annotations

import shutil
import time
import unicodedata
from itertools import product
from pathlib import Path

import numpy as np
from archive_mutations import ARCHIVES, HEAVY_ARCHIVES
from clean import KINDS, POSITIVE, TASK, Expected, Values
from mask_mutations import HEAVY_MASKS, MASKS
from table_mutations import HEAVY_TABLES, TABLES

from rsuper_bench.benchmark.errors import RsuperBenchError
from rsuper_bench.benchmark.evaluation import evaluate
from rsuper_bench.benchmark.evaluation_folder import report_json
from rsuper_bench.benchmark.release import Release
from rsuper_bench.benchmark.report import EvaluationReport
from rsuper_bench.benchmark.report_markdown import report_markdown
from rsuper_bench.benchmark.submission import load_submission

MUTATIONS = (*TABLES, *MASKS, *ARCHIVES)
HEAVY = (*HEAVY_TABLES, *HEAVY_MASKS, *HEAVY_ARCHIVES)  # hundreds of megabytes unpacked
LONGEST_MESSAGE = 20_000


class HostileError(AssertionError):
    """A submission was neither scored as it says nor refused as it should be."""


def mutate(number: int, place: Path, *, heavy: bool = False) -> tuple[str, Path, Expected]:
    """Write mutated submission number so-and-so: the name of the mutation, where it lies, what must come of it."""
    kinds = HEAVY if heavy else MUTATIONS
    mutation = kinds[number % len(kinds)]
    folder = place / "sub"
    expected = mutation(np.random.default_rng([number, heavy]), folder)
    archive = folder.with_suffix(".zip")
    return mutation.__name__, archive if archive.exists() else folder, expected


def attempt(number: int, place: Path, release: Release, *, heavy: bool = False) -> tuple[str, float]:
    """Evaluate a mutated submission: ``scored`` or ``refused``, and the seconds of the processor it took.

    Raises:
        HostileError: Saying what went wrong, with the number that makes it again.
    """
    place.mkdir()
    name, path, expected = mutate(number, place, heavy=heavy)
    outside = {item.name for item in place.parent.iterdir()}
    started = time.process_time()
    try:
        report = evaluate(load_submission(path), TASK, release, missing=expected.missing)
    except RsuperBenchError as error:
        problem = complain_about_message(str(error), place)
        if expected.values is not None and not expected.may_refuse:
            problem = f"refused, and should not be: {error}"
        verdict = "refused"
    except Exception as error:  # exactly what must not happen
        raise HostileError(f"{name} {number}: {type(error).__name__}: {error}") from error
    else:
        problem = (
            "scored, and should be refused" if expected.values is None else complain_about_report(report, expected)
        )
        verdict = "scored"
    seconds = time.process_time() - started
    if {item.name for item in place.parent.iterdir()} != outside:
        problem = "wrote outside its folder"
    shutil.rmtree(place)
    if problem:
        raise HostileError(f"{name} {number}: {problem}")
    return verdict, seconds


def complain_about_message(text: str, place: Path) -> str | None:
    """What is wrong with an error message."""
    if not text.startswith("error: ") or not text.strip():
        return f"a message without 'error:': {text[:80]!r}"
    if len(text) > LONGEST_MESSAGE:
        return f"a message of {len(text)} characters"
    if any(unicodedata.category(char) in ("Cc", "Cf") and char != "\n" for char in text.replace(str(place), "")):
        return f"control characters in the message: {text[:300]!a}"
    if "Traceback" in text:
        return "a traceback in the message"
    return None


def complain_about_report(report: EvaluationReport, expected: Expected) -> str | None:
    """What is wrong with a report, set against what the submission says."""
    values: Values = expected.values or {}
    for item in report.outcomes:
        key = item.case_id, str(item.tumor_type)
        if key in expected.absent:
            if not item.imputed or item.score != 1 - item.reference:
                return f"{key} is missing and was not scored the worst way"
            continue
        score, volume = values[key]
        if item.score != score:
            return f"{key} scored {item.score!r} instead of {score!r}"
        if volume is not None and (item.volume_mm3 is None or abs(item.volume_mm3 - volume) > 1e-6 * max(volume, 1)):
            return f"{key} has volume {item.volume_mm3} instead of {volume}"
    if len(report.outcomes) != len(POSITIVE):
        return f"{len(report.outcomes)} outcomes"
    for kind in KINDS:
        found, area = report.scores[str(kind)]["auroc"].value, naive_area(values, str(kind), expected)
        if found is None or abs(found - area) > 1e-9:
            return f"AUROC of {kind} is {found} instead of {area}"
    if "NaN" in report_json(report):
        return "NaN in report.json"
    text = report_markdown(report)
    if "<script" in text or "<img" in text or "\x1b" in text:
        return "hostile text in report.md"
    return None


def naive_area(values: Values, kind: str, expected: Expected) -> float:
    """Share of pairs in the right order, ties half."""

    def rank(case: str, positive: bool) -> float:
        if (case, kind) in expected.absent:
            return -1.0 if positive else 2.0
        return values[case, kind][0]

    cases = {case: positive for (case, other), positive in POSITIVE.items() if other == kind}
    pairs = [
        (rank(one, True), rank(other, False)) for one, other in product(cases, cases) if cases[one] and not cases[other]
    ]
    return sum((a > b) + 0.5 * (a == b) for a, b in pairs) / len(pairs)
