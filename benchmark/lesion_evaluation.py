"""The lesion part of an evaluation: which cases belong to it, and its figures by tumor type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rsuper_bench.benchmark.lesion_policies import POLICIES
from rsuper_bench.benchmark.lesion_record import LesionOutcome, LesionScores
from rsuper_bench.benchmark.lesion_scores import LesionSample, score_lesions
from rsuper_bench.benchmark.mask_reading import drawn_kinds, undrawn_kinds
from rsuper_bench.benchmark.reference import Reference
from rsuper_bench.benchmark.submission import CaseType
from rsuper_bench.benchmark.task import CallRule
from rsuper_bench.benchmark.tumor_types import TumorType

CALLED_AT = 0.5  # confidence from which a candidate is called when no threshold of masks was frozen


@dataclass(frozen=True)
class LesionPart:
    """What a report says of lesions: figures, or why there are none."""

    scores: dict[TumorType, LesionScores] | None
    reason: str | None = None
    policies: tuple[str, ...] = ()
    outcomes: tuple[LesionOutcome, ...] = ()


def evaluate_lesions(
    found: Mapping[CaseType, LesionOutcome],
    reference: Reference,
    thresholds: Mapping[TumorType, float],
    *,
    has_table: bool,
    seed: int,
    jobs: int = 1,
) -> LesionPart:
    """Score the lesions of every tumor type of the task.

    Args:
        found: What the submission's masks say.
        reference: Split and task.
        thresholds: Frozen calls. Those of scores that masks gave (the score of a case is the confidence of its most
            confident candidate) also call candidates; scores of a table need not be of the masks.
        has_table: Whether the submission's scores are those of a table.
        seed: Of the bootstrap.
        jobs: Threads.
    """
    task = reference.task
    drawn = [(case_id, kind) for case_id in reference.records for kind in drawn_kinds(reference, case_id)]
    undrawn = [(case_id, kind) for case_id, kinds in undrawn_kinds(reference).items() for kind in kinds]
    if not drawn:
        return LesionPart(None, "the release has no lesion masks in this split")
    if not found.keys() & set(drawn):
        return LesionPart(None, "the submission has no masks of cases with lesion masks")
    if not any(item.lesions is not None for item in found.values()):
        return LesionPart(None, "the release does not carry the lesion masks that its table names")
    from_masks = task.call_rule is CallRule.SCORE and not has_table
    scores = {}
    outcomes: list[LesionOutcome] = []
    for kind in task.tumor_types:
        of_kind = tuple(found[key] for key in sorted(found) if key.tumor_type is kind)
        outcomes += of_kind
        frozen = thresholds.get(kind) if from_masks else None
        sample = LesionSample(
            outcomes=of_kind,
            n_drawn=sum(other is kind for _, other in drawn),
            n_undrawn=sum(other is kind for _, other in undrawn),
            threshold=CALLED_AT if frozen is None else frozen,
        )
        scores[kind] = score_lesions(
            sample,
            confidence=task.confidence,
            replicates=task.bootstrap_replicates,
            fingerprint=reference.fingerprint,
            seed=seed,
            jobs=jobs,
        )
    return LesionPart(scores, None, POLICIES, tuple(outcomes))
