"""Lesion words that stand for no tumor: inflamed walls, primaries of metastases, counted things, explained ones."""

from __future__ import annotations

from rsuper_bench.benchmark.records import Kind, Malignancy
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.extraction.rules.items import NOUN_PHRASE, Row
from rsuper_bench.dataset_builder.extraction.rules.lexicon import Label

_FOCAL = frozenset(
    ["focal", "focally", "asymmetric", "asymmetrical", "asymmetrically", "irregular", "irregularly", "nodular",
     "mass", "masslike", "eccentric", "eccentrically", "annular", "polypoid", "lobulated", "bulky", "localized",
     "localised", "segmental", "fundal", "plaque", "tumoral", "exophytic"]
)  # fmt: skip
_REACH = 40  # items a denial goes before a tumor word; it bounds the time of endless sentences
_MOST = 20  # tumor words looked at
_REMAINS = frozenset({"residual", "persistent", "persisting"})
_SHADOWS = frozenset({"wedge", "striated", "bandlike", "linear"})
_HOLLOW = frozenset({TumorType.ESOPHAGUS, TumorType.STOMACH, TumorType.DUODENUM, TumorType.COLON, TumorType.BLADDER,
                     TumorType.GALLBLADDER, TumorType.UTERUS})  # fmt: skip


def is_no_tumor(row: Row, lesion: int) -> bool:
    """Whether a lesion word stands for no tumor, for any of the reasons below."""
    return (
        is_inflamed(row, lesion)
        or _is_origin(row, lesion)
        or _is_made_of_thing(row, lesion)
        or is_shadow(row, lesion)
        or is_explained(row, lesion)
    )


_GIVEN = 6  # items


def is_landmark_lesion(row: Row, lesion: int) -> bool:
    """Whether a lesion word only says what something is beside: "inseparable from the mass", "fat around the tumor"."""
    if row.items[0].text == "given" and lesion <= _GIVEN and not row.has(Label.MEASUREMENT):
        between = row.items[1:lesion]
        if (
            between
            and between[0].label is Label.DEFINITE
            and all(item.label in NOUN_PHRASE or item.label in (Label.DEFINITE, Label.ORGAN) for item in between)
        ):
            return True  # "Given the lung mass both are suspicious for metastases"
    definite = False
    for position in range(lesion - 1, max(-1, lesion - 7), -1):
        item = row.items[position]
        if item.label is Label.DEFINITE:
            definite = True
        elif definite and (item.label is Label.FAR or item.text in ("from", "by", "with")):
            return True
        elif item.label not in NOUN_PHRASE and item.label is not Label.ORGAN:
            return False
    return False


def is_inflamed(row: Row, lesion: int) -> bool:
    """Whether a thick wall is no lesion: put down to inflammation or an empty organ, or even all around.

    Even ("diffuse", "circumferential") or unqualified thickening counts only where the sentence raises a tumor.
    """
    item = row.items[lesion]
    if item.entry.kind is not Kind.WALL_THICKENING or item.entry.malignancy is not None:
        return False
    if _raises_tumor(row, lesion):
        return False
    if row.has(Label.INFLAMED):
        return True
    words = _wall_words(row, lesion)
    remains = bool(words & _REMAINS) and row.has(Label.MEASUREMENT)  # "residual thickening of 11 mm"
    return not words & _FOCAL and not remains


def _wall_words(row: Row, lesion: int) -> set[str]:
    near = [
        row.items[lesion],
        *(other for other in row.items[max(0, lesion - 5) : lesion + 7] if other.label is not Label.LESION),
    ]
    return {word for item in near for word in item.text.split()}


def is_open_wall(row: Row, lesion: int) -> bool:
    """Whether even thickening is a tumor only perhaps: "diffuse thickening, malignancy cannot be excluded"."""
    item = row.items[lesion]
    words = _wall_words(row, lesion)
    return (
        item.entry.kind is Kind.WALL_THICKENING
        and item.entry.malignancy is None
        and not words & _FOCAL
        and any(index > lesion for index in row.indices(Label.HEDGE))
        and not any(index > lesion for index in row.indices(Label.LIKELY))
    )


def _raises_tumor(row: Row, lesion: int) -> bool:
    """Whether a sentence says or asks whether a thick wall is a tumor."""
    later = [at for at in (*row.indices(Label.LESION), *row.indices(Label.NATURE)) if at > lesion]
    denials = (Label.NEGATION, Label.UNLIKELY, Label.NO_OTHER)
    return any(
        (row.items[at].entry.malignancy is Malignancy.MALIGNANT or row.items[at].entry.kind is Kind.MASS)
        and not any(other.label in denials for other in row.items[max(lesion + 1, at - _REACH) : at])
        for at in later[:_MOST]
    )


