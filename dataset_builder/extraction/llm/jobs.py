"""What to ask for: each distinct text once, however many rows hold it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rsuper_bench.dataset_builder.extraction.llm.answers import Answer, schema_digest
from rsuper_bench.dataset_builder.extraction.llm.cache import cache_key
from rsuper_bench.dataset_builder.extraction.llm.prompt import ANSWERS, FINDINGS, PATHOLOGY, prompt_digest, prompt_text
from rsuper_bench.dataset_builder.extraction.llm.reading import PathologyReading, Reading
from rsuper_bench.dataset_builder.extraction.llm.verify import verify_pathology, verify_report
from rsuper_bench.dataset_builder.extraction.reports_file import ReportRow

VERSION = "2"  # of the check; answers that another version checked are asked for again
MAX_CHARACTERS = 100_000  # no report is longer, and few models read more


@dataclass(frozen=True)
class Job:
    """One text to read with one prompt. ``key`` is its name in the cache."""

    key: str
    prompt_name: str
    text: str = field(repr=False)

    @property
    def prompt(self) -> str:
        """The system message."""
        return prompt_text(self.prompt_name)

    @property
    def answer(self) -> type[Answer]:
        """What is asked for."""
        return ANSWERS[self.prompt_name]

    @property
    def kept(self) -> type[Reading] | type[PathologyReading]:
        """What becomes of the answer."""
        return Reading if self.prompt_name == FINDINGS else PathologyReading

    def verify(self, answer: Answer) -> Reading | PathologyReading:
        """What of an answer the text backs."""
        if self.prompt_name == FINDINGS:
            return verify_report(answer, self.text)  # type: ignore[arg-type]
        return verify_pathology(answer, self.text)  # type: ignore[arg-type]


@dataclass(frozen=True)
class RowJobs:
    """The questions of one row."""

    report: Job
    pathology: Job | None


def make_jobs(rows: Sequence[ReportRow], model: str) -> list[RowJobs]:
    """The questions of each row, in order."""
    return [
        RowJobs(
            report=_job(FINDINGS, row.report, model),
            pathology=None if row.pathology_report is None else _job(PATHOLOGY, row.pathology_report, model),
        )
        for row in rows
    ]


def distinct(rows: Sequence[RowJobs]) -> list[Job]:
    """Every question once, in the order of the rows."""
    jobs = [job for row in rows for job in (row.report, row.pathology) if job is not None]
    return list({job.key: job for job in jobs}.values())


def _job(name: str, text: str, model: str) -> Job:
    key = cache_key(
        report=text,
        prompt_digest=prompt_digest(name),
        model=model,
        schema_digest=schema_digest(ANSWERS[name]),
        version=VERSION,
    )
    return Job(key, name, text)
