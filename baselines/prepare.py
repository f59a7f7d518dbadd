"""Release -> compressed arrays on the recipe's grid (store.py); resumable, the same bytes each time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from scipy import ndimage

from rsuper_bench.baselines.arrays import SUFFIX, array_bytes
from rsuper_bench.baselines.recipe import STORE_VERSION, Recipe
from rsuper_bench.baselines.resampling import to_grid
from rsuper_bench.baselines.store import (
    CASES,
    STORE_FILE,
    ArrayName,
    CaseIndex,
    LesionIndex,
    Store,
    StoreInfo,
    case_file,
    check_version,
    damaged_arrays,
)
from rsuper_bench.baselines.targets import EXCLUDED_LESION, SMALLEST_VOXELS, Box
from rsuper_bench.benchmark.components import components
from rsuper_bench.benchmark.errors import ConfigError, DataError, Problem
from rsuper_bench.benchmark.files import (
    pretty_json,
    read_model,
    read_text,
    sha256_bytes,
    sha256_file,
    write_bytes,
    write_text,
)
from rsuper_bench.benchmark.nifti import MAX_VOXELS, Volume
from rsuper_bench.benchmark.records import CaseRecord, Split
from rsuper_bench.benchmark.release import CaseVolumes, LabelMap, Release

MAD_TO_DEVIATION = 1.4826  # of a normal distribution
SMALLEST_DEVIATION_HU = 5.0
LARGEST_LABEL = 255


@dataclass(frozen=True, eq=False)
class PreparedCase:
    """Arrays of one case on the recipe's grid: CT in clipped HU, organ labels, lesion labels or None."""

    index: CaseIndex
    ct: NDArray[np.int16]
    organs: NDArray[np.uint8]
    lesions: NDArray[np.uint8] | None

    @property
    def affine(self) -> NDArray[np.float64]:
        """From voxel index to RAS mm."""
        return np.asarray(self.index.affine, dtype=np.float64)


def prepare_case(record: CaseRecord, volumes: CaseVolumes, label_map: LabelMap, recipe: Recipe) -> PreparedCase:
    """Bring one case to the recipe's grid.

    Raises:
        DataError: If a mask lies on another grid than the CT, or has a label that no byte holds.
    """
    for name, mask in (("organs", volumes.organs), ("lesions", volumes.lesions)):
        if mask is not None and not mask.same_grid(volumes.ct):
            raise DataError.of(
                [Problem(f"case {record.case_id}: {name}", "on another grid than the CT", "one grid", "Resample it.")]
            )
        if mask is not None and not 0 <= mask.data.min() <= mask.data.max() <= LARGEST_LABEL:
            labels = f"labels from {mask.data.min():g} to {mask.data.max():g}"
            raise DataError.of(
                [Problem(f"case {record.case_id}: {name}", labels, f"0 to {LARGEST_LABEL}", "Renumber them.")]
            )
    ct = to_grid(volumes.ct.canonical(), recipe.grid_mm, order=1)
    hu = np.rint(np.clip(ct.data, *recipe.window_hu)).astype(np.int16)
    if volumes.organs is None:
        organs = np.zeros(hu.shape, dtype=np.uint8)
    else:
        organs = to_grid(volumes.organs.canonical(), recipe.grid_mm, order=0).data.astype(np.uint8)
    lesions: NDArray[np.uint8] | None = None
    found: tuple[LesionIndex, ...] = ()
    if volumes.lesions is not None and record.lesion_masks:
        lesions, found = _prepare_lesions(volumes.lesions.canonical(), hu.shape, record, label_map, recipe)
    present = [int(number) for number in np.unique(organs) if number]
    boxes = ndimage.find_objects(organs)
    counts = np.bincount(organs.ravel())
    index = CaseIndex(
        record=record,
        shape=hu.shape,
        affine=tuple(tuple(row) for row in ct.affine.tolist()),
        mean_hu=float(hu.mean(dtype=np.float64)),
        std_hu=float(max(hu.std(dtype=np.float64), 1.0)),
        organ_voxels={number: int(counts[number]) for number in present},
        organ_boxes={number: _box(boxes[number - 1]) for number in present},
        organ_hu={number: _spread(hu[boxes[number - 1]][organs[boxes[number - 1]] == number]) for number in present},
        lesions=found,
    )
    return PreparedCase(index, hu, organs, lesions)


