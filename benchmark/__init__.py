"""The vocabulary of the project, and the evaluator. Imports none of the other parts and never torch."""

from rsuper_bench.benchmark.errors import ConfigError, DataError, Problem, RsuperBenchError, SubmissionError
from rsuper_bench.benchmark.records import CaseRecord, Finding, Presence, ReportFindings, Split
from rsuper_bench.benchmark.release import open_release
from rsuper_bench.benchmark.task import Task, load_task
from rsuper_bench.benchmark.tumor_types import TumorType

__all__ = [
    "CaseRecord",
    "ConfigError",
    "DataError",
    "Finding",
    "Presence",
    "Problem",
    "ReportFindings",
    "RsuperBenchError",
    "Split",
    "SubmissionError",
    "Task",
    "TumorType",
    "load_task",
    "open_release",
]
