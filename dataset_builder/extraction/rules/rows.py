"""Turning a sentence into a row of items."""

from __future__ import annotations

from collections.abc import Sequence

from rsuper_bench.benchmark.records import Kind
from rsuper_bench.dataset_builder.extraction.rules.asides import Aside, asides_in
from rsuper_bench.dataset_builder.extraction.rules.items import Item, Row
from rsuper_bench.dataset_builder.extraction.rules.lexicon import (
    MEASURED,
    PLAIN,
    PUNCTUATION,
    Entry,
    Label,
    lexicon,
    tokens_of,
)
from rsuper_bench.dataset_builder.extraction.rules.measurements import Measurement, measurements_in
from rsuper_bench.dataset_builder.extraction.rules.nouns import CONTEXTUAL, JOINING, add_item

RUN_ON = 25  # items of a sentence without any sign
CLAUSE_ENDS = frozenset({Label.BREAK, Label.EXCEPT})
_OPACITIES = frozenset({"opacity", "ground glass opacity", "ggo"})
_OPACITY = Entry(Label.LESION, kind=Kind.INDETERMINATE)
_PRIMARY = Entry(Label.LESION, kind=Kind.MASS)
_TITLES = frozenset({"non", "-", "nontarget", "non target", "target", "new", "other", "lesions", "target lesions"})
_ELIDED = [Label.DEFINITE, Label.SIDE, Label.INDEFINITE]
_FEW = 2  # organs
_NUMBERS = frozenset({"one", "two", "three", "another"})
_NEAR = 8  # items
_NAMELY = frozenset({"(", ":", ",", "namely", "including", "incl", "i e"})


def row_of(text: str, offset: int, bare: Sequence[Measurement] = ()) -> Row:
    """Turn a sentence into items.

    Args:
        text: The sentence.
        offset: Where it begins in the report.
        bare: Sizes without a unit that a table tells to be ones.
    """
    asides = asides_in(text)
    words, spans, sized = _sized_tokens(text, offset, asides, bare)
    items: list[Item] = []
    clauses: list[int] = []
    clause = 0
    position = 0
    several = opaque = False
    match, opens = lexicon().match, lexicon().first_words
    while position < len(words):
        word = words[position]
        start, end = spans[position]
        hit = match(words, position) if word in opens else None
        length = 1
        if hit is not None:
            entry, length = hit
            if length > 1:
                word, end = " ".join(words[position : position + length]), spans[position + length - 1][1]
        elif position in sized:
            entry = MEASURED
        else:
            entry = PLAIN if not word or word[0].isalnum() else PUNCTUATION
        label = entry.label
        if label in CLAUSE_ENDS or word == ";":
            clause += 1
        item = Item(entry, label, word, start, end, sized.get(position))
        if label is Label.LESION and items and items[-1].label is Label.LESION and text[start - offset - 1] == "/":
            items.append(Item(PUNCTUATION, Label.PUNCTUATION, "/", start - 1, start))  # "GIST/leiomyoma"
            clauses.append(clause)
        if label in JOINING or word in CONTEXTUAL or word in _NUMBERS:
            add_item(items, clauses, clause, item, words, position)
        else:
            items.append(item)
            clauses.append(clause)
        several = several or len(entry.organs) > _FEW
        opaque = opaque or word in _OPACITIES
        position += length
    _drop_denied_side(items, clauses)
    _cut_inversion(items, clauses)
    _name_primary(items)
    _drop_titles(items, text)
    if len(items) > RUN_ON and not any(item.label is Label.PUNCTUATION and item.text != "." for item in items):
        _cut_run_on(items, clauses)
    if several:
        _drop_enumerated(items)
    if opaque:
        _measure_opacities(items)
    return Row(items, clauses, text, offset, asides)


def _drop_denied_side(items: list[Item], clauses: list[int]) -> None:
    """Leave out the side a lesion is not on: "the left (not right) kidney"."""
    for at in range(len(items) - 4, 0, -1):
        if at + 4 > len(items):
            continue
        first, word, side, last = items[at : at + 4]
        if (
            first.text in ("(", ",")
            and last.text in (")", ",")
            and word.text == "not"
            and side.label is Label.SIDE
            and items[at - 1].label is Label.SIDE
        ):
            del items[at : at + 4], clauses[at : at + 4]


def _cut_inversion(items: list[Item], clauses: list[int]) -> None:
    """Begin a clause at a place said before its lesion: "... a haemangioma, and in segment 7 a further 8 mm lesion"."""
    seen = False
    for at, item in enumerate(items):
        seen = seen or item.label is Label.LESION
        if not seen or item.label is not Label.AND or at + 3 >= len(items):
            continue
        elided = [other.label for other in items[at + 1 : at + 4]] == _ELIDED  # "... and the left a 23 mm nodule"
        if not elided and items[at + 1].text not in ("in", "on"):
            continue
        after = at + 2
        while after < len(items) and items[after].label in (Label.DEFINITE, Label.SIDE, Label.ORGAN):
            after += 1
        if after > at + 2 and after < len(items) and items[after].label is Label.INDEFINITE:
            clauses[at + 1 :] = [clause + 1 for clause in clauses[at + 1 :]]


