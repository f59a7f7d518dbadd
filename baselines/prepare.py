"""Release -> arrays on the recipe's grid that are memory-mapped in training; resumable, the same bytes each time."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rsuper_bench.baselines.recipe import STORE_VERSION, Recipe
from rsuper_bench.baselines.resampling import to_grid
from rsuper_bench.baselines.targets import EXCLUDED_LESION, SMALLEST_VOXELS, Box
from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.files import digest_of, pretty_json, read_model, write_bytes, write_text
from rsuper_bench.benchmark.nifti import Volume
from rsuper_bench.benchmark.records import CaseRecord, Record, Split
from rsuper_bench.benchmark.release import CaseVolumes, LabelMap, Release
from rsuper_bench.benchmark.tumor_types import TumorType

STORE_FILE = "store.json"
MAD_TO_DEVIATION = 1.4826  # of a normal distribution
SMALLEST_DEVIATION_HU = 5.0


class LesionIndex(Record):
    """One drawn lesion: its type, its box on the recipe's grid, and why it is not used, if it is not."""

    tumor_type: TumorType
    box: Box
    excluded: str | None = None


class CaseIndex(Record):
    """What training needs to know of a case without reading its voxels.

    Boxes are the first and the past-the-last index; ``organ_hu`` is median and robust deviation of each organ label.
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


class StoreInfo(Record):
    """What a store was made from; ``state`` is complete when every case is there."""

    version: int
    release_digest: str
    grid_digest: str
    grid_mm: float
    label_map: dict[str, dict[str, str]]
    cases: tuple[str, ...]


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
        DataError: If a mask lies on another grid than the CT.
    """
    for name, mask in (("organs", volumes.organs), ("lesions", volumes.lesions)):
        if mask is not None and not mask.same_grid(volumes.ct):
            raise DataError.of(
                [Problem(f"case {record.case_id}: {name}", "on another grid than the CT", "one grid", "Resample it.")]
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
        organ_hu={number: _spread(hu[organs == number]) for number in present},
        lesions=found,
    )
    return PreparedCase(index, hu, organs, lesions)


def _prepare_lesions(
    drawn: Volume, shape: tuple[int, ...], record: CaseRecord, label_map: LabelMap, recipe: Recipe
) -> tuple[NDArray[np.uint8], tuple[LesionIndex, ...]]:
    """Lesion labels on the grid. A lesion it cannot show is marked at its centre as excluded."""
    import cc3d

    result = np.zeros(shape, dtype=np.uint8)
    found = []
    numbers = {kind: number for number, kind in label_map.lesions.items()}
    for kind in sorted(record.lesion_masks):
        mask = label_map.lesion_mask(drawn.data, kind)
        components = np.asarray(cc3d.connected_components(mask, connectivity=26))
        large = np.bincount(components.ravel()) * drawn.voxel_mm3 >= SMALLEST_VOXELS * recipe.grid_mm**3
        large[0] = False
        shown = to_grid(Volume(large[components].astype(np.float32), drawn.affine), recipe.grid_mm, order=1).data >= 0.5
        result[shown] = numbers[kind]
        for label, slices in enumerate(ndimage.find_objects(components), start=1):
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


