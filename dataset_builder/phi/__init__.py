"""Protected health information: found in text, ids, file names and headers, so that nothing leaves with it."""

from rsuper_bench.dataset_builder.phi.hit import Hit
from rsuper_bench.dataset_builder.phi.identifier import scan_identifier, scan_path
from rsuper_bench.dataset_builder.phi.text import scan_text

__all__ = ["Hit", "scan_identifier", "scan_path", "scan_text"]
