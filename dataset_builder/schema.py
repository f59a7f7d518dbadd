"""The columns of the three configs of a release, as ``datasets`` features."""

from __future__ import annotations

from functools import cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features, Image, List, Nifti, Value

from rsuper_bench.benchmark.records import CaseRecord
from rsuper_bench.benchmark.release import attributes_row
from rsuper_bench.benchmark.tumor_types import TumorType

_TEXT, _REAL, _INTEGER, _TRUTH = Value("string"), Value("float64"), Value("int64"), Value("bool")

# Of one finding; also the columns of `tumors`, next to where the finding comes from.
FINDING: dict[str, Any] = {
    "tumor_type": _TEXT,
    "kind": _TEXT,
    "location": _TEXT,
    "side": _TEXT,
    "diameters_mm": List(_REAL),
    "count": {"value": _INTEGER, "relation": _TEXT},
    "attenuation": _TEXT,
    "malignancy": _TEXT,
    "malignancy_source": _TEXT,
    "certainty": _TEXT,
    "series": _INTEGER,
    "image": _INTEGER,
    "evidence": List({"field": _TEXT, "start": _INTEGER, "end": _INTEGER}),
    "derived": List(_TEXT),
}

ATTRIBUTES = Features(
    {
        "case_id": _TEXT,
        "patient_id": _TEXT,
        "split": _TEXT,
        "source": _TEXT,
        "licence": _TEXT,
        "redistributable": _TRUTH,
        "synthetic": _TRUTH,
        "derived_from": _TEXT,
        "sex": _TEXT,
        "age": _REAL,
        "ct_file": _TEXT,
        "ct_sha256": _TEXT,
        "ct_shape": List(_INTEGER),
        "ct_spacing_mm": List(_REAL),
        "ct_orientation": _TEXT,
        "ct_phase": _TEXT,
        "ct_scanner": _TEXT,
        "ct_kvp": _REAL,
        "ct_fingerprint": _TEXT,
        **{f"presence_{kind}": _TEXT for kind in TumorType},
        "findings": List(FINDING),
        "organ_labels": List(_TEXT),
        "lesion_masks": List({"tumor_type": _TEXT, "volume_mm3": _REAL}),
        "not_evaluable": List({"tumor_type": _TEXT, "reason": _TEXT}),
        "extractor": {"name": _TEXT, "version": _TEXT, "model": _TEXT, "prompt_digest": _TEXT},
    }
)

CASES = Features(
    {
        "case_id": _TEXT,
        "preview": Image(decode=False),  # decoding needs Pillow, and a release opens with datasets and nibabel alone
        "ct": Nifti(),
        "organs": Nifti(),
        "lesions": Nifti(),
        "report": _TEXT,
        "pathology_report": _TEXT,
        **{name: feature for name, feature in ATTRIBUTES.items() if name != "case_id"},
    }
)

TUMORS = Features(
    {
        "case_id": _TEXT,
        "patient_id": _TEXT,
        "split": _TEXT,
        "source": _TEXT,
        "synthetic": _TRUTH,
        "sex": _TEXT,
        "age": _REAL,
        "finding": _INTEGER,
        **FINDING,
        "volume_mm3": _REAL,
    }
)

EMBEDDED = ("ct", "organs", "lesions", "preview")
FEATURES: dict[str, Features] = {"cases": CASES, "attributes": ATTRIBUTES, "tumors": TUMORS}


def arrow_schema(config: str) -> pa.Schema:
    """Arrow schema of a config; its metadata tells ``datasets`` which columns are images and volumes."""
    return FEATURES[config].arrow_schema


@cache
def parquet_options(config: str) -> dict[str, Any]:
    """How parquet is written: what is compressed already is stored as it is, the rest as zstd."""
    buffer = pa.BufferOutputStream()
    with pq.ParquetWriter(buffer, arrow_schema(config)):
        pass
    columns = pq.ParquetFile(pa.BufferReader(buffer.getvalue())).schema
    leaves = [columns.column(index).path for index in range(len(columns.names))]
    plain = [leaf for leaf in leaves if leaf.split(".")[0] not in EMBEDDED]
    return {
        "compression": {leaf: "zstd" if leaf in plain else "none" for leaf in leaves},
        "use_dictionary": plain,
        "write_statistics": plain,
    }


def tumor_rows(record: CaseRecord) -> list[dict[str, Any]]:
    """Rows of a case in ``tumors``: one for each finding, in report order.

    ``volume_mm3`` is that of the finding's largest tumor (METHOD 1), null where the report gives no size.
    """
    row = attributes_row(record)
    shared = {name: row[name] for name in TUMORS if name in row}
    return [
        shared | finding | {"finding": index, "volume_mm3": record.findings[index].volume_mm3}
        for index, finding in enumerate(row["findings"])
    ]
