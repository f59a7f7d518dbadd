"""Words that refer back: to the lesion just named, to the finding before, to one of a group."""

from __future__ import annotations

from rsuper_bench.benchmark.records import Kind
from rsuper_bench.dataset_builder.extraction.rules.items import NOUN_PHRASE, Row
from rsuper_bench.dataset_builder.extraction.rules.lexicon import Label

_OPENS_NAME = frozenset(
    {"for", "with", "of", "represent", "represents", "representing", "be", "reflect", "reflecting", "suggest"}
)
_OPENS_REFERENCE = frozenset(
    {"both", "these", "they", "this", "it", "all", "those", "appearances", "appearance", "features", "findings"}
)
_PRONOUNS = frozenset({"this", "these", "it", "they", "which"})
_ALTERNATIVES = frozenset({"or", "versus", "vs", "/", "and or"})
_OPENS = ("excluded", "ruled out", "considered", "consideration", "considerations", "possible")
_DASHES = frozenset({"-", "–", "—"})
_APPOSES = frozenset({",", ":", ";", "("}) | _DASHES
_COPULAS = frozenset({"is", "are", "was", "were"})


def link_before(row: Row, lesion: int, earlier: int | None) -> int | None:
    """Position of the words that make a lesion word a description ("likely", "consistent with", "is a"), or None."""
    items = row.items
    first = earlier if earlier is not None else -1
    for position in range(lesion - 1, first, -1):
        item = items[position]
        if item.label in (Label.LIKELY, Label.HEDGE):
            # "... and a probable cyst" is one more; "... and suspicious for carcinoma" says what it is
            joins = position > 0 and items[position - 1].label in (Label.AND, Label.WITH)
            joins = joins and item.text.rpartition(" ")[2] not in _OPENS_NAME
            return position if not joins and (earlier is not None or position <= 14) else None
        if item.label is Label.VERB:
            # "the lesion in the kidney is a simple cyst", not "the lesion is seen and a cyst"
            pronoun = position > 0 and items[position - 1].label in (Label.COREF, Label.DEFINITE)
            return position if item.text in _COPULAS and (earlier is not None or pronoun) else None
        if item.text in _ALTERNATIVES and earlier is not None and earlier + 1 <= position <= earlier + 2:
            # "likely cysts or hemangiomas": the second alternative describes what the first does
            return link_before(row, earlier, _previous_lesion(row, earlier))
        if item.text in _ALTERNATIVES and position and items[position - 1].label in (Label.THING, Label.INFLAMED):
            continue  # "likely a perfusion anomaly or hemangioma"
        if item.text == "of" and position and items[position - 1].text.startswith("recurren"):
            continue  # "suspicious for recurrence of cholangiocarcinoma"
        if item.label in (
            Label.BREAK,
            Label.EXCEPT,
            Label.MEASUREMENT,
            Label.COUNT,
            Label.WITH,
            Label.PREP,
            Label.COMPARE,
        ):
            return None
        if item.text in _APPOSES and earlier is not None and _is_apposed_name(row, position, lesion):
            return position
        if item.label is Label.AND:
            return None
    return None


def _is_apposed_name(row: Row, comma: int, lesion: int) -> bool:
    """Whether a name after a comma says what the lesion before it is: "hypodensity, 8 HU, a simple cyst."."""
    items = row.items
    dash = items[comma].text in _DASHES
    many = items[lesion].entry.is_plural
    earlier = _previous_lesion(row, lesion)
    all_of_them = earlier is not None and items[earlier].entry.is_plural and items[comma].text == ","
    all_of_them = all_of_them and row.has(Label.MEASUREMENT)  # "areas of 3.0 and 2.6 cm, metastases"
    if items[lesion].entry.kind is Kind.INDETERMINATE or (many and not dash and not all_of_them):
        return False
    bracket = items[comma].text == "("
    if bracket:
        after = items[lesion + 1 :]  # "Wilms tumor (nephroblastoma)", "lesion (IPMN or lipoma?)"
        while after and (
            after[0].label is Label.LESION or after[0].text in _ALTERNATIVES or after[0].text in ("?", "a")
        ):
            after = after[1:]
        return bool(after) and after[0].text == ")"
    if (dash or items[comma].text == ";") and any(item.text not in (".", "?") for item in items[lesion + 1 :]):
        return False
    if any(item.label not in (Label.INDEFINITE, Label.NATURE, Label.WORD) for item in items[comma + 1 : lesion]):
        return False
    following = items[lesion + 1] if lesion + 1 < len(items) else None
    weighed = following is not None and following.label in (
        Label.LIKELY,
        Label.UNLIKELY,
    )  # "RCC favored over oncocytoma"
    more = any(item.label in (Label.LESION, Label.AND) for item in items[lesion + 1 :])
    if more and not weighed and not is_alternative(row, lesion):
        return False
    return (
        following is None
        or following.text in (".", ",", ";", "(", "?")
        or following.text in _ALTERNATIVES
        or following.text in ("given", "based", "until")
        or weighed
    )


