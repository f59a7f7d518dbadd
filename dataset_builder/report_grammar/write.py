"""Writing a whole report: sections, organ by organ, with the distractions real reports have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rsuper_bench.benchmark.records import Certainty, Finding, Kind, NotEvaluable, Phase, Presence
from rsuper_bench.benchmark.tumor_types import Sex, Side, TumorType
from rsuper_bench.dataset_builder.report_grammar.phrases import capital, chance, joined, phrases, pick, sentence
from rsuper_bench.dataset_builder.report_grammar.scene import Scene, Stone, WrittenReport
from rsuper_bench.dataset_builder.report_grammar.statement import (
    Statement,
    finding_sentence,
    impression_sentence,
    place,
    state,
    with_malignancy,
)
from rsuper_bench.dataset_builder.report_grammar.style import ReportStyle

# The order in which abdominal reports go through the organs.
_ORDER = (
    TumorType.LUNG, TumorType.LIVER, TumorType.GALLBLADDER, TumorType.PANCREAS, TumorType.SPLEEN, TumorType.ADRENAL,
    TumorType.KIDNEY, TumorType.ESOPHAGUS, TumorType.STOMACH, TumorType.DUODENUM, TumorType.COLON, TumorType.BLADDER,
    TumorType.PROSTATE, TumorType.UTERUS, TumorType.SOFT_TISSUE,
)  # fmt: skip

WITH_CONTRAST = (Phase.ARTERIAL, Phase.PORTAL_VENOUS, Phase.DELAYED)


class _Draft:
    """Sentences and facts of a report as it is written."""

    def __init__(self) -> None:
        self.paragraphs: list[tuple[TumorType | None, list[str]]] = []
        self.presence: dict[TumorType, Presence] = {}
        self.findings: list[Finding] = []
        self.not_evaluable: dict[TumorType, NotEvaluable] = {}
        self.statements: list[Statement] = []


def write_report(scene: Scene, rng: np.random.Generator, style: ReportStyle | None = None) -> WrittenReport:
    """Write a report of a scene.

    Args:
        scene: What the radiologist saw.
        rng: Source of randomness; the same state gives the same report.
        style: Habits of the writer.

    Returns:
        The text, and what it says: an organ the text passes over is ``not_stated``, a size it leaves out is missing.
    """
    style = style or ReportStyle()
    draft = _Draft()
    organs = [kind for kind in _ORDER if kind in scene.organs]
    combine = chance(rng, style.combined_negatives)
    for kind in organs:
        _write_organ(draft, kind, scene, rng, style)
    _write_negatives(draft, [kind for kind in organs if kind not in draft.presence], rng, combine=combine)
    for kind in organs:
        draft.presence.setdefault(kind, Presence.NOT_STATED)
    for kind in set(organs) & set(draft.not_evaluable):
        draft.presence[kind] = Presence.NOT_STATED
    text = _assemble(draft, scene, rng, style)
    ordered = {kind: draft.presence[kind] for kind in organs}
    return WrittenReport(text, ordered, tuple(draft.findings), draft.not_evaluable)


def _write_organ(draft: _Draft, kind: TumorType, scene: Scene, rng: np.random.Generator, style: ReportStyle) -> None:
    """Sentences about an organ with lesions or stones, a resected one, or one passed over; leaves plain negatives."""
    book = phrases()
    lesions = [item for item in scene.findings if item.tumor_type is kind]
    lines: list[str] = []
    for stone in (item for item in scene.stones if item.organ is kind):
        lines.append(_stone(stone, rng))
    if not lesions:
        if not lines and kind in book["resected"] and chance(rng, style.resected):
            draft.paragraphs.append((kind, [pick(rng, book["resected"][kind])]))
            draft.not_evaluable[kind] = NotEvaluable.RESECTED
            draft.presence[kind] = Presence.NOT_STATED
        elif chance(rng, style.equivocal):
            side = (Side.LEFT if chance(rng, 0.5) else Side.RIGHT) if kind.anatomy.sided else None
            lines.append(sentence(pick(rng, book["equivocal"]), place=place(kind, side, None, rng)))
            draft.paragraphs.append((kind, lines))
            draft.presence[kind] = Presence.UNCERTAIN
            draft.findings.append(Finding(tumor_type=kind, side=side, certainty=Certainty.UNCERTAIN))
        elif chance(rng, style.not_stated):
            if lines:
                draft.paragraphs.append((kind, lines))
            draft.presence[kind] = Presence.NOT_STATED
        elif lines:
            draft.paragraphs.append((kind, [*lines, _negative(kind, rng)]))
            draft.presence[kind] = Presence.ABSENT
        return
    said: list[Statement] = []
    for group in _groups(lesions, rng, style):
        hedged = len(group) == 1 and group[0].kind is not Kind.CYST and chance(rng, style.hedged)
        statement = state(group, rng, style, contrast=scene.phase in WITH_CONTRAST, hedged=hedged)
        words = ""
        # "This is malignant" must point at one lesion: only where the organ has a single one.
        if len(lesions) == 1 and not hedged and group[0].kind is not Kind.CYST and chance(rng, style.malignancy):
            statement, words = with_malignancy(statement, rng)
        lines.append(finding_sentence(statement, rng, further=_told_before(said, statement)))
        if words:
            lines.append(words)
        said.append(statement)
    lines += _other_side(kind, lesions, rng)
    draft.paragraphs.append((kind, lines))
    draft.statements += said
    draft.findings += [item.finding for item in said]
    certain = any(item.finding.certainty is Certainty.CERTAIN for item in said)
    draft.presence[kind] = Presence.PRESENT if certain else Presence.UNCERTAIN


def _told_before(said: Sequence[Statement], item: Statement) -> bool:
    # "Another" needs an earlier certain lesion of the same kind of word.
    return any(old.finding.kind is item.finding.kind and old.finding.certainty is Certainty.CERTAIN for old in said)


def _groups(lesions: Sequence[Finding], rng: np.random.Generator, style: ReportStyle) -> list[list[Finding]]:
    """Split an organ's lesions into what is told together: cysts apart from tumors, largest first."""

    def size(item: Finding) -> float:
        return -max(item.diameters_mm, default=0.0)

    groups: list[list[Finding]] = []
    for cysts in (False, True):
        some = sorted((item for item in lesions if (item.kind is Kind.CYST) is cysts), key=size)
        if len(some) > 1 and chance(rng, style.grouped):
            groups.append(some)
        else:
            groups += [[item] for item in some]
    return groups


