"""The vocabulary of the project, and the evaluator. Imports none of the other parts and never torch."""

from rsuper_bench.benchmark.comparison import compare
from rsuper_bench.benchmark.errors import ConfigError, DataError, Problem, RsuperBenchError, SubmissionError
from rsuper_bench.benchmark.evaluation import evaluate
from rsuper_bench.benchmark.records import CaseRecord, Finding, Presence, ReportFindings, Split
from rsuper_bench.benchmark.release import open_release
from rsuper_bench.benchmark.report import EvaluationReport, load_report
from rsuper_bench.benchmark.submission import Submission, load_submission
from rsuper_bench.benchmark.task import Task, load_task
from rsuper_bench.benchmark.thresholds import Thresholds, calibrate, load_thresholds
from rsuper_bench.benchmark.tumor_types import TumorType

__all__ = [
    "CaseRecord",
    "ConfigError",
    "DataError",
    "EvaluationReport",
    "Finding",
    "Presence",
    "Problem",
    "ReportFindings",
    "RsuperBenchError",
    "Split",
    "Submission",
    "SubmissionError",
    "Task",
    "Thresholds",
    "TumorType",
    "calibrate",
    "compare",
    "evaluate",
    "load_report",
    "load_submission",
    "load_task",
    "load_thresholds",
    "open_release",
]
