"""What an evaluation says of lesions, where reference and submission both have masks."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from rsuper_bench.benchmark.records import Fraction, Identifier, Record, Whole
from rsuper_bench.benchmark.score import Score
from rsuper_bench.benchmark.stratum import SIZES, UNKNOWN
from rsuper_bench.benchmark.tumor_types import TumorType

LESION_SIZES = (*SIZES, UNKNOWN)  # keys of ``by_size``, in this order
FROC_RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # false alarms a case, as in LUNA16
MAX_FROC_POINTS = 200

Length = Annotated[float, Field(ge=0)]


class FrocPoint(Record):
    """One operating point: candidates of at least ``threshold`` are called."""

    threshold: Fraction
    fp_per_case: Length
    sensitivity: Fraction


class Froc(Record):
    """Free-response ROC curve.

    Attributes:
        points: From the highest threshold to the lowest, each with more lesions found than the one before; at most
            200 of them. Empty, with a reason, where no case has a lesion.
        at_rates: Sensitivity at the lowest threshold with at most so many false alarms a case, by that number
            (``"0.125"`` to ``"8"``).
        mean: Mean of ``at_rates``.
    """

    points: tuple[FrocPoint, ...] = ()
    at_rates: dict[str, Score] = {}
    mean: Score
    reason: str | None = None


class Average(Record):
    """Mean and median over cases, both with intervals."""

    mean: Score
    median: Score


class LesionScores(Record):
    """Lesions of one tumor type.

    Attributes:
        n_cases: Cases with a lesion mask and a predicted mask.
        n_patients: Patients they are of.
        n_lesions: Lesions drawn in them.
        n_candidates: Candidates predicted in them.
        n_false_alarms: Candidates of at least ``threshold`` that are on no lesion.
        n_both_empty: Cases with neither a drawn nor a predicted voxel: in FROC and counts, in no overlap figure.
        n_missed: Cases with drawn and without predicted voxels.
        n_false_alarm_cases: Cases without drawn and with predicted voxels.
        threshold: Confidence from which a candidate is called in ``sensitivity``, ``by_size`` and ``count_error``;
            above 1 none is.
        sensitivity: Share of lesions found.
        by_size: The same by largest diameter of the drawn lesion; ``unknown``: positive cases without a lesion mask,
            found when a candidate is called anywhere in them.
        dice: Overlap of all lesions of a case.
        surface_dice_3mm: Share of both surfaces within 3 mm of the other.
        hd95_mm: 95th percentile of surface distances, the larger of both directions.
        volume_error_mm3: Predicted less drawn volume.
        absolute_volume_error_mm3: Its size.
        count_error: Called candidates less drawn lesions.
        absolute_count_error: Its size.
    """

    n_cases: Whole
    n_patients: Whole
    n_lesions: Whole
    n_candidates: Whole
    n_false_alarms: Whole
    n_both_empty: Whole
    n_missed: Whole
    n_false_alarm_cases: Whole
    threshold: Annotated[float, Field(ge=0)]
    froc: Froc
    sensitivity: Score
    by_size: dict[str, Score]
    dice: Average
    surface_dice_3mm: Average
    hd95_mm: Average
    volume_error_mm3: Average
    absolute_volume_error_mm3: Average
    count_error: Average
    absolute_count_error: Average


class DrawnLesion(Record):
    """A lesion of the reference: how large, and how confident the candidate that found it is (null: none did)."""

    diameter_mm: Length
    volume_mm3: Length
    confidence: Fraction | None = None
    overlap: Fraction | None = None


class LesionOutcome(Record):
    """Evidence: the lesions of one case and type. All lesion figures follow from these.

    Attributes:
        patient: Salted hash, as in every outcome.
        lesions: Drawn lesions, the largest first; null where the type has no lesion mask.
        false_alarms: Confidence of the candidates that are on no lesion, falling.
        repeats: Confidence of candidates on a lesion that another candidate found: neither hits nor false alarms.
        top_confidence: Of the most confident candidate; null where there is none.
        dropped: Candidates beyond the most confident ones that are looked at.
        dice: Null where neither mask has a voxel, as are the next two.
        reference_mm3: Drawn volume.
        predicted_mm3: Volume predicted at 0.5, not denoised.
    """

    case_id: Identifier
    patient: str
    tumor_type: TumorType
    lesions: tuple[DrawnLesion, ...] | None
    false_alarms: tuple[Fraction, ...] = ()
    repeats: tuple[Fraction, ...] = ()
    top_confidence: Fraction | None = None
    dropped: Whole = 0
    dice: Fraction | None = None
    surface_dice_3mm: Fraction | None = None
    hd95_mm: Length | None = None
    reference_mm3: Length | None = None
    predicted_mm3: Length = 0.0
