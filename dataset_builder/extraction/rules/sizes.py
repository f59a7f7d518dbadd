"""Which lesion a size belongs to, and whether it is today's size or a former one."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from rsuper_bench.benchmark.records import Kind
from rsuper_bench.dataset_builder.extraction.rules.items import Row
from rsuper_bench.dataset_builder.extraction.rules.lexicon import Label
from rsuper_bench.dataset_builder.extraction.rules.measurements import Measurement

MEASURING = frozenset(
    {"measuring", "measures", "measure", "measured", "size", "approximately", "about", "diameter", "to", "of", "up"}
)
PREDICATES = frozenset({"measuring", "measures", "measure", "measured"})
_DATED = re.compile(
    r"\s*(?:on|in|from|dated)\s+(?:the\s+)?(?:\d{1,2}[/-]\d|\d{1,2}\.\d{1,2}\.\d|(?:19|20)\d\d\b|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\b)",
    re.IGNORECASE,
)
_ARROW = re.compile(r"\s{0,3}(?:[-=–]{1,2}>|→)\s{0,3}\d")
_MEASURES = frozenset({"diameter", "size", "length"})
_SINGLING = frozenset({"dominant", "index", "target", "representative", "reference", "predominant"})
_DIRECTIONS = frozenset(
    ["above", "below", "distal to", "proximal to", "superior to", "inferior to", "anterior to", "posterior to",
     "lateral to", "medial to", "away from", "cephalad to", "caudal to", "beyond the", "deep to", "separate from",
     "from the level of"]
)  # fmt: skip
_LENGTHS = frozenset({"long", "segment", "over", "length", "craniocaudal", "craniocaudally", "extent"})
_PARTS = frozenset(
    {"head", "neck", "body", "tail", "fundus", "dome", "antrum", "cardia", "uncinate", "caudate", "apex"}
)
_TOLD = frozenset({"was", "were", "measured", "had"})
_PAST = frozenset({"was", "were", "had"})


@dataclass(slots=True)
class Sizes:
    """The sizes of a sentence, sorted by what they belong to.

    Attributes:
        of_lesion: Position of a lesion word -> today's sizes of it, in report order.
        loose: Today's sizes that no word of the sentence owns ("It measures 2 cm").
        flags: What is wrong with the sentence's sizes.
    """

    of_lesion: dict[int, list[Measurement]] = field(default_factory=dict)
    loose: list[tuple[int, Measurement]] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)


def assign_sizes(row: Row) -> Sizes:
    """Give each size of a sentence to a lesion word, to nothing, or leave it loose."""
    sizes = Sizes()
    positions = row.indices(Label.MEASUREMENT)
    premodified: set[int] = set()
    former: set[int] = set()
    before: set[int] = set()
    for position in positions:
        measurement = row.items[position].measurement
        if measurement is None:
            continue
        if measurement.flag is not None:
            sizes.flags.append(f"{measurement.flag}_measurement")
            continue
        if measurement.doubtful:
            sizes.flags.append("unit_slip_measurement")
        none = measurement.above and any(
            item.text in ("none", "not") for item in row.items[max(0, position - 4) : position]
        )
        again = position > 1 and position - 2 in before and row.items[position - 1].label is Label.AND
        if again or is_prior(row, position, positions):
            before.add(position)  # "previously 2.2 cm and 1.8 cm"
            continue
        if none or measurement.below or _is_distance(row, position):
            continue
        ahead = _owner_ahead(row, position)
        owner = ahead if ahead is not None else _owner_behind(row, position)
        if owner is not None and ahead is None and owner in former:
            sizes.of_lesion[owner] = []  # "the previously noted 2.9 cm lesion is smaller today, measuring 2.1 cm"
            former.discard(owner)
        elif (
            owner is not None
            and ahead is None
            and owner in premodified
            and not is_elliptical(row, position)
            and row.items[owner].entry.kind is not Kind.WALL_THICKENING  # "3.9 cm long thickening, 14 mm"
        ):
            continue  # "a 2 cm cyst in the spleen, which measures 14 cm": the second size is of something else
        if ahead is not None:
            premodified.add(ahead)
            if any(
                item.label is Label.PRIOR or item.text.startswith("previously")
                for item in row.items[max(0, position - 3) : position]
            ):
                former.add(ahead)
        if owner is None:
            sizes.loose.append((position, _today(row, position, measurement)))
        elif row.items[owner].label is Label.LESION:
            sizes.of_lesion.setdefault(owner, []).append(_today(row, position, measurement))
    heads = row.indices(Label.LESION)
    _add_length(row, sizes)
    if sizes.loose and len(heads) == 1 and heads[0] not in sizes.of_lesion and not row.has(Label.THING, Label.COREF):
        whole = [
            index
            for index in row.indices(Label.ORGAN)
            if not row.items[index].entry.implied and is_governed(row, index)
        ]
        if not whole and sizes.loose[-1][0] < heads[0]:  # "Upper pole, 1.6 cm, angiomyolipoma"
            sizes.of_lesion[heads[0]] = [size for _, size in sizes.loose]
            sizes.loose = []
    return sizes


def _add_length(row: Row, sizes: Sizes) -> None:
    """Give a thick wall the length of its segment: "a 4 cm long segment of thickening, up to 15 mm"."""
    walls = [at for at in sizes.of_lesion if row.items[at].entry.kind is Kind.WALL_THICKENING]
    if len(walls) != 1 or len(sizes.of_lesion[walls[0]]) != 1:
        return
    for position, size in sizes.loose:
        near = {item.text for item in row.items[max(0, position - 2) : position + 3]}
        if near & _LENGTHS and row.clauses[position] == row.clauses[walls[0]]:
            sizes.of_lesion[walls[0]] = sorted([*sizes.of_lesion[walls[0]], size], key=lambda one: one.start)
            sizes.loose = [other for other in sizes.loose if other[1] is not size]
            return


def is_elliptical(row: Row, position: int) -> bool:
    """Whether a size stands for one more lesion: "a 13 mm lesion in segment 6 and 8 mm in segment 2"."""
    items = row.items
    before = [item for item in items[max(0, position - 4) : position] if item.label is not Label.INDEFINITE]
    joined = any(item.text in ("and", ",", "&", "another", "second") for item in before[-3:])
    after = items[position + 1 : position + 8]
    if joined and after and after[0].text == "one":
        after = after[1:]  # "... and a 3 mm one in the left"
    if not joined or not after or after[0].text not in ("in", "within", "at", "on"):
        return False
    sided = False
    for item in after[1:]:
        if item.label is Label.ORGAN or item.text in _PARTS:
            return True
        if item.label not in (Label.DEFINITE, Label.SIDE, Label.WORD):
            return sided and item.label is Label.PUNCTUATION
        sided = sided or item.label is Label.SIDE
    return sided


def _today(row: Row, position: int, measurement: Measurement) -> Measurement:
    """Of "from 10 to 14 mm" today's end, of a range "5-8 mm" the upper end."""
    if not measurement.is_span:
        return measurement
    changed = any(item.label is Label.CHANGE for item in row.items[max(0, position - 6) : position])
    first, second = measurement.others_mm[0], measurement.diameters_mm[0]
    current = second if changed else max(first, second)
    return Measurement(measurement.start, measurement.end, (current,))


