"""``croissant.json``: the release in the vocabulary of ML Croissant 1.0, for search engines and other loaders."""

from __future__ import annotations

from typing import Any

from datasets import Features, Image, List, Nifti, Value

from rsuper_bench.benchmark.release import configs_of
from rsuper_bench.benchmark.release_info import ReleaseInfo
from rsuper_bench.dataset_builder.schema import FEATURES
from rsuper_bench.dataset_builder.summary import Summary

_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileProperty": "cr:fileProperty",
    "fileObject": "cr:fileObject",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_TYPES = {"string": "sc:Text", "float64": "sc:Float", "int64": "sc:Integer", "bool": "sc:Boolean"}
_ROWS = {"cases": "CTs with report and masks", "attributes": "CTs, without images", "tumors": "findings"}


def croissant(info: ReleaseInfo, summary: Summary) -> dict[str, Any]:
    """Describe the three configs: where their files are and what their columns hold."""
    kind = "synthetic " if info.synthetic else ""
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": info.name,
        "version": info.version,
        "description": f"{summary.n_cases} {kind}CT scans with radiology reports and the findings read from them.",
        "license": ", ".join(sorted(summary.licences)),
        "keywords": ["computed tomography", "radiology reports", "tumor detection"],
        "isLiveDataset": False,
        "citeAs": "arXiv:2507.05582, arXiv:2510.14803",
        "distribution": [_repository(), *(_file_set(config) for config in configs_of(info.kind))],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": config,
                "name": config,
                "description": f"Rows are {_ROWS[config]}.",
                "key": [{"@id": f"{config}/case_id"}] if config != "tumors" else _tumor_key(),
                "field": _fields(config, FEATURES[config]),
            }
            for config in configs_of(info.kind)
        ],
    }


def _repository() -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": "repo",
        "name": "repo",
        "description": "The folder or repository of the release.",
        "contentUrl": ".",
        "encodingFormat": "git+https",
        "sha256": "https://github.com/mlcommons/croissant/issues/80",
    }


def _file_set(config: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileSet",
        "@id": f"{config}-files",
        "name": f"{config}-files",
        "containedIn": {"@id": "repo"},
        "encodingFormat": "application/x-parquet",
        "includes": f"{config}/*.parquet",
    }


def _tumor_key() -> list[dict[str, str]]:
    return [{"@id": "tumors/case_id"}, {"@id": "tumors/finding"}]


def _fields(config: str, features: Features) -> list[dict[str, Any]]:
    return [_field(f"{config}/{name}", name, feature, config, name) for name, feature in features.items()]


def _field(identifier: str, name: str, feature: Any, config: str, column: str) -> dict[str, Any]:
    repeated = isinstance(feature, List)
    inner = feature.feature if repeated else feature
    field: dict[str, Any] = {"@type": "cr:Field", "@id": identifier, "name": name}
    if repeated:
        field["repeated"] = True
    if isinstance(inner, dict):
        field["subField"] = [_field(f"{identifier}/{key}", key, part, config, column) for key, part in inner.items()]
    else:
        field["dataType"] = _data_type(inner)
    return field | {"source": {"fileSet": {"@id": f"{config}-files"}, "extract": {"column": column}}}


def _data_type(feature: Value | Image | Nifti) -> str:
    if isinstance(feature, Image):
        return "sc:ImageObject"
    return "sc:Text" if isinstance(feature, Nifti) else _TYPES[feature.dtype]
