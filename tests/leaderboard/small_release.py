"""A release and submissions for it, as the tests of the evaluator write them."""

import importlib.util
from pathlib import Path

_SPEC = importlib.util.spec_from_file_location(
    "benchmark_tests", Path(__file__).parents[1] / "benchmark" / "conftest.py"
)
_MODULE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MODULE)
THREE, noisy_scores, random_records, write_release, write_submission = (
    _MODULE.THREE,
    _MODULE.noisy_scores,
    _MODULE.random_records,
    _MODULE.write_release,
    _MODULE.write_submission,
)