def _name_primary(items: list[Item]) -> None:
    """Make a lesion of a primary with a size: "the known primary in the left upper lobe measures 52 x 41 mm"."""
    labels = {item.label for item in items}
    if Label.LESION in labels or not {Label.MEASUREMENT, Label.ORGAN} <= labels:
        return
    for at, item in enumerate(items[:_NEAR]):
        own = item.text in ("the primary", "primary", "known primary tumor", "primary tumor")
        if own and at + 1 < len(items) and items[at + 1].label in (Label.PREP, Label.VERB, Label.NOW):
            item.entry, item.label = _PRIMARY, Label.LESION
            return


def _drop_titles(items: list[Item], text: str) -> None:
    """Make plain words of titles of columns and lines: "Lesion | Site | Current", "Target lesion 2: lung nodule"."""
    lesions = [index for index, item in enumerate(items) if item.label is Label.LESION]
    heading = text.count("|") > 1 and not any(item.label is Label.MEASUREMENT for item in items)
    if heading and items[-1].label in (Label.NOW, Label.PRIOR, Label.PUNCTUATION, Label.WORD, Label.COMPARE):
        plain = [at for at in lesions if items[at].text in ("lesion", "lesions", "target lesion", "target lesions")]
    else:
        numbered = len(lesions) > 1 and lesions[0] == 0 and [item.text for item in items[1:3]] == ["", ":"]
        plain = lesions[:1] if numbered and "target" in items[0].text else []
        if len(lesions) > 1 and lesions[0] <= 3 and items[lesions[0] + 1].text == ":":
            named = [item.text for item in items[: lesions[0] + 1]]  # "Non-target lesions: small nodules in both lungs"
            plain = lesions[:1] if set(named) <= _TITLES else plain
    for at in plain:
        items[at].entry, items[at].label = PLAIN, Label.WORD


def _cut_run_on(items: list[Item], clauses: list[int]) -> None:
    """Begin a clause at each new subject of a dictation without signs: "... no effusion | the liver is normal"."""
    cuts = 0
    for index, item in enumerate(items):
        free = index > 0 and items[index - 1].label not in (
            Label.PREP, Label.LINK, Label.FAR, Label.WITH, Label.AND, Label.NEGATION, Label.LIKELY,
        )  # fmt: skip
        if item.label is Label.DEFINITE and item.text == "the" and free:
            following = items[index + 1 : index + 8]
            verb = next((at for at, other in enumerate(following) if _opens_predicate(other)), None)
            subject = following[:verb] if verb is not None else []
            if any(other.label is Label.ORGAN for other in subject) and all(
                other.label in (Label.ORGAN, Label.SIDE, Label.AND, Label.WORD, Label.DEFINITE) for other in subject
            ):
                cuts += 1
        clauses[index] += cuts


def _opens_predicate(item: Item) -> bool:
    return item.label is Label.VERB or item.text.startswith(("is ", "are "))


def _measure_opacities(items: list[Item]) -> None:
    """Make a lesion of a single opacity with a size: "ground-glass opacity, left upper lobe, 15 x 11 mm"."""
    if any(item.label is Label.LESION for item in items):
        return
    sized = [index for index, item in enumerate(items) if item.label is Label.MEASUREMENT]
    for index, item in enumerate(items):
        if item.text in _OPACITIES and item.label is Label.THING and any(abs(index - size) <= _NEAR for size in sized):
            item.entry, item.label = _OPACITY, Label.LESION


def _drop_enumerated(items: list[Item]) -> None:
    """Make a plain word of one for several organs that are named after it: "upper abdominal organs (liver, spleen)"."""
    for index, item in enumerate(items):
        if item.label is Label.ORGAN and len(item.entry.organs) > _FEW:
            for other in range(index + 1, min(index + 6, len(items))):
                if items[other].label is Label.ORGAN and any(sign.text in _NAMELY for sign in items[index:other]):
                    item.entry, item.label = PLAIN, Label.WORD
                if items[other].label is Label.VERB or items[other].text in (".", ";"):
                    break


def _sized_tokens(
    text: str, offset: int, asides: Sequence[Aside], bare: Sequence[Measurement]
) -> tuple[list[str], list[tuple[int, int]], dict[int, Measurement]]:
    """Tokens with each size and each aside as one of them: words, spans in the report, and position -> size."""
    sizes = [(size.start, size.end, size) for size in (*measurements_in(text, offset), *bare)]
    blocks: list[tuple[int, int, Measurement | None]] = [*sizes]
    for aside in asides:
        start, end = aside.span[0] + offset, aside.span[1] + offset
        if not any(begin < end and start < stop for begin, stop, _ in sizes):
            blocks.append((start, end, None))
    blocks.sort(key=lambda block: block[:2])
    words: list[str] = []
    spans: list[tuple[int, int]] = []
    sized: dict[int, Measurement] = {}
    next_block = 0
    inside = -1
    if not blocks:
        tokens = tokens_of(text)
        return [token[0] for token in tokens], [(offset + start, offset + end) for _, start, end in tokens], sized
    for word, start, end in tokens_of(text):
        first = offset + start
        while next_block < len(blocks) and first >= blocks[next_block][1]:
            next_block += 1
        if next_block < len(blocks) and first >= blocks[next_block][0]:
            begin, stop, size = blocks[next_block]
            if inside != next_block:
                inside = next_block
                if size is not None:
                    sized[len(words)] = size
                words.append("")  # matches no phrase
                spans.append((begin, stop))
            continue
        words.append(word)
        spans.append((first, offset + end))
    return words, spans, sized
