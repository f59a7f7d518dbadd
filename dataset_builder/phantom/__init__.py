"""Procedural abdominal CTs with reports: the embedded default source."""

from rsuper_bench.dataset_builder.phantom.config import PhantomConfig, load_phantom_config, shipped_config
from rsuper_bench.dataset_builder.phantom.source import PhantomSource

__all__ = ["PhantomConfig", "PhantomSource", "load_phantom_config", "shipped_config"]
