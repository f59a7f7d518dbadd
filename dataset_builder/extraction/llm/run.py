"""Read many reports at once: bounded, resumable, and the same result in whatever order the answers come."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from rsuper_bench.benchmark import records
from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.records import Record, ReportFindings
from rsuper_bench.dataset_builder.extraction.llm.answers import Answer
from rsuper_bench.dataset_builder.extraction.llm.cache import AnswerCache
from rsuper_bench.dataset_builder.extraction.llm.client import LlmClient, Traffic
from rsuper_bench.dataset_builder.extraction.llm.jobs import MAX_CHARACTERS, VERSION, Job, distinct, make_jobs
from rsuper_bench.dataset_builder.extraction.llm.merge import merged
from rsuper_bench.dataset_builder.extraction.llm.prompt import provenance_digest
from rsuper_bench.dataset_builder.extraction.llm.reply import GaveUpError
from rsuper_bench.dataset_builder.extraction.llm.settings import LlmSettings
from rsuper_bench.dataset_builder.extraction.reports_file import ReportRow

Progress = Callable[[int, int], None]


def _silent(_done: int, _total: int) -> None:
    """Show nothing."""


@dataclass(frozen=True)
class LlmRun:
    """What became of a set of reports.

    Attributes:
        records: One a row, in the order of the rows; a report without an answer says so in its flags.
        failures: Rows without an answer, by case id: the reason.
        dropped: ``<why>:<field>`` to the number of values without backing, over all rows.
        asked: Texts that were asked for in this run.
        from_cache: Texts that an earlier run had finished.
        traffic: Requests and tokens of this run.
    """

    records: list[ReportFindings]
    failures: dict[str, str]
    dropped: dict[str, int]
    asked: int
    from_cache: int
    traffic: Traffic


@dataclass
class _State:
    done: dict[str, Record] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    away_in_a_row: int = 0


def extractor_info(model: str) -> records.Extractor:
    """Provenance: model, and the digest of all that it is told."""
    return records.Extractor(name="llm", version=VERSION, model=model, prompt_digest=provenance_digest())


def read_reports_with_llm(
    rows: Sequence[ReportRow],
    settings: LlmSettings,
    cache: AnswerCache,
    *,
    progress: Progress = _silent,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> LlmRun:
    """Read reports.

    Args:
        rows: The reports; pathology reports among them are read with their own prompt.
        settings: Where and how to ask.
        cache: Where finished reports are kept as soon as they are finished.
        progress: Called with the number of finished and of all texts.
        sleep: Waits before asking again.

    Raises:
        DataError: If the server stays away: then the finished reports are in the cache, and the next run goes on.
        ConfigError: If it refuses key or model.
        OSError: If the cache cannot be written, for example because the disk is full.
    """
    plan = make_jobs(rows, settings.model)
    jobs = distinct(plan)
    state = _State()
    for job in jobs:
        if (kept := cache.get(job.key, job.kept)) is not None:
            state.done[job.key] = kept
        elif not job.text.strip():
            state.failed[job.key] = "empty"
        elif len(job.text) > MAX_CHARACTERS:
            state.failed[job.key] = "too_long"
    from_cache = len(state.done)
    todo = [job for job in jobs if job.key not in state.done and job.key not in state.failed]
    traffic = asyncio.run(_ask_all(todo, settings, cache, state, len(jobs), progress, sleep)) if todo else Traffic()
    info = extractor_info(settings.model)
    outcomes = [merged(row.case_id, jobs, state.done, state.failed, info) for row, jobs in zip(rows, plan, strict=True)]
    return LlmRun(
        records=[outcome.record for outcome in outcomes],
        failures={outcome.record.case_id: outcome.failure for outcome in outcomes if outcome.failure is not None},
        dropped=dict(sorted(sum((Counter(outcome.dropped) for outcome in outcomes), Counter()).items())),
        asked=len(todo),
        from_cache=from_cache,
        traffic=traffic,
    )


async def _ask_all(
    todo: Sequence[Job],
    settings: LlmSettings,
    cache: AnswerCache,
    state: _State,
    total: int,
    progress: Progress,
    sleep: Callable[[float], Awaitable[None]],
) -> Traffic:
    async with LlmClient(settings, sleep=sleep) as client:
        waiting = iter(todo)
        # Answers are checked and stored beside the asking, so that the server never waits for the disk; the bound keeps
        # a slow disk from piling them up, and a killed run from losing many.
        unstored = asyncio.Semaphore(2 * settings.concurrency)
        one_check = asyncio.Lock()  # between two checks the loop turns once, and requests that are ready go out

        async def work(group: asyncio.TaskGroup) -> None:
            for job in waiting:
                await unstored.acquire()
                answer = await _ask_one(job, client, state)
                if answer is None:
                    unstored.release()
                    progress(len(state.done) + len(state.failed), total)
                else:
                    group.create_task(store(job, answer))

        async def store(job: Job, answer: Answer) -> None:
            try:
                async with one_check:
                    value = job.verify(answer)
                    await asyncio.sleep(0)
                await asyncio.to_thread(cache.put, job.key, value)  # fsync would hold up the requests
                state.done[job.key] = value
                progress(len(state.done) + len(state.failed), total)
            finally:
                unstored.release()

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(settings.concurrency, len(todo))):
                    group.create_task(work(group))
        except BaseExceptionGroup as several:  # the first says it; the rest are its echo
            raise several.exceptions[0] from None
        return client.traffic


async def _ask_one(job: Job, client: LlmClient, state: _State) -> Answer | None:
    """The answer to one question; None, with the reason noted, where there is none."""
    try:
        answer = await client.ask(job.key, job.prompt, job.text, job.answer)
    except GaveUpError as problem:
        state.failed[job.key] = problem.reason
        state.away_in_a_row = state.away_in_a_row + 1 if problem.server_away else 0
        if state.away_in_a_row >= 2 * client.settings.concurrency:
            found = f"{state.away_in_a_row} reports in a row got no answer (last: {problem.reason})"
            fix = "See to the server, then run the same command again: it goes on where this one stopped."
            raise DataError.of([Problem(client.settings.endpoint, found, "a server that answers", fix)]) from None
        return None
    state.away_in_a_row = 0
    return answer
