"""The rules extractor: deterministic, on a CPU, without any model."""

from rsuper_bench.dataset_builder.extraction.rules.rules import RulesExtractor

__all__ = ["RulesExtractor"]