def _is_distance(row: Row, position: int) -> bool:
    """Whether a length says how far away something is ("2 cm from the bifurcation")."""
    after = row.items[position + 1 : position + 3]
    if not after:
        return False
    if after[0].text in _DIRECTIONS or after[0].text == "away":
        return True
    return after[0].text == "from" and not (len(after) > 1 and after[1].label is Label.MEASUREMENT)


def is_prior(row: Row, position: int, positions: list[int]) -> bool:
    """Whether a size is a former one: "previously 1.5 cm", "was 12 mm", "10 mm on the prior exam"."""
    items = row.items
    bracket = [item.text for item in items[position - 1 : position + 2 : 2]] if position > 1 else []
    if bracket == ["(", ")"] and items[position - 2].label is Label.MEASUREMENT:
        return True  # "11 mm (16 mm)"
    previous = max((other for other in positions if other < position), default=-1)
    following = min((other for other in positions if other > position), default=len(items))
    comma = False
    for index in range(position - 1, previous, -1):
        item = items[index]
        if item.label is Label.NOW or item.label is Label.LESION:
            break
        if item.label in (Label.PRIOR, Label.COMPARE):
            since = any(other.text == "since" for other in items[max(0, index - 2) : index])
            either = item.text in ("versus", "vs") and index and items[index - 1].label in (Label.THING, Label.LESION)
            if since or (either and position + 1 < len(items) and items[position + 1].label is Label.LESION):
                break  # "New since the last CT: 1.2 cm", "mucus plug versus 8 mm nodule"
            if not comma:
                return True
            break
        numbers = index and items[index - 1].label is Label.COUNT  # "larger than before (8, 6 and 11 mm)"
        if (
            item.text == ","
            and not numbers
            and not (index + 1 < len(items) and items[index + 1].text in ("where", "when", "it", "at", "measured"))
        ):
            comma = True
    for index in range(position + 1, min(position + 5, following)):
        item = items[index]
        if item.label is Label.PRIOR:
            until = min((other for other in positions if other > index), default=None)
            if until is None or until > index + 5 or any(other.label is Label.NOW for other in items[index:until]):
                return True  # "measuring 2.9 cm on the prior study, now measures 2.1 cm"
            break
        inside = item.text == "(" and index + 2 < len(items) and items[index + 2].text != ")"  # "2.1 cm (prior 2.9)"
        if inside or item.text in (",", ";", ")", "and", ".") or item.label in (Label.NOW, Label.COMPARE, Label.VERB):
            break
    text_after = row.text[items[position].end - row.offset :]
    if _DATED.match(text_after) or _ARROW.match(text_after):
        return True
    near = items[max(0, position - 2) : position]
    changed = near and (near[-1].label is Label.CHANGE or (near[-1].text == "by" and near[0].label is Label.CHANGE))
    measurement = items[position].measurement
    spans = measurement is not None and measurement.is_span
    if changed and not spans and _owner_ahead(row, position) is None:
        return True  # "decreased by 8 mm", "has grown 3 mm": how much, not how large
    told = any(item.text in _TOLD for item in near) and not any(item.label is Label.NOW for item in items)
    if told and any(item.label is Label.PRIOR for item in items[:position]):
        return True  # "On the prior CT the lesion was 2.9 cm."
    if (
        near
        and near[-1].text == "from"
        and (len(positions) > 1 or row.has(Label.CHANGE))
        and not _ranges(row, position)
    ):
        return True
    has_current = previous >= 0 or any(item.label is Label.NOW for item in items)
    return (
        has_current
        and any(item.text in _PAST for item in near)
        and not any(item.label is Label.LESION for item in items[previous + 1 : position] if previous >= 0)
    )


