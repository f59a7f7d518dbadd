"""The dataset card (``README.md``): what the Hub shows, and what ``load_dataset`` reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from rsuper_bench.benchmark.files import digest_of
from rsuper_bench.benchmark.records import Split
from rsuper_bench.benchmark.release_info import ReleaseInfo
from rsuper_bench.dataset_builder.schema import FEATURES
from rsuper_bench.dataset_builder.summary import Summary

DEFAULT_CONFIG = "attributes"  # opens without downloading an image
# Identifiers of the Hub for licences as sources write them; anything else is "other" with its name.
HUB_LICENCES = {
    "cc0-1.0": "cc0-1.0",
    "cc by 3.0": "cc-by-3.0",
    "cc-by-3.0": "cc-by-3.0",
    "cc by 4.0": "cc-by-4.0",
    "cc-by-4.0": "cc-by-4.0",
    "cc by-nc-sa 4.0": "cc-by-nc-sa-4.0",
    "cc-by-nc-sa-4.0": "cc-by-nc-sa-4.0",
    "apache-2.0": "apache-2.0",
    "mit": "mit",
}
# Shown where the repository is gated, and only there.
_GATED_PROMPT = (
    "These data come from patients unless the card calls them synthetic. By asking for access you agree to the "
    "licences of the cases ({licences}), not to try to find out who a patient is, not to pass the data on to "
    "anybody who has not agreed to the same, and to use them for research only."
)
_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def card_text(info: ReleaseInfo, summary: Summary, splits: Mapping[str, Sequence[Split]]) -> str:
    """Write the card.

    Args:
        info: What the release says of itself, its files included.
        summary: Counts.
        splits: Config -> splits that have rows.
    """
    environment = Environment(
        loader=PackageLoader("rsuper_bench.dataset_builder"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - Markdown; cells go through the filter below
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["cell"] = _cell
    return environment.get_template("card.md.j2").render(
        header=yaml.safe_dump(_header(info, summary, splits), sort_keys=False, allow_unicode=True),
        info=info,
        summary=summary,
        splits=[split for split in Split if summary.cases[split]],
        extractors=sorted(summary.extractors, key=lambda extractor: (extractor.name, extractor.version)),
    )


def _header(info: ReleaseInfo, summary: Summary, splits: Mapping[str, Sequence[Split]]) -> dict[str, Any]:
    tags = ["medical", "radiology", "computed-tomography", "nifti", "radiology-reports", "tumor-detection"]
    if info.synthetic:
        tags.append("synthetic")
    if info.smoke:
        tags.append("not-evidence")
    return {
        "pretty_name": info.name,
        **_licence(summary),
        "language": ["en"],
        "task_categories": ["image-segmentation", "image-classification"],
        "tags": tags,
        "size_categories": [next((name for limit, name in _SIZES if summary.n_cases < limit), "n>1M")],
        "extra_gated_heading": "Ask for access",
        "extra_gated_prompt": _GATED_PROMPT.format(
            licences=", ".join(_cell(name) for name in sorted(summary.licences))
        ),
        "extra_gated_fields": {
            "Name": "text",
            "Institution": "text",
            "What I will use it for": "text",
            "I agree to the terms above": "checkbox",
        },
        "configs": [
            {
                "config_name": config,
                # datasets keeps the tables of a local folder by path and version alone: without a version of their
                # own, rows of an earlier release at the same place would be opened.
                "version": f"1.0.{int(digest_of(info.files)[:8], 16)}",
                **({"default": True} if config == DEFAULT_CONFIG else {}),
                "data_files": [
                    {"split": str(split), "path": f"{config}/{split}-*.parquet"} for split in splits[config]
                ],
            }
            for config in splits
        ],
        # With the columns at hand a reader does not fetch them from the first file of each config.
        "dataset_info": [{"config_name": config, "features": FEATURES[config]._to_yaml_list()} for config in splits],
    }


def _licence(summary: Summary) -> dict[str, str]:
    names = sorted(summary.licences)
    known = {HUB_LICENCES.get(name.lower()) for name in names}
    if len(known) == 1 and None not in known:
        return {"license": str(known.pop())}
    return {"license": "other", "license_name": "see-licence-of-each-case"}


def _cell(value: object) -> str:
    """Text in a Markdown table: no cell ends early, nothing is taken for markup."""
    text = " ".join(str(value).split())
    for character in "\\|`<>[]*_":
        text = text.replace(character, f"\\{character}")
    return text
