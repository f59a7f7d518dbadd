"""Opening a release: its records and its volumes, from a folder or from the Hub.

A release is parquet with explicit features (CONTRACTS: ``cases``, ``attributes``, ``tumors``, each with train,
validation and test). This file knows how a :class:`CaseRecord` maps to a row and back; ``dataset_builder`` writes the
rows, everyone else reads them here or with plain ``datasets.load_dataset``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from rsuper_bench.benchmark.errors import ConfigError, DataError, Problem, RsuperBenchError
from rsuper_bench.benchmark.files import read_model, read_text, sha256_file
from rsuper_bench.benchmark.model_problems import model_problems
from rsuper_bench.benchmark.nifti import Volume, read_nifti
from rsuper_bench.benchmark.records import CaseRecord, Presence, Split
from rsuper_bench.benchmark.release_info import RELEASE_FILE, ReleaseInfo, ReleaseKind
from rsuper_bench.benchmark.tumor_types import TumorType

CONFIGS = ("cases", "attributes", "tumors")
VOLUME_COLUMNS = ("ct", "organs", "lesions")
HUB_NAME = re.compile(r"^[A-Za-z0-9][\w.-]*/[\w.-]+(@[\w./-]+)?$")


def configs_of(kind: ReleaseKind) -> tuple[str, ...]:
    """The configs that a release of a kind has."""
    return tuple(config for config in CONFIGS if config != "cases" or kind is not ReleaseKind.ATTRIBUTES)


@dataclass(frozen=True)
class LabelMap:
    """Numbers of the multi-label masks."""

    organs: dict[int, str]
    lesions: dict[int, TumorType]

    def organ_mask(self, organs: NDArray[Any], names: Sequence[str]) -> NDArray[np.bool_]:
        """Union of some organ labels."""
        numbers = [number for number, name in self.organs.items() if name in set(names)]
        return np.isin(organs, numbers)

    def lesion_mask(self, lesions: NDArray[Any], tumor_type: TumorType) -> NDArray[np.bool_]:
        """Lesions of one type."""
        numbers = [number for number, kind in self.lesions.items() if kind is tumor_type]
        return np.isin(lesions, numbers)

    def to_json(self) -> dict[str, dict[str, str]]:
        """What ``label_map.json`` holds."""
        return {
            "organs": {str(number): name for number, name in sorted(self.organs.items())},
            "lesions": {str(number): str(kind) for number, kind in sorted(self.lesions.items())},
        }

    @classmethod
    def from_json(cls, value: dict[str, dict[str, str]]) -> LabelMap:
        """Inverse of :meth:`to_json`."""
        return cls(
            organs={int(number): name for number, name in value["organs"].items()},
            lesions={int(number): TumorType(name) for number, name in value["lesions"].items()},
        )


@dataclass(frozen=True)
class CaseVolumes:
    """The images of one case on one grid. ``organs`` and ``lesions`` are label maps or None."""

    ct: Volume
    organs: Volume | None
    lesions: Volume | None


class Location(NamedTuple):
    """Where the images of a case lie: parquet file, row group, row inside it."""

    path: Path
    group: int
    row: int


def attributes_row(record: CaseRecord) -> dict[str, Any]:
    """The row of a case in ``attributes``: no image, no report text."""
    row = record.model_dump(mode="json", exclude={"presence", "not_evaluable", "lesion_masks", "ct", "findings"})
    row |= {f"ct_{name}": value for name, value in record.ct.model_dump(mode="json").items()}
    row["findings"] = [_finding_row(finding) for finding in record.model_dump(mode="json")["findings"]]
    row["lesion_masks"] = [
        {"tumor_type": str(kind), "volume_mm3": volume} for kind, volume in sorted(record.lesion_masks.items())
    ]
    row["not_evaluable"] = [
        {"tumor_type": str(kind), "reason": str(reason)} for kind, reason in sorted(record.not_evaluable.items())
    ]
    row |= {f"presence_{kind}": str(record.presence_of(kind)) for kind in TumorType}
    return row


def _finding_row(finding: dict[str, Any]) -> dict[str, Any]:
    # Parquet has no open maps that the Hub's viewer shows: evidence becomes a list of named spans.
    spans = [{"field": name, "start": span[0], "end": span[1]} for name, span in sorted(finding["evidence"].items())]
    return finding | {"evidence": spans}


def record_from_row(row: dict[str, Any]) -> CaseRecord:
    """Inverse of :func:`attributes_row`; columns it does not know (images, report) are ignored.

    Raises:
        pydantic.ValidationError: If the row does not hold a valid case.
    """
    fields = {name: row[name] for name in CaseRecord.model_fields if name in row}
    fields["ct"] = {name.removeprefix("ct_"): row[name] for name in row if name.startswith("ct_")}
    fields["lesion_masks"] = {item["tumor_type"]: item["volume_mm3"] for item in row["lesion_masks"]}
    fields["not_evaluable"] = {item["tumor_type"]: item["reason"] for item in row["not_evaluable"]}
    fields["findings"] = [
        finding | {"evidence": {span["field"]: (span["start"], span["end"]) for span in finding["evidence"]}}
        for finding in row["findings"]
    ]
    fields["presence"] = {
        name.removeprefix("presence_"): value
        for name, value in row.items()
        if name.startswith("presence_") and value != Presence.NOT_STATED
    }
    return CaseRecord.model_validate(fields)


class Release:
    """A release on disk.

    Args:
        folder: Where it is.
        on_hub: Repository and commit that ``folder`` is a snapshot of, without ``cases/``: they are fetched when
            something first asks for an image or a report, which most uses never do.

    Raises:
        DataError: When the folder is not a release.
    """

    def __init__(self, folder: Path, on_hub: tuple[str, str] | None = None) -> None:
        self.folder = folder
        self._on_hub = on_hub
        missing = [name for name in ("manifest.jsonl", "label_map.json", "attributes") if not (folder / name).exists()]
        if missing:
            raise DataError.of(
                [
                    Problem(
                        str(folder),
                        f"no {', '.join(missing)}",
                        "a release made by `rsuper-bench dataset build`",
                        "Name the folder that holds manifest.jsonl.",
                    )
                ]
            )

    def __reduce__(self) -> tuple[Any, ...]:
        # A worker gets the folder, not every record, and opens it once for all its cases.
        return _opened, (self.folder, self.digest, self._on_hub)

    @cached_property
    def digest(self) -> str:
        """Digest of the manifest, and so of every case in it."""
        return sha256_file(self.folder / "manifest.jsonl")

    @cached_property
    def info(self) -> ReleaseInfo | None:
        """What ``release.json`` says; None for a release without one (made by other software)."""
        path = self.folder / RELEASE_FILE
        return read_model(path, ReleaseInfo, DataError) if path.exists() else None

    @property
    def name(self) -> str:
        """Name of the release; the name of its folder when it has no ``release.json``."""
        return self.folder.resolve().name if self.info is None else self.info.name

    @property
    def synthetic(self) -> bool:
        """Whether any case is computer-made."""
        return any(record.synthetic for record in self.records())

    @cached_property
    def smoke(self) -> bool:
        """Whether one anatomy stands in several splits, by its own mark or by its cases: then it is not evidence."""
        splits: dict[str, set[Split]] = {}
        for record in self.records():
            splits.setdefault(record.derived_from or record.case_id, set()).add(record.split)
        return any(len(found) > 1 for found in splits.values()) or (self.info is not None and self.info.smoke)

    @cached_property
    def label_map(self) -> LabelMap:
        """Numbers of the masks."""
        path = self.folder / "label_map.json"
        try:
            return LabelMap.from_json(json.loads(read_text(path)))
        except (ValueError, KeyError, TypeError, AttributeError) as cause:
            raise _damaged(path, cause) from None

    @cached_property
    def _records(self) -> dict[str, CaseRecord]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        records: dict[str, CaseRecord] = {}
        for path in self._parquet("attributes"):
            try:
                rows = pq.read_table(path).to_pylist()
            except (pa.ArrowException, OSError) as cause:
                raise _damaged(path, cause) from None
            for row in rows:
                try:
                    record = record_from_row(row)
                except ValidationError as cause:
                    raise DataError.of(model_problems(cause, CaseRecord, str(path))) from None
                except (KeyError, TypeError) as cause:
                    raise _damaged(path, cause) from None
                if record.case_id in records:
                    raise DataError.of(
                        [Problem(str(path), f"case {record.case_id} stands twice", "each case once", "Rebuild it.")]
                    )
                records[record.case_id] = record
        return dict(sorted(records.items()))

    def _parquet(self, config: str) -> list[Path]:
        return sorted((self.folder / config).glob("*.parquet"))

    def records(self, split: Split | str | None = None) -> list[CaseRecord]:
        """Records of a split, or of all, sorted by case id."""
        return [record for record in self._records.values() if split is None or record.split == split]

    @property
    def has_volumes(self) -> bool:
        """False for a release of attributes only."""
        named = () if self.info is None else self.info.files
        return any(name.startswith("cases/") for name in named) or bool(self._parquet("cases"))

    @property
    def volumes_at_hand(self) -> bool:
        """Whether images lie in the folder already: what is only nice to have fetches none from the Hub."""
        return bool(self._parquet("cases"))

    @cached_property
    def _locations(self) -> dict[str, Location]:
        """By case id; reads the id column only."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._on_hub is not None:
            name, commit = self._on_hub
            _download(f"{name}@{commit}", allow_patterns=["cases/*"])
        found: dict[str, Location] = {}
        for path in self._parquet("cases"):
            try:
                with pq.ParquetFile(path) as file:
                    for group in range(file.num_row_groups):
                        ids = file.read_row_group(group, columns=["case_id"]).column("case_id").to_pylist()
                        found |= {case_id: Location(path, group, row) for row, case_id in enumerate(ids)}
            except (pa.ArrowException, OSError, KeyError) as cause:
                raise _damaged(path, cause) from None
        return found

    def locate(self, case_id: str) -> Location:
        """Where the images of a case lie.

        Raises:
            DataError: If the release does not hold them, or is damaged.
        """
        if case_id not in self._locations:
            raise DataError.of(
                [
                    Problem(
                        str(self.folder),
                        f"no images of case {case_id}",
                        "a release with a `cases` config",
                        "Use the full release, or attach the scans first.",
                    )
                ]
            )
        return self._locations[case_id]

    def columns(self, case_id: str, names: Sequence[str]) -> dict[str, Any]:
        """Some columns of one case of ``cases``, read without touching the others.

        Raises:
            DataError: If the release does not hold the case's images, or is damaged.
        """
        return read_columns(self.locate(case_id), names)

    def volumes(self, case_id: str) -> CaseVolumes:
        """CT, organ labels and lesion labels of one case, on the grid of the release."""
        row = self.columns(case_id, VOLUME_COLUMNS)
        read = {
            name: None if row[name] is None else read_nifti(row[name]["bytes"], name=f"case {case_id}: {name}")
            for name in VOLUME_COLUMNS
        }
        ct = read["ct"]
        if ct is None:
            fix = "Join the release with your own download first: rsuper-bench dataset attach."
            raise DataError.of([Problem(f"case {case_id}", "the release does not carry its CT", "a CT", fix)])
        return CaseVolumes(ct=ct, organs=read["organs"], lesions=read["lesions"])


