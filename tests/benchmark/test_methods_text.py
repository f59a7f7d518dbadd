"""The methods paragraph and the one-line outcome hold the numbers of the report and no more than it may say."""

from __future__ import annotations

import pytest
from conftest import THREE
from page_reports import HOSTILE, LIVER, all_excluded, hostile, made_up, without_literature

from rsuper_bench.benchmark.methods_text import headline, methods_text
from rsuper_bench.benchmark.reader_record import ReaderTest
from rsuper_bench.benchmark.report import MEAN
from rsuper_bench.benchmark.score import Score


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return made_up(tmp_path_factory.mktemp("report"), THREE, readers=2)


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    return without_literature(made_up(tmp_path_factory.mktemp("bare"), (LIVER,), frozen=False, synthetic=True))


def test_every_number_is_that_of_the_report(report):
    text = methods_text(report)
    counts = ", ".join(f"{kind} {item.positive}/{item.negative}" for kind, item in report.counts.items())
    pairs = sum(item.positive + item.negative for item in report.counts.values()) + len(report.excluded)
    uncertain = sum(item.reason == "uncertain" for item in report.excluded)
    assert f"Positive/negative cases: {counts}." in text
    assert f"Of {pairs} pairs of case and tumor type, {len(report.excluded)} were excluded" in text
    assert f"uncertain {uncertain})" in text
    assert f"(fingerprint {report.fingerprint})" in text
    assert f"release digest {report.digests['release'][:12]}" in text
    for kind, value in report.thresholds.items():
        assert f"{kind} {value:.6g}" in text
    margin = next(item.test.margin for item in report.readers.study if item.test)
    assert f"margin {100 * margin:g} points" in text
    assert "figures of fewer than 10 cases were suppressed" in text


def test_only_methods_that_were_used_are_named(report, bare):
    assert "Wilson's score interval (sensitivity and specificity)" in methods_text(report)
    text = methods_text(bare)
    assert "Wilson" not in text
    assert "DeLong" in text
    for absent in ("Radiologists", "readers", "threshold of the score", "Means"):
        assert absent not in text
    assert "No threshold was frozen before testing, so there are no calls." in text
    assert "phantoms are not patients" in text


def test_one_line_says_what_may_be_said(report, bare):
    primary = report.scores[MEAN][report.task_definition.primary]
    line = headline(report)
    assert line.startswith(f"Sensitivity at 90 % specificity {100 * primary.value:.1f} % [{100 * primary.low:.1f}, ")
    assert "mean over 3 tumor types" in line
    assert headline(bare).endswith("for liver. No verdict: phantoms are not patients.")
    alone = without_literature(report).model_copy(update={"readers": report.readers.model_copy(update={"study": ()})})
    assert headline(alone).endswith("No verdict beside radiologists: nobody read the same cases.")
    smoke = report.model_copy(update={"data": report.data.model_copy(update={"smoke": True})})
    assert headline(smoke).endswith("Not evidence: one anatomy stands in several splits.")


def test_verdicts_are_those_of_the_paired_tests(report):
    p = dict.fromkeys(("p_noninferior", "p_noninferior_holm", "p_different", "p_different_holm"), 0.01)
    tests = [
        ReaderTest(margin=0.05, noninferior=True, superior=True, verdict=verdict, **p)
        for verdict in ("above", "above", "below", None)
    ]
    study = tuple(
        item.model_copy(update={"test": test}) for item, test in zip(report.readers.study, tests, strict=False)
    )
    readers = report.readers.model_copy(update={"study": study})
    line = headline(report.model_copy(update={"readers": readers}))
    assert line.endswith("Of 4 paired comparisons with readers: above 2, below 1, undecided 1.")


def test_an_undefined_outcome_says_why(report, tmp_path):
    undefined = {**report.scores[MEAN], report.task_definition.primary: Score(value=None, reason="because")}
    line = headline(report.model_copy(update={"scores": {**report.scores, MEAN: undefined}}))
    assert line.startswith("Sensitivity at 90 % specificity is undefined: because.")
    nothing = all_excluded(tmp_path)
    assert "15 were excluded (uncertain 15)" in methods_text(nothing)
    assert "undefined" in headline(nothing)


def test_no_name_turns_the_text_around(report):
    text = methods_text(hostile(report))
    assert "\u202e" in HOSTILE
    assert text.isprintable()