def grows_in_walls(tumor_type: TumorType) -> bool:
    """Whether an organ has a wall that may be thick; a thick adrenal limb is no tumor."""
    return tumor_type in _HOLLOW


def _is_origin(row: Row, lesion: int) -> bool:
    """Whether a lesion word names where metastases come from ("metastases from colon cancer")."""
    for position in range(lesion - 1, max(-1, lesion - 5), -1):
        item = row.items[position]
        of = item.text == "of" and position and row.items[position - 1].entry.kind is Kind.METASTASIS
        if of or item.text in ("from", "from known", "from the known", "metastatic from"):
            return any(
                other.entry.kind is Kind.METASTASIS or other.text == "metastatic" for other in row.items[:position]
            )
        if item.label not in (Label.WORD, Label.ORGAN, Label.PLACE, Label.DEFINITE, Label.INDEFINITE, Label.NATURE):
            return False
    return False


def _is_made_of_thing(row: Row, lesion: int) -> bool:
    """Whether a lesion word only counts a thing: "focus of calcification", "area of scarring"."""
    after = row.items[lesion + 1 : lesion + 4]
    return (
        len(after) > 1
        and after[0].text == "of"
        and (
            after[1].label is Label.THING
            or (len(after) > 2 and after[1].label is not Label.ORGAN and after[2].label is Label.THING)
        )
    )


def is_shadow(row: Row, lesion: int) -> bool:
    """Whether the shape of a dark area is that of a lack of blood, not of a tumor: "wedge-shaped hypodensity"."""
    entry = row.items[lesion].entry
    if entry.kind is not Kind.INDETERMINATE or entry.malignancy is not None:
        return False
    return any(item.text in _SHADOWS for item in row.items[row.phrase_start(lesion) : lesion])


def _or_lesion(row: Row, thing: int) -> bool:
    """Whether a lesion is weighed against a thing: "likely a perfusion anomaly or hemangioma"."""
    if thing + 1 >= len(row.items) or row.items[thing + 1].text not in ("or", "versus", "vs"):
        return False
    return any(item.label is Label.LESION for item in row.items[thing + 2 : thing + 6])


def is_explained(row: Row, lesion: int) -> bool:
    """Whether a sentence says that the lesion is a thing: "most consistent with focal fat"."""
    for position in range(lesion + 1, row.clause_end(lesion)):
        label = row.items[position].label
        if label is Label.LESION:
            return False
        if label is Label.PUNCTUATION and row.items[position].text == "," and position + 1 < len(row.items):
            name, following = row.items[position + 1], row.items[position + 2 : position + 3]
            if name.entry.explains and (not following or following[0].label in (Label.PUNCTUATION, Label.LIKELY)):
                return True  # "5 mm nodule, granuloma."
        copula = row.items[position].text in ("is", "are") and position + 1 < len(row.items)
        named = copula and row.items[position + 1].label in (Label.INDEFINITE, Label.THING, Label.NOW)
        if label is Label.LIKELY or named:
            following = row.items[position + 1 : position + 6]
            for offset, item in enumerate(following, start=position + 1):
                if item.label is Label.THING:
                    return (item.entry.explains or item.entry.apart) and not _or_lesion(row, offset)
                if item.label not in (
                    Label.WORD,
                    Label.INDEFINITE,
                    Label.NATURE,
                    Label.ATTENUATION,
                    Label.LIKELY,
                    Label.DEFINITE,
                    Label.ORGAN,
                    Label.AND,
                    Label.LINK,
                    Label.NOW,
                    Label.MEASUREMENT,
                ):
                    return False
    return _is_explained_next(row, lesion)


def _is_explained_next(row: Row, lesion: int) -> bool:
    """Whether what follows a semicolon only says what the lesion is: "...; typical focal fatty infiltration"."""
    end = row.clause_end(lesion)
    if end >= len(row.items) or row.items[end].text != ";":
        return False
    following = row.items[end + 1 :]
    while following and following[0].label in (Label.WORD, Label.LIKELY, Label.INDEFINITE, Label.NATURE):
        following = following[1:]
    return bool(following) and following[0].entry.explains and all(item.text == "." for item in following[1:])
