"""Names of people in running text: known names, and capitalised words that no report would hold."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator

from rsuper_bench.dataset_builder.phi.hit import Hit
from rsuper_bench.dataset_builder.phi.words import words

_TOKEN = re.compile(r"[A-Za-z]+(?:['\-][A-Za-z]+)*")
_LINK = re.compile(
    r"(?:[ ]+|\s*,\s*|[ ]+(?:[A-Z]\.?[ ]+)|[ ]+(?:van|von|der|den|de|del|della|di|da|la|le|bin|al|el|ten|ter)[ ]+)"
)
_PLACES = {("ann", "arbor"), ("mary", "joseph")}  # staging system and nodule
_INITIAL = re.compile(r"\b(?:[A-Z]\.[ ]?){1,3}$")
_LINE = re.compile(r"(?:^[ \t]*|[.:;][ ]+)([A-Z][A-Za-z'-]{2,}),[ ]+([A-Z][A-Za-z'-]{2,})(?:[ ][A-Z]\.?)?[ \t]*$", re.M)
# Words after which a capitalised word that is not known is a person.
_CUE = re.compile(
    r"\b(?:discussed\s+with|spoke\s+with|communicated\s+(?:to|with)|conveyed\s+to|called\s+to|reported\s+to|relayed\s+to"
    r"|notified|informed|paged|telephoned|contacted|seen\s+by|reviewed\s+(?:by|with)|referred\s+by|per|by|signed|dictated|dear|regards"
    r"|thanks?(?:\s+you)?|[a-z]+ologist|resident|attending|fellow|nurse|surgeon|technologist|patient"
    r"|son|daughter|wife|husband|mother|father|brother)[ ,:]+$",
    re.I,
)
_TITLE = re.compile(r"\b(?:[Dd]r|[Pp]rof|[Mm]rs|mr)\b\.?[ ]+$")
# Words that are names too, but far more often words of a report, even after `by` or `patient`.
_WORDS_FIRST = {"may", "will", "long", "short", "small", "sharp", "gross", "colon", "cross", "stone", "mark", "page"}
# Endings of medical and abstract words that hardly any name has.
_TERM = re.compile(
    r"(?<=[a-z]{3})(?:itis|osis|oses|ectom(?:y|ies)|ostom(?:y|ies)|otom(?:y|ies)|graph(?:y|ic)|gram|scop(?:y|ic)|plasty"
    r"|megaly|lysis|emia|uria|[st]ions?|[ei]ous|ular|olog(?:y|ic)|ated|ized|pathy|troph(?:y|ic)|plas(?:ia|tic)|algia"
    r"|rrhage|ectas[ei]s|ectasia|graft|vascular|enteric|hepatic|gastric|splenic|pelvic|phrenic|duodenal|ureteral|umbilical"
    r"|systemic|iliac|lithiasis|carcinoma|sarcoma|adenoma|lymphoma|angioma|blastoma|hematoma)$"
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
            part in common
            or part in known
            or (names_too and part in eponyms)
            or len(part) == 1
            or (_TERM.search(part) is not None and part not in given and part not in surnames)
            for part in parts
        )

    def ordinary(word: str) -> bool:
        return plain(word, names_too=False)

    for match in _LINE.finditer(text):  # `Kovalenko, Oleksandr` on a line of its own
        if not any(ordinary(word) or word.lower() in eponyms for word in match.groups()):
            yield Hit(*match.span(1)[:1], match.end(2), "name")
    tokens = [(match.start(), match.end(), match.group()) for match in _TOKEN.finditer(text)]
    for index, (start, end, word) in enumerate(tokens):
        low = word.lower().removesuffix("'s")
        capital = word[0].isupper()
        if word.isupper() and low in institutions and not _AFTER_EPONYM.match(text, end):
            yield Hit(start, end, "institution")
        if index + 1 < len(tokens):
            next_start, next_end, after = tokens[index + 1]
            link = _LINK.fullmatch(text[end:next_start])
            pair = (low, after.lower().removesuffix("'s"))
            if (
                link
                and (low, after.lower()) not in _PLACES
                and _is_name(*pair, word, after, link.group(), given, surnames, plain, ordinary)
            ):
                yield Hit(start, next_end, "name")
                continue
        before = text[max(start - 60, 0) : start]
        if not capital:  # `dr jones`, `referred by: jones`
            told = _TITLE.search(before) or (_listed(low, surnames, given) and _CUE.search(before))
            if told and len(word) > 1 and not plain(word):
                yield Hit(start, end, "name")
            continue
        if plain(word, names_too=False):  # `seen by Brown`
            named = _listed(low, surnames, given) and low not in _WORDS_FIRST and not word.isupper()
            if named and _CUE.search(before) and not _AFTER_EPONYM.match(text, end):
                yield Hit(start, end, "name")
            continue
        if word.isupper() and len(word) < 4:
            continue
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
    ordinary: Callable[[str], bool],
) -> bool:
    """Whether two neighbours are a name: `John Smith`, `Smith, John`, `JOHN Q. SMITH`, `john smith`, `Xu Okafor`."""
    both_capital = word[0].isupper() and after[0].isupper()
    one, two = _listed(first, given), _listed(second, surnames)
    reverse = _listed(first, surnames) and _listed(second, given)
    if not both_capital:
        return ((one and two and "," not in link) or reverse) and not (plain(word) or plain(after))
    if "," in link:
        return (reverse and not ordinary(after)) or (
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
