"""Whether a lesion word is denied, doubted or only described: the scope of the words around it."""

from __future__ import annotations

import re
from enum import StrEnum

from rsuper_bench.benchmark.records import Kind
from rsuper_bench.dataset_builder.extraction.rules.items import Row
from rsuper_bench.dataset_builder.extraction.rules.lexicon import Label

_DATED = re.compile(r"\s{0,3}(?:in|on|before|until)\s{1,3}(?:the\s)?(?:\d|prior|previous|last|earlier)", re.IGNORECASE)
HEDGE_REACH = 9  # items
_ELSEWHERE_SEEN = ("on ", "at ", "described", "seen")  # "mass described at colonoscopy"
_NAMING = frozenset(
    {
        "possibly",
        "may represent",
        "could represent",
        "may reflect",
        "could reflect",
        "might represent",
        "may be",
        "could be",
        "might be",
        "or possibly",
        "perhaps",
        "potentially",
    }
)
_NEITHER = frozenset({"neither", "none", "none of the"})
_OF_THEM = frozenset({"of", "which", "them", "these", "those", "the"})
_NAMES = (Label.LESION, Label.THING, Label.INFLAMED)


class Polarity(StrEnum):
    """What a sentence says of the lesions a word stands for."""

    AFFIRMED = "affirmed"
    DOUBTED = "doubted"
    DENIED = "denied"
    NEUTRAL = "neutral"  # "no other lesions": says nothing of those there are
    HISTORY = "history"


def polarity_of(row: Row, index: int) -> Polarity:
    """Judge the lesion word at a position."""
    if is_history(row, index):
        return Polarity.HISTORY
    before = _denial_before(row, index)
    if before is not None:
        return before
    if _denial_after(row, index) or _is_smooth(row, index):
        return Polarity.DENIED
    if row.items[index].entry.hedged or _doubt_before(row, index) or _doubt_after(row, index):
        return Polarity.DOUBTED
    return Polarity.AFFIRMED


def _is_smooth(row: Row, index: int) -> bool:
    """Whether nodularity is said to be without a nodule: "nodularity of the adrenal without discrete lesion"."""
    if row.items[index].text != "nodularity":
        return False
    later = [other for other in row.indices(Label.LESION) if other > index]
    return bool(later) and _denial_before(row, later[0]) is Polarity.DENIED


def is_history(row: Row, index: int) -> bool:
    """Whether a word only tells what the patient had or why the scan was made."""
    for item in row.items[index + 1 : index + 3]:
        if item.label is Label.HISTORY_AFTER or item.text == "baseline":  # "HCC screening", "Rectal cancer, baseline"
            return item.text.startswith(_ELSEWHERE_SEEN) or not row.has(Label.MEASUREMENT)
        if item.label is Label.HISTORY and row.has(Label.SURGERY, Label.PARTIAL_SURGERY):  # "rectal carcinoma s/p LAR"
            return row.items[index].entry.kind is Kind.MASS and not row.has(Label.MEASUREMENT)
        operated = item.label in (Label.SURGERY, Label.PARTIAL_SURGERY)  # "Bladder cancer, TURBT in May"
        if (operated or item.text in ("resected", "excised")) and not row.has(Label.MEASUREMENT):
            return True  # "Left thigh primary, resected"
        if item.text != ",":
            break
    if row.items[0].label is Label.HISTORY_AFTER and not any(
        item.label in (Label.MEASUREMENT, Label.VERB, Label.PREP) or item.text in (":", ",", ";")
        for item in row.items[:index]
    ):
        return True  # "Follow-up adrenal incidentaloma: ..."
    start = row.phrase_start(index)
    if (
        start > 1
        and row.items[start - 1].text in ("prior", "previous", "former")
        and row.items[start - 2].text in ("of", "at")
    ):
        return True  # "scar at the site of the prior lesion"
    first = row.clause_start(index)
    for position in range(index - 1, first - 1, -1):
        label = row.items[position].label
        if label is Label.HISTORY:
            return True
        if label in (Label.SURGERY, Label.PARTIAL_SURGERY) and any(
            item.text == "for" for item in row.items[position:index]
        ):
            return True  # "after left adrenalectomy for pheochromocytoma"
        if label in (Label.VERB, Label.LESION, Label.MEASUREMENT) or row.items[position].text in (",", ":", "("):
            return False
    return False


def _denial_before(row: Row, index: int) -> Polarity | None:
    items = row.items
    if index + 1 < len(items) and items[index + 1].text == "only":
        return None  # "no mass, cysts only"
    first = row.clause_start(index)
    for position in range(index - 1, first - 1, -1):
        item = items[position]
        if item.label is Label.NEGATION or item.text == "nil":
            return Polarity.DENIED
        if item.label is Label.NO_OTHER:
            return Polarity.NEUTRAL
        if item.label is Label.NOT_NEGATION:
            return Polarity.DENIED if _denies_on(row, position, index) else None
        if item.label is Label.UNLIKELY:
            return Polarity.NEUTRAL
        if _ends_denial(row, position):
            return None
    return None


def _denies_on(row: Row, position: int, index: int) -> bool:
    """Whether a denied property goes on to deny a lesion: "no internal enhancement or nodularity"."""
    between = row.items[position + 1 : index]
    return (
        row.items[position].text.split()[0] in ("no", "without")
        and "change" not in row.items[position].text
        and any(item.text in ("or", ",", "nor") for item in between)
        and not any(item.label in (Label.VERB, Label.INDEFINITE, Label.MEASUREMENT, Label.WITH) for item in between)
    )


