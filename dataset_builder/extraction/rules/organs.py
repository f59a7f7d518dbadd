"""What a sentence says of whole organs: normal, described, taken out, not seen."""

from __future__ import annotations

from dataclasses import dataclass, field

from rsuper_bench.benchmark.records import NotEvaluable
from rsuper_bench.benchmark.tumor_types import Side, TumorType
from rsuper_bench.dataset_builder.extraction.rules.items import Row
from rsuper_bench.dataset_builder.extraction.rules.lexicon import Label, location_words
from rsuper_bench.dataset_builder.extraction.rules.mentions import is_landmark, organ_list_at
from rsuper_bench.dataset_builder.extraction.rules.negation import is_history
from rsuper_bench.dataset_builder.extraction.rules.sizes import is_governed

_QUALIFIED = (Label.THING, Label.LESION, Label.PLACE)
_PLAIN = frozenset({"unremarkable", "within normal limits", "normal", "normal in appearance", "normal appearing"})
_PARTIAL = frozenset(
    {"portion", "portions", "part", "parts", "dome", "tip", "inferior", "superior", "lower", "upper", "some"}
)
_EMPTY = frozenset(
    {
        "collapsed",
        "empty",
        "underfilled",
        "decompressed",
        "compressed",
        "underdistended",
        "underdistension",
        "underdistention",
        "nondistended",
        "not distended",
        "poorly distended",
        "not well distended",
        "incompletely distended",
    }
)
_REST = frozenset({"remainder", "rest", "remaining", "otherwise", "elsewhere", "residual", "other"})
_INVADES = ("invad", "invasion", "involv", "infiltrat", "extending into", "extension into")
_TOPIC_REACH = 4  # items
_GONE = {
    Label.REMOVED: NotEvaluable.RESECTED,
    Label.NEGATION_AFTER: NotEvaluable.OUT_OF_VIEW,
    Label.OUT_OF_VIEW: NotEvaluable.OUT_OF_VIEW,
}
_COPULAS = frozenset({"is", "are", "was", "were", "appears", "appear", "appeared", "remains", "remain"})


@dataclass(slots=True)
class OrganStatements:
    """What one sentence says of organs.

    Attributes:
        normal: Called normal or unremarkable.
        plain: Called plainly unremarkable, both sides and without exception.
        described: Looked at, without a word on lesions ("The liver is fatty").
        gone: Not to be evaluated, and why.
    """

    normal: list[TumorType] = field(default_factory=list)
    plain: list[TumorType] = field(default_factory=list)
    described: list[TumorType] = field(default_factory=list)
    gone: dict[TumorType, NotEvaluable] = field(default_factory=dict)


