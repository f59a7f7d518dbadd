"""Cutting a report into sections, paragraphs and sentences, with the headers that name an organ."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from itertools import islice

from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.extraction.rules.lexicon import (
    Entry,
    Label,
    elsewhere_names,
    lexicon,
    location_words,
    section_names,
    tokens_of,
)
from rsuper_bench.dataset_builder.extraction.rules.sentences import sentences_of


class SectionKind(StrEnum):
    """What is read from a section."""

    FINDINGS = "findings"
    IMPRESSION = "impression"
    HISTORY = "history"  # operations only
    SKIP = "skip"


@dataclass(frozen=True, slots=True)
class Header:
    """Words before a colon that say what the text after them is about.

    ``parent`` is the organ header above a header that names only a side ("Kidneys: Right: ... Left: ...").
    """

    start: int
    end: int
    text: str
    parent: Header | None = None


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence and where it stands.

    Attributes:
        paragraph: Number of its paragraph; a new header or a blank line begins a new one.
        topic: Header above it that names an organ or another part of the body, or None.
        region: Header right above it that names a region ("Pelvis:"), or None.
    """

    start: int
    end: int
    text: str
    section: SectionKind
    paragraph: int
    topic: Header | None
    region: Header | None = None


_HEADER = re.compile(
    r"(?:^|(?<=[\n.;,:])|(?<=-- ))[ \t,]{0,8}(?:(?:\d{1,2}[.)]|[-*•·–])[ \t]{0,8})?"
    r"([A-Za-z][A-Za-z0-9 \t/&,()'’-]{0,79}?)[ \t]{0,8}(?::|[ \t](?:[-–—]{1,3}|={1,2}|\|)(?=[ \t]))"
)
_STOPPED_HEADER = re.compile(
    r"^[ \t]*(Findings|Impression|Conclusions?|Opinion|Summary|Technique|Comparison|Indication|History)\.(?=\s)",
    re.IGNORECASE | re.MULTILINE,
)
_BARE_HEADER = re.compile(r"^[ \t]*([A-Z][A-Z /&,()'-]{2,59}|[A-Z][A-Za-z /&]{2,29})[ \t\r]*$", re.MULTILINE)
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n")
_SKIPPED_WORDS = re.compile(
    r"^(?:please|the|note|biopsy|histology|pathology|series|image|im|se|see|findings are|as follows)\b", re.IGNORECASE
)
MAX_HEADER_WORDS = 8
MAX_PREAMBLE = 40  # sentences looked at for the end of a preamble
_FEWEST_SENTENCES = 3
_SENTENCE_LABELS = frozenset({Label.LESION, Label.LIKELY, Label.HEDGE, Label.VERB, Label.NORMAL})
_NESTED = 4  # headers looked back for the organ a part belongs to
_INDENT = 12  # characters a list marker and blanks may take before a header
_BRACKET = 160  # characters
_SIZED = re.compile(r"\d\s?[cm]m\b", re.IGNORECASE)
_SHORT_LINE = 60  # characters; a shorter line is not wrapped, it ends
_LINE_ENDS = re.compile(r"\n(?=[ \t]*[A-Z\d(*•-])")
_ITEM = re.compile(
    r"(?:(?:non-?)?target |index )?(?:lesion|nodule|mass|observation|metastasis|target|t|tl|nt|ntl|l)\s?#?\d{1,2}"
)
_SIDES = frozenset({"right", "left", "r", "l", "rt", "lt", "both", "bilateral"})
_INCIDENTAL = frozenset({"incidental", "incidentals", "incidentally", "incidental findings", "other findings"})
_SEGMENT = re.compile(
    r"(?:(?:index|target|lesion in|lesion) )?(?:segments?|seg|s)\s?[\divx]{1,4}[ab]?(?:\s?[/-]\s?[\divx]{1,4}[ab]?)?"
)
_NUMERAL = re.compile(r"(?:viii|vii|vi|iv[ab]?|v|iii|ii)(?:\s?/\s?(?:viii|vii|vi|iv[ab]?|v|iii|ii))?")
_REPORTS = re.compile(
    r"finding|report|result|descri|observ|narrat|interpret|body|text|addendum|^\s*ct|^\s*c?ect|scan", re.IGNORECASE
)
_STUDIES = frozenset({"ct", "cta", "ctu", "cect", "ncct", "mdct", "kub"})
_STUDY = re.compile(r"\b(?:CTA?|CTU|MRI?|SCAN|STUDY|REPORT|COLONOGRAPHY|UROGRAM|UROGRAPHY|CYSTOGRAM)\b")


