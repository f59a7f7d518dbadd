"""The grammar of sizes: "4 x 3 x 2 cm", "2.1 cm x 1.8 cm", "12-mm", "5-8 mm", "from 10 to 14 mm"."""

from __future__ import annotations

import re
from dataclasses import dataclass

LARGEST_PLAUSIBLE_MM = 400.0
MAX_AXES = 3
_COARSE_MM = 10.0  # CT does not tell tenths of a millimetre
LONGEST_TO_SHORTEST = 12.0  # axes of one lesion that differ more have a slipped unit
MIXED_TO_SHORTEST = 6.0  # the same, where one has decimals and the other has none: "23 x 2.1 cm", "2.3 x 19 mm"

# White space is bounded everywhere, so that no run of blanks makes a pattern slow.
_BLANK = r"\s{0,8}"
_GAP = r"[\s-]{0,8}"
_WORDS = {
    "half a": 0.5, "half": 0.5, "one": 1.0, "two": 2.0, "three": 3.0, "four": 4.0, "five": 5.0,
    "six": 6.0, "seven": 7.0, "eight": 8.0, "nine": 9.0, "ten": 10.0, "eleven": 11.0, "twelve": 12.0, "thirteen": 13.0,
    "fourteen": 14.0, "fifteen": 15.0, "sixteen": 16.0, "seventeen": 17.0, "eighteen": 18.0, "nineteen": 19.0,
}  # fmt: skip
_TENS = {"twenty": 20.0, "thirty": 30.0, "forty": 40.0, "fifty": 50.0, "sixty": 60.0, "seventy": 70.0, "eighty": 80.0}
_NUMBER = r"(?:\d{1,4}(?:[.,·]\d{1,2})?|\.\d{1,2})"
_WHOLE = rf"(?:(?:{'|'.join(_TENS)})(?:[\s-](?:one|two|three|four|five|six|seven|eight|nine))?|{'|'.join(_WORDS)})"
_IN_WORDS = (
    rf"(?:{_WHOLE}(?:\spoint\s(?:one|two|three|four|five|six|seven|eight|nine))?)(?=[\s-]{{1,3}}(?:cm|mm|centi|milli))"
)
_FIRST_NUMBER = rf"(?:\d{{0,2}}[\s-]?1/2(?=[\s-]{{1,3}}(?:cm|mm))|{_NUMBER}|{_IN_WORDS})"
_UNIT = r"(?:mm|cm|millimet(?:er|re)s?|centimet(?:er|re)s?|cms|mms)"
# An axis name may follow a number: "4.2 cm (AP) x 3.1 cm (TR)", "4.2 AP x 3.1 TV cm".
# A lone letter is an axis only beside another axis: "2 cm L renal cyst" is on the left.
_AXIS_NAMES = (
    r"ap|tra|trans|trv|tr|tv|ts|cc|si|ml|ls|rl|lr(?!-?\s?\d)|axial|coronal|sagittal|transverse|cranio-?caudal|antero-?posterior"
    "|longitudinal|long|wide|deep|high|width|height|depth|length"
)
_AXIS_LETTERS = r"[wlh](?=\s*(?:[x×*)]|by\b))"
_AXIS = rf"(?:{_BLANK}\(?{_BLANK}(?:{_AXIS_NAMES}|{_AXIS_LETTERS})\b(?!\s?x\s?(?:{_AXIS_NAMES})\b){_BLANK}\)?)?"
_AXES = rf"(?:{_BLANK}\((?:{_AXIS_NAMES})(?:\s?x\s?(?:{_AXIS_NAMES})){{1,2}}\))?"  # "67 x 54 x 91 mm (AP x TR x CC)"
_NAMED = rf"(?:(?:{_AXIS_NAMES})\s{{1,3}})?"  # "AP 2.3 cm x TR 1.9 cm"
_BY = rf"{_BLANK}(?:x|×|\*|by){_BLANK}"
SIZE = re.compile(
    rf"(?<![\w.,/])(?<!\bseg )(?<!segment )(?<!segments )(?P<first>{_FIRST_NUMBER})(?:{_GAP}(?P<unit1>{_UNIT}))?{_AXIS}"
    rf"(?:{_BY}{_NAMED}(?P<second>{_NUMBER})(?:{_GAP}(?P<unit2>{_UNIT}))?{_AXIS})?"
    rf"(?:{_BY}{_NAMED}(?P<third>{_NUMBER})(?:{_GAP}(?P<unit3>{_UNIT}))?{_AXIS})?"
    rf"(?:(?<=\)){_BLANK}(?P<unit5>{_UNIT}))?{_AXES}"
    rf"(?:{_BLANK}(?P<joint>-|–|—|to|(?<![cm]m )and|(?<![cm]m )or){_BLANK}"
    rf"(?P<other>{_NUMBER}){_GAP}(?P<unit4>{_UNIT})(?!{_BY}\d))?",
    re.IGNORECASE,
)
PAIR = r"(?P<sizes>(?P<one>\d{1,3}(?:\.\d)?)(?:\s?[x×]\s?(?P<two>\d{1,3}(?:\.\d)?))?)"
_ARROW = r"(?:→|➔|-{1,2}>|=>)"
# "31 -> 24", "52x41 -> 37x30": the last of a row of arrows, where it has no unit of its own
_CHANGED = re.compile(
    rf"\d\s{{0,2}}(?P<unit>{_UNIT})?\s{{0,2}}{_ARROW}\s{{0,2}}{PAIR}(?![\d%.]*\d|\s?(?:%|{_UNIT}\b|hu\b|x\s?\d|×)|\s{{0,2}}{_ARROW})",
    re.IGNORECASE,
)
_NO_LENGTH = re.compile(
    r"\b(?:suv\w*|hu|psa|cea|afp|ca\s?\d+|crea\w*|egfr|hb|score|rads|stage|grade|[tnm]\d)\W", re.IGNORECASE
)
_SIDED = re.compile(
    rf"\b(?:right|left|rt|lt|r|l)\.?\s{PAIR}(?=\s?(?:,|and|/|;)\s?(?:right|left|rt|lt|r|l)\.?\s\d[\d.]{{0,3}}\s?(?P<unit>{_UNIT}))",
    re.IGNORECASE,
)
BARE = re.compile(
    r"(?<![\w.,/(#–-])(?<!seg )(?<!segment )(?<!segments )(?<!series )(?<!image )(?<!target )(?<!lesion )(?<!nodule )"
    rf"{PAIR}"
    r"(?=\s{0,3}(?:\(|\[|$|;|,\s?(?:prev|prior|was|from|stable|unch)|(?:prev|prior|was|from|stable|unch)))",
    re.IGNORECASE,
)
_CM_BELOW = 15.0
_JOINED = re.compile(r"\s{0,3}(?:and|&|,|,\s?and)\s{1,3}", re.IGNORECASE)
# The first sizes of a list that states its unit once: "(25, 18, 11 and 9 mm)", "measuring 11, 8 and 6 mm".
_LISTED = re.compile(
    r"(?:[(,:]|\b(?:measur\w{1,3}|of|are|lobes?))\s{0,2}((?:\d{1,3}(?:\.\d)?\s{0,2},\s{0,2}){1,12})$", re.IGNORECASE
)
_A_NUMBER = re.compile(r"\d{1,3}(?:\.\d)?")
_HAS_UNIT = re.compile(r"[cm]m|met(?:er|re)", re.IGNORECASE)
# What turns a length into something else: "12 cm2", "3 cm/s", "10 mm Hg".
_NOT_A_LENGTH = re.compile(r"(?:\s*[²³^]|\s?[23](?![\d.])(?!\s*(?:x|×))|\s*/\s*[a-z]|\s*hg\b)", re.IGNORECASE)
_DANGLING_BY = re.compile(r"(?:\d|_)\s*(?:x|×|\*)\s*(?:x|×|\*|_+|-)?\s*$", re.IGNORECASE)
_BY_FOLLOWS = re.compile(r"\s*(?:x|×|\*)\s*(?:x|×|\*|_|-|\?)", re.IGNORECASE)
# Comparisons that bound a size instead of giving it.
_LESS = re.compile(
    r"(?:less than|smaller than|under|below|<|no more than|not more than|sub-?)\s*(?:or equal to\s*)?$", re.IGNORECASE
)
_BETWEEN = re.compile(r"\bbetween\s+(?:about\s+|approximately\s+)?$", re.IGNORECASE)
_LIMIT = re.compile(
    r"(?:(?:greater|larger|more|bigger) than|exceeding|>|over|above|at least)\s*(?:or equal to\s*)?$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One size.

    Attributes:
        start: Offset of its first character.
        end: Offset after its last character.
        diameters_mm: One to three lengths as stated; of a range ("5-8 mm") its upper end.
        others_mm: Lengths of further lesions named in the same breath ("2.3 and 1.5 cm").
        is_span: "10 to 14 mm": a range, or a change when a word of change stands before it.
        below: "less than 5 mm": a bound, not a size.
        above: "greater than 5 mm": a lower bound.
        flag: What is wrong with it (``malformed``, ``implausible``, ``unit_slip``), else None.
        doubtful: Its unit may have slipped: two or three axes with decimals of a millimetre ("2.4 x 2.1 mm").
    """

    start: int
    end: int
    diameters_mm: tuple[float, ...]
    others_mm: tuple[float, ...] = ()
    is_span: bool = False
    below: bool = False
    above: bool = False
    flag: str | None = None
    doubtful: bool = False


def measurements_in(text: str, offset: int = 0) -> list[Measurement]:
    """Find every size in a sentence; numbers without a unit are sizes only after an arrow ("31 -> 24").

    Args:
        text: A sentence.
        offset: Where the sentence begins in the report; spans are in report characters.
    """
    found = _after_arrows(text, offset)
    if _HAS_UNIT.search(text) is None:
        return found
    for match in SIZE.finditer(text):
        units = [match["unit1"], match["unit2"], match["unit3"], match["unit4"], match["unit5"]]
        later = None
        if not any(units):
            later = _unit_ahead(match, text)
            if later is None:
                continue
        measurement = _read(match, text, offset, later)
        if measurement is not None:
            found.append(measurement)
    found += _sided(text, offset)
    return sorted(found, key=lambda size: size.start)


def _after_arrows(text: str, offset: int) -> list[Measurement]:
    """What an arrow leads to, where it has no unit of its own."""
    if ">" not in text and "→" not in text and "➔" not in text:
        return []
    return [
        bare_size(match, offset, match["unit"])
        for match in _CHANGED.finditer(text)
        if _NO_LENGTH.search(text, max(0, match.start() - 20), match.start()) is None
    ]


def _sided(text: str, offset: int) -> list[Measurement]:
    """The first of two sizes with one unit: "right 1.5, left 1.2 cm"."""
    return [bare_size(match, offset, match["unit"]) for match in _SIDED.finditer(text)]


def bare_in(text: str, offset: int) -> list[Measurement]:
    """The size without a unit in a line of a table of sizes: "TL1 segment 4a 34 (26)"."""
    if _HAS_UNIT.search(text) is not None or _CHANGED.search(text) is not None:
        return []
    stated = [match for match in BARE.finditer(text) if _NO_LENGTH.search(text, 0, match.start()) is None]
    return [bare_size(match, offset, None) for match in stated[:1]]


def bare_size(match: re.Match[str], offset: int, unit: str | None) -> Measurement:
    """A size whose unit is not written: centimetres where it has decimals below 15."""
    numbers = [float(number) for number in (match["one"], match["two"]) if number]
    small = any("." in number for number in (match["one"], match["two"] or "")) and max(numbers) < _CM_BELOW
    scale = 10.0 if (unit.lower().startswith("c") if unit else small) else 1.0
    lengths_mm = tuple(round(number * scale, 4) for number in numbers)
    usable = min(lengths_mm) > 0 and max(lengths_mm) <= LARGEST_PLAUSIBLE_MM
    return Measurement(
        offset + match.start("one"), offset + match.end("sizes"), lengths_mm, flag=None if usable else "implausible"
    )


def _unit_ahead(match: re.Match[str], text: str) -> str | None:
    """The unit of the next size where two share it: "3.1x2.6 and 2.2x2 cm"."""
    if match["second"] is None:
        return None
    following = _JOINED.match(text, match.end())
    if following is None:
        return None
    size = SIZE.match(text, following.end())
    if size is None or size["second"] is None:
        return None
    return size["unit3"] or size["unit2"] or size["unit1"]


def _read(match: re.Match[str], text: str, offset: int, later_unit: str | None = None) -> Measurement | None:
    numbers = [match["first"], match["second"], match["third"]]
    units = [match["unit1"], match["unit2"], match["unit3"]]
    stated = [(number, unit) for number, unit in zip(numbers, units, strict=True) if number]
    last_unit = match["unit4"] or match["unit5"] or next((unit for _, unit in reversed(stated) if unit), later_unit)
    end = match.end()
    if last_unit is None or _NOT_A_LENGTH.match(text, end):
        return None
    lengths_mm = []
    for index, (number, unit) in enumerate(stated):
        # "4 x 3 cm" states one unit for all: each number takes its own, else the next one stated.
        own = unit or next((later for _, later in stated[index + 1 :] if later), None) or last_unit
        lengths_mm.append(_millimetres(number, own))
    before = text[max(0, match.start() - 40) : match.start()]
    others_mm: tuple[float, ...] = ()
    is_span = False
    if match["other"]:
        other_mm = _millimetres(match["other"], match["unit4"])
        apart = match["joint"].lower() == "and" and not _BETWEEN.search(before)
        if apart or len(lengths_mm) > 1:
            others_mm = (other_mm,)
        else:
            lengths_mm, others_mm, is_span = [other_mm], (lengths_mm[0],), True
    if match["other"] and len(lengths_mm) == 1 and not is_span and (listed := _LISTED.search(before)):
        unit = match["unit1"] or match["unit4"]
        more = [_millimetres(number, unit) for number in _A_NUMBER.findall(listed[1])]
        others_mm = (lengths_mm[0], *others_mm)  # "(25, 18, 11 and 9 mm)"
        lengths_mm, others_mm = more[:1], (*more[1:], *others_mm)
    flag = None
    if _DANGLING_BY.search(before) or _BY_FOLLOWS.match(text, end):
        flag = "malformed"
    elif min(lengths_mm) <= 0 or max(lengths_mm) > LARGEST_PLAUSIBLE_MM:
        flag = "implausible"
    elif max(lengths_mm) > (MIXED_TO_SHORTEST if _is_mixed(stated) else LONGEST_TO_SHORTEST) * min(lengths_mm):
        flag = "unit_slip"
    return Measurement(
        start=offset + match.start(),
        end=offset + end,
        diameters_mm=tuple(lengths_mm[:MAX_AXES]),
        others_mm=others_mm,
        is_span=is_span,
        below=bool(_LESS.search(before)),
        above=bool(_LIMIT.search(before)),
        flag=flag,
        doubtful=len(lengths_mm) > 1 and max(lengths_mm) < _COARSE_MM and all("." in number for number, _ in stated),
    )


def _is_mixed(stated: list[tuple[str, str | None]]) -> bool:
    """Whether some axes have decimals and some none, under one unit."""
    units = [unit for _, unit in stated if unit]
    return len(units) == 1 and len({"." in number or "," in number for number, _ in stated}) > 1


def _in_words(number: str) -> float:
    """The value of a number in words ("twenty two", "one point five"); 0 for digits."""
    whole, _, decimal = number.replace("-", " ").partition(" point ")
    tens, _, ones = whole.partition(" ")
    value = _WORDS.get(whole) or (_TENS[tens] + _WORDS.get(ones, 0.0) if tens in _TENS else 0.0)
    return value + _WORDS.get(decimal, 0.0) / 10.0


def _millimetres(number: str, unit: str) -> float:
    if number.endswith("1/2"):
        value = float(number[:-3].strip(" -\t") or 0) + 0.5
    else:
        value = _in_words(number.lower()) or float(number.replace(",", ".").replace("·", "."))
    return round(value * (10.0 if unit.lower().startswith("c") else 1.0), 4)