def organ_statements(row: Row, topic: tuple[TumorType, ...], history_only: bool) -> OrganStatements:
    """Read what a sentence says of whole organs.

    Args:
        row: The sentence.
        topic: Organs the header above names.
        history_only: The section tells what was, so only operations are read.
    """
    said = OrganStatements()
    _operations(row, said)
    if history_only:
        return said
    items = row.items
    if topic and not row.has(Label.ORGAN, Label.LESION, Label.PLACE, Label.SIDE):
        for label, why in _GONE.items():  # "UTERUS: Surgically absent."
            for index in row.indices(label):
                if items[index].text.startswith("none"):
                    continue
                if index <= _TOPIC_REACH and not row.has(Label.THING):
                    said.gone.update(dict.fromkeys(topic, why))
    whole = [index for index in row.indices(Label.ORGAN) if _is_whole(row, index)]
    for index in row.indices(Label.REMOVED):
        for organ in _organs_left_of(row, index, whole):
            for tumor_type in items[organ].entry.organs:
                if _both_sides(row, organ, tumor_type):
                    said.gone[tumor_type] = NotEvaluable.RESECTED
    for index in row.indices(Label.NEGATION_AFTER):
        if items[index].text.startswith("none"):
            continue  # "liver none" denies lesions
        first = row.clause_start(index)
        if not any(items[other].label in (Label.LESION, Label.THING) for other in range(first, index)):
            _out_of_view(row, _organs_left_of(row, index, whole), said)
    for index in row.indices(Label.OUT_OF_VIEW):
        _out_of_view(row, _organs_left_of(row, index, whole), said)
        for place in row.indices(Label.PLACE):
            if items[place].entry.region and not row.has(Label.ORGAN):
                for tumor_type in items[place].entry.organs:
                    said.gone.setdefault(tumor_type, NotEvaluable.OUT_OF_VIEW)
    limited = {row.clauses[index] for index in row.indices(Label.LIMITED, Label.OUT_OF_VIEW, Label.REMOVED)}
    normal = [index for index in row.indices(Label.NORMAL) if not _is_denied(row, index)]
    for index in normal:
        for organ in _organs_of_normal(row, index, whole):
            said.normal.extend(items[organ].entry.organs)
            rest = any(item.text in _REST for item in items)  # "The remainder of the colon is unremarkable"
            if (
                items[index].text in _PLAIN
                and not rest
                and not row.has(Label.EXCEPT, Label.LESION, Label.SIDE, Label.LIMITED)
            ):
                said.plain.extend(kind for kind in items[organ].entry.organs if not _is_part(items[organ].text, kind))
        first = row.clause_start(index)
        if topic and not any(
            items[other].label in (Label.ORGAN, Label.PLACE, Label.THING) for other in range(first, index)
        ):
            said.normal.extend(topic)
    for index in normal:
        said.normal.extend(_region_of(row, index))
    said.described.extend(_unhurt_regions(row))
    said.described.extend(_described(row, limited))
    return said


def _is_part(text: str, tumor_type: TumorType) -> bool:
    """Whether an organ word names a part: a normal rectum does not contradict a sigmoid mass."""
    return any(word in text for word in location_words(tumor_type))


def is_only_empty(row: Row) -> bool:
    """Whether a sentence says of a hollow organ only that it is empty: "Bladder: decompressed"."""
    empty = any(row.items[index].text in _EMPTY for index in row.indices(Label.INFLAMED))
    return empty and not row.has(Label.NORMAL, Label.LESION, Label.THING, Label.NEGATION, Label.NEGATION_AFTER)


def _described(row: Row, limited: set[int]) -> list[TumorType]:
    """Organs a sentence says something of: "the liver is fatty", "a stone in the lower pole of the left kidney"."""
    items = row.items
    found: list[TumorType] = []
    for index, item in enumerate(items):
        if not item.entry.organs or row.clauses[index] in limited:
            continue
        if is_history(row, index) and item.label is not Label.PARTIAL_SURGERY:
            continue
        thing = item.label in (Label.THING, Label.INFLAMED, Label.PARTIAL_SURGERY)
        place = item.label is Label.PLACE and not item.entry.region and not is_governed(row, index)
        organ = item.label is Label.ORGAN and not is_landmark(row, index) and _is_spoken_of(row, index)
        organ = organ or (item.label is Label.ORGAN and (_is_not_invaded(row, index) or _has_none(row, index)))
        if thing or place or organ:
            found.extend(item.entry.organs)
    return found


def _has_none(row: Row, index: int) -> bool:
    """Whether "none" stands right after an organ in a list: "Metastases: ...; liver none"."""
    after = row.items[index + 1 : index + 3]
    if after and after[0].text == ":":
        after = after[1:]
    return bool(after) and after[0].text in ("none", "nil")


def _is_not_invaded(row: Row, index: int) -> bool:
    """Whether a tumor is said to spare an organ: "not invading the spleen", "no involvement of the bladder"."""
    for position in range(index - 1, max(row.clause_start(index) - 1, index - 7), -1):
        item = row.items[position]
        if item.text.startswith(_INVADES):
            before = row.items[max(0, position - 2) : position]
            return any(other.label is Label.NEGATION or other.text in ("not", "nor") for other in before)
        if item.label not in (Label.DEFINITE, Label.SIDE, Label.WORD, Label.ORGAN, Label.AND, Label.PREP):
            return False
    return False


