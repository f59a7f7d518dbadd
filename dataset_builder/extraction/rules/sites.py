"""Where a lesion is: the organ, side and segment that a sentence gives it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from rsuper_bench.benchmark.records import Kind
from rsuper_bench.benchmark.tumor_types import Side, TumorType
from rsuper_bench.dataset_builder.extraction.rules.items import NOUN_PHRASE, Row
from rsuper_bench.dataset_builder.extraction.rules.lexicon import Entry, Label
from rsuper_bench.dataset_builder.extraction.rules.mentions import is_landmark, organ_list_at
from rsuper_bench.dataset_builder.extraction.rules.sides import side_near, side_of
from rsuper_bench.dataset_builder.extraction.rules.sizes import PREDICATES, is_governed

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Site:
    """An organ a lesion is in.

    Attributes:
        tumor_type: The organ; None for anatomy that holds no supported tumor type.
        span: The words that say so, or None when it follows from the kind of lesion.
        side: Left, right or both, for paired organs.
        side_span: The words that say so.
    """

    tumor_type: TumorType | None
    span: Span | None = None
    side: Side | None = None
    side_span: Span | None = None


_ADJECTIVES = (Label.ATTENUATION, Label.NATURE, Label.COUNT, Label.SIDE)
_NO_MODIFIERS = PREDICATES | {"seen", "noted", "identified", "present", "found"}

_ASPECTS = frozenset(
    {
        "lateral",
        "medial",
        "posterior",
        "anterior",
        "superior",
        "inferior",
        "mid",
        "middle",
        "distal",
        "proximal",
        "upper",
        "lower",
    }
)
_ORIGINS = frozenset(
    {"arising from", "originating from", "centered in", "centred in", "centered within", "emanating from"}
)
_ROOTS = frozenset({"hilar", "perihilar", "suprahilar", "infrahilar"})
ELSEWHERE = Site(None)


def sites_of(row: Row, lesion: int, many: bool) -> list[Site]:
    """The organs a sentence places a lesion in; empty when it names none.

    Args:
        row: The sentence.
        lesion: Position of the lesion word.
        many: The word is denied or stands for several, so a list of organs may hold it all.
    """
    entry = row.items[lesion].entry
    for found in (_before_noun(row, lesion), _after_preposition(row, lesion), _trailing(row, lesion)):
        if found == [ELSEWHERE] and entry.organs and entry.kind is not Kind.METASTASIS:
            continue  # "Klatskin tumor at the hilum"
        if found:
            return found
    if entry.organs:
        side, span = side_near(row, lesion, entry.organs[0])
        listed = _listed_before(row, lesion - 1) if many else []  # "no renal or soft tissue mass"
        own = [Site(organ, row.items[lesion].span, side, span) for organ in entry.organs]
        return [*(site for index in listed for site in site_at(row, index)), *own]
    return _subject(row, lesion, many)


def _trailing(row: Row, lesion: int) -> list[Site]:
    # "2F cyst upper pole right kidney", "mass 5 cm left kidney": dictation without prepositions
    items = row.items
    last = row.clause_end(lesion)
    for position in range(lesion + 1, last):
        item = items[position]
        if item.label is Label.ORGAN and not item.entry.implied:
            following = items[position + 1] if position + 1 < last else None
            part = following is not None and following.entry.implied  # "cyst right kidney upper pole"
            ends = (
                part
                or following is None
                or following.label
                in (
                    Label.PUNCTUATION,
                    Label.MEASUREMENT,
                    Label.WORD,
                    Label.WITH,
                    Label.AND,
                    Label.LIKELY,
                    Label.VERB,
                )
            )
            return site_at(row, position, lesion) if ends and not item.entry.adjective else []
        passes = (
            item.label in (Label.SIDE, Label.MEASUREMENT)
            or item.text in _ASPECTS
            or (item.label is Label.ORGAN and item.entry.implied)
        )
        if not passes and item.text not in (",", "", "in", "size", "(", ")"):
            return []
    return []


def stronger_sites(row: Row, lesion: int, many: bool) -> list[Site]:
    """Sites of a "soft tissue mass" that its sentence places in an organ: soft tissue is then what it is made of."""
    found = _after_preposition(row, lesion) or _subject(row, lesion, many)
    return [] if any(site.tumor_type is TumorType.SOFT_TISSUE for site in found) else found


def site_at(row: Row, organ: int, lesion: int | None = None) -> list[Site]:
    """The sites an organ word stands for, with the side beside it."""
    item = row.items[organ]
    sites = []
    for tumor_type in item.entry.organs:
        side, span = side_of(row, organ, tumor_type)
        if side is None and lesion is not None:
            side, span = side_near(row, lesion, tumor_type)
        sites.append(Site(tumor_type, item.span, side, span))
    return sites


def _before_noun(row: Row, lesion: int) -> list[Site]:
    # "hepatic and left renal cysts"
    items = row.items
    organ = _walk_left_to_organ(row, lesion)
    if organ is None:
        return []
    if items[organ].label is not Label.ORGAN:  # "pelvic mass", "lymph node metastasis"
        origin = (
            _after_preposition(row, lesion)
            if any(item.text in _ORIGINS for item in items[lesion + 1 : lesion + 4])
            else []
        )
        before = items[organ - 1] if organ else None
        if len(origin) == 1 and origin[0].side is None and before is not None and before.label is Label.SIDE:
            origin = [replace(origin[0], side=before.entry.side, side_span=before.span)]  # "left flank mass"
        return _lung_root(row, organ) or origin or [ELSEWHERE]
    organs = [*_listed_before(row, organ - 1), organ]
    implied = [index for index in organs if items[index].entry.implied]
    if len(implied) == len(organs) and (later := _after_preposition(row, lesion)) and later[0].tumor_type is not None:
        return later
    return [site for index in organs for site in site_at(row, index, lesion if len(organs) == 1 else None)]


def _lung_root(row: Row, place: int) -> list[Site]:
    """The lung, for a mass at its root: "right hilar mass"; a hilum without a side may be that of the liver."""
    side = row.items[place - 1] if place else None
    if row.items[place].text not in _ROOTS or side is None or side.entry.side not in (Side.LEFT, Side.RIGHT):
        return []
    return [Site(TumorType.LUNG, row.items[place].span, side.entry.side, side.span)]


def own_organs(row: Row, lesion: int) -> list[Site]:
    """The supported organs right before a lesion word: "a prostatic mass"."""
    return [site for site in _before_noun(row, lesion) if site.tumor_type is not None]


def _listed_before(row: Row, position: int) -> list[int]:
    """Positions of the organs of a list that ends before a position: "hepatic, splenic and" (renal cysts)."""
    organs: list[int] = []
    joined = False
    while position >= 0:
        item = row.items[position]
        if item.text in (",", "/") or item.label is Label.AND:
            joined = True
        elif item.label is Label.ORGAN and joined:
            if is_governed(row, position) and not item.entry.adjective:
                break
            organs.append(position)
            joined = False
        elif item.label is not Label.SIDE:
            break
        position -= 1
    return organs[::-1]


def _walk_left_to_organ(row: Row, lesion: int) -> int | None:
    position = lesion - 1
    while position >= 0:
        item = row.items[position]
        if item.label in (Label.ORGAN, Label.PLACE) or (item.label is Label.THING and position == lesion - 1):
            return position
        # "hepatic low-density, well-defined lesion", not "... kidney measuring 2 cm, cyst ..."
        adjectives = item.text == "," and position > 0 and row.items[position - 1].label in _ADJECTIVES
        if (item.label not in NOUN_PHRASE and not adjectives) or item.text in _NO_MODIFIERS:
            return None
        position -= 1
    return None


def _after_preposition(row: Row, lesion: int) -> list[Site]:
    # "a cyst in the upper pole of the left kidney"
    items = row.items
    last = row.clause_end(lesion)
    governed = False
    far = False
    place = False
    implied: int | None = None
    position = lesion + 1
    while position < last:
        item = items[position]
        if item.text == "from" and (origin := _origin_end(row, lesion, position)) is not None:
            position = origin
            continue
        if item.label is Label.LESION:
            break
        spreads = item.text == "to" and items[lesion].entry.kind is Kind.METASTASIS
        away = item.text == "from" and items[position - 1].label is Label.MEASUREMENT  # "3 cm from the GE junction"
        if (item.label is Label.PREP and not away) or spreads:
            governed, far = True, far and item.text == "of"
        elif item.label is Label.FAR or away:
            governed, far = False, True
        elif item.label is Label.PLACE and governed and not far:
            # "left lobe of the thyroid", not "segment 3 on the venous phase"
            place = implied is None or any(other.text == "of" for other in items[implied + 1 : position])
        elif item.label is Label.ORGAN:
            if governed and not far and not _belongs_to_next(row, position):
                if item.entry.implied:
                    implied = position if implied is None else implied
                elif (
                    place
                    and items[position - 1].text not in ("of", "the")
                    and not _is_soft_tissue(items[position].entry)
                ):
                    return [ELSEWHERE]
                else:
                    return _listed_after(row, position, lesion)
        elif item.text in ("-", "–", "—") and position <= lesion + 2:
            governed = True  # "Nodule 2 - left lower lobe"
        elif item.label is Label.AND or item.text in (",", ";", "(", ")", ":"):
            if item.text == "," and _is_apposed(row, position):
                governed, far = True, False
            elif item.text == ":" and position <= lesion + 2:
                governed = True  # "Nodule 1: right upper lobe"
            elif not (item.label is Label.AND and position + 1 < last and _goes_on(row, position, last)):
                governed = False
        elif item.label in (Label.VERB, Label.LINK, Label.WITH, Label.NEGATION, Label.THING):
            governed = False
        position += 1
    if implied is not None and not place:
        return site_at(row, implied, lesion)
    return [ELSEWHERE] if place else []


def _goes_on(row: Row, joint: int, last: int) -> bool:
    """Whether "and" joins places or parts: "in the liver and in ...", "of the mid and lower oesophagus"."""
    following = row.items[joint + 1 : min(last, joint + 4)]
    if following[0].label is Label.PREP:
        return True
    parts = row.items[joint - 1].text in _ASPECTS and following[0].text in _ASPECTS
    return parts and any(item.label is Label.ORGAN for item in following[1:])


def _is_soft_tissue(entry: Entry) -> bool:
    return entry.organs == (TumorType.SOFT_TISSUE,)  # "abdominal wall musculature"


def _origin_end(row: Row, lesion: int, position: int) -> int | None:
    """Position after the primary that metastases come from ("metastases from colon cancer"), or None."""
    if row.items[lesion].entry.kind is not Kind.METASTASIS:
        return None
    for later in range(position + 1, min(position + 6, len(row.items))):
        label = row.items[later].label
        if label is Label.LESION:
            return later + 1
        if label not in (Label.WORD, Label.ORGAN, Label.PLACE, Label.DEFINITE, Label.INDEFINITE, Label.NATURE):
            return None
    return None


def _belongs_to_next(row: Row, organ: int) -> bool:
    """Whether an organ word qualifies a thing or lesion after it ("hepatic cyst", "colon cancer")."""
    following = row.items[organ + 1] if organ + 1 < len(row.items) else None
    if following is not None and following.label is Label.LESION:
        return not following.text.startswith(("is ", "are ", "appears ", "looks "))  # "the adrenal | is thickened"
    if not row.items[organ].entry.adjective:
        return False
    for item in row.items[organ + 1 : organ + 4]:
        if item.label in (Label.THING, Label.LESION):
            return True
        if item.label not in (Label.WORD, Label.ATTENUATION, Label.NATURE):
            return False
    return False


def _belongs_to_lesion(row: Row, organ: int) -> bool:
    named = [item.label for item in row.items[organ + 1 : organ + 4] if item.label in (Label.LESION, Label.THING)]
    return named[:1] == [Label.LESION]


def _is_apposed(row: Row, comma: int) -> bool:
    """Whether a place stands by itself after a comma ("2 cm cyst, left kidney")."""
    for position in range(comma + 1, row.clause_end(comma)):
        item = row.items[position]
        if item.label is Label.ORGAN:
            after = row.items[position + 1 : position + 2]
            return not after or after[0].text in (".", ",", "(", ";")
        if item.label is not Label.SIDE and item.text not in _ASPECTS:
            return False
    return False


def _listed_after(row: Row, organ: int, lesion: int) -> list[Site]:
    items = row.items
    organs = [organ]
    position = organ + 1
    joined = False
    while position < row.clause_end(organ):
        item = items[position]
        if item.text in (",", "/") or item.label is Label.AND:
            joined = True
        elif item.label is Label.ORGAN and not item.entry.implied and (joined or _by_slash(row, position)):
            if _leads_to_noun_or_verb(row, position):
                break
            organs.append(position)
            joined = False
        elif item.label not in (Label.DEFINITE, Label.SIDE, Label.PREP) or (item.label is Label.PREP and not joined):
            break
        position += 1
    return [site for index in organs for site in site_at(row, index, lesion if len(organs) == 1 else None)]


def _by_slash(row: Row, position: int) -> bool:
    """Whether a slash joins an item to the one before: "spleen/pancreas"."""
    between = row.text[row.items[position - 1].end - row.offset : row.items[position].start - row.offset]
    return between.strip() == "/"


def _leads_to_noun_or_verb(row: Row, organ: int) -> bool:
    """Whether an organ begins something new: "... in the liver and the spleen is normal", "... and renal cysts"."""
    for item in row.items[organ + 1 : organ + 4]:
        if item.label in (Label.LESION, Label.THING, Label.VERB):
            return True
        if item.label not in (Label.WORD, Label.ATTENUATION, Label.NATURE):
            return False
    return False


def _subject(row: Row, lesion: int, many: bool) -> list[Site]:
    # "The liver contains a 2 cm cyst"
    items = row.items
    for position in range(lesion - 1, -1, -1):
        item = items[position]
        if item.label is Label.PLACE and not item.entry.adjective and not is_governed(row, position):
            return [ELSEWHERE]
        if (
            item.label is Label.THING
            and len(item.entry.organs) == 1
            and not is_governed(row, position)
            and not item.entry.apart
        ):
            return [Site(item.entry.organs[0], item.span)]  # "Splenomegaly with innumerable foci"
        if (
            item.label is Label.ORGAN
            and not is_landmark(row, position)
            and (not _belongs_to_next(row, position) or (many and not _belongs_to_lesion(row, position)))
        ):
            listed = organ_list_at(row, position) if many else [position]
            real = [index for index in listed if not items[index].entry.implied] or listed
            return [site for index in real for site in site_at(row, index, lesion if len(real) == 1 else None)]
    return []