def _other_side(kind: TumorType, lesions: Sequence[Finding], rng: np.random.Generator) -> list[str]:
    """A word on the healthy side of a paired organ, sometimes."""
    sides = {item.side for item in lesions}
    if not kind.anatomy.sided or len(sides) != 1 or not sides <= {Side.LEFT, Side.RIGHT} or not chance(rng, 0.5):
        return []
    other = Side.RIGHT if Side.LEFT in sides else Side.LEFT
    organ = phrases()["organ_sided"][kind].format(side=other)
    return [sentence(pick(rng, phrases()["negative_side"]), The_organ=capital(organ), the_organ=organ, **_verbs(False))]


def _verbs(plural: bool) -> dict[str, str]:
    return {"is": "are", "appear": "appear"} if plural else {"is": "is", "appear": "appears"}


def _negative(kind: TumorType, rng: np.random.Generator) -> str:
    book = phrases()
    return sentence(
        pick(rng, book["negative"]),
        The_organ=capital(book["organ"][kind]),
        adjective=book["adjective"][kind],
        **_verbs(kind in book["plural"]),
    )


def _write_negatives(draft: _Draft, healthy: list[TumorType], rng: np.random.Generator, *, combine: bool) -> None:
    book = phrases()
    if combine and len(healthy) >= 2:
        chosen = [kind for kind in healthy if chance(rng, 0.7)]
        if len(chosen) >= 2:
            names = [book["short_name"][kind] for kind in chosen]
            adjectives = joined([book["adjective"][kind] for kind in chosen], "or")
            words = sentence(pick(rng, book["negative_combined"]), list=joined(names), adjectives=adjectives)
            draft.paragraphs.append((None, [words]))
            draft.presence |= dict.fromkeys(chosen, Presence.ABSENT)
            healthy = [kind for kind in healthy if kind not in chosen]
    for kind in healthy:
        draft.paragraphs.append((kind, [_negative(kind, rng)]))
        draft.presence[kind] = Presence.ABSENT