def is_open_name(row: Row, lesion: int) -> bool:
    """Whether a name after a comma is left open of the lesion before it: "thickening, 11 mm, tumour not excluded"."""
    items = row.items
    start = row.phrase_start(lesion)
    if not start or items[start - 1].text not in (",", ";") or items[lesion].entry.kind is Kind.INDETERMINATE:
        return False
    if any(item.label in (Label.ORGAN, Label.MEASUREMENT) for item in items[start:lesion]):
        return False
    following = next((item for item in items[lesion + 1 : lesion + 3] if item.label is not Label.VERB), None)
    return following is not None and following.label is Label.HEDGE and following.text.endswith(_OPENS)


def is_alternative(row: Row, lesion: int) -> bool:
    """Whether a lesion word is one of two names of which either may hold: "cyst versus hemangioma"."""
    if any(item.text in ("versus", "vs") for item in row.items[lesion + 1 : lesion + 2]):
        return True  # "cyst vs solid"
    for step in (-1, 1):
        position, joined = lesion + step, False
        while 0 <= position < len(row.items):
            item = row.items[position]
            if item.text in _ALTERNATIVES:
                joined = True
            elif item.text == "." and position and row.items[position - 1].text == "vs":
                pass
            elif item.label in (Label.LESION, Label.THING, Label.INFLAMED) and joined:
                return True
            elif (
                item.label not in NOUN_PHRASE and item.label not in (Label.INDEFINITE, Label.ORGAN) and item.text != ","
            ):
                break
            position += step
    return False


def _previous_lesion(row: Row, lesion: int) -> int | None:
    return max((index for index in row.indices(Label.LESION) if index < lesion), default=None)


def begins_by_reference(row: Row, link: int) -> bool:
    """Whether a sentence opens by pointing back: "This likely represents a cyst"."""
    if row.items[link].label is Label.VERB:  # "... suggesting that they are hemorrhagic cysts"
        return True
    if row.items[0].text in _OPENS_REFERENCE:
        return True
    near = row.items[max(0, link - 2) : link]
    if len(near) == 2 and near[0].text in _PRONOUNS and near[1].label is Label.VERB:  # "... as this is worrisome for"
        return True
    return all(
        item.label
        in (
            Label.AND,
            Label.BREAK,
            Label.COREF,
            Label.DEFINITE,
            Label.WORD,
            Label.VERB,
            Label.LIKELY,
            Label.HEDGE,
            Label.LINK,
            Label.INDEFINITE,
            Label.ATTENUATION,
            Label.COUNT,
            Label.PUNCTUATION,
            Label.NOT_NEGATION,
            Label.NATURE,
        )
        for item in row.items[:link]
    )


def is_definite(row: Row, lesion: int) -> bool:
    """Whether a lesion word has a definite article ("the cyst")."""
    for position in range(lesion - 1, max(-1, lesion - 8), -1):
        item = row.items[position]
        if item.label is Label.DEFINITE or (item.label is Label.COREF and item.text.startswith("the")):
            return True
        if item.label not in NOUN_PHRASE and item.label is not Label.ORGAN:
            return False
    return False


def refers_back(row: Row, lesion: int) -> bool:
    """Whether a lesion word without a place of its own means one already named."""
    for position in range(lesion - 1, max(-1, lesion - 6), -1):
        item = row.items[position]
        if item.label in (Label.DEFINITE, Label.COREF):
            return item.text not in ("known", "such")
        if item.label not in NOUN_PHRASE:
            return False
    return False


def is_singled_out(row: Row, lesion: int) -> bool:
    """Whether a lesion word picks one of several ("the largest lesion", "index lesion")."""
    for position in range(lesion - 1, max(-1, lesion - 4), -1):
        item = row.items[position]
        if item.label is Label.COREF:
            return True
        if item.label not in NOUN_PHRASE and item.label is not Label.ORGAN:
            return False
    return False
