"""Lesions planted into one real CT with organ labels."""

from rsuper_bench.dataset_builder.planted.config import PlantedConfig
from rsuper_bench.dataset_builder.planted.source import PlantedSource

__all__ = ["PlantedConfig", "PlantedSource"]
