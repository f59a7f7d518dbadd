"""Errors of a report extractor, made on purpose in training: what are reports worth that were read less well?

A recipe's ``report_errors`` is the chance that the reading of one organ of one report case is wrong in one thing. What
goes wrong follows the errors that the rules extractor made on the two held-out gold sets (docs/report-to-findings.md):
`MEASURED` counts them. Errors of kind, malignancy and certainty are left out: they change what is trained on only where
they make a tumor of something else or the other way round, which is a missed or an invented finding here.
Masks are never touched, nor is anything that an evaluation reads.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from rsuper_bench.baselines.recipe import Recipe
from rsuper_bench.baselines.targets import ChannelLabel, Known, channel_label
from rsuper_bench.benchmark.files import sha256_bytes
from rsuper_bench.benchmark.records import (
    Attenuation,
    CaseRecord,
    Certainty,
    Count,
    CountRelation,
    Finding,
    Kind,
    Presence,
)
from rsuper_bench.benchmark.release import LabelMap
from rsuper_bench.benchmark.tumor_types import Side, TumorType


class ReportError(StrEnum):
    """One thing that an extractor gets wrong about one organ."""

    MISSED = "missed"  # a tumor: the organ is read as free of tumors
    SIZE = "size"  # cm for mm or the other way round, or another axis or an earlier size
    PLACE = "place"  # the other side, or another segment
    ATTENUATION = "attenuation"  # the opposite
    COUNT = "count"  # one for several, several for one
    INVENTED = "invented"  # a tumor in an organ that the report calls normal


# Errors among 210 reports in organs with a tumor: of presence, and of paired findings all diameters, location and side,
# attenuation and count. In organs without one the only error is an invented tumor (9 there).
MEASURED = {
    ReportError.MISSED: 6,
    ReportError.SIZE: 14,
    ReportError.PLACE: 21,
    ReportError.ATTENUATION: 11,
    ReportError.COUNT: 7,
}
INVENTED_MM = (8.0, 40.0)
LARGEST_MM = 200.0  # a misread size beyond this would have been noticed
OPPOSITE = {Attenuation.HYPO: Attenuation.HYPER, Attenuation.HYPER: Attenuation.HYPO}
OTHER_SIDE = {Side.LEFT: Side.RIGHT, Side.RIGHT: Side.LEFT}


def misread(
    label: ChannelLabel, record: CaseRecord, label_map: LabelMap, recipe: Recipe, kind: TumorType
) -> tuple[ChannelLabel, ReportError | None]:
    """What is known of a channel of a report case when its report was read with errors.

    Whether, where and how follows from the recipe's seed, the case and the tumor type alone; what is wrong at a low
    rate is wrong in the same way at a higher one.

    Args:
        label: The channel as it was read.
        record: The case.
        label_map: Names of the numbers in its organ mask.
        recipe: Its ``report_errors`` and seed, and what `channel_label` needs.
        kind: The channel's tumor type.

    Returns:
        The label and what is wrong with it: None where nothing is, as in channels of which the report says nothing.
    """
    rng = _generator(recipe.seed, record.case_id, kind)
    if rng.random() >= recipe.report_errors or label.known not in (Known.PRESENT, Known.ABSENT):
        return label, None
    errors = [ReportError.INVENTED]
    if label.known is Known.PRESENT:
        shares = np.array(list(MEASURED.values())) / sum(MEASURED.values())
        errors = [list(MEASURED)[i] for i in rng.choice(len(MEASURED), size=len(MEASURED), replace=False, p=shares)]
    for error in errors:  # the first that can be made here: a tumor without a size cannot have a wrong one
        changed = _with_error(record, kind, recipe, error, rng)
        wrong = channel_label(changed, label_map, recipe, kind, use_masks=False)
        if wrong != label:
            return wrong, error
    raise AssertionError("a tumor that is read can be missed, and one that is not can be invented")


def _generator(seed: int, case_id: str, kind: TumorType) -> np.random.Generator:
    return np.random.default_rng(int(sha256_bytes(f"report error {seed} {case_id} {kind}".encode()), 16))


def _with_error(
    record: CaseRecord, kind: TumorType, recipe: Recipe, error: ReportError, rng: np.random.Generator
) -> CaseRecord:
    """The case with one error in what was read of one organ; as it is where the error cannot be made."""
    if error is ReportError.MISSED:
        others = tuple(item for item in record.findings if item.tumor_type is not kind)
        return _read(record, kind, Presence.ABSENT, others)
    if error is ReportError.INVENTED:
        return _read(record, kind, Presence.PRESENT, (*record.findings, _invented(kind, recipe, rng)))
    tumors = [
        number
        for number, item in enumerate(record.findings)
        if item.tumor_type is kind and item.kind in recipe.positive_kinds and item.certainty is Certainty.CERTAIN
    ]
    if not tumors:
        return record
    change = {
        ReportError.SIZE: _wrong_size,
        ReportError.PLACE: _wrong_place,
        ReportError.ATTENUATION: _wrong_attenuation,
        ReportError.COUNT: _wrong_count,
    }[error]
    findings = list(record.findings)
    chosen = tumors[int(rng.integers(len(tumors)))]
    findings[chosen] = change(findings[chosen], rng)
    return _read(record, kind, Presence.PRESENT, tuple(findings))


def _read(record: CaseRecord, kind: TumorType, presence: Presence, findings: tuple[Finding, ...]) -> CaseRecord:
    return record.model_copy(update={"presence": record.presence | {kind: presence}, "findings": findings})


def _invented(kind: TumorType, recipe: Recipe, rng: np.random.Generator) -> Finding:
    """As an extractor makes one of a stone, a vessel or an earlier tumor: a size, perhaps a brightness, and a side."""
    low, high = np.log(INVENTED_MM)
    attenuations = (Attenuation.HYPO, Attenuation.HYPER, Attenuation.UNKNOWN)
    return Finding(
        tumor_type=kind,
        kind=Kind.MASS if Kind.MASS in recipe.positive_kinds else recipe.positive_kinds[0],
        diameters_mm=(round(float(np.exp(rng.uniform(low, high))), 1),),
        attenuation=attenuations[int(rng.integers(3))],
        side=_a_side(rng) if kind.anatomy.sided else None,
    )


def _a_side(rng: np.random.Generator) -> Side:
    return (Side.LEFT, Side.RIGHT)[int(rng.integers(2))]


def _wrong_size(finding: Finding, rng: np.random.Generator) -> Finding:
    if not finding.diameters_mm:
        return finding
    largest, smallest = max(finding.diameters_mm), min(finding.diameters_mm)
    if rng.random() < 0.5:  # millimetres read as centimetres, or the other way round
        factor = 10.0 if rng.random() < 0.5 and 10 * largest <= LARGEST_MM else 0.1
        sizes = tuple(factor * length for length in finding.diameters_mm)
    elif smallest < largest:
        sizes = (smallest,)
    else:  # an earlier size, or that of something else
        factor = float(np.exp(rng.uniform(np.log(1.25), np.log(2.0))))
        sizes = (largest * factor if rng.random() < 0.5 else largest / factor,)
    return finding.model_copy(update={"diameters_mm": sizes})


def _wrong_place(finding: Finding, rng: np.random.Generator) -> Finding:
    anatomy = finding.tumor_type.anatomy
    if anatomy.sided:
        side = OTHER_SIDE[finding.side] if finding.side in OTHER_SIDE else _a_side(rng)
        return finding.model_copy(update={"side": side})
    others = [segment.name for segment in anatomy.segments if segment.name != finding.location]
    return finding.model_copy(update={"location": others[int(rng.integers(len(others)))]}) if others else finding


def _wrong_attenuation(finding: Finding, rng: np.random.Generator) -> Finding:
    if finding.attenuation is Attenuation.UNKNOWN:
        return finding
    wrong = OPPOSITE.get(finding.attenuation) or list(OPPOSITE)[int(rng.integers(2))]
    return finding.model_copy(update={"attenuation": wrong})


def _wrong_count(finding: Finding, rng: np.random.Generator) -> Finding:
    alone = finding.count == Count(value=1, relation=CountRelation.EXACT)
    return finding.model_copy(update={"count": Count(value=int(rng.integers(2, 4)) if alone else 1)})
