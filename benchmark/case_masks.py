"""All that is read from the masks of one case: each file once, for score, volume and lesions."""

from __future__ import annotations

import gzip
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from rsuper_bench.benchmark.errors import DataError, Problem, RsuperBenchError, SubmissionError
from rsuper_bench.benchmark.lesion_outcome import measure_lesions
from rsuper_bench.benchmark.lesion_record import LesionOutcome
from rsuper_bench.benchmark.mask_prediction import denoised_volume_mm3, mask_score, out_of_range
from rsuper_bench.benchmark.nifti import AFFINE_TOLERANCE_MM, Grid, Volume, read_nifti
from rsuper_bench.benchmark.records import CtInfo, Fraction, Record
from rsuper_bench.benchmark.release import LabelMap, Location, read_columns
from rsuper_bench.benchmark.tumor_types import TumorType

_HEADER_BYTES = 352


class MaskFigures(Record):
    """What one predicted mask says: a score, a denoised volume, and its lesions where they are wanted."""

    score: Fraction
    volume_mm3: Annotated[float, Field(ge=0)]
    lesions: LesionOutcome | None = None


class CaseFigures(Record):
    """What the masks of one case say."""

    case_id: str
    masks: dict[TumorType, MaskFigures]


@dataclass(frozen=True)
class CaseWork:
    """What a worker needs to read the masks of one case.

    Attributes:
        patient: Salted hash.
        masks: Predicted masks.
        ct: What the release's table says of the CT.
        location: Where the images of the case lie in the release; None where it has none.
        label_map: Numbers of the lesion mask.
        drawn: Types whose lesions the release has drawn, to compare with, and the volume of them in mm^3.
        undrawn: Types that are positive and whose lesions are not drawn.
    """

    case_id: str
    patient: str
    masks: dict[TumorType, Path]
    ct: CtInfo
    location: Location | None
    label_map: LabelMap | None
    drawn: dict[TumorType, float]
    undrawn: frozenset[TumorType]


def measure_case(work: CaseWork) -> tuple[CaseFigures, list[Problem]]:
    """Read the masks of a case, and list those that cannot be used.

    Raises:
        DataError: If the images of the release are damaged.
    """
    lesions = _lesion_mask(work)
    grid = _grid(work) if lesions is None else lesions.grid
    masks: dict[TumorType, MaskFigures] = {}
    problems: list[Problem] = []
    for kind, path in sorted(work.masks.items()):
        where = f"mask of {work.case_id} {kind}"
        try:
            mask = read_nifti(
                path, name=where, error=SubmissionError, shape=work.ct.shape if grid is None else grid.shape
            )
        except RsuperBenchError as cause:
            problems += cause.problems
            continue
        problem = _misfit(mask, grid, work.ct, where)
        if problem is not None:
            problems.append(problem)
            continue
        outcome = None
        if kind in work.drawn or kind in work.undrawn:
            drawn = None if lesions is None or kind not in work.drawn else _drawn(work, lesions, kind)
            outcome = measure_lesions(mask, drawn, case_id=work.case_id, patient=work.patient, tumor_type=kind)
        masks[kind] = MaskFigures(score=mask_score(mask), volume_mm3=denoised_volume_mm3(mask), lesions=outcome)
    return CaseFigures(case_id=work.case_id, masks=masks), problems


def _misfit(mask: Volume, grid: Grid | None, ct: CtInfo, where: str) -> Problem | None:
    if grid is not None and not grid.same(mask.grid):
        fix = "Save it with the CT's affine."
        return Problem(where, "another affine than the CT", "the affine of the CT", fix)
    if grid is None and not np.allclose(mask.spacing_mm, ct.spacing_mm, atol=AFFINE_TOLERANCE_MM, rtol=0):
        shown = " x ".join(f"{size:.4g}" for size in mask.spacing_mm)
        expected = f"{' x '.join(f'{size:.4g}' for size in ct.spacing_mm)} mm, as the CT"
        return Problem(where, f"voxels of {shown} mm", expected, "Save it with the CT's affine.")
    if grid is None and mask.orientation != ct.orientation:
        fix = "Save it with the CT's affine."
        return Problem(where, f"orientation {mask.orientation}", f"{ct.orientation}, as the CT", fix)
    if wrong := out_of_range(mask):
        fix = "Scale it (scl_slope 1/255 for uint8)."
        return Problem(where, f"{wrong} voxels outside [0, 1]", "probabilities", fix)
    return None


def _lesion_mask(work: CaseWork) -> Volume | None:
    """The drawn lesions, where they are wanted and the release carries them."""
    if not work.drawn or work.location is None:
        return None
    lesions = read_columns(work.location, ["lesions"]).get("lesions")
    if lesions is None:
        return None
    return read_nifti(lesions["bytes"], name=f"case {work.case_id}: lesions")


def _drawn(work: CaseWork, lesions: Volume, kind: TumorType) -> NDArray[np.bool_] | None:
    """Voxels of the lesions of a type; a mask that contradicts the table is no reference."""
    if work.label_map is None:
        return None
    drawn = work.label_map.lesion_mask(lesions.data, kind)
    if bool(drawn.any()) != (work.drawn[kind] > 0):
        found = (
            f"the table says {work.drawn[kind]:g} mm^3 of {kind} lesions, the mask {'some' if drawn.any() else 'none'}"
        )
        fix = "Check the release with dataset lint, and rebuild it."
        raise DataError.of([Problem(f"case {work.case_id}", found, "one truth", fix)])
    return drawn


def _grid(work: CaseWork) -> Grid | None:
    """Grid of the CT from the head of the embedded file; None where the release does not carry it."""
    if work.location is None:
        return None
    ct = read_columns(work.location, ["ct"])["ct"]
    return None if ct is None else nifti_grid(ct["bytes"], work.case_id)  # None: an overlay that was not attached


def nifti_grid(data: bytes, case_id: str) -> Grid:
    """Shape and affine of NIfTI-1 bytes, of which only the header is unpacked.

    Raises:
        DataError: If there is no header.
    """
    try:
        head = data[:_HEADER_BYTES]
        if data[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
                head = file.read(_HEADER_BYTES)
        header: Any = nib.Nifti1Header.from_fileobj(io.BytesIO(head))
        affine: NDArray[np.float64] = np.asarray(header.get_best_affine())
        return Grid(tuple(int(size) for size in header.get_data_shape()[:3]), affine)
    except Exception as cause:  # nibabel raises many types for a damaged header
        raise DataError.of(
            [Problem(f"case {case_id}", f"unreadable CT ({type(cause).__name__})", "NIfTI-1", "Rebuild the release.")]
        ) from None