def _ends_denial(row: Row, position: int) -> bool:
    """Whether a denial to the left of an item does not reach beyond it."""
    items = row.items
    item = items[position]
    previous = items[position - 1] if position else None
    after_denial = previous is not None and previous.label in (Label.NEGATION, Label.NO_OTHER)
    if item.label is Label.VERB:
        return not after_denial and not _subject_is_denied(row, position)
    if item.label is Label.LIKELY and previous is not None and previous.text == ",":
        return True  # "no nodular septa, consistent with lipoma"
    if item.label is Label.WITH or item.text == ":":
        return not after_denial
    if item.label in (Label.INDEFINITE, Label.COUNT):
        return previous is not None and (previous.text in (",", "and") or previous.label is Label.WITH)
    if item.label is Label.MEASUREMENT and item.measurement is not None:
        bounded = item.measurement.above or item.measurement.below
        return not bounded and not after_denial
    return item.label is Label.NORMAL and not after_denial


def _subject_is_denied(row: Row, verb: int) -> bool:
    """Whether a clause denies through its subject: "Neither adrenal gland shows a nodule"."""
    first = row.clause_start(verb)
    for position in range(verb - 1, max(first - 1, verb - 5), -1):  # "..., neither of which is a cyst"
        if row.items[position].text in _NEITHER and all(
            item.text in _OF_THEM for item in row.items[position + 1 : verb]
        ):
            return True
    subject = row.items[first:verb]
    return (
        bool(subject)
        and subject[0].label is Label.NEGATION
        and not any(item.label in (Label.LESION, Label.THING, Label.VERB) for item in subject)
        and any(item.label is Label.ORGAN for item in subject)
    )


def _denial_after(row: Row, index: int) -> bool:
    items = row.items
    last = row.clause_end(index)
    for position in range(index + 1, last):
        item = items[position]
        if item.label is Label.NEGATION_AFTER:
            if _DATED.match(row.text[item.end - row.offset :]):
                return False  # "a nodule, not visible in 2020"
            later = [other.label for other in items[position + 1 : position + 4]]
            return Label.PRIOR not in later and Label.COMPARE not in later
        if item.label is Label.REMOVED:
            return True
        if item.label is Label.UNLIKELY and not any(
            other.label in (Label.LESION, Label.NATURE) for other in items[position + 1 : last]
        ):
            return True
        if item.text in ("no longer", "resolved", "gone", "disappeared", "none in", "nil in"):
            return True
        if item.label is Label.MEASUREMENT and any(
            other.label is Label.PRIOR for other in items[max(0, position - 2) : position]
        ):
            continue  # "One lesion, formerly 2.0 cm, is no longer seen"
        if item.label is Label.VERB:
            following = items[position + 1 : position + 3]
            if any(other.text == "no longer" for other in following):
                return True
            if not any(other.label in (Label.NEGATION_AFTER, Label.UNLIKELY, Label.REMOVED) for other in following):
                return False
        elif item.label in (Label.COUNT, Label.MEASUREMENT, Label.NEGATION, Label.INDEFINITE, Label.WITH):
            return False
    return False


def _doubt_before(row: Row, index: int) -> bool:
    start = row.phrase_start(index)
    if (
        start > 1
        and row.items[start - 1].text in ("versus", "vs")
        and row.items[start - 2].label in (Label.THING, Label.INFLAMED)
    ):
        return True  # "mucus plug versus 8 mm nodule"
    first = max(row.clause_start(index), index - HEDGE_REACH)
    for position in range(index - 1, first - 1, -1):
        item = row.items[position]
        if item.label is Label.HEDGE:
            return True
        if item.label in (Label.VERB, Label.WITH, Label.INDEFINITE) and not (
            position and row.items[position - 1].label is Label.HEDGE
        ):
            return False
        if item.text in (",", "(", ";") or (item.label is Label.PREP and item.text != "of"):
            return False
    return False


def _is_thing_next(row: Row, position: int) -> bool:
    for item in row.items[position + 1 : position + 5]:
        if item.label is Label.THING:
            return True
        if item.label not in (Label.WORD, Label.ATTENUATION, Label.NATURE, Label.INDEFINITE, Label.ORGAN):
            return False
    return False


def _doubt_after(row: Row, index: int) -> bool:
    last = row.clause_end(index)
    for position in range(index + 1, last):
        item = row.items[position]
        if item.label is Label.LESION:
            return False
        if item.text in ("versus", "vs") and _is_thing_next(row, position):
            return True  # "polyp versus adherent stone"
        if item.label is Label.HEDGE:
            following = [other for other in row.items[position + 1 : last] if other.label in _NAMES]
            later = row.items[position + 1] if position + 1 < last else None
            if item.text in _NAMING and later is not None and later.label is Label.WORD:
                return False  # "focal thickening, possibly endometriosis"
            if following and following[0].entry.explains:
                return True  # "nodular density, which could represent a splenule": it may be no lesion
            return not any(
                other.label in (Label.LESION, Label.THING, Label.NATURE, Label.INFLAMED)
                or other.text in ("origin", "enhancement", "disease", "process")
                for other in row.items[position + 1 : last]
            )
    return False
