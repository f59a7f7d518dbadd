"""DICOM SEG objects of a study, brought to the grid of its CT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rsuper_bench.benchmark.errors import Problem
from rsuper_bench.benchmark.nifti import Volume
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.dicom.config import SegmentationConfig
from rsuper_bench.dataset_builder.dicom.headers import quiet
from rsuper_bench.dataset_builder.label_map import LESION_NUMBER, ORGAN_NUMBER
from rsuper_bench.dataset_builder.mask_names import organ_number
from rsuper_bench.dataset_builder.rejection import CaseError, Reason


@dataclass
class SegmentedMasks:
    """Label maps with our numbers on the grid of the CT; None where no segment is of that sort."""

    organs: Volume | None = None
    lesions: Volume | None = None
    lesion_types: set[TumorType] = field(default_factory=set)


def segments_of(path: Path) -> tuple[list[str], set[str]]:
    """Labels of a SEG object and the SOP instance UIDs of the slices it is drawn on.

    Raises:
        Exception: Whatever pydicom raises for a damaged file.
    """
    from pydicom import dcmread

    with quiet():
        header = dcmread(path, stop_before_pixels=True)
        labels = [str(item.get("SegmentLabel", "")) for item in header.get("SegmentSequence") or []]
        images = [
            image
            for series in header.get("ReferencedSeriesSequence") or []
            for image in series.get("ReferencedInstanceSequence") or []
        ]
        if not images:  # optional there; each frame says it again
            images = [
                image
                for frame in header.get("PerFrameFunctionalGroupsSequence") or []
                for derivation in frame.get("DerivationImageSequence") or []
                for image in derivation.get("SourceImageSequence") or []
            ]
        return labels, {str(image.ReferencedSOPInstanceUID) for image in images}


def read_segmentations(
    root: Path, paths: Sequence[str], sop_uids: Sequence[str], ct: Volume, config: SegmentationConfig, *, name: str
) -> SegmentedMasks:
    """Read the segments whose labels mean something here.

    Args:
        root: The export.
        paths: Of the SEG objects, in the order in which they are drawn.
        sop_uids: Slices of the CT, from the feet to the head.
        ct: The CT.
        config: What segment labels mean.
        name: How messages name the case.

    Raises:
        CaseError: A damaged object, or one that does not fit the CT.
    """
    masks = SegmentedMasks()
    for path in paths:
        try:
            with quiet():
                _draw(masks, root / path, sop_uids, ct, config)
        except CaseError:
            raise
        except Exception as cause:  # highdicom and the decoders raise many types
            found = f"segmentation cannot be read ({type(cause).__name__})"
            problem = Problem(f"case {name}", found, "a binary SEG drawn on this CT", "Remove it, or export it again.")
            raise CaseError.because(Reason.UNREADABLE_IMAGE, [problem]) from None
    return masks


def meaning(label: str, config: SegmentationConfig) -> int | TumorType | None:
    """Our organ number or the tumor type of a segment; None when it means nothing here."""
    if label in config.lesions:
        return config.lesions[label]
    if label in config.organs:
        return ORGAN_NUMBER.get(config.organs[label])
    return organ_number(label)


def _draw(masks: SegmentedMasks, path: Path, sop_uids: Sequence[str], ct: Volume, config: SegmentationConfig) -> None:
    import highdicom as hd

    seg = hd.seg.segread(path)
    for number in seg.segment_numbers:
        what = meaning(str(seg.get_segment_description(number).segment_label), config)
        if what is None:
            continue
        # (slices, rows, columns, 1), in the order of the CT; a slice without a frame is empty.
        frames = seg.get_pixels_by_source_instance(
            source_sop_instance_uids=list(sop_uids),
            segment_numbers=[number],
            assert_missing_frames_are_empty=True,
            ignore_spatial_locations=True,
        )
        drawn: NDArray[np.bool_] = frames[..., 0].transpose(2, 1, 0) >= 0.5  # of a fractional one too
        if isinstance(what, TumorType):
            masks.lesions = _blank(masks.lesions, ct)
            masks.lesions.data[drawn] = LESION_NUMBER[what]
            masks.lesion_types.add(what)
        else:
            masks.organs = _blank(masks.organs, ct)
            masks.organs.data[drawn] = what


def _blank(volume: Volume | None, ct: Volume) -> Volume:
    return volume or Volume(np.zeros(ct.data.shape, np.uint8), ct.affine)
