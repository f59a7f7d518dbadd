"""The words the rules know, read from the YAML files in ``words/`` and from ``TumorType.anatomy``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from rsuper_bench.benchmark.records import Attenuation, Count, CountRelation, Kind, Malignancy
from rsuper_bench.benchmark.tumor_types import Side, TumorType

WORD_FILES = ("lesions", "things", "places", "context", "qualities", "surgery")
# A hyphen or slash within a word is no token: "low-attenuation" is two tokens, like "low attenuation".
_JOINS = "/‐‑–-"
TOKEN = re.compile(rf"[^\W\d_]+(?:['’][a-z]+)?|\d+|[^\w\s{_JOINS}]|(?<![^\W_])[{_JOINS}]|[{_JOINS}](?![^\W_])|_+")


class Label(StrEnum):
    """What a word does in a sentence."""

    WORD = "word"  # unknown to the lexicon
    PUNCTUATION = "punctuation"
    MEASUREMENT = "measurement"
    LESION = "lesion"
    THING = "thing"
    INFLAMED = "inflamed"
    ORGAN = "organ"
    PLACE = "place"
    NEGATION = "negation"
    NEGATION_AFTER = "negation_after"
    NO_OTHER = "no_other"
    NOT_NEGATION = "not_negation"
    HEDGE = "hedge"
    LIKELY = "likely"
    UNLIKELY = "unlikely"
    NORMAL = "normal"
    ABNORMAL = "abnormal"
    LIMITED = "limited"
    PRIOR = "prior"
    COMPARE = "compare"
    NOW = "now"
    CHANGE = "change"
    HISTORY = "history"
    HISTORY_AFTER = "history_after"
    BREAK = "break"
    EXCEPT = "except"
    FAR = "far"
    PREP = "prep"
    LINK = "link"
    WITH = "with"
    VERB = "verb"
    AND = "and"
    INDEFINITE = "indefinite"
    DEFINITE = "definite"
    COREF = "coref"
    ATTENUATION = "attenuation"
    NATURE = "nature"
    COUNT = "count"
    SIDE = "side"
    SURGERY = "surgery"
    PARTIAL_SURGERY = "partial_surgery"
    REMOVED = "removed"
    OUT_OF_VIEW = "out_of_view"


@dataclass(frozen=True, slots=True)
class Entry:
    """What the lexicon knows of one phrase.

    Attributes:
        label: What the phrase does.
        organs: Types it stands for (an organ word), or grows in when nothing else is said (a lesion word).
        is_plural: The phrase stands for several.
        adjective: Organ word that qualifies a noun ("hepatic").
        implied: Organ word that counts only when no other names an organ ("upper pole").
        vague: Lesion word that counts when denied, never when affirmed ("abnormality").
        hedged: Lesion word that only suggests one ("fullness").
        group: Lesion word for many lesions at once ("polycystic kidney").
        explains: Thing that a lesion may turn out to be ("focal fat").
        diffuse: Lesion word whose number is open ("metastatic disease").
        apart: Thing that says nothing of the organ it is beside or in ("lymph node", "stent").
        region: Place whose normal state speaks for the organs in it ("abdomen").
    """

    label: Label
    organs: tuple[TumorType, ...] = ()
    kind: Kind | None = None
    malignancy: Malignancy | None = None
    attenuation: Attenuation | None = None
    count: Count | None = None
    side: Side | None = None
    is_plural: bool = False
    adjective: bool = False
    implied: bool = False
    vague: bool = False
    hedged: bool = False
    group: bool = False
    diffuse: bool = False
    explains: bool = False
    apart: bool = False
    region: bool = False


PLAIN = Entry(Label.WORD)
PUNCTUATION = Entry(Label.PUNCTUATION)
MEASURED = Entry(Label.MEASUREMENT)


def tokens_of(text: str) -> list[tuple[str, int, int]]:
    """Words, numbers and signs of a text: (lower case, start, end)."""
    lower = text.lower()
    if len(lower) != len(text):  # a few letters grow when lowered; positions count in the text itself
        return [(match[0].lower(), *match.span()) for match in TOKEN.finditer(text)]
    return [(match[0], *match.span()) for match in TOKEN.finditer(lower)]


def plural_of(phrase: str) -> str:
    """The English plural of a phrase, by its last word."""
    head, _, last = phrase.rpartition(" ")
    for first in (" of ", " in "):  # "area of low density" -> "areas of low density"
        if first in phrase:
            noun, _, rest = phrase.partition(first)
            return f"{plural_of(noun)}{first}{rest}"
    if last.endswith("sis"):
        last = f"{last[:-3]}ses"
    elif last in ("focus", "calculus", "thrombus", "embolus", "bronchus"):
        last = f"{last[:-2]}i"
    elif last in ("vertebra", "bulla", "axilla", "pleura", "scapula"):
        last = f"{last}e"
    elif last in ("diverticulum", "acetabulum", "ilium"):
        last = f"{last[:-2]}a"
    elif last == "varix":
        last = "varices"
    elif last == "testis":
        last = "testes"
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        last = f"{last[:-1]}ies"
    elif last.endswith(("s", "x", "ch", "sh")):
        last = f"{last}es"
    else:
        last = f"{last}s"
    return f"{head} {last}".strip()


class _Node:
    """A step of the look-up: the entry of the phrase that ends here, and the words that may follow."""

    __slots__ = ("entry", "following")

    def __init__(self) -> None:
        self.entry: Entry | None = None
        self.following: dict[str, _Node] = {}


class Lexicon:
    """Longest-match look-up of phrases in a row of tokens."""

    def __init__(self, entries: Mapping[str, Entry]) -> None:
        self._root = _Node()
        self.words: set[str] = set()
        for phrase, entry in entries.items():
            node = self._root
            for word, _, _ in tokens_of(phrase):
                self.words.add(word)
                node = node.following.setdefault(word, _Node())
            node.entry = entry

    @property
    def first_words(self) -> Mapping[str, object]:
        """The words that phrases begin with."""
        return self._root.following

    def match(self, words: Sequence[str], position: int) -> tuple[Entry, int] | None:
        """The longest phrase that begins at a position, and its number of tokens."""
        node = self._root
        found = None
        for index in range(position, len(words)):
            following = node.following.get(words[index])
            if following is None:
                break
            node = following
            if node.entry is not None:
                found = node.entry, index - position + 1
        return found


@cache
def lexicon() -> Lexicon:
    """The lexicon of this package; read once."""
    entries = dict(_anatomy_entries())
    origin: dict[str, str] = {}
    for name in WORD_FILES:
        groups = yaml.safe_load((files(__package__) / "words" / f"{name}.yaml").read_text(encoding="utf-8"))
        for group in groups:
            for phrase, entry in _group_entries(group):
                if origin.get(phrase, name) != name and entries[phrase] != entry:
                    raise ValueError(f"words/{name}.yaml: '{phrase}' already stands in words/{origin[phrase]}.yaml")
                if origin.get(phrase) == name and entries[phrase].label is not entry.label:
                    raise ValueError(f"words/{name}.yaml: '{phrase}' has two meanings")
                entries[phrase] = entry
                origin[phrase] = name
    return Lexicon(entries)


@cache
def english_words() -> frozenset[str]:
    """Words (lower case) of reports in English: those of the lexicon, and common ones."""
    common = yaml.safe_load((files(__package__) / "words" / "english.yaml").read_text(encoding="utf-8"))
    return frozenset({str(word) for word in common["words"]} | lexicon().words)


@cache
def section_names() -> dict[str, str]:
    """Name of a section (lower case) -> findings, impression, history or skip."""
    table = yaml.safe_load((files(__package__) / "words" / "sections.yaml").read_text(encoding="utf-8"))
    return {name: kind for kind, names in table.items() for name in names if kind != "elsewhere"}


@cache
def elsewhere_names() -> frozenset[str]:
    """Headers (lower case) that end what the header before is about, and name no organ."""
    table = yaml.safe_load((files(__package__) / "words" / "sections.yaml").read_text(encoding="utf-8"))
    return frozenset(table["elsewhere"])


@cache
def _location_table() -> dict[str, dict[str, list[str]]]:
    table: dict[str, dict[str, list[str]]] = yaml.safe_load(
        (files(__package__) / "words" / "locations.yaml").read_text(encoding="utf-8")
    )
    return table


@cache
def location_words(tumor_type: TumorType) -> dict[str, str]:
    """Word (lower case) -> sub-segment of an organ: its names in the anatomy and those of ``words/locations.yaml``."""
    words: dict[str, str] = {}
    for segment in tumor_type.anatomy.segments:
        if not segment.name.startswith("segment_"):  # Couinaud's numbers have a grammar of their own
            words |= dict.fromkeys((segment.name.replace("_", " "), *segment.synonyms), segment.name)
    table = _location_table()
    names = {segment.name for segment in tumor_type.anatomy.segments}
    for name, synonyms in table.get(str(tumor_type), {}).items():
        if name not in names:
            raise ValueError(f"words/locations.yaml: '{tumor_type}' has no segment '{name}'")
        words |= dict.fromkeys((str(word) for word in synonyms), name)
    return words


def _anatomy_entries() -> Iterator[tuple[str, Entry]]:
    for tumor_type in TumorType:
        for word in tumor_type.anatomy.synonyms:
            yield word, Entry(Label.ORGAN, organs=(tumor_type,))
            yield plural_of(word), Entry(Label.ORGAN, organs=(tumor_type,), is_plural=True)
        for segment in tumor_type.anatomy.segments:
            for word in segment.synonyms:
                if word.startswith("segment "):  # only the liver's are numbered; 4a and 4b are parts of 4
                    implied = Entry(Label.ORGAN, organs=(tumor_type,), implied=True)
                    yield from ((f"{word}{part}", implied) for part in ("", "a", "b"))
                    yield from ((f"{word.replace('segment', 'seg')}{part}", implied) for part in ("", "a", "b"))
                    yield word.replace("segment", "segments"), implied


def _group_entries(group: Mapping[str, Any]) -> Iterator[tuple[str, Entry]]:
    organs = group.get("organs", [group["organ"]] if "organ" in group else [])
    entry = Entry(
        label=Label(group["label"]),
        organs=tuple(TumorType(name) for name in organs),
        kind=Kind(group["kind"]) if "kind" in group else None,
        malignancy=Malignancy(group["malignancy"]) if "malignancy" in group else None,
        attenuation=Attenuation(group["attenuation"]) if "attenuation" in group else None,
        count=Count(value=group.get("value"), relation=CountRelation(group["relation"]))
        if "relation" in group
        else None,
        side=Side(group["side"]) if "side" in group else None,
        **{
            name: bool(group.get(name))
            for name in ("adjective", "implied", "vague", "hedged", "group", "diffuse", "explains", "apart", "region")
        },
    )
    many = {name: getattr(entry, name) for name in Entry.__slots__} | {"is_plural": True}
    for phrase in _phrases(group["words"]):
        yield phrase, entry
        if group.get("plural"):
            yield plural_of(phrase), Entry(**many)


def _phrases(words: Iterable[object]) -> Iterator[str]:
    for word in words:
        if isinstance(word, bool):
            raise ValueError("quote the words on, off, yes and no in a YAML lexicon")
        yield str(word).lower()
