"""Masks of a folder source: label maps, or a folder with one binary mask a label, brought to our numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.files import read_model
from rsuper_bench.benchmark.nifti import Volume, read_nifti
from rsuper_bench.benchmark.records import Record
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.label_map import LESION_NUMBER
from rsuper_bench.dataset_builder.mask_names import is_lesion_name, lesion_type, organ_number
from rsuper_bench.dataset_builder.rejection import CaseError, Reason

LABEL_MAP_FILE = "label_map.json"
_SUFFIXES = (".nii.gz", ".nii")
_MAX_LABEL = 65_535
Number = Annotated[int, Field(ge=1, le=_MAX_LABEL)]


class InputLabelMap(Record):
    """``label_map.json`` beside ``cases.csv``: what the numbers of the user's own label maps mean."""

    organs: dict[Number, str] = {}
    lesions: dict[Number, TumorType] = {}


def read_input_label_map(folder: Path) -> InputLabelMap:
    """Read ``label_map.json``; empty when there is none.

    Raises:
        DataError: Malformed, or a lesion that is no tumor type.
    """
    path = folder / LABEL_MAP_FILE
    return read_model(path, InputLabelMap, DataError) if path.exists() else InputLabelMap()


def mask_files(path: Path) -> list[Path]:
    """The files of a mask: itself, or the binary masks of a folder, sorted."""
    if not path.is_dir():
        return [path]
    return sorted(item for item in path.iterdir() if item.name.endswith(_SUFFIXES) and not item.name.startswith("."))


def mask_name(path: Path) -> str:
    """File name without its suffix."""
    return next(path.name.removesuffix(suffix) for suffix in _SUFFIXES if path.name.endswith(suffix))


@dataclass(frozen=True)
class MaskReader:
    """Reads masks into our numbers. ``where`` names the row in messages."""

    where: str
    label_map: InputLabelMap

    def organs(self, path: Path) -> Volume:
        """Organ label map; labels that we do not have are left out.

        Raises:
            CaseError: Unreadable, or with a number that ``label_map.json`` does not name.
        """
        if path.is_dir():
            return self._merge(path, organ_number)
        return self._mapped(path, {number: organ_number(name) or 0 for number, name in self.label_map.organs.items()})

    def lesions(self, path: Path, only: TumorType | None) -> Volume:
        """Lesion label map.

        Args:
            path: File or folder.
            only: The type of a binary mask; None when ``label_map.json`` names the numbers.
        """
        if path.is_dir():
            return self._merge(path, lambda name: _lesion_number(lesion_type(name)))
        if only is not None:
            volume = self._integers(path)
            return Volume((volume.data != 0).astype(np.uint8) * np.uint8(LESION_NUMBER[only]), volume.affine)
        return self._mapped(path, {number: LESION_NUMBER[kind] for number, kind in self.label_map.lesions.items()})

    def named_lesions(self, folder: Path) -> Volume:
        """Lesion label map from the masks of a folder that are named so, beside organs: ``liver_lesion.nii.gz``."""
        return self._merge(folder, lambda name: _lesion_number(lesion_type(name)) if is_lesion_name(name) else None)

    def _mapped(self, path: Path, numbers: dict[int, int]) -> Volume:
        volume = self._integers(path)
        table = np.zeros(_MAX_LABEL + 1, dtype=np.uint8)
        known = np.zeros(_MAX_LABEL + 1, dtype=bool)
        known[0] = True
        for theirs, ours in numbers.items():
            table[theirs], known[theirs] = ours, True
        inside = volume.data.clip(0, _MAX_LABEL)
        unknown = np.unique(volume.data[~known[inside] | (inside != volume.data)])
        if len(unknown):
            shown = ", ".join(str(number) for number in unknown[:10].tolist())
            raise self._refuse(
                Reason.UNKNOWN_LABEL,
                f"label {shown} is not in {LABEL_MAP_FILE}",
                f"numbers that {LABEL_MAP_FILE} names",
                "Name the number there.",
            )
        return Volume(table[inside], volume.affine)

    def _merge(self, folder: Path, number_of: Callable[[str], int | None]) -> Volume:
        merged: Volume | None = None
        # Ascending numbers: parts of an organ come after the whole organ and are drawn over it.
        for number, path in sorted(_numbered(mask_files(folder), number_of)):
            volume = self._integers(path)
            if merged is None:
                merged = Volume(np.zeros(volume.data.shape, dtype=np.uint8), volume.affine)
            if not merged.same_grid(volume):
                raise self._refuse(
                    Reason.DIFFERENT_GRID, "masks on different grids", "one grid", "Resample them to the CT."
                )
            merged.data[volume.data != 0] = number
        if merged is None:
            raise self._refuse(Reason.MISSING_FILE, "no mask of a known name", "NIfTI files", "Rename the files.")
        return merged

    def _integers(self, path: Path) -> Volume:
        try:
            volume = read_nifti(path, name=self.where)
        except DataError as cause:
            raise CaseError.because(Reason.UNREADABLE_IMAGE, cause.problems) from None
        data: NDArray[Any] = volume.data
        if data.dtype.kind == "f":
            if (data != np.rint(data)).any():
                raise self._refuse(Reason.UNKNOWN_LABEL, "values between whole numbers", "labels", "Export labels.")
            data = data.astype(np.int32)
        return Volume(data.astype(np.uint8) if data.dtype.kind == "b" else data, volume.affine)

    def _refuse(self, reason: Reason, found: str, expected: str, fix: str) -> CaseError:
        return CaseError.because(reason, [Problem(self.where, found, expected, fix)])


def _numbered(paths: Iterable[Path], number_of: Callable[[str], int | None]) -> Iterable[tuple[int, Path]]:
    for path in paths:
        number = number_of(mask_name(path))
        if number is not None:
            yield number, path


def _lesion_number(kind: TumorType | None) -> int | None:
    return None if kind is None else LESION_NUMBER[kind]