def read_sections(report: str) -> Iterator[Sentence]:
    """Yield the sentences of a report in order, each with its section and topic.

    A report without any header is read as findings.
    """
    cuts = _headers(report)
    # "Upper abdomen:" opens findings too, but a report with only such headers may have begun its findings before.
    named = [
        header.start
        for header, kind, _ in cuts
        if header
        and kind is SectionKind.FINDINGS
        and _REPORTS.search(header.text)
        and header.text.lower() not in _INCIDENTAL
    ]
    last_findings = max(named, default=-1)
    ends = {*[header.start for header, kind, _ in cuts if header and kind is not None], len(report)}
    section = SectionKind.FINDINGS
    paragraph = 0
    position = 0
    topic: Header | None = None
    region: Header | None = None
    for header, kind, next_topic in [*cuts, (None, None, None)]:
        end = header.start if header else len(report)
        has_findings = last_findings >= position
        for begin, stop in _paragraphs(report, position, end):
            paragraph += 1
            if begin != position and not has_findings and section in (SectionKind.HISTORY, SectionKind.SKIP):
                section = SectionKind.FINDINGS  # a report without that header: its text follows the last preamble
            preamble = section in (SectionKind.HISTORY, SectionKind.SKIP) and not has_findings
            opens = None
            if preamble and begin == position:
                opens = _first_line_end(report, begin, stop)
                if opens is None and (stop in ends or section is SectionKind.SKIP):
                    opens = _first_sentence_end(report, begin, stop, section is SectionKind.SKIP)
            for first, last in ((begin, opens), (opens, stop)) if opens is not None else ((begin, stop),):
                if first == opens and opens is not None:
                    section, paragraph = SectionKind.FINDINGS, paragraph + 1
                for start, finish in sentences_of(report, first, last):
                    yield Sentence(start, finish, report[start:finish], section, paragraph, topic, region)
        if header is None:
            break
        paragraph += 1
        if kind is not None:
            section = kind
        if (
            kind is None
            and section in (SectionKind.HISTORY, SectionKind.SKIP)
            and _opens_findings(header, next_topic, has_findings)
        ):
            section = SectionKind.FINDINGS
        topic = _under(next_topic, topic)
        region = header if names_region(header.text) else None
        position = header.end


def _first_line_end(report: str, start: int, end: int) -> int | None:
    """Where the text of a one-line preamble ("EXAM: CT abdomen.") ends and a report without more headers begins."""
    match = _LINE_ENDS.search(report, start, end)
    if match is None or not report[start : match.start()].strip():
        return None
    line = report[report.rfind("\n", 0, match.start()) + 1 : match.start()].rstrip()
    return match.end() if line.endswith((".", "?", "!")) or len(line) < _SHORT_LINE else None


def _first_sentence_end(report: str, start: int, end: int, skipped: bool) -> int | None:
    """Where findings begin that follow a preamble in the same line: "Clinical: dysphagia. The liver is normal."."""
    sentences = list(islice(sentences_of(report, start, end), MAX_PREAMBLE))
    if len(sentences) < _FEWEST_SENTENCES:
        return None
    for begin, stop in sentences[1:]:
        labels = _labels_of(report[begin:stop])
        finds = Label.NORMAL in labels or (skipped and not labels.isdisjoint((Label.LESION, Label.THING)))
        if Label.ORGAN in labels and finds:  # no history says that
            return sentences[0][1]
    return None


def _entries_of(text: str) -> list[Entry]:
    words = [token for token, _, _ in tokens_of(text)]
    entries: list[Entry] = []
    position = 0
    while position < len(words):
        hit = lexicon().match(words, position)
        if hit is not None:
            entries.append(hit[0])
        position += 1 if hit is None else hit[1]
    return entries


def _labels_of(text: str) -> set[Label]:
    return {entry.label for entry in _entries_of(text)}


def _opens_findings(header: Header, topic: Header | None, has_findings: bool) -> bool:
    """Whether an organ header opens the findings of a report that has no header for them."""
    if header.text.isupper() and _STUDY.search(header.text) is not None:
        return not has_findings
    if header.text.lower() in _SIDES or header.text.lower() in _INCIDENTAL:
        return not has_findings
    if topic is None:
        return False
    return not has_findings and bool(_organs_of(topic.text))


def _under(header: Header | None, above: Header | None) -> Header | None:
    """Put a header that names only a side or a part ("Right:", "Tail:") under the organ header above it."""
    if header is None or above is None:
        return header
    top = above.parent or above
    name = " ".join(header.text.lower().replace("-", " ").split())
    if name in _SIDES or (not _organs_of(header.text) and _is_part(name, _organs_of(top.text))):
        return replace(header, parent=top)
    return header


@lru_cache(maxsize=256)
def _organs_of(text: str) -> tuple[TumorType, ...]:
    return tuple(organ for entry in _entries_of(text) if entry.label is Label.ORGAN for organ in entry.organs)


@lru_cache(maxsize=256)
def names_region(text: str) -> bool:
    """Whether a header names a region of the body and no organ: "Chest", "Imaged upper abdomen"."""
    labels = _labels_of(text)
    return Label.PLACE in labels and Label.ORGAN not in labels and bool(region_types(text))


@lru_cache(maxsize=256)
def region_types(text: str) -> tuple[TumorType, ...]:
    """Types whose organs a header's regions hold: "Abdomen/pelvis"."""
    return tuple(organ for entry in _entries_of(text) if entry.region for organ in entry.organs)


