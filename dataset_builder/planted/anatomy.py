"""A real CT with organ labels, made ready for planting."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.files import read_table
from rsuper_bench.benchmark.nifti import Volume, read_nifti
from rsuper_bench.benchmark.tumor_types import Sex, TumorType
from rsuper_bench.dataset_builder.label_map import ORGAN_NUMBER
from rsuper_bench.dataset_builder.lesions.organ_map import OrganMap
from rsuper_bench.dataset_builder.planted.config import PlantedConfig
from rsuper_bench.dataset_builder.planted.texture import ResidualTexture

AERATED_HU = -300.0  # an organ darker than this is lung
_GAS_HU = -200.0
_BODY_HU = -300.0
_SOFT_TISSUE_HU = (-50.0, 200.0)  # gas and contrast inside a hollow organ are not its attenuation
_FAT_HU = (-140.0, -40.0)
# Parts that label sets name one by one, under the name they have in our masks.
_PARTS_OF = {"vertebrae_": "vertebrae", "sacrum": "vertebrae", "kidney_cyst_": "kidney_"}


@dataclass(frozen=True)
class Anatomy:
    """What all planted cases share; none of it is changed by planting.

    Attributes:
        ct: The image, RAS.
        organs: Organ labels with our numbers, on the same grid.
        fat: Voxels that an outgrowing tumor may take.
        blocked: Voxels where nothing can grow: gas in bowel.
        organ_hu: Typical HU of each label.
        texture: Structure of each organ.
        kinds: Types of the organs in view.
        sex: From the pelvic organs, or None.
    """

    ct: Volume
    organs: OrganMap
    fat: NDArray[np.bool_]
    blocked: NDArray[np.bool_]
    organ_hu: dict[int, float]
    texture: ResidualTexture
    kinds: tuple[TumorType, ...]
    sex: Sex | None


def read_anatomy(ct_path: Path, organs_path: Path, labels_path: Path, config: PlantedConfig) -> Anatomy:
    """Read the three files.

    Raises:
        DataError: A file that cannot be used, two grids, labels without a supported organ.
    """
    ct, given = read_nifti(ct_path).canonical(), read_nifti(organs_path).canonical()
    table = _label_table(labels_path)
    problems = []
    if not ct.same_grid(given):
        found = f"a grid of {given.data.shape}"
        expected = f"the grid of the CT, {ct.data.shape} with the same affine"
        problems.append(Problem(str(organs_path), found, expected, "Resample the organ labels to the CT."))
    if given.data.dtype.kind == "f" and (given.data != np.rint(given.data)).any():
        problems.append(
            Problem(str(organs_path), "values that are no whole numbers", "a label map", "Save it as integers.")
        )
    if problems:
        raise DataError.of(problems)
    numbers = np.zeros(given.data.shape, np.uint8)
    for value in np.unique(given.data).tolist():
        numbers[given.data == value] = table.get(int(value), 0)
    numbers[(numbers == 0) & _body(ct)] = ORGAN_NUMBER["body"]
    organs = OrganMap(numbers, ct.spacing_mm)
    wanted = config.tumor_types or tuple(TumorType)
    kinds = tuple(kind for kind in wanted if organs.volume_mm3(organs.numbers(kind)) >= config.min_organ_mm3)
    if not kinds:
        found = f"no wanted organ with {config.min_organ_mm3:g} mm3 or more"
        fix = f"Check the names in {labels_path.name}, and tumor_types and min_organ_mm3 in the configuration."
        raise DataError.of([Problem(str(organs_path), found, "labels such as liver, spleen, kidney_left", fix)])
    hu = ct.data.astype(np.float32)
    organ_hu = {number: _typical_hu(hu[box][numbers[box] == number]) for number, box in organs.boxes.items()}
    solid = [number for number in organs.boxes if number != ORGAN_NUMBER["body"] and organ_hu[number] > AERATED_HU]
    lung = np.isin(numbers, [number for number, value in organ_hu.items() if value <= AERATED_HU])
    return Anatomy(
        ct=ct,
        organs=organs,
        fat=_fat(hu, numbers == ORGAN_NUMBER["body"]),
        blocked=(hu < _GAS_HU) & ~lung,
        organ_hu=organ_hu,
        texture=ResidualTexture(hu, organs, solid),
        kinds=kinds,
        sex=_sex(organs),
    )


def _label_table(path: Path) -> dict[int, int]:
    """Our number of each given label; what we have no name for is 0."""
    problems, table = [], {}
    for number, row in enumerate(read_table(path, ["label", "name"]), start=2):
        label, name = row["label"].strip(), row["name"].strip()
        if not (label.isascii() and label.isdigit()):
            problems.append(Problem(f"{path}: row {number}", "a label that is no number", "a whole number", "Mend it."))
            continue
        for prefix, ours in _PARTS_OF.items():
            if name.startswith(prefix):
                name = ours + name.removeprefix(prefix) if ours.endswith("_") else ours
        table[int(label)] = ORGAN_NUMBER.get(name, 0)
    if problems:
        raise DataError.of(problems)
    return table


def _body(ct: Volume) -> NDArray[np.bool_]:
    """The largest thing denser than air, its holes included slice by slice."""
    parts, count = ndimage.label(ndimage.binary_opening(ct.data > _BODY_HU))
    if not count:
        return np.zeros(ct.data.shape, dtype=bool)
    largest = parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    for z in range(largest.shape[2]):
        largest[:, :, z] = ndimage.binary_fill_holes(largest[:, :, z])
    return np.asarray(largest)


def _fat(hu: NDArray[np.float32], body: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Fat without its specks of noise and small vessels: what a tumor can grow into."""
    raw = body & (hu > _FAT_HU[0]) & (hu < _FAT_HU[1])
    block = np.ones((3, 3, 3), dtype=bool)
    return np.asarray(ndimage.binary_opening(ndimage.binary_closing(raw, block) & body, block))


def _typical_hu(values: NDArray[np.float32]) -> float:
    soft = values[(values > _SOFT_TISSUE_HU[0]) & (values < _SOFT_TISSUE_HU[1])]
    return float(np.median(soft if len(soft) > len(values) / 4 else values))


def _sex(organs: OrganMap) -> Sex | None:
    male, female = (bool(organs.numbers(kind)) for kind in (TumorType.PROSTATE, TumorType.UTERUS))
    if male == female:
        return None
    return Sex.MALE if male else Sex.FEMALE