def _stone(stone: Stone, rng: np.random.Generator) -> str:
    words = pick(rng, phrases()["stone"][stone.organ])
    return sentence(words, size=f"{max(1, round(stone.size_mm))} mm", side=str(stone.side or ""))


def _assemble(draft: _Draft, scene: Scene, rng: np.random.Generator, style: ReportStyle) -> str:
    book = phrases()
    exam = "exam" if scene.phase in WITH_CONTRAST else "exam_plain" if scene.phase is Phase.NON_CONTRAST else "exam_any"
    date = f"{int(rng.integers(1, 13))}/{int(rng.integers(1, 28))}/20{int(rng.integers(10, 25))}"
    prior = any(item.prior for item in draft.statements)
    person = {Sex.FEMALE: "female", Sex.MALE: "male"}.get(scene.sex or Sex.MALE, "patient") if scene.sex else "patient"
    age = f"{min(int(scene.age), 89)}" if scene.age is not None else "60"
    head = [
        ("EXAM", pick(rng, book[exam]) + "."),
        (
            pick(rng, ["INDICATION", "HISTORY", "CLINICAL HISTORY", "REASON FOR EXAM"]),
            pick(rng, book["indication"]).format(age=age, person=person),
        ),
        ("COMPARISON", pick(rng, book["comparison_prior" if prior else "comparison"]).format(date=date)),
        ("TECHNIQUE", pick(rng, book["technique"][scene.phase]).format(slice=pick(rng, ["1.25", "2.5", "3", "5"]))),
    ]
    if not prior:  # a report without priors may leave these out
        head = [item for index, item in enumerate(head) if index == 0 or chance(rng, 0.8)]
    blocks = [f"{title}: {text}" for title, text in head]
    blocks.append("FINDINGS:\n" + _findings_text(draft, rng, style))
    if chance(rng, style.impression):
        blocks.append("IMPRESSION:\n" + _impression_text(draft, rng))
    return "\n\n".join(blocks) + "\n"


def _findings_text(draft: _Draft, rng: np.random.Generator, style: ReportStyle) -> str:
    book = phrases()
    headings = chance(rng, style.organ_headings)
    order = {kind: index for index, kind in enumerate(_ORDER)}
    paragraphs = sorted(draft.paragraphs, key=lambda item: -1 if item[0] is None else order[item[0]])
    if chance(rng, 0.5):  # combined negatives first or last
        paragraphs = [*(p for p in paragraphs if p[0] is not None), *(p for p in paragraphs if p[0] is None)]
    extras = [_distractor(words, rng) for words in book["distractors"] if chance(rng, style.distractors * 0.5)]
    if headings:
        lines = [f"{book['heading'][kind] if kind else 'OTHER ORGANS'}: {' '.join(text)}" for kind, text in paragraphs]
        return "\n".join([*lines, *([f"OTHER: {' '.join(extras)}"] if extras else [])])
    pieces = [" ".join(text) for _, text in paragraphs]
    for extra in extras:
        pieces.insert(int(rng.integers(len(pieces) + 1)), extra)
    return ("\n" if chance(rng, 0.4) else " ").join(pieces)


def _distractor(words: str, rng: np.random.Generator) -> str:
    return words.format(
        node=int(rng.integers(4, 10)),
        duct=int(rng.integers(3, 8)),
        aorta=f"{rng.uniform(1.6, 2.4):.1f}",
        portal=int(rng.integers(10, 14)),
        hernia=f"{rng.uniform(0.8, 3.0):.1f}",
    )


def _impression_text(draft: _Draft, rng: np.random.Generator) -> str:
    book = phrases()
    lines = [impression_sentence(item, rng) for item in draft.statements if _worth_repeating(item, rng)]
    if not lines:
        lines = [pick(rng, book["impression_none"] if not draft.statements else book["impression_extra"])]
    elif chance(rng, 0.5):
        lines.append(pick(rng, book["impression_extra"]))
    if len(lines) == 1 and chance(rng, 0.5):
        return lines[0]
    return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, start=1))


def _worth_repeating(item: Statement, rng: np.random.Generator) -> bool:
    return chance(rng, 0.25 if item.finding.kind is Kind.CYST else 0.9)
