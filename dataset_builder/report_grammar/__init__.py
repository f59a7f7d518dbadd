"""Reports written by a grammar from what a radiologist saw, with what the text says: the extractor is scored on it."""

from rsuper_bench.dataset_builder.report_grammar.scene import Scene, Stone, WrittenReport
from rsuper_bench.dataset_builder.report_grammar.style import ReportStyle
from rsuper_bench.dataset_builder.report_grammar.write import write_report

__all__ = ["ReportStyle", "Scene", "Stone", "WrittenReport", "write_report"]