def _ranges(row: Row, position: int) -> bool:
    measurement = row.items[position].measurement
    near = [item.text for item in row.items[max(0, position - 5) : position]]
    return (measurement is not None and measurement.is_span) or "ranging" in near or "vary" in near or "range" in near


def _owner_ahead(row: Row, position: int) -> int | None:
    """Position of the lesion or thing whose noun phrase a size begins; sizes of things are no lesion sizes."""
    # "a 2 cm low-density left renal cyst"
    items = row.items
    if position and items[position - 1].text in PREDICATES:
        return None
    index = position + 1
    last = min(row.clause_end(position), position + 10)
    while index < last:
        item = items[index]
        if item.label is Label.THING and (made_of := _containing(row, index, last)) is not None:
            return made_of  # "18 mm fat and popcorn calcification-containing nodule"
        if item.label in (Label.LESION, Label.THING):
            crossed = any(other.text == "," for other in items[position:index])
            before = any(row.clauses[at] == row.clauses[position] and at < position for at in row.indices(Label.LESION))
            only_names = (
                before and item.entry.is_plural and items[index - 1].text == ","
            )  # "masses, left 9.8 cm, right 6.3 cm, angiomyolipomas"
            return None if crossed and (item.label is Label.THING or item.entry.vague or only_names) else index
        if item.text == "(":  # "1.5 cm (previously 1.1 cm) renal mass"
            closed = next((later for later in range(index, last) if items[later].text == ")"), None)
            if closed is None:
                return None
            index = closed + 1
            continue
        if (
            item.text == "in"
            and index + 2 < last
            and items[index + 1].text in _MEASURES
            and items[index + 2].label is not Label.PUNCTUATION
        ):
            index += 2  # "a 3 cm in diameter liver lesion"
            continue
        if item.text in ("and", "or") and index + 1 < last and items[index + 1].text in ("smaller", "less"):
            index += 2  # "1 cm and smaller lesions"
            continue
        passes = item.text in _SINGLING or item.label in (
            Label.WORD,
            Label.ATTENUATION,
            Label.NATURE,
            Label.SIDE,
            Label.ORGAN,
            Label.PLACE,
            Label.COUNT,
            Label.LIKELY,
            Label.HEDGE,
            Label.NORMAL,
        )
        if item.text in (",", "and", ")") and index + 1 < last:
            passes = items[index + 1].label in (Label.ATTENUATION, Label.NATURE, Label.MEASUREMENT, Label.LESION) or (
                item.text == ","
                and items[index + 1].label in (Label.WORD, Label.NORMAL)
                and (
                    index == position + 1
                    or items[index - 1].label in (Label.WORD, Label.ATTENUATION, Label.NATURE, Label.NORMAL)
                )
                and not _is_predicate(row, position)
            )
        if item.label is Label.MEASUREMENT and items[index - 1].text == "and":
            passes = True
        if item.label is Label.WORD and item.text in (
            "in",
            "diameter",
            "size",
            "dimension",
            "long",
            "seen",
            "noted",
            "identified",
        ):
            passes = False
        if not passes:
            return None
        index += 1
    return None