class Store:
    """Prepared cases on disk.

    Raises:
        DataError: When the folder is not a finished store.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.info = read_model(folder / STORE_FILE, StoreInfo, DataError)
        self.label_map = LabelMap.from_json(self.info.label_map)

    @property
    def digest(self) -> str:
        """Digest of what the store was made from, and so of its arrays."""
        return digest_of(self.info)

    def check(self, recipe: Recipe) -> None:
        """Refuse a store that was prepared for another grid or window.

        Raises:
            DataError: If so.
        """
        if self.info.version != STORE_VERSION or self.info.grid_digest != recipe.grid_digest:
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

    def indices(self, split: Split) -> list[CaseIndex]:
        """Index entries of a split, sorted by case id."""
        entries = [read_model(self._case(case_id, "json"), CaseIndex, DataError) for case_id in self.info.cases]
        return [entry for entry in entries if entry.record.split is split]

    def open(self, index: CaseIndex) -> PreparedCase:
        """Memory-map the arrays of a case."""
        case_id = index.record.case_id

        def mapped(name: str) -> NDArray[Any]:
            path = self._case(case_id, f"{name}.npy")
            try:
                array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
            except (OSError, ValueError) as cause:
                raise DataError.of(
                    [Problem(str(path), f"cannot be read ({type(cause).__name__})", "an array", "Prepare again.")]
                ) from None
            if array.shape != index.shape:
                raise DataError.of(
                    [Problem(str(path), f"shape {array.shape}", f"shape {index.shape}", "Prepare again.")]
                )
            return array

        lesions = mapped("lesions") if index.record.lesion_masks else None
        return PreparedCase(index, mapped("ct"), mapped("organs"), lesions)

    def _case(self, case_id: str, suffix: str) -> Path:
        return self.folder / "cases" / f"{case_id}.{suffix}"


def prepare(
    release: Release,
    recipe: Recipe,
    out: Path,
    *,
    splits: Iterable[Split] = (Split.TRAIN,),
    jobs: int = 1,
    on_case: Callable[[int, int], None] | None = None,
) -> Store:
    """Prepare the cases of some splits; what an interrupted run has finished is kept.

    Args:
        release: A release with images.
        recipe: Its grid and window.
        out: Folder of the store. One made from another release or grid is replaced.
        splits: Splits to prepare; training needs only ``train``.
        jobs: Processes; the store has the same bytes for any number.
        on_case: Called with the number of finished cases and of all cases.

    Raises:
        DataError: When the release has no such cases, or a case cannot be used (all problems at once).
    """
    from joblib import Parallel, delayed

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
        cases=tuple(sorted(record.case_id for record in records)),
    )
    _clear_foreign(out, info)
    todo = [record for record in records if not (out / "cases" / f"{record.case_id}.json").exists()]
    done = len(records) - len(todo)
    problems: list[Problem] = []
    work = Parallel(n_jobs=jobs, return_as="generator_unordered")(
        delayed(_prepare_one)(release, record, recipe, out) for record in todo
    )
    for found in work:
        problems += found
        done += 1
        if on_case is not None:
            on_case(done, len(records))
    if problems:
        raise DataError.of(sorted(problems, key=lambda problem: problem.where))
    write_text(out / STORE_FILE, pretty_json(info))
    return Store(out)


def _clear_foreign(out: Path, info: StoreInfo) -> None:
    """Remove cases prepared from another release or for another grid; ``started.json`` says what is there."""
    started = out / "started.json"
    own = pretty_json(info.model_copy(update={"cases": ()}))
    if (out / "cases").exists() and not (started.exists() and started.read_text(encoding="utf-8") == own):
        if not started.exists():
            raise DataError.of(
                [Problem(str(out), "holds `cases` that are not a store", "a new folder", "Name another folder.")]
            )
        shutil.rmtree(out / "cases")
    (out / STORE_FILE).unlink(missing_ok=True)
    write_text(started, own)


def _prepare_one(release: Release, record: CaseRecord, recipe: Recipe, out: Path) -> list[Problem]:
    try:
        case = prepare_case(record, release.volumes(record.case_id), release.label_map, recipe)
    except DataError as error:
        return list(error.problems)
    folder = out / "cases"
    for name, array in (("ct", case.ct), ("organs", case.organs), ("lesions", case.lesions)):
        if array is not None:
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            write_bytes(folder / f"{record.case_id}.{name}.npy", buffer.getvalue())
    # Written last: a case counts as prepared when its index is there.
    write_text(folder / f"{record.case_id}.json", pretty_json(case.index))
    return []