def is_segment(header: str) -> bool:
    """Whether a header names a numbered segment of the liver ("Segment IV:"); a size under it is no organ's."""
    return _SEGMENT.fullmatch(" ".join(header.lower().split())) is not None


def _is_part(name: str, organs: tuple[TumorType, ...]) -> bool:
    """Whether a header names a part of an organ: "tail", "upper pole", "s2/3"."""
    numbered = _SEGMENT.fullmatch(name) is not None or _NUMERAL.fullmatch(name) is not None
    liver = TumorType.LIVER in organs and numbered
    return liver or any(name in location_words(organ) for organ in organs)


def _headers(report: str) -> list[tuple[Header | None, SectionKind | None, Header | None]]:
    names = section_names()
    cuts: list[tuple[Header | None, SectionKind | None, Header | None]] = []
    patterns = (_HEADER, _BARE_HEADER, _STOPPED_HEADER)
    matches = (match for pattern in patterns for match in pattern.finditer(report))
    for match in sorted(matches, key=lambda found: found.start(1)):
        start, end, text = match.start(1), match.end(), match[1].strip()
        if cuts and cuts[-1][0] is not None and start < cuts[-1][0].end:
            continue
        name = " ".join(text.lower().replace("\t", " ").split())
        if _ITEM.fullmatch(name):
            continue  # "T1:", "Lesion 2:": the number of a line in a table
        if (len(text) == 1 and text not in "RL") or _SIZED.search(text) or _is_bracketed(report, start):
            continue
        header = Header(start, end, text)
        kind = names.get(name) or names.get(name.removesuffix("s")) or _by_ending(name, names)
        bare = match.re is _BARE_HEADER
        above = next((topic for _, _, topic in reversed(cuts[-_NESTED:]) if topic is not None), None)
        if kind is not None:
            cuts.append((header, SectionKind(kind), None))
        elif bare and not text.isupper():
            if _names_only_organs(text):
                cuts.append((header, None, header))
        elif (
            _SEGMENT.fullmatch(name) or name in _SIDES or (above is not None and _is_part(name, _organs_of(above.text)))
        ):
            cuts.append((header, None, header))  # "S2/3:", "Left:", "Tail:"
        elif _is_topic(
            text,
            bare or not match.group().rstrip().endswith(":"),
            not report[max(0, start - _INDENT) : start].rpartition("\n")[2].strip(" \t-*•·–0123456789.)("),
        ):
            cuts.append((header, None, header))
        elif len(text.split()) <= MAX_HEADER_WORDS and text.isupper() and "LESION" not in text:
            cuts.append((header, None, None))
    return cuts


def _is_bracketed(report: str, start: int) -> bool:
    """Whether words stand in brackets: "two lesions (seg 3: 8 mm; seg 6: 13 mm)"."""
    before = report[max(0, start - _BRACKET) : start]
    return before.rfind("(") > before.rfind(")")


def _names_only_organs(text: str) -> bool:
    """Whether a line holds nothing but organs: "Liver and spleen"."""
    words = [token for token, _, _ in tokens_of(text)]
    position = 0
    while position < len(words):
        hit = lexicon().match(words, position)
        if hit is None or (hit[0].label not in (Label.ORGAN, Label.AND, Label.PLACE) and words[position] not in ",/&"):
            return False
        position += hit[1]
    return bool(words)


def _by_ending(name: str, names: dict[str, str]) -> str | None:
    # "ct abdomen and pelvis findings", "impression ct abdomen"
    words = name.replace("(", " ").replace(")", " ").split()
    if words[0] in _STUDIES and len(words) <= MAX_HEADER_WORDS and words[-1] not in ("technique", "comparison"):
        return names["findings"]
    if 1 < len(words) <= MAX_HEADER_WORDS and _labels_of(name).isdisjoint(_SENTENCE_LABELS):
        for word in (words[-1], words[0]):
            if word in ("findings", "impression", "conclusion", "indication", "technique", "comparison", "history"):
                return names[word]
    return None


def _is_topic(text: str, needs_capitals: bool, at_line_start: bool) -> bool:
    """Whether a header names an organ or another part of the body, and nothing that makes it a sentence."""
    words = [token for token, _, _ in tokens_of(text)]
    if (
        not words
        or len(words) > MAX_HEADER_WORDS
        or (needs_capitals and not text[0].isupper())
        or _SKIPPED_WORDS.match(text)
    ):
        return False
    if not text[0].isupper():
        return False
    position, named = 0, False
    while position < len(words):
        hit = lexicon().match(words, position)
        if hit is not None:
            entry, length = hit
            if entry.label in (Label.VERB, Label.LESION, Label.NEGATION, Label.NORMAL, Label.HEDGE, Label.MEASUREMENT):
                return False
            named = named or entry.label in (Label.ORGAN, Label.PLACE, Label.THING)
            position += length
        else:
            position += 1
    return named or (len(words) <= 2 and (at_line_start or text.lower() in elsewhere_names()))


def _paragraphs(report: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    position = start
    for match in _BLANK_LINE.finditer(report, start, end):
        if match.start() > position:
            yield position, match.start()
        position = match.end()
    if position < end:
        yield position, end
