"""Readers of the same cases as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from rsuper_bench.benchmark.markdown import NOT_DEFINED, TextTable, escape, markdown_table, p_value, score_cell
from rsuper_bench.benchmark.reader_record import ReaderTest, StudyPanel, StudyReader
from rsuper_bench.benchmark.report import Readers

_FIGURES = [
    "sensitivity, %",
    "method at the same specificity, %",
    "difference",
    "specificity, %",
    "method at the same sensitivity, %",
    "difference",
]
_AREAS = ["AUROC", "AUROC of the method", "difference"]
_CALLS_NOTE = (
    "Only method, only reader: cases that one of them has right and the other wrong. P-values are of McNemar's exact "
    "test where every case is of another patient, otherwise of exchanging both results of a patient; Holm-corrected "
    "over readers and tumor types, for sensitivity and specificity apart."
)
_TESTS = ["not inferior, p", "different, p", "verdict"]


def study_markdown(readers: Readers) -> str:
    """Each reader beside the method, then the readers of each session together."""
    parts = []
    for table in study_tables(readers):
        title, aside = table.title.partition(" (")[::2]
        heading = f"**{title}**" + (f" ({aside}" if aside else "")
        rows = [[escape(row[0]), *row[1:]] for row in table.rows]
        parts += [*([heading] if title else []), markdown_table(table.header, rows), *table.notes]
    return "\n\n".join(parts)


def study_tables(readers: Readers) -> list[TextTable]:
    """Each reader beside the method, the readers of each session together, and calls beside calls."""
    everyone: list[StudyReader | StudyPanel] = [*readers.study, *readers.panels]
    tests = [item.test for item in everyone if item.test is not None]
    notes = []
    if any(_is_small(item) for item in readers.study):
        notes.append("† Fewer than 10 cases of one class: read the interval, not the figure.")
    if tests:
        notes.append(
            f"P-values are Holm-corrected and of sensitivity at the reader's specificity. Not inferior: less than "
            f"{100 * tests[0].margin:g} points worse. Verdict: above or below when interval and corrected test say so, "
            f"within when the whole interval lies inside {100 * tests[0].margin:g} points, otherwise none."
        )
    rows = [(_name(item), _cases(item), item) for item in readers.study]
    tables = [_table("", "reader", rows, "cases", [] if readers.panels else notes)]
    if readers.panels:
        tables.append(
            _table(
                "Readers of a session together (mean over readers; patients and readers are drawn again)",
                "session",
                [(item.session or "all", str(len(item.readers)), item) for item in readers.panels],
                "readers",
                sorted({f"{item.note}." for item in readers.panels if item.note}) + notes,
            )
        )
    calls = _calls(readers.study)
    return [*tables, calls] if calls.rows else tables


def _table(
    title: str, label: str, rows: Sequence[tuple[str, str, StudyReader | StudyPanel]], number: str, notes: list[str]
) -> TextTable:
    scored = any(item.auroc is not None for _, _, item in rows)
    cells = [
        [
            name,
            item.tumor_type.replace("_", " "),
            count,
            score_cell(item.sensitivity),
            score_cell(item.method_sensitivity),
            score_cell(item.sensitivity_difference),
            score_cell(item.specificity),
            score_cell(item.method_specificity),
            score_cell(item.specificity_difference),
            *(_areas(item) if scored else []),
            *_test(item.test),
        ]
        for name, count, item in rows
    ]
    header = [label, "tumor type", number, *_FIGURES, *(_AREAS if scored else []), *_TESTS]
    return TextTable(title, header, cells, notes)


def _calls(study: Sequence[StudyReader]) -> TextTable:
    rows = [
        [
            _name(item),
            item.tumor_type.replace("_", " "),
            figure,
            score_cell(own),
            score_cell(test.method),
            score_cell(test.difference),
            str(test.only_method),
            str(test.only_reader),
            p_value(test.p),
            p_value(test.p_holm),
        ]
        for item in study
        for figure, own, test in (
            ("sensitivity", item.sensitivity, item.frozen_sensitivity),
            ("specificity", item.specificity, item.frozen_specificity),
        )
        if test is not None
    ]
    header = ["reader", "tumor type", "figure", "reader, %", "method, %", "difference", "only method", "only reader"]
    return TextTable(
        "Calls at the frozen thresholds beside each reader's calls (nothing was matched)",
        [*header, "p", "p corrected"],
        rows,
        [_CALLS_NOTE],
    )


def _areas(item: StudyReader | StudyPanel) -> list[str]:
    found = (item.auroc, item.method_auroc, item.auroc_difference)
    return [score_cell(score, as_percent=False) for score in found]


def _test(test: ReaderTest | None) -> list[str]:
    if test is None:
        return [NOT_DEFINED] * 3
    return [p_value(test.p_noninferior_holm), p_value(test.p_different_holm), test.verdict or NOT_DEFINED]


def _name(item: StudyReader) -> str:
    return f"{item.reader}, {item.session}" if item.session else item.reader


def _cases(item: StudyReader) -> str:
    return f"{item.n_cases} †" if _is_small(item) else str(item.n_cases)


def _is_small(item: StudyReader) -> bool:
    figures = (item.sensitivity, item.specificity, item.auroc)
    return any(score is not None and "small-sample" in (score.reason or "") for score in figures)
