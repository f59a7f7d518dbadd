"""What the headers of the files of a row show to be wrong, before any voxel is read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.nifti import Grid, read_grid
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.folder_masks import (
    LABEL_MAP_FILE,
    InputLabelMap,
    mask_files,
    mask_name,
)
from rsuper_bench.dataset_builder.folder_row import TABLE, FolderRow, RowProblem
from rsuper_bench.dataset_builder.mask_names import lesion_type
from rsuper_bench.dataset_builder.rejection import Reason


def grid_problems(folder: Path, row: FolderRow) -> Iterator[RowProblem]:
    """Unreadable or truncated files, and masks on another grid than the CT.

    Args:
        folder: Resolved path of the folder.
        row: The row; paths that are not there are skipped.
    """
    grids = {
        column: list(_grids(folder, row, column, name))
        for column, name in (("ct", row.ct), ("organs", row.organs), ("lesions", row.lesions))
        if name
    }
    yield from (item for found in grids.values() for item in found if isinstance(item, RowProblem))
    ct = next((item for item in grids.get("ct", []) if isinstance(item, Grid)), None)
    for column in ("organs", "lesions"):
        for grid in grids.get(column, []):
            if ct is not None and isinstance(grid, Grid) and not grid.same(ct):
                found = "another affine" if grid.shape == ct.shape else f"shape {grid.shape}"
                expected = f"the grid of the CT, shape {ct.shape}"
                fix = "Resample the mask to the CT (nearest label)."
                yield _problem(row, column, Reason.DIFFERENT_GRID, found, expected, fix)
                break


def label_problems(folder: Path, label_map: InputLabelMap, row: FolderRow) -> Iterator[RowProblem]:
    """Masks whose numbers nobody names, or that cannot show what the row says; for rows whose cells are good."""
    if row.organs is not None and not (folder / row.organs).is_dir() and not label_map.organs:
        fix = f'Write {LABEL_MAP_FILE} beside {TABLE}: {{"organs": {{"1": "spleen"}}}}.'
        yield _problem(row, "organs", Reason.UNKNOWN_LABEL, "a mask without names", "names of its numbers", fix)
    if row.lesions is not None:
        yield from _lesion_problems(folder / row.lesions, label_map, row)


def where(row: FolderRow, column: str) -> str:
    """How messages name a cell."""
    return f"{TABLE}: row {row.number}: {column}"


def _grids(folder: Path, row: FolderRow, column: str, name: str) -> Iterator[Grid | RowProblem]:
    path = folder / name
    if column == "ct" and path.is_dir():
        yield _problem(row, column, Reason.UNREADABLE_IMAGE, "a folder", "a NIfTI file", "Name the file.")
        return
    files = mask_files(path)
    if not files:
        yield _problem(row, column, Reason.MISSING_FILE, "an empty folder", "NIfTI files", "Add the masks.")
    for file in files:
        if not file.resolve().is_relative_to(folder):
            found = f"a link out of the folder {file.name[:60]!a}"
            yield _problem(row, column, Reason.UNSAFE_PATH, found, "a file in the folder", "Copy the file instead.")
            continue
        try:
            yield read_grid(file, name=f"{where(row, column)} ({file.relative_to(folder).as_posix()})")
        except DataError as cause:
            yield from (RowProblem(row.case_id, Reason.UNREADABLE_IMAGE, problem) for problem in cause.problems)


def _lesion_problems(path: Path, label_map: InputLabelMap, row: FolderRow) -> Iterator[RowProblem]:
    known: set[TumorType] = set()
    if path.is_dir():
        for file in mask_files(path):
            kind = lesion_type(mask_name(file))
            if kind is None:
                expected = f"<type>_lesion.nii.gz with a type of {', '.join(TumorType)}"
                found = f"mask {file.name[:60]!a}"
                yield _problem(row, "lesions", Reason.UNKNOWN_LABEL, found, expected, "Rename it.")
            else:
                known.add(kind)
    elif label_map.lesions:
        known |= set(label_map.lesions.values())
    elif len(row.lesion_types) == 1:
        known |= set(row.lesion_types)
    else:
        found = f"{len(row.lesion_types)} types and no `lesions` in {LABEL_MAP_FILE}"
        expected = "one type for a binary mask, or names of the numbers"
        fix = f'Name the type, or write {LABEL_MAP_FILE}: {{"lesions": {{"1": "liver"}}}}.'
        yield _problem(row, "lesion_types", Reason.UNKNOWN_LABEL, found, expected, fix)
        return
    for kind in row.lesion_types:
        if kind not in known:
            found = f"'{kind}', which the mask cannot show"
            yield _problem(
                row, "lesion_types", Reason.BAD_VALUE, found, f"of {', '.join(sorted(known))}", "Correct it."
            )


def _problem(row: FolderRow, column: str, reason: Reason, found: str, expected: str, fix: str) -> RowProblem:
    return RowProblem(row.case_id, reason, Problem(where(row, column), found, expected, fix))
