"""A submission in memory: who made it, its scores, and where its masks lie."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from rsuper_bench.benchmark.errors import Problem, SubmissionError
from rsuper_bench.benchmark.files import digest_of, read_model, sha256_file
from rsuper_bench.benchmark.predictions_table import read_predictions
from rsuper_bench.benchmark.records import ID_PATTERN
from rsuper_bench.benchmark.report import SubmissionInfo
from rsuper_bench.benchmark.submission_archive import is_noise, open_submission_folder
from rsuper_bench.benchmark.tumor_types import TumorType

INFO_FILE = "submission.yaml"
TABLES = ("predictions.csv", "predictions.parquet")
MAX_INFO_BYTES = 1024**2
_MASK_SUFFIX = ".nii.gz"
_RSUPER_SUFFIX = "_lesion.nii.gz"


class CaseType(NamedTuple):
    """What one prediction is about."""

    case_id: str
    tumor_type: TumorType


class Prediction(NamedTuple):
    """Score in [0, 1] of one case and type, and the predicted tumor volume where there is one."""

    score: float
    volume_mm3: float | None = None


@dataclass(frozen=True)
class Submission:
    """A submission whose files could be read. What it lacks for a task is the business of ``validation``.

    Attributes:
        info: What ``submission.yaml`` says.
        predictions: Rows of the table; empty when there are masks only.
        masks: Mask files by case and type.
        has_table: Whether there is a table of predictions.
        refused: Rows of the table whose numbers are no good: a problem of the table, and not missing besides.
        readable: Whether the rows of the table could be looked at; if not, nothing is known to be missing.
    """

    info: SubmissionInfo
    predictions: dict[CaseType, Prediction]
    masks: dict[CaseType, Path]
    has_table: bool
    refused: frozenset[tuple[str, TumorType]] = frozenset()
    readable: bool = True
    keep: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False, compare=False)

    @cached_property
    def mask_digests(self) -> dict[CaseType, str]:
        """Digest of each mask file; every file is read once for it."""
        return {key: sha256_file(self.masks[key]) for key in sorted(self.masks)}

    @cached_property
    def digest(self) -> str:
        """Digest of scores, volumes and masks, the same for folder, zip, csv and parquet."""
        rows = [[*key, *self.predictions[key]] for key in sorted(self.predictions)]
        masks = [[*key, digest] for key, digest in self.mask_digests.items()]
        return digest_of({"predictions": rows, "masks": masks})


def load_submission(source: str | Path) -> Submission:
    """Read a submission.

    Args:
        source: A folder, a zip of it, or ``org/name[@revision]`` of a dataset repo.

    Raises:
        SubmissionError: Listing everything that is wrong with the files themselves.
        ConfigError: If there is nothing at ``source``.
    """
    submission, problems = read_submission(source)
    if problems or submission is None:
        raise SubmissionError.of(problems)
    return submission


def read_submission(source: str | Path) -> tuple[Submission | None, list[Problem]]:
    """Read as much of a submission as can be read, and list what cannot.

    Returns:
        The submission (None when neither table nor masks were found) and the problems.
    """
    folder = open_submission_folder(source)
    problems: list[Problem] = []
    info = _read_info(folder.path, problems)
    predictions: dict[CaseType, Prediction] = {}
    refused: frozenset[tuple[str, TumorType]] = frozenset()
    tables = [folder.path / name for name in TABLES if (folder.path / name).is_file()]
    readable = len(tables) < 2
    if not readable:
        problems.append(
            Problem(folder.shown, f"both {' and '.join(TABLES)}", "one table of predictions", "Remove one of them.")
        )
    elif tables:
        table = read_predictions(tables[0])
        problems += table.problems
        refused, readable = table.refused, table.readable
        predictions = {
            CaseType(case_id, kind): Prediction(score, volume) for case_id, kind, score, volume in table.rows
        }
    masks = _find_masks(folder.path, problems)
    if not tables and not masks:
        problems.append(
            Problem(
                folder.shown,
                "neither predictions nor masks",
                f"{TABLES[0]}, {TABLES[1]} or masks/<case_id>/<tumor_type>.nii.gz",
                "Add one of them.",
            )
        )
        return None, problems
    submission = Submission(info, predictions, masks, bool(tables), refused, readable, folder.keep)
    return submission, problems


def _read_info(folder: Path, problems: list[Problem]) -> SubmissionInfo:
    path = folder / INFO_FILE
    unknown = SubmissionInfo(team="unknown", method="unknown")
    if not path.is_file():
        fix = "Add it with team, method, description, training_data, licence and contact."
        problems.append(Problem(INFO_FILE, "no such file", "who made the submission and how", fix))
        return unknown
    if path.stat().st_size > MAX_INFO_BYTES:
        problems.append(Problem(INFO_FILE, "larger than 1 MiB", "a short YAML file", "Shorten it."))
        return unknown
    try:
        return read_model(path, SubmissionInfo, SubmissionError)
    except SubmissionError as cause:
        problems += [
            Problem(item.where.replace(str(path), INFO_FILE), item.found, item.expected, item.fix)
            for item in cause.problems
        ]
        return unknown


def _find_masks(folder: Path, problems: list[Problem]) -> dict[CaseType, Path]:
    """Masks as ``masks/<case_id>/<tumor_type>.nii.gz`` or ``<case_id>/predictions/<organ>_lesion.nii.gz``."""
    masks: dict[CaseType, Path] = {}
    safe = re.compile(ID_PATTERN)

    def add(case_id: str, name: str, path: Path) -> None:
        where = f"{path.relative_to(folder)}"
        kind = tumor_type_of(name)
        if not safe.fullmatch(case_id):
            problems.append(Problem(ascii(where[:120]), "unsafe case id", f"text like {ID_PATTERN}", "Rename it."))
        elif kind is None:
            problems.append(
                Problem(ascii(where[:120]), "unknown tumor type", f"one of {', '.join(TumorType)}", "Rename it.")
            )
        elif CaseType(case_id, kind) in masks:
            other = masks[CaseType(case_id, kind)].relative_to(folder)
            problems.append(Problem(where, f"a second mask beside {other}", "one mask a type", "Remove one of them."))
        else:
            masks[CaseType(case_id, kind)] = path

    for path in _files(folder / "masks"):
        case_id = str(path.parent.relative_to(folder / "masks"))
        if path.name.endswith(_MASK_SUFFIX):
            add(case_id, path.name.removesuffix(_MASK_SUFFIX), path)
        else:
            where = ascii(str(path.relative_to(folder))[:120])
            problems.append(
                Problem(where, "not a mask", "masks/<case_id>/<tumor_type>.nii.gz", "Convert or remove it.")
            )
    for case in sorted(folder.iterdir()):
        if case.is_dir() and not is_noise(Path(case.name)):
            for path in _files(case / "predictions"):
                if path.name.endswith(_RSUPER_SUFFIX):
                    add(case.name, path.name.removesuffix(_RSUPER_SUFFIX), path)
    return masks


def _files(folder: Path) -> Sequence[Path]:
    if not folder.is_dir():
        return ()
    return sorted(path for path in folder.rglob("*") if path.is_file() and not is_noise(path.relative_to(folder)))


def tumor_type_of(name: str) -> TumorType | None:
    """The tumor type of a mask's file name: the type itself, or a word for its organ (``pancreatic``)."""
    words = name.casefold().replace("_", " ")
    for kind in TumorType:
        if words == kind.replace("_", " ") or words in kind.anatomy.synonyms:
            return kind
    return None
