"""Names of people in running text: known names, and capitalised words that no report would hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from functools import cache
from importlib.resources import files

from rsuper_bench.dataset_builder.phi.hit import Hit

_TOKEN = re.compile(r"[A-Za-z]+(?:['\-][A-Za-z]+)*")
_LINK = re.compile(
    r"(?:[ ]+|\s*,\s*|[ ]+(?:[A-Z]\.?[ ]+)|[ ]+(?:van|von|der|den|de|del|della|di|da|la|le|bin|al|el|ten|ter)[ ]+)"
)
_PLACES = {("ann", "arbor"), ("mary", "joseph")}  # staging system and nodule
_INITIAL = re.compile(r"\b(?:[A-Z]\.[ ]?){1,3}$")
# Words after which a capitalised word that is not known is a person.
_CUE = re.compile(
    r"\b(?:discussed\s+with|spoke\s+with|communicated\s+(?:to|with)|conveyed\s+to|called\s+to|reported\s+to|relayed\s+to|notified|informed"
    r"|paged|telephoned|contacted|seen\s+by|reviewed\s+(?:by|with)|referred\s+by|per|by|signed|dictated|thanks?(?:\s+you)?|dear|regards"
    r"|resident|attending|fellow|nurse|surgeon|technologist|patient)[ ,]+$",
    re.I,
)
_PLACE = re.compile(r"\b(?:at|from|near|in)\s+(?:the\s+)?$")
_THEN_INITIAL = re.compile(r"(?:'s)?,?[ ][A-Z]\.(?:,|\s*$|[ ][a-z])", re.M)
_AFTER_EPONYM = re.compile(
    r"(?:'s|s')?(?:[- ][A-Za-z]+)?[- ]+(?:signs?|diseases?|syndrome|cysts?|hernias?|procedure|classification|score"
    r"|criteria|duct|ligament|pouch|fascia|nodes?|nodules?|tumou?r|lymphoma|sarcoma|type|grade|category|catheter|tube"
    r"|filter|stent|units?|line|angle|triangle|space|point|fracture|operation|repair|esophagus|diverticulum|ring"
    r"|sphincter|valve|maneuver|lobe|test|segments?|anastomosis|limb|resection|vein|artery|glands?|bodies|cells?"
    r"|contracture|deformity|index|stage|staging|phenomenon|patch(?:es)?|plaque)\b",
    re.I,
)


@cache
def words(name: str) -> frozenset[str]:
    """One of the word lists beside this file."""
    return frozenset((files(__package__) / "words" / f"{name}.txt").read_text("utf-8").split())


def scan_names(text: str, known: Collection[str] = ()) -> Iterator[Hit]:
    """Find people in plain text.

    Args:
        text: Plain text.
        known: Further words in lower case that are no names, such as those that reports also write in lower case.
    """
    given, surnames, institutions = words("given_names"), words("surnames"), words("institutions")
    eponyms, common = words("eponyms"), words("known_words")

    def plain(word: str, *, names_too: bool = True) -> bool:
        """No name: a word of reports, or several joined by hyphens; eponyms are such words unless told otherwise."""
        parts = [part for part in re.split(r"['\-]", word.lower().removesuffix("'s")) if part]
        return all(
            part in common or part in known or (names_too and part in eponyms) or len(part) == 1 for part in parts
        )

    tokens = [(match.start(), match.end(), match.group()) for match in _TOKEN.finditer(text)]
    for index, (start, end, word) in enumerate(tokens):
        low = word.lower().removesuffix("'s")
        capital = word[0].isupper()
        if word.isupper() and low in institutions:
            yield Hit(start, end, "institution")
        if index + 1 < len(tokens):
            next_start, next_end, after = tokens[index + 1]
            link = _LINK.fullmatch(text[end:next_start])
            if (
                link
                and (low, after.lower()) not in _PLACES
                and _is_name(low, after.lower().removesuffix("'s"), word, after, link.group(), given, surnames, plain)
            ):
                yield Hit(start, next_end, "name")
                continue
        if not capital or (word.isupper() and len(word) < 4) or plain(word, names_too=False):
            continue
        before = text[max(start - 60, 0) : start]
        told = _CUE.search(before) or _PLACE.search(before)
        bare = end - 2 if word.endswith("'s") else end
        if _AFTER_EPONYM.match(text, end) or _AFTER_EPONYM.match(text, bare):
            continue
        if plain(word):  # an eponym: a person only where the words say so
            if _CUE.search(before) and not word.isupper():
                yield Hit(start, end, "name")
        elif _listed(low, surnames, given) or (
            not word.isupper() and (told or _INITIAL.search(before) or _THEN_INITIAL.match(text, end))
        ):
            yield Hit(start, end, "name")


def _listed(word: str, *lists: Collection[str]) -> bool:
    """Whether a word, or each part of one with a hyphen, is in one of the lists."""
    parts = [part for part in word.split("-") if part]
    return any(word in names for names in lists) or all(any(part in names for names in lists) for part in parts)


def _is_name(
    first: str,
    second: str,
    word: str,
    after: str,
    link: str,
    given: Collection[str],
    surnames: Collection[str],
    plain: Callable[[str], bool],
) -> bool:
    """Whether two neighbours are a name: `John Smith`, `Smith, John`, `JOHN Q. SMITH`, `john smith`, `Xu Okafor`."""
    both_capital = word[0].isupper() and after[0].isupper()
    one, two = _listed(first, given), _listed(second, surnames)
    reverse = _listed(first, surnames) and _listed(second, given)
    if not both_capital:
        return ((one and two and "," not in link) or reverse) and not (plain(word) or plain(after))
    if "," in link:
        return (reverse and not plain(after)) or (
            (_listed(first, surnames) or _listed(second, given)) and not plain(word) and not plain(after)
        )
    if one and two and not word.isupper():
        return True
    if plain(word) and plain(after):
        return False
    if (one and two) or reverse:
        return True
    if plain(word) or plain(after):
        return False
    if one and _listed(second, given):
        return True
    if word.isupper() or after.isupper():
        return one or two
    return len(word) > 1 and len(after) > 1  # two capitalised words that reports do not use
