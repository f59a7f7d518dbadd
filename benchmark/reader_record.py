"""Readers of the same cases, as a report holds them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from rsuper_bench.benchmark.records import Record
from rsuper_bench.benchmark.score import Score
from rsuper_bench.benchmark.tumor_types import TumorType

Probability = Annotated[float, Field(ge=0, le=1)]


class ReaderTest(Record):
    """The method's sensitivity less the reader's, at the reader's specificity: not inferior, then superior?

    Both p-values are also given Holm-corrected, over all readers and tumor types of the study or over all panels. The
    verdict is null where the interval does not say: it is ``above`` or ``below`` with the corrected test, and
    ``within`` when the whole interval lies inside the margin.
    """

    margin: Probability
    p_noninferior: Probability  # one-sided, of being worse by the margin or more
    p_noninferior_holm: Probability
    noninferior: bool
    p_different: Probability  # two-sided
    p_different_holm: Probability
    superior: bool  # looked at only where not inferior
    verdict: Literal["above", "within", "below"] | None


class CallsTest(Record):
    """Calls at the frozen threshold beside a reader's, on the positive cases (sensitivity) or the negative ones.

    ``p_holm`` is corrected over all readers and tumor types of the study, for sensitivity and specificity apart.
    """

    method: Score
    difference: Score  # method - reader
    only_method: Annotated[int, Field(ge=0)]  # cases that only the method has right
    only_reader: Annotated[int, Field(ge=0)]
    test: Literal["mcnemar-exact", "permutation"]
    p: Probability  # two-sided
    p_holm: Probability


class StudyReader(Record):
    """A reader of the same cases, and the method at that reader's operating point; differences are method - reader."""

    reader: str
    session: str = ""
    tumor_type: TumorType
    n_cases: int
    n_excluded: int  # reads of cases that do not count
    sensitivity: Score
    specificity: Score
    method_sensitivity: Score  # at the reader's specificity
    method_specificity: Score  # at the reader's sensitivity
    sensitivity_difference: Score
    specificity_difference: Score
    auroc: Score | None = None  # of a reader who gave scores
    method_auroc: Score | None = None
    auroc_difference: Score | None = None
    test: ReaderTest | None = None
    frozen_sensitivity: CallsTest | None = None  # null without calls of both, or without positive cases
    frozen_specificity: CallsTest | None = None


class StudyPanel(Record):
    """The mean over the readers of one session; patients and readers are drawn again in each replicate."""

    tumor_type: TumorType
    session: str = ""
    readers: tuple[str, ...]
    sensitivity: Score
    specificity: Score
    method_sensitivity: Score
    method_specificity: Score
    sensitivity_difference: Score
    specificity_difference: Score
    auroc: Score | None = None
    method_auroc: Score | None = None
    auroc_difference: Score | None = None
    test: ReaderTest | None = None
    note: str | None = None
