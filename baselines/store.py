"""Prepared cases on disk: what training reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from rsuper_bench.baselines.arrays import SUFFIX, StoredArray
from rsuper_bench.baselines.recipe import STORE_VERSION, Recipe
from rsuper_bench.baselines.targets import Box
from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.files import digest_of, read_model, read_text, sha256_file
from rsuper_bench.benchmark.records import CaseRecord, Identifier, Record, Split
from rsuper_bench.benchmark.release import LabelMap
from rsuper_bench.benchmark.tumor_types import TumorType

STORE_FILE = "store.json"
CASES = "cases"
ArrayName = Literal["ct", "organs", "lesions"]
DTYPES = {"ct": np.int16, "organs": np.uint8, "lesions": np.uint8}


class LesionIndex(Record):
    """One drawn lesion: its type, its box on the recipe's grid, and why it is not used, if it is not."""

    tumor_type: TumorType
    box: Box
    excluded: str | None = None


class CaseIndex(Record):
    """What training needs to know of a case without reading its voxels.

    Boxes are the first and the past-the-last index; ``organ_hu`` is median and robust deviation of each organ label.
    The region of a reported tumor is a union of organ labels, so ``organ_boxes`` says where it lies (targets.py).
    ``files`` has the sha256 of each array; it is empty for a case in memory.
    """

    record: CaseRecord
    shape: tuple[int, int, int]
    affine: tuple[tuple[float, float, float, float], ...]
    mean_hu: float
    std_hu: float
    organ_voxels: dict[int, int]
    organ_boxes: dict[int, Box]
    organ_hu: dict[int, tuple[float, float]]
    lesions: tuple[LesionIndex, ...] = ()
    files: dict[ArrayName, str] = {}


class StoreInfo(Record):
    """What a store was made from, and the sha256 of the index of every case, which has those of its arrays.

    ``pseudo_labels`` is a digest of the weights that drew the masks of report cases and of the recipe that read their
    reports (pseudo_labels.py), if any did.
    """

    version: int
    release_digest: str
    grid_digest: str
    grid_mm: float
    label_map: dict[str, dict[str, str]]
    cases: dict[Identifier, str] = {}
    pseudo_labels: str | None = None

    @property
    def origin(self) -> StoreInfo:
        """The same without its cases: what they were made from."""
        return self.model_copy(update={"cases": {}})


@dataclass(frozen=True, eq=False)
class StoredCase:
    """Arrays of one case on disk: CT in clipped HU, organ labels, lesion labels or None."""

    index: CaseIndex
    ct: StoredArray
    organs: StoredArray
    lesions: StoredArray | None


class Store:
    """Prepared cases on disk.

    Raises:
        DataError: When the folder is not a finished store.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        check_version(folder / STORE_FILE)
        self.info = read_model(folder / STORE_FILE, StoreInfo, DataError)
        self.label_map = LabelMap.from_json(self.info.label_map)

    @property
    def digest(self) -> str:
        """Digest of what the store was made from, and so of its voxels."""
        return digest_of(self.info.origin)

    def check(self, recipe: Recipe) -> None:
        """Refuse a store that was prepared for another grid or window.

        Raises:
            DataError: If so.
        """
        if self.info.grid_digest != recipe.grid_digest:
            raise DataError.of(
                [
                    Problem(
                        str(self.folder),
                        f"prepared for a grid of {self.info.grid_mm} mm or another window_hu",
                        f"grid_mm {recipe.grid_mm} and window_hu {recipe.window_hu} of recipe {recipe.name}",
                        "Run `rsuper-bench prepare` with this recipe.",
                    )
                ]
            )
        if (self.info.pseudo_labels is None) == (recipe.objective == "pseudo_labels"):
            found, expected = "masks as the release has them", "masks that a network drew"
            if self.info.pseudo_labels is not None:
                found, expected = expected, found
            fix = (
                f"Name the store that `rsuper-bench prepare` wrote, and train {recipe.name} with `rsuper-bench train`."
            )
            raise DataError.of([Problem(str(self.folder), found, f"{expected}, for objective {recipe.objective}", fix)])

    def verify(self, jobs: int = 1, share: slice = slice(None)) -> None:
        """Compare every file with its sha256: reads all of the store once.

        Args:
            jobs: Cases at a time.
            share: Of the cases, where several processes share the work.

        Raises:
            DataError: Naming every case that is damaged.
        """
        from joblib import Parallel, delayed

        found: Iterable[list[Problem]] = Parallel(n_jobs=jobs, prefer="threads", return_as="generator")(
            delayed(self._problems)(case_id, digest) for case_id, digest in list(self.info.cases.items())[share]
        )
        if problems := [problem for case in found for problem in case]:
            raise DataError.of(problems)

    def _problems(self, case_id: str, digest: str) -> list[Problem]:
        index = case_file(self.folder, case_id, ".json")
        try:
            if sha256_file(index) != digest:
                return [_changed(case_id, index)]
            files = read_model(index, CaseIndex, DataError).files
        except DataError as error:
            return list(error.problems)
        except OSError:
            return [_changed(case_id, index)]
        return damaged_arrays(self.folder, case_id, files)

    def indices(self, split: Split) -> list[CaseIndex]:
        """Index entries of a split, sorted by case id."""
        entries = [read_model(case_file(self.folder, name, ".json"), CaseIndex, DataError) for name in self.info.cases]
        return [entry for entry in entries if entry.record.split is split]

    def open(self, index: CaseIndex) -> StoredCase:
        """The arrays of a case, to read parts of.

        Raises:
            DataError: If one is damaged.
        """
        case_id = index.record.case_id
        arrays: dict[str, StoredArray] = {
            name: StoredArray(case_file(self.folder, case_id, f".{name}{SUFFIX}"), case_id, index.shape, DTYPES[name])
            for name in index.files
        }
        try:
            return StoredCase(index, arrays["ct"], arrays["organs"], arrays.get("lesions"))
        except KeyError as missing:
            where = case_file(self.folder, case_id, ".json")
            raise DataError.of([Problem(str(where), f"no {missing}", "ct and organs", "Prepare again.")]) from None


def check_version(path: Path) -> None:
    """Refuse what another version of this package wrote, whose fields may be others; what is no JSON passes.

    Raises:
        DataError: If so.
    """
    try:
        found = json.loads(read_text(path, DataError))
    except (ValueError, RecursionError):
        return
    version = found.get("version") if isinstance(found, dict) else None
    if isinstance(version, int) and version != STORE_VERSION:
        fix = "Run `rsuper-bench prepare` again, into another folder."
        problem = Problem(str(path), f"written by another version of this package ({version})", str(STORE_VERSION), fix)
        raise DataError.of([problem])


def case_file(folder: Path, case_id: str, suffix: str) -> Path:
    """A file of a case in a store."""
    return folder / CASES / f"{case_id}{suffix}"


def damaged_arrays(folder: Path, case_id: str, files: Mapping[ArrayName, str]) -> list[Problem]:
    """A problem for each array of a case that is missing, or is not what was written."""
    problems = []
    for name, digest in files.items():
        path = case_file(folder, case_id, f".{name}{SUFFIX}")
        try:
            sound = sha256_file(path) == digest
        except OSError:
            sound = False
        if not sound:
            problems.append(_changed(case_id, path))
    return problems


def _changed(case_id: str, path: Path) -> Problem:
    fix = "Run `rsuper-bench prepare` again: it replaces what is damaged and keeps the rest."
    return Problem(f"case {case_id}: {path}", "missing, or not what `prepare` wrote", "its sha256", fix)