def _is_spoken_of(row: Row, index: int) -> bool:
    """Whether a sentence says something of an organ word's organ, not of something beside it."""
    items = row.items
    if items[index].text in ("soft tissue", "subcutaneous", "intramuscular"):
        return False
    for other in items[index + 1 : index + 4]:
        if other.label is Label.THING:
            return not other.entry.apart
        if other.label in (Label.LESION, Label.PLACE):
            return False
        listed = items[index].entry.adjective and (other.label in (Label.AND, Label.ORGAN) or other.text == ",")
        if other.label not in (Label.WORD, Label.ATTENUATION, Label.NATURE) and not listed:
            break  # "no renal or adrenal injury" goes on
    if items[index].entry.adjective:
        return False
    if not is_governed(row, index):
        return not items[index].entry.implied
    before = [other for other in items[row.clause_start(index) : index] if other.label in (Label.THING, Label.INFLAMED)]
    return bool(before) and not before[-1].entry.apart


def _region_of(row: Row, index: int) -> list[TumorType]:
    """Organs of the region a word like "normal" is said of: "CT of the abdomen and pelvis is negative"."""
    items = row.items
    around = items[row.clause_start(index) : index + 1]
    if any(item.label in (Label.LESION, Label.THING, Label.ORGAN, Label.HEDGE, Label.SIDE) for item in around):
        return []
    passes = (Label.WORD, Label.PREP, Label.DEFINITE, Label.AND, Label.SIDE)
    after = []
    for item in items[index + 1 : row.clause_end(index)]:
        if item.label is Label.PLACE and item.entry.region:
            after.append(item)  # "Otherwise negative abdomen", "no acute abnormality in the abdomen or pelvis"
        elif item.label not in passes and item.text not in (",", "/"):
            break
    around = [*around, *after]
    return [organ for item in around if item.label is Label.PLACE and item.entry.region for organ in item.entry.organs]


def _unhurt_regions(row: Row) -> list[TumorType]:
    """Organs of regions without an injury: "no acute traumatic injury to the chest, abdomen or pelvis"."""
    for index in row.indices(Label.THING):
        if row.items[index].text not in ("injury", "injuries") or not any(
            item.label is Label.NEGATION for item in row.items[row.clause_start(index) : index]
        ):
            continue
        after = row.items[index + 1 : row.clause_end(index)]
        return [organ for item in after if item.entry.region for organ in item.entry.organs]
    return []


def is_rest(row: Row) -> bool:
    """Whether a sentence speaks of all that is left: "Otherwise normal.", "Remainder unremarkable."."""
    return any(word in _REST for item in row.items[:4] for word in item.text.split())


def says_of_region(row: Row) -> bool:
    """Whether a sentence under a header like "Pelvis:" speaks of all of it: "Neg.", "No nodules.", "Unremarkable."."""
    if row.has(Label.ORGAN, Label.PLACE, Label.HISTORY, Label.LIMITED, Label.OUT_OF_VIEW, Label.REMOVED):
        return False
    heads = row.indices(Label.LESION)
    if heads:
        denials = (Label.NEGATION, Label.NEGATION_AFTER, Label.EXCEPT)
        return row.has(*denials) and all(row.items[index].label not in (Label.THING,) for index in range(heads[0]))
    return any(
        not _is_denied(row, index)
        and not any(item.label is Label.THING for item in row.items[row.clause_start(index) : index])
        for index in row.indices(Label.NORMAL)
    )


def _out_of_view(row: Row, organs: list[int], said: OrganStatements) -> None:
    for organ in organs:
        if any(item.text in _PARTIAL for item in row.items[max(0, organ - 4) : organ]):
            continue
        for tumor_type in row.items[organ].entry.organs:
            if _both_sides(row, organ, tumor_type):
                said.gone.setdefault(tumor_type, NotEvaluable.OUT_OF_VIEW)


def _operations(row: Row, said: OrganStatements) -> None:
    for index in row.indices(Label.SURGERY):
        first = row.clause_start(index)
        before = [item.label for item in row.items[max(first, index - 4) : index]]
        after = [item.text for item in row.items[index + 1 : index + 2]]
        if Label.NEGATION in before or Label.HEDGE in before or after == ["planned"] or _is_partial(row, index):
            continue
        for tumor_type in row.items[index].entry.organs:
            said.gone[tumor_type] = NotEvaluable.RESECTED


