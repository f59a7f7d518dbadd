"""Public CT data sets in the layout in which they are downloaded. docs/public-datasets.md says what was tested."""

from __future__ import annotations

from pathlib import Path

from rsuper_bench.benchmark.errors import ConfigError, Problem
from rsuper_bench.dataset_builder.raw_case import Source


def open_public_source(name: str, root: Path, config: Path | None) -> Source:
    """Open a downloaded data set.

    Args:
        name: ``merlin``, ``pants``, ``abdomenatlas`` or ``ct_rate``.
        root: Where it was downloaded to.
        config: YAML with the options of that reader.

    Raises:
        ConfigError: No such folder, or a bad config.
        DataError: Its tables are missing or malformed.
    """
    from rsuper_bench.dataset_builder.organ_masks import WithOrganMasks
    from rsuper_bench.dataset_builder.public import abdomenatlas, ct_rate, merlin, pants

    readers = {"merlin": merlin, "pants": pants, "abdomenatlas": abdomenatlas, "ct_rate": ct_rate}
    if not root.is_dir():
        raise ConfigError.of([Problem("--input", f"no such folder {root}", "a folder", "Check the path.")])
    source = readers[name].open_source(root, config)
    masks = source.config.organ_masks
    return source if masks is None else WithOrganMasks(source, masks)
