"""Whether a series is a CT of the body on a regular grid; if not, the reason code that says why.

The checks go from what the series is to how its slices lie, and the first that fails gives the reason.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from pydicom.uid import (
    UID,
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
)

from rsuper_bench.benchmark.nifti import MAX_VOXELS
from rsuper_bench.dataset_builder.dicom.config import DicomConfig
from rsuper_bench.dataset_builder.dicom.headers import Instance, SeriesInfo, has_decoder
from rsuper_bench.dataset_builder.rejection import Reason

MAX_SIDE = 4096  # rows and columns of a CT slice; a larger one is damage or an attack
MAX_TILT_DEGREES = 0.5
_HOUNSFIELD = ("", "HU", "US")  # "US" is "unspecified", which some software adds to CTs that it has copied
_AXIAL_COSINE = float(np.cos(np.radians(30)))
_POSITION_MM = 0.01  # slices closer than this lie at one place
_DRIFT_MM = 0.5
_MULTIFRAME = (EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)
_SCOUT = re.compile(
    r"\b(scout|topo|topogram|locali[sz]er|surview|scanogram|pilot|bolus ?track|smart ?prep|(pre-?)?monitoring|"
    r"test ?bolus|timing)\b"
)
_DERIVED_TYPES = {
    *("SECONDARY", "MPR", "REFORMATTED", "PROJECTION IMAGE", "MIP", "MINIP", "MAX_IP", "MIN_IP", "VRT", "3D"),
    *("SCREEN SAVE", "SUBTRACTION", "PERFUSION", "DOSE", "DOSE_INFO", "MONOCHROMATIC", "MATERIAL"),
}
_DERIVED_WORDS = re.compile(
    r"\b(mpr|mip|minip|vrt|vr|3d|dose ?(report|record|info)|patient protocol|screen ?(save|shot)|iodine map)\b"
)
_OTHER_PARTS = re.compile(
    r"\b(head|headneck|brain|skull|neck|sinus(es)?|orbits?|temporal bones?|[ctl]spine|knee|foot|ankle|hand|wrist|"
    r"elbow|shoulder|extremit(y|ies)|schaedel|kopf)\b"
)
_BODY_PARTS = re.compile(
    r"\b(abd\w*|pelvi\w*|chest|thora\w*|body|trunk|torso|cap|tap|liver|pancrea\w*|renal|kidneys?)\b"
)


@dataclass(frozen=True)
class Series:
    """The slices of one series, in the order of the export until :func:`check_series` has sorted them."""

    uid: str
    slices: tuple[Instance, ...]

    @property
    def info(self) -> SeriesInfo:
        """Of the first slice."""
        return self.slices[0].info


@dataclass(frozen=True)
class CheckedSeries:
    """A usable series, slices sorted from the patient's feet to the head.

    Attributes:
        affine_lps: Voxel index (column, row, slice) -> LPS mm.
        n_repeated: Files left out because they repeat another one of the same instance.
        n_localizers: Localizer images among the slices, left out.
    """

    uid: str
    slices: tuple[Instance, ...]
    affine_lps: NDArray[np.float64]
    n_repeated: int = 0
    n_localizers: int = 0

    @property
    def info(self) -> SeriesInfo:
        """Of the first slice."""
        return self.slices[0].info

    @property
    def spacing_mm(self) -> float:
        """Distance of two slices."""
        return float(np.linalg.norm(self.affine_lps[:3, 2]))

    @property
    def length_mm(self) -> float:
        """How far the series reaches along the body."""
        return self.spacing_mm * len(self.slices)


@dataclass(frozen=True)
class Refusal:
    """Why a series cannot be used. ``detail`` holds numbers and codes, no text of a tag."""

    reason: Reason
    detail: str


def check_series(
    series: Series, config: DicomConfig, same_content: Callable[[Instance, Instance], bool]
) -> CheckedSeries | Refusal:
    """Check one series.

    Args:
        series: Its files.
        config: Limits.
        same_content: Whether two files that claim to be one instance have the same content; asked only then.
    """
    slices = tuple(item for item in series.slices if "LOCALIZER" not in item.info.image_type)
    if not slices:
        return Refusal(Reason.LOCALIZER, "image type LOCALIZER")
    for info in dict.fromkeys(item.info for item in slices):
        refusal = _what_it_is(info) or _how_it_is_stored(info, config)
        if refusal is not None:
            return refusal
    unique: dict[str, Instance] = {}
    for item in slices:
        first = unique.setdefault(item.sop_uid or item.path, item)
        if first is not item and not same_content(first, item):
            return Refusal(Reason.DUPLICATE_SLICES, "two different files claim to be one instance")
    kept = list(unique.values())
    if len(kept) < config.min_slices:
        return Refusal(Reason.TOO_FEW_SLICES, f"{len(kept)} slices, fewer than {config.min_slices}")
    checked = _how_slices_lie(series.uid, kept, config)
    if isinstance(checked, Refusal):
        return checked
    return replace(checked, n_repeated=len(slices) - len(kept), n_localizers=len(series.slices) - len(slices))


def _what_it_is(info: SeriesInfo) -> Refusal | None:
    text = info.description.lower().replace("_", " ")
    if UID(info.sop_class) in _MULTIFRAME:
        return Refusal(Reason.MULTIFRAME, "enhanced multi-frame CT is not read; export it as single frames")
    if info.modality != "CT" or info.sop_class != CTImageStorage:
        code = info.modality if re.fullmatch(r"[A-Z]{2,16}", info.modality) else "none"
        name = UID(info.sop_class).name if UID(info.sop_class).is_valid else "unknown"
        return Refusal(Reason.NOT_CT, f"modality {code}, {name if name != info.sop_class else 'a private class'}")
    if _SCOUT.search(text):
        return Refusal(Reason.LOCALIZER, "a localizer or bolus tracking by its description")
    found = sorted(_DERIVED_TYPES & set(info.image_type))
    if found:
        return Refusal(Reason.DERIVED_IMAGE, f"image type {found[0]}")
    if _DERIVED_WORDS.search(text):
        return Refusal(Reason.DERIVED_IMAGE, "a reformation or a report page by its description")
    return None


def _how_it_is_stored(info: SeriesInfo, config: DicomConfig) -> Refusal | None:
    if info.burned_in:
        return Refusal(Reason.BURNED_IN_TEXT, "burned-in annotation YES")
    if info.frames > 1:
        return Refusal(Reason.MULTIFRAME, f"{info.frames} frames in a file")
    if info.lossy and not config.allow_lossy:
        return Refusal(Reason.LOSSY, "lossy compression: HU are not exact")
    if not has_decoder(info.transfer_syntax):
        name = UID(info.transfer_syntax).name if UID(info.transfer_syntax).is_transfer_syntax else "unknown"
        return Refusal(Reason.NO_DECODER, f"no decoder for {name}; pip install -e '.[dicom]' in the clone brings more")
    if info.samples != 1 or info.photometric != "MONOCHROME2":
        return Refusal(Reason.NOT_HOUNSFIELD, "no single-channel MONOCHROME2 image")
    if not info.rescaled or info.rescale_type not in _HOUNSFIELD:
        return Refusal(Reason.NOT_HOUNSFIELD, "no rescale slope and intercept to HU")
    if not config.allow_other_body_parts:
        text = f"{info.body_part} {info.description} {info.context}".lower().replace("_", " ")
        if _OTHER_PARTS.search(text) and not _BODY_PARTS.search(text):
            return Refusal(Reason.OTHER_BODY_PART, "head, neck or limb by body part or description")
    if not (1 < info.rows <= MAX_SIDE and 1 < info.columns <= MAX_SIDE):
        return Refusal(Reason.UNREADABLE_IMAGE, f"{info.rows} x {info.columns} pixels")
    return None


def _how_slices_lie(uid: str, slices: list[Instance], config: DicomConfig) -> CheckedSeries | Refusal:
    incomplete = sum(
        not (
            item.position
            and item.info.orientation
            and item.info.pixel_spacing_mm
            and min(item.info.pixel_spacing_mm) > 0
        )
        for item in slices
    )
    if incomplete:
        return Refusal(
            Reason.MISSING_GEOMETRY, f"{incomplete} of {len(slices)} slices have no position, orientation or pixel size"
        )
    first = slices[0].info
    if len(slices) * first.rows * first.columns > MAX_VOXELS:
        return Refusal(Reason.UNREADABLE_IMAGE, f"more than {MAX_VOXELS} voxels")
    shapes = Counter((item.info.rows, item.info.columns) for item in slices)
    if len(shapes) > 1:
        return Refusal(Reason.MIXED_GEOMETRY, f"{len(shapes)} sizes of slices")
    for values, tolerance, name in (
        ([item.info.orientation for item in slices], 1e-3, "orientations"),
        ([item.info.pixel_spacing_mm for item in slices], 1e-3, "pixel sizes"),
    ):
        if np.ptp(np.array(values), axis=0).max() > tolerance:
            return Refusal(Reason.MIXED_GEOMETRY, f"slices of different {name}")
    row, column = np.array(first.orientation[:3]), np.array(first.orientation[3:])
    if abs(np.linalg.norm(row) - 1) > 1e-2 or abs(np.linalg.norm(column) - 1) > 1e-2 or abs(row @ column) > 1e-2:
        return Refusal(Reason.MISSING_GEOMETRY, "orientation vectors are not orthonormal")
    normal = np.cross(row, column)
    if abs(normal[2]) < _AXIAL_COSINE:
        return Refusal(
            Reason.NOT_AXIAL, f"slices turned by {np.degrees(np.arccos(min(1.0, abs(normal[2])))):.0f} degrees"
        )
    direction = normal if normal[2] > 0 else -normal
    positions = np.array([item.position for item in slices])
    order = sorted(range(len(slices)), key=lambda index: (float(positions[index] @ direction), slices[index].sop_uid))
    ordered, positions = tuple(slices[index] for index in order), positions[order]
    refusal = _gaps(positions @ direction, config.spacing_tolerance) or _tilt(ordered, positions, direction)
    if refusal is not None:
        return refusal
    step = (positions[-1] - positions[0]) / (len(ordered) - 1)
    spacing = first.pixel_spacing_mm  # (between rows, between columns)
    affine = np.eye(4)
    affine[:3] = np.stack([row * spacing[1], column * spacing[0], step, positions[0]], axis=1)
    return CheckedSeries(uid, ordered, affine)


def _gaps(along_mm: NDArray[np.float64], tolerance: float) -> Refusal | None:
    gaps = np.diff(along_mm)
    same_place = int((gaps < _POSITION_MM).sum())
    if same_place:
        return Refusal(
            Reason.DUPLICATE_SLICES, f"{same_place} slices at the place of another: several phases in one series?"
        )
    usual = float(np.median(gaps))
    off = np.abs(gaps - usual) > max(tolerance * usual, _POSITION_MM)
    if not off.any():
        return None
    multiples = gaps[off] / usual
    rounded = np.rint(multiples)
    if (rounded >= 2).all() and (np.abs(multiples - rounded) <= tolerance * rounded).all():
        return Refusal(Reason.MISSING_SLICES, f"{int((rounded - 1).sum())} slices missing in {int(off.sum())} places")
    return Refusal(Reason.VARIABLE_SPACING, f"slice distance from {gaps.min():.2f} to {gaps.max():.2f} mm")


def _tilt(slices: Sequence[Instance], positions: NDArray[np.float64], direction: NDArray[np.float64]) -> Refusal | None:
    axis = positions[-1] - positions[0]
    angle = float(np.degrees(np.arccos(min(1.0, float(axis @ direction / np.linalg.norm(axis))))))
    said = max((abs(item.info.tilt_degrees) for item in slices), default=0.0)
    # The tag alone counts too: some exports keep the tilt there and write untilted positions.
    if max(angle, said) > MAX_TILT_DEGREES:
        return Refusal(Reason.GANTRY_TILT, f"{max(angle, said):.1f} degrees")
    line = positions[0] + np.linspace(0, 1, len(positions))[:, None] * axis
    drift_mm = float(
        np.linalg.norm((positions - line) - ((positions - line) @ direction)[:, None] * direction, axis=1).max()
    )
    if drift_mm > _DRIFT_MM:
        return Refusal(Reason.MIXED_GEOMETRY, f"slices shifted sideways by {drift_mm:.1f} mm")
    return None


def group_series(instances: Iterable[Instance]) -> list[Series]:
    """Series of one study, sorted by UID. Phases that share a UID but not an acquisition number become several."""
    by_uid: dict[str, list[Instance]] = {}
    for item in instances:
        by_uid.setdefault(item.info.series_uid, []).append(item)
    grouped = []
    for uid, slices in sorted(by_uid.items()):
        images = [item for item in _without_repeats(slices) if "LOCALIZER" not in item.info.image_type]
        places = Counter(item.position for item in images)
        numbers = sorted({item.acquisition for item in images})
        if len(numbers) > 1 and max(places.values()) == len(numbers):
            for number in numbers:
                part = tuple(item for item in slices if item.acquisition == number)
                grouped.append(Series(f"{uid}/{number}", part))
        else:
            grouped.append(Series(uid, tuple(slices)))
    return grouped


def _without_repeats(slices: Iterable[Instance]) -> Iterable[Instance]:
    return {item.sop_uid or item.path: item for item in slices}.values()