def _is_partial(row: Row, surgery: int) -> bool:
    for item in reversed(row.items[row.clause_start(surgery) : surgery]):
        if item.label is Label.PARTIAL_SURGERY:
            return True
        if item.label is not Label.WORD:
            return False
    return False


def _is_whole(row: Row, index: int) -> bool:
    """Whether an organ word speaks of the organ, not of something beside or inside it."""
    item = row.items[index]
    if item.entry.implied:
        return False
    for other in row.items[index + 1 : index + 4]:
        if other.label in _QUALIFIED:
            return other.label is Label.THING and not item.entry.adjective
        if other.label is not Label.WORD:
            break
    for position in range(index - 1, max(-1, index - 5), -1):
        before = row.items[position]
        if before.label in (Label.FAR, Label.HISTORY, Label.LINK):
            return False
        if before.label not in (Label.DEFINITE, Label.SIDE, Label.WORD, Label.ORGAN, Label.AND) and before.text not in (
            ",",
            "of",
        ):
            break
    return True


def _both_sides(row: Row, organ: int, tumor_type: TumorType) -> bool:
    """Whether a paired organ is meant on both sides; one kidney gone leaves the other to look at."""
    if not tumor_type.anatomy.sided:
        return True
    if row.items[organ].entry.is_plural or row.items[organ].text in ("adrenals", "lungs", "kidneys", "adrenal glands"):
        sides = {row.items[index].entry.side for index in row.indices(Label.SIDE)}
        return sides <= {Side.BILATERAL}
    near = row.items[max(0, organ - 3) : organ + 3]
    return any(item.entry.side is Side.BILATERAL for item in near if item.label is Label.SIDE)


def _organs_left_of(row: Row, index: int, whole: list[int]) -> list[int]:
    first = row.clause_start(index)
    left = [organ for organ in whole if first <= organ < index]
    if left:
        return [organ for organ in organ_list_at(row, left[-1]) if organ in whole]
    right = [organ for organ in whole if index < organ < row.clause_end(index)]
    if right and all(
        item.label in (Label.WORD, Label.DEFINITE, Label.SIDE) for item in row.items[index + 1 : right[0]]
    ):
        return [organ for organ in organ_list_at(row, right[0]) if organ in whole]
    return []


def _organs_of_normal(row: Row, index: int, whole: list[int]) -> list[int]:
    """Organs a word like "unremarkable" is said of: the list before it, else the list after it."""
    items = row.items
    first = row.clause_start(index)
    after = _organs_after_normal(row, index, whole)
    if after and (index == first or items[index - 1].text not in _COPULAS):
        return after
    for position in range(index - 1, first - 1, -1):
        if items[position].label is Label.PLACE and not items[position].entry.adjective:
            return [organ for organ in organ_list_at(row, position) if organ in whole]
        if items[position].label in (Label.THING, Label.LESION):
            # "The pancreas, duct and spleen are normal": the list goes on to the left of a thing.
            listed = [
                organ for organ in organ_list_at(row, position) if organ in whole and items[organ].label is Label.ORGAN
            ]
            if listed:
                return listed
            break
        if position in whole:
            return [organ for organ in organ_list_at(row, position) if organ in whole]
    return after


def _organs_after_normal(row: Row, index: int, whole: list[int]) -> list[int]:
    for position in range(index + 1, row.clause_end(index)):
        if position in whole:
            return [organ for organ in organ_list_at(row, position) if organ in whole]
        if row.items[position].label not in (
            Label.WORD,
            Label.DEFINITE,
            Label.SIDE,
            Label.PREP,
            Label.NORMAL,
            Label.AND,
        ):
            break
    return []


def _is_denied(row: Row, index: int) -> bool:
    before = row.items[max(row.clause_start(index), index - 2) : index]
    return any(item.label is Label.NEGATION or item.text == "not" for item in before)
