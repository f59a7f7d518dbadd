"""Reports -> findings: extractors, the findings file, and the agreement of two sets of findings."""

from rsuper_bench.dataset_builder.extraction.extractor import Extractor, make_extractor
from rsuper_bench.dataset_builder.extraction.rules import RulesExtractor

__all__ = ["Extractor", "RulesExtractor", "make_extractor"]