def _prepare_lesions(
    drawn: Volume, shape: tuple[int, ...], record: CaseRecord, label_map: LabelMap, recipe: Recipe
) -> tuple[NDArray[np.uint8], tuple[LesionIndex, ...]]:
    """Lesion labels on the grid. A lesion it cannot show is marked at its centre as excluded."""
    result = np.zeros(shape, dtype=np.uint8)
    found = []
    numbers = {kind: number for number, kind in label_map.lesions.items()}
    for kind in sorted(record.lesion_masks):
        mask = label_map.lesion_mask(drawn.data, kind)
        if not mask.any():
            continue
        parts, _ = components(mask)
        large = np.bincount(parts.ravel()) * drawn.voxel_mm3 >= SMALLEST_VOXELS * recipe.grid_mm**3
        large[0] = False
        shown = to_grid(Volume(large[parts].astype(np.float32), drawn.affine), recipe.grid_mm, order=1).data >= 0.5
        result[shown] = numbers[kind]
        for label, slices in enumerate(ndimage.find_objects(parts), start=1):
            box = _box_on_grid(slices, drawn, recipe.grid_mm, shape)
            reason = None
            if not large[label]:
                reason = "under_two_voxels"
            elif not shown[tuple(slice(a, b) for a, b in zip(*box, strict=True))].any():
                reason = "too_thin_for_the_grid"
            if reason is not None:
                result[tuple((a + b - 1) // 2 for a, b in zip(*box, strict=True))] = numbers[kind] + EXCLUDED_LESION
            found.append(LesionIndex(tumor_type=kind, box=box, excluded=reason))
    return result, tuple(found)


def _box_on_grid(slices: tuple[slice, ...], volume: Volume, grid_mm: float, shape: tuple[int, ...]) -> Box:
    """The voxels of the new grid that a box of the old one touches."""
    low, high = [], []
    for part, step, size in zip(slices, volume.spacing_mm, shape, strict=True):
        first = min(int(part.start * step / grid_mm + 1e-6), size - 1)
        low.append(first)
        high.append(max(min(int(np.ceil(part.stop * step / grid_mm - 1e-6)), size), first + 1))
    return (low[0], low[1], low[2]), (high[0], high[1], high[2])


def _spread(hu: NDArray[np.int16]) -> tuple[float, float]:
    """Median, and the deviation that the median absolute deviation stands for: a tumor hardly moves either."""
    median = float(np.median(hu))
    deviation = MAD_TO_DEVIATION * float(np.median(np.abs(hu - median)))
    return median, max(deviation, SMALLEST_DEVIATION_HU)


def _box(slices: tuple[slice, ...]) -> Box:
    x, y, z = slices
    return (x.start, y.start, z.start), (x.stop, y.stop, z.stop)


def prepare(
    release: Release,
    recipe: Recipe,
    out: Path,
    *,
    splits: Iterable[Split] = (Split.TRAIN,),
    jobs: int = 1,
    on_case: Callable[[int, int], None] | None = None,
) -> Store:
    """Prepare the cases of some splits. What an earlier run finished is kept, if its check sums still hold.

    Args:
        release: A release with images.
        recipe: Its grid and window.
        out: Folder of the store; splits prepared there before stay, and are checked too.
        splits: Splits to prepare; training needs only ``train``.
        jobs: Processes, each with one case in memory; the store has the same bytes for any number.
        on_case: Called with the number of finished cases and of all cases.

    Raises:
        ConfigError: When the recipe's grid makes a case larger than any CT.
        DataError: When the release has no such cases, a case cannot be used (all problems at once), or ``out`` holds
            something else: a store of another release or grid too, or is being filled.
    """
    records = [record for split in splits for record in release.records(split)]
    if not records:
        raise DataError.of(
            [Problem(str(release.folder), "no cases in these splits", "cases", "Check the splits of the release.")]
        )
    info = StoreInfo(
        version=STORE_VERSION,
        release_digest=release.digest,
        grid_digest=recipe.grid_digest,
        grid_mm=recipe.grid_mm,
        label_map=release.label_map.to_json(),
    )
    _check_labels(release)
    _check_size(records, recipe)
    with _locked(out):
        return _fill(release, recipe, records, info, out, jobs, on_case)


def _fill(
    release: Release,
    recipe: Recipe,
    records: list[CaseRecord],
    info: StoreInfo,
    out: Path,
    jobs: int,
    on_case: Callable[[int, int], None] | None,
) -> Store:
    from joblib import Parallel, delayed

    _start(out, info)
    cases = Store(out).info.cases if (out / STORE_FILE).exists() else {}
    wanted = {record.case_id for record in records} | set(cases)  # what is there is checked, whatever its split
    records = [record for record in release.records() if record.case_id in wanted]
    problems: list[Problem] = []
    work = Parallel(n_jobs=jobs, return_as="generator_unordered")(
        delayed(_prepare_one)(release, record, recipe, out, cases.get(record.case_id)) for record in records
    )
    for done, (case_id, digest, found) in enumerate(work, start=1):
        problems += found
        cases[case_id] = digest
        if on_case is not None:
            on_case(done, len(records))
    if problems:
        raise DataError.of(sorted(problems, key=lambda problem: problem.where))
    write_text(out / STORE_FILE, pretty_json(info.model_copy(update={"cases": dict(sorted(cases.items()))})))
    return Store(out)


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        found, fix = "another process prepares cases here", "Wait for it, or stop it."
        raise DataError.of([Problem(str(out), found, "one at a time", fix)]) from None
    try:
        yield
    finally:
        lock.release()


def _check_size(records: list[CaseRecord], recipe: Recipe) -> None:
    """A grid far too fine for the memory is a slip, and is found before the first case is read."""
    sizes = {
        record.case_id: prod(
            max(round(n * step / recipe.grid_mm), 1)
            for n, step in zip(record.ct.shape, record.ct.spacing_mm, strict=True)
        )
        for record in records
    }
    largest = max(sizes, key=lambda case_id: sizes[case_id])
    if sizes[largest] > MAX_VOXELS:
        found = f"case {largest} would have {sizes[largest]:.3g} voxels"
        problem = Problem(f"grid_mm {recipe.grid_mm:g}", found, f"at most {MAX_VOXELS:.3g}", "Use a coarser grid.")
        raise ConfigError.of([problem])


def _check_labels(release: Release) -> None:
    """Labels are stored in a byte, lesions that are too small for the grid beside the others."""
    label_map = release.label_map
    problems = [
        Problem(f"{release.folder}: label_map.json", f"{name} has number {number}", f"1 to {last}", "Renumber it.")
        for labels, last in ((label_map.organs, LARGEST_LABEL), (label_map.lesions, EXCLUDED_LESION - 1))
        for number, name in labels.items()
        if not 0 < number <= last
    ]
    if problems:
        raise DataError.of(problems)


def _start(out: Path, info: StoreInfo) -> None:
    """Go on with a store of the same origin, or begin one; ``started.json`` says what is there."""
    started, own = out / "started.json", pretty_json(info)
    if started.exists():
        if read_text(started, DataError) != own:
            raise DataError.of([_foreign(out, info)])
    elif (out / CASES).exists():
        raise DataError.of(
            [Problem(str(out), "holds `cases` that are not a store", "a new folder", "Name another folder.")]
        )
    else:
        write_text(started, own)
    left_behind = (path for name in ("started.json", STORE_FILE) for path in out.glob(f".{name}.*.partial"))
    for path in (*left_behind, *(out / CASES).glob(".*.partial")):  # by a run that was killed while it wrote
        path.unlink()


def _foreign(out: Path, info: StoreInfo) -> Problem:
    check_version(out / "started.json")
    there = read_model(out / "started.json", StoreInfo, DataError)
    found = "prepared from another release"
    if there.grid_digest != info.grid_digest:
        found = f"prepared for a grid of {there.grid_mm} mm or another window_hu"
    return Problem(str(out), found, "a store of this release and recipe", "Name another folder, or delete this one.")


def _prepare_one(
    release: Release, record: CaseRecord, recipe: Recipe, out: Path, before: str | None
) -> tuple[str, str, list[Problem]]:
    """Case id, sha256 of its index (``before``: what it was), and what is wrong with the case."""
    case_id = record.case_id
    done = case_file(out, case_id, ".json")
    if done.exists() and before in (None, sha256_file(done)):
        try:
            there = read_model(done, CaseIndex, DataError).files
        except DataError:
            there = {}  # the index is damaged: the case is prepared again
        if there and not damaged_arrays(out, case_id, there):
            return case_id, sha256_file(done), []
    try:
        case = prepare_case(record, release.volumes(case_id), release.label_map, recipe)
    except DataError as error:
        return case_id, "", list(error.problems)
    arrays: dict[ArrayName, NDArray[Any] | None] = {"ct": case.ct, "organs": case.organs, "lesions": case.lesions}
    files: dict[ArrayName, str] = {}
    for name, array in arrays.items():
        if array is not None:
            content = array_bytes(array)
            files[name] = sha256_bytes(content)
            write_bytes(case_file(out, case_id, f".{name}{SUFFIX}"), content)
    # Written last: a case counts as prepared when its index is there.
    text = pretty_json(case.index.model_copy(update={"files": files}))
    write_text(done, text)
    return case_id, sha256_bytes(text.encode()), []