def _containing(row: Row, thing: int, last: int) -> int | None:
    """Position of the lesion that contains a thing named before it: "fat-containing nodule", or None."""
    for index in range(thing + 1, min(last, thing + 8)):
        if row.items[index].text in ("containing", "bearing"):
            return next(
                (at for at in range(index + 1, min(last, index + 4)) if row.items[at].label is Label.LESION), None
            )
        if row.items[index].label not in (Label.WORD, Label.AND, Label.THING) and row.items[index].text != ",":
            return None
    return None


def _is_predicate(row: Row, position: int) -> bool:
    return any(item.text in PREDICATES for item in row.items[max(0, position - 3) : position])


def _owner_behind(row: Row, position: int) -> int | None:
    """Position of the lesion, thing or organ that stands before a size and that it is said of."""
    items = row.items
    for index in range(position - 1, -1, -1):
        item = items[index]
        if item.label in (Label.LESION, Label.THING):
            if item.text == "thickness" and index and items[index - 1].text == "in":
                continue  # "12 mm in thickness and 30 mm in length"
            if "thickness" in item.text and (wall := _wall_before(row, index)) is not None:
                return wall
            if item.label is Label.THING and items[position - 1].text == "," and _is_added(row, index):
                continue  # "cystic lesion with calcification, 6.5 cm"
            if index and items[index - 1].text == "(" and items[index + 1].text == ")" and _of_several(row, index):
                continue  # "two lesions, 12 mm in segment 5 (hemangioma) and 9 mm in segment 6 (cyst)"
            return index
        lesion_before = item.entry.implied and any(other < index for other in row.indices(Label.LESION))
        if lesion_before:
            continue  # "FNH segment 3 measures 41 mm"
        if item.label in (Label.ORGAN, Label.PLACE) and not item.entry.adjective and not is_governed(row, index):
            between = items[index + 1 : position]
            if (
                len(between) <= 4
                and not any(other.text == ":" for other in between)
                and any(other.text in PREDICATES or other.label is Label.VERB for other in between)
                and not row.has(Label.COREF)
            ):
                return index
    return None


def _of_several(row: Row, lesion: int) -> bool:
    return any(row.items[at].entry.is_plural and at < lesion for at in row.indices(Label.LESION))


def _wall_before(row: Row, thing: int) -> int | None:
    """Position of the thick wall that a thickness is of, or None."""
    walls = [index for index in row.indices(Label.LESION) if row.items[index].entry.kind is Kind.WALL_THICKENING]
    return max((index for index in walls if index < thing), default=None)


def _is_added(row: Row, thing: int) -> bool:
    """Whether a thing is only what a lesion has or lacks: "with calcification", "without fat stranding"."""
    for item in reversed(row.items[max(0, thing - 4) : thing]):
        if item.label in (Label.WITH, Label.NEGATION, Label.NOT_NEGATION):
            return any(other.label is Label.LESION for other in row.items[:thing])
        if item.label not in (Label.WORD, Label.ATTENUATION, Label.NATURE, Label.THING, Label.AND):
            return False
    return False


def is_governed(row: Row, index: int) -> bool:
    """Whether a preposition stands before an organ or place: "in the left kidney"."""
    for position in range(index - 1, max(-1, index - 6), -1):
        item = row.items[position]
        if item.label in (Label.PREP, Label.FAR, Label.LINK):
            return True
        if item.label not in (
            Label.DEFINITE,
            Label.INDEFINITE,
            Label.SIDE,
            Label.WORD,
            Label.ORGAN,
            Label.ATTENUATION,
            Label.NORMAL,
        ) and not (item.label is Label.AND or item.text == ","):
            return False
    return False