def read_columns(location: Location, names: Sequence[str]) -> dict[str, Any]:
    """Some columns of one case, read without touching the others.

    Raises:
        DataError: If the file is damaged.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(location.path) as file:
            table = file.read_row_group(location.group, columns=list(names))
    except (pa.ArrowException, OSError) as cause:
        raise _damaged(location.path, cause) from None
    return dict(table.slice(location.row, 1).to_pylist()[0])


@lru_cache(maxsize=4)
def _opened(folder: Path, digest: str, on_hub: tuple[str, str] | None) -> Release:  # noqa: ARG001 - the digest keys
    """The release of a folder, as long as a process lives and the release does not change."""
    return Release(folder, on_hub)


def _damaged(path: Path, cause: Exception) -> RsuperBenchError:
    found = f"cannot be read ({type(cause).__name__})"
    return DataError.of([Problem(str(path), found, "as it was built", "Build or download the release again.")])


def is_hub_name(data: str) -> bool:
    """Whether to ask the Hub for a name: it has the form ``org/name[@revision]``, and is no misspelt path.

    A path whose first folder exists here is local; its name may be nobody else's business.
    """
    return HUB_NAME.match(data) is not None and not Path(data.partition("/")[0]).exists()


def open_release(data: str | Path, *, whole: bool = False) -> Release:
    """Open a release folder, or ``org/name@revision`` from the Hub (downloaded once, then cached).

    Args:
        data: What to open.
        whole: Download the scans of a Hub release now; otherwise when something first asks for one.

    Raises:
        ConfigError: If ``data`` is neither.
        DataError: If the folder is not a release.
    """
    folder = Path(data)
    if folder.is_dir():
        return Release(folder)
    if is_hub_name(str(data)):
        folder = _download(str(data), ignore_patterns=[] if whole else ["cases/*"])
        commit = folder.name  # a snapshot is named by its commit: the scans are of the same one, if a branch moves on
        name = str(data).partition("@")[0]
        return Release(folder, None if whole else (name, commit))
    raise ConfigError.of(
        [Problem(str(data), "no such folder", "a release folder or org/name@revision", "Check the path.")]
    )


def _download(data: str, *, allow_patterns: list[str] | None = None, ignore_patterns: list[str] | None = None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    name, _, revision = data.partition("@")
    try:
        folder = snapshot_download(
            name,
            repo_type="dataset",
            revision=revision or None,
            allow_patterns=allow_patterns,
            ignore_patterns=ignore_patterns,
        )
        return Path(folder)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as cause:
        found = f"not a folder, and the Hub gave {type(cause).__name__}"
        fix = "Check the name, the revision, `hf auth login` and the network."
        raise DataError.of([Problem(data, found, "a release", fix)]) from None
