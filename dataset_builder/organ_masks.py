"""Organ masks for cases whose source has none: from a folder of masks, or from TotalSegmentator.

Either way a case gets one multi-label mask with the numbers of our label map, and what cannot be shown is listed.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from rsuper_bench.benchmark.errors import ConfigError, Problem
from rsuper_bench.benchmark.files import digest_of, read_table, sha256_file
from rsuper_bench.benchmark.nifti import Volume, write_nifti
from rsuper_bench.benchmark.records import Record
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.folder_masks import InputLabelMap, MaskReader, mask_files
from rsuper_bench.dataset_builder.label_map import LABEL_MAP
from rsuper_bench.dataset_builder.mask_names import organ_number
from rsuper_bench.dataset_builder.raw_case import CaseKey, RawCase, Source
from rsuper_bench.dataset_builder.rejection import CaseError, CheckedSource, Reason, Rejection

TOTALSEGMENTATOR_LABELS = Path(__file__).with_name("totalsegmentator_labels.csv")


class TotalSegmentatorConfig(Record):
    """How TotalSegmentator is called (github.com/wasserth/TotalSegmentator, Apache-2.0; not part of this package).

    Attributes:
        command: Its command line program.
        fast: Its 3 mm model: quicker, coarser.
    """

    command: str = "TotalSegmentator"
    fast: bool = False
    device: Literal["gpu", "cpu", "mps"] = "gpu"
    timeout_s: Annotated[int, Field(ge=1)] = 3600


class OrganMasksConfig(Record):
    """Where masks come from when a source has none: ``folder`` or ``totalsegmentator``.

    Attributes:
        folder: Holds ``<case_id>.nii.gz``, or ``<case_id>/`` (or ``<case_id>/segmentations/``) with a binary mask an
            organ.
        labels: CSV ``label,name`` of the multi-label masks; TotalSegmentator's class table when there is none.
        required: Reject a case without a mask; otherwise it goes without, and the build says how many do.
    """

    folder: Path | None = None
    labels: Path | None = None
    totalsegmentator: TotalSegmentatorConfig | None = None
    required: bool = False

    @model_validator(mode="after")
    def _has_one_place(self) -> OrganMasksConfig:
        if (self.folder is None) == (self.totalsegmentator is None):
            raise ValueError("names one of folder and totalsegmentator")
        if self.labels is not None and self.folder is None:
            raise ValueError("labels go with folder")
        return self


def beside(config: OrganMasksConfig | None, folder: Path) -> OrganMasksConfig | None:
    """The same config with paths relative to a folder, checked.

    Raises:
        ConfigError: A folder or table that does not exist, or a program that is not installed.
    """
    if config is None:
        return None
    changes = {}
    problems = []
    if config.folder is not None:
        changes["folder"] = (folder / config.folder).resolve()
        if not changes["folder"].is_dir():
            problems.append(Problem("organ_masks.folder", "no such folder", "a folder of masks", "Check the path."))
    if config.labels is not None:
        changes["labels"] = (folder / config.labels).resolve()
        if not changes["labels"].is_file():
            problems.append(Problem("organ_masks.labels", "no such file", "a CSV label,name", "Check the path."))
    tool = config.totalsegmentator
    if tool is not None and shutil.which(tool.command) is None:
        fix = "pip install TotalSegmentator, or name its program in organ_masks.totalsegmentator.command."
        problems.append(
            Problem("organ_masks.totalsegmentator", "the program is not installed", "TotalSegmentator", fix)
        )
    if problems:
        raise ConfigError.of(problems)
    return config.model_copy(update=changes)


@dataclass(frozen=True)
class WithOrganMasks:
    """A source whose cases get an organ mask if they have none."""

    source: Source
    config: OrganMasksConfig

    def __getstate__(self) -> dict[str, Any]:
        """Without what is cached."""
        return {"source": self.source, "config": self.config}

    def keys(self) -> list[CaseKey]:
        """The keys of the source; masks that cannot be found are in :meth:`rejections` or :meth:`notes`."""
        keys = self._keys
        if self.config.required and self.config.folder is not None:
            keys = [key for key in keys if self._path(key.case_id) is not None]
        return [replace(key, input_digest=digest_of([key.input_digest, self._digest(key.case_id)])) for key in keys]

    def rejections(self) -> list[Rejection]:
        """Those of the source, and cases without a mask where masks are required."""
        refused = list(self.source.rejections()) if isinstance(self.source, CheckedSource) else []
        if self.config.required:
            refused += [
                Rejection(case_id, Reason.NO_ORGAN_MASK, "no mask in organ_masks.folder") for case_id in self._bare
            ]
        return refused

    def notes(self) -> list[str]:
        """What masks cannot show, and which cases have none."""
        notes = list(getattr(self.source, "notes", list)())
        if self._bare and not self.config.required:
            notes.append(f"{len(self._bare)} cases have no organ mask: {_shown(self._bare)}")
        shown = {LABEL_MAP.organs[number] for number in map(organ_number, self._names) if number is not None}
        hidden = [str(kind) for kind in TumorType if not shown & set(kind.anatomy.all_labels)]
        if hidden:
            notes.append(f"organs without a label in the organ masks: {', '.join(hidden)}")
        unknown = sorted({name for name in self._names if organ_number(name) is None})
        if unknown:
            notes.append(f"{len(unknown)} labels of the organ masks have no label in a release: {_shown(unknown)}")
        return notes

    def make(self, key: CaseKey) -> RawCase:
        """The case of the source, with an organ mask.

        Raises:
            CaseError: From the source, or a mask that cannot be made or read.
        """
        raw = self.source.make(key)
        if raw.organs is not None:
            return raw
        if self.config.totalsegmentator is not None:
            return replace(raw, organs=_segment(raw, self.config.totalsegmentator, self._label_map))
        path = self._path(key.case_id)
        if path is None:
            return raw
        return replace(raw, organs=MaskReader(f"case {key.case_id}: organ mask", self._label_map).organs(path))

    @cached_property
    def _keys(self) -> list[CaseKey]:
        return list(self.source.keys())

    @cached_property
    def _label_map(self) -> InputLabelMap:
        return read_labels(self.config.labels or TOTALSEGMENTATOR_LABELS)

    @cached_property
    def _names(self) -> list[str]:
        """Names that masks may have: of the table, or of the files in the folder."""
        if self.config.folder is None:
            return list(self._label_map.organs.values())
        places = [path for key in self._keys if (path := self._path(key.case_id)) is not None]
        names = {file.name.split(".")[0] for path in places if path.is_dir() for file in mask_files(path)}
        return sorted(names | (set(self._label_map.organs.values()) if any(p.is_file() for p in places) else set()))

    @cached_property
    def _bare(self) -> list[str]:
        if self.config.folder is None:
            return []
        return [key.case_id for key in self._keys if self._path(key.case_id) is None]

    def _path(self, case_id: str) -> Path | None:
        if self.config.folder is None:
            return None
        for name in (f"{case_id}.nii.gz", f"{case_id}.nii", f"{case_id}/segmentations", case_id):
            path = self.config.folder / name
            if path.exists():
                return path
        return None

    def _digest(self, case_id: str) -> str:
        tool = self.config.totalsegmentator
        path = self._path(case_id)
        files = [] if path is None else mask_files(path)
        stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
        labels = sha256_file(self.config.labels) if self.config.labels else None
        return digest_of([stats, labels, tool and tool.model_dump(mode="json"), tool and _version()])


def read_labels(path: Path) -> InputLabelMap:
    """Read a CSV ``label,name``.

    Raises:
        DataError: Not such a table.
        ConfigError: A label that is no number from 1, or that stands twice.
    """
    numbers: dict[int, str] = {}
    problems = []
    for row_number, row in enumerate(read_table(path, ("label", "name")), start=2):
        label = row["label"].strip()
        if not label.isdecimal() or not 0 < int(label) < 65_536 or int(label) in numbers:
            where = f"{path.name}: row {row_number}: label"
            problems.append(Problem(where, ascii(label[:20]), "each number from 1 to 65535 once", "Correct it."))
            continue
        numbers[int(label)] = row["name"].strip()
    if problems:
        raise ConfigError.of(problems)
    return InputLabelMap(organs=numbers)


def _segment(raw: RawCase, tool: TotalSegmentatorConfig, label_map: InputLabelMap) -> Volume:
    with tempfile.TemporaryDirectory(prefix="organs-") as folder:
        ct, out = Path(folder, "ct.nii.gz"), Path(folder, "organs.nii.gz")
        write_nifti(ct, raw.ct)
        call = [tool.command, "-i", str(ct), "-o", str(out), "--ml", "--task", "total", "--device", tool.device]
        try:
            done = subprocess.run(  # noqa: S603 (the user names the program)
                [*call, *(["--fast"] if tool.fast else [])], capture_output=True, timeout=tool.timeout_s, check=False
            )
        except subprocess.TimeoutExpired:
            raise _failed(raw, f"not ready after {tool.timeout_s} s") from None
        except OSError as cause:
            raise _failed(raw, f"cannot be started ({cause.strerror})") from None
        if done.returncode != 0 or not out.is_file():
            raise _failed(raw, f"exit code {done.returncode}" + ("" if out.is_file() else ", no mask written"))
        return MaskReader(f"case {raw.case_id}: TotalSegmentator", label_map).organs(out)


def _failed(raw: RawCase, found: str) -> CaseError:
    fix = "Run TotalSegmentator by hand on a CT to see why."
    problem = Problem(f"case {raw.case_id}: TotalSegmentator", found, "a label map", fix)
    return CaseError.because(Reason.SEGMENTER_FAILED, [problem])


def _version() -> str:
    try:
        return version("TotalSegmentator")
    except PackageNotFoundError:
        return "unknown"


def _shown(names: Sequence[str] | Iterable[str], limit: int = 10) -> str:
    names = list(names)
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")
