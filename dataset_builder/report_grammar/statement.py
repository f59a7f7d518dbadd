"""One statement about lesions of one organ: the sentence, and the finding a reader takes from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor

import numpy as np

from rsuper_bench.benchmark.records import (
    Attenuation,
    Certainty,
    Count,
    CountRelation,
    Finding,
    Kind,
    Malignancy,
    MalignancySource,
)
from rsuper_bench.benchmark.tumor_types import Side, TumorType
from rsuper_bench.dataset_builder.report_grammar.phrases import capital, chance, phrases, pick, sentence
from rsuper_bench.dataset_builder.report_grammar.style import ReportStyle

TUMOR_LIKE = (Kind.MASS, Kind.INDETERMINATE)
_SIZE_APART = 0.35  # groups whose size stands in a sentence of its own
_PRIOR_INSIDE = 0.4  # priors told inside the sentence instead of after the size
_PAIR = Count(value=2)


@dataclass(frozen=True)
class Statement:
    """What is said of one lesion or group, before it becomes a sentence of the findings or of the impression."""

    finding: Finding
    adjective: str
    noun: str
    nouns: str
    place: str
    size: str
    prior: str
    before: str
    image: str
    count: str
    small: bool

    def slots(self) -> dict[str, str]:
        """Values of every slot the templates know."""
        adj = f"{self.adjective} " if self.adjective else ""
        size_ = f"{self.size} " if self.size else ""
        return {
            "adj": adj,
            "noun": self.noun,
            "nouns": self.nouns,
            "place": self.place,
            "Place": capital(self.place),
            "size": self.size,
            "size_": size_,
            "Size_": size_,
            "prior": self.prior,
            "before": self.before,
            "image": self.image,
            "count": self.count,
            "Count": capital(self.count),
            "Adj_noun": capital(f"{adj}{self.noun}"),
            "Noun_first": capital(f"{adj}{self.noun}"),
            "of_size": f" measuring {self.size}" if self.size else "",
        }


def state(
    lesions: Sequence[Finding], rng: np.random.Generator, style: ReportStyle, *, contrast: bool, hedged: bool = False
) -> Statement:
    """Decide what is said of some lesions of one organ (one lesion, or a group told together, largest first).

    ``contrast`` allows words of enhancement; ``hedged`` makes the lesion uncertain.
    """
    book = phrases()
    largest = lesions[0]
    kind = largest.kind
    noun_kind = _noun_kind(kind, rng)
    index = int(rng.integers(len(book["nouns"][noun_kind])))
    said = largest.attenuation
    if kind is Kind.CYST or any(item.attenuation is not said for item in lesions) or not chance(rng, style.attenuation):
        said = Attenuation.UNKNOWN
    adjective = ""
    if said is not Attenuation.UNKNOWN:
        adjective = pick(rng, [*book["attenuation"][said], *(book["enhancement"][said] if contrast else ())])
    location = (
        largest.location if len({item.location for item in lesions}) == 1 and chance(rng, style.location) else None
    )
    sides = {item.side for item in lesions}
    side = largest.side if len(sides) == 1 else Side.BILATERAL
    sized = bool(largest.diameters_mm) and not chance(rng, style.unsized_of(largest.tumor_type))
    shown, diameters = _size(largest.diameters_mm, rng, style) if sized else ("", ())
    prior = before = ""
    if sized and not hedged and chance(rng, style.prior):
        factor = float(rng.uniform(0.5, 1.2))
        before, _ = _size(tuple(d * factor for d in diameters), rng, style, count=len(diameters))
        prior = pick(rng, book["prior"]).format(size=before)
    image = ""
    if largest.image is not None and chance(rng, style.image):
        image = pick(rng, book["image"]).format(series=largest.series, image=largest.image)
    count, words = _count(len(lesions), rng, style)
    finding = Finding(
        tumor_type=largest.tumor_type,
        kind=noun_kind,
        location=location,
        side=side,
        diameters_mm=diameters,
        count=count,
        attenuation=said,
        certainty=Certainty.UNCERTAIN if hedged else Certainty.CERTAIN,
        series=largest.series if image else None,
        image=largest.image if image else None,
    )
    return Statement(
        finding=finding,
        adjective=adjective,
        noun=book["nouns"][noun_kind][index],
        nouns=book["plural_nouns"][noun_kind][index],
        place=place(largest.tumor_type, side, location, rng),
        size=shown,
        prior=prior,
        before=before,
        image=image,
        count=words,
        small=max(largest.diameters_mm, default=10.0) < 10.0,
    )


def finding_sentence(item: Statement, rng: np.random.Generator, *, further: bool) -> str:
    """The sentence in the findings section; ``further`` when another lesion of the organ was told before."""
    book = phrases()
    slots = item.slots()
    if item.count:
        if item.size and chance(rng, _SIZE_APART):
            return sentence(pick(rng, book["pair_then" if item.finding.count == _PAIR else "group_then"]), **slots)
        tail = pick(rng, book["group_size"]).format(**slots) if item.size else item.image
        return sentence(pick(rng, book["group"]), **slots, group_size=tail)
    if item.finding.certainty is Certainty.UNCERTAIN:
        return sentence(pick(rng, book["hedged"]), **slots)
    name = f"{'sized' if item.size else 'unsized'}{'_next' if further else ''}"
    if item.before and not further and chance(rng, _PRIOR_INSIDE):
        name = "sized_prior"
    small = pick(rng, book["small"]) if item.small else ""
    return sentence(pick(rng, book[name]), **slots, small=small)


def impression_sentence(item: Statement, rng: np.random.Generator) -> str:
    """The same lesion, told again in the impression: the same facts or fewer, never others."""
    book = phrases()
    slots = item.slots() | {"prior": "", "image": ""}
    if item.count:
        tail = pick(rng, book["group_size"]).format(**slots) if item.size else ""
        return sentence(pick(rng, book["impression_group"]), **slots, group_size=tail)
    name = "impression_hedged" if item.finding.certainty is Certainty.UNCERTAIN else "impression_lesion"
    return sentence(pick(rng, book[name]), **slots)


def with_malignancy(item: Statement, rng: np.random.Generator) -> tuple[Statement, str]:
    """Call a certain lesion malignant or benign; returns the statement and the sentence to add."""
    book = phrases()
    malignant = chance(rng, 0.7)
    words = pick(rng, book["malignant" if malignant else "benign"])
    finding = item.finding.model_copy(
        update={
            "malignancy": Malignancy.MALIGNANT if malignant else Malignancy.BENIGN,
            "malignancy_source": MalignancySource.REPORT,
        }
    )
    return Statement(**{**item.__dict__, "finding": finding}), words


def place(kind: TumorType, side: Side | None, location: str | None, rng: np.random.Generator) -> str:
    """``in the upper pole of the left kidney``."""
    book = phrases()
    if kind in book["organ_sided"] and side in (Side.LEFT, Side.RIGHT):
        organ = book["organ_sided"][kind].format(side=side)
    elif side is Side.BILATERAL:
        organ = book["organ"][kind].replace("the ", "both ", 1)
    else:
        organ = book["organ"][kind]
    if location is None:
        return f"in {organ}"
    usual = ["the " + location.replace("_", " ") + " of {organ}"]
    return f"in {pick(rng, book['location'].get(kind, {}).get(location, usual)).format(organ=organ)}"


def _noun_kind(kind: Kind, rng: np.random.Generator) -> Kind:
    """A tumor is a "mass" for one radiologist and a "lesion" for the next; other kinds have their own words."""
    if kind in TUMOR_LIKE:
        return Kind.MASS if chance(rng, 0.5) else Kind.INDETERMINATE
    return kind


def _size(
    diameters_mm: Sequence[float], rng: np.random.Generator, style: ReportStyle, *, count: int | None = None
) -> tuple[str, tuple[float, ...]]:
    """The size as written, and in mm as a reader takes it: rounding included."""
    weights = np.asarray(style.diameters)
    wanted = count or 1 + int(rng.choice(3, p=weights / weights.sum()))
    axes = sorted(diameters_mm, reverse=True)[:wanted]
    millimetres = [max(1, floor(axis + 0.5)) for axis in axes]
    if chance(rng, style.millimetres) or millimetres[0] < 3:
        unit, texts = "mm", [str(value) for value in millimetres]
    else:
        unit, texts = "cm", [f"{value / 10:.1f}" for value in millimetres]
    spelled = " x ".join(f"{text} {unit}" for text in texts)  # "2.1 cm x 1.8 cm"
    shown = pick(rng, phrases()[f"size_{unit}"]).format(numbers=" x ".join(texts), spelled=spelled)
    return shown, tuple(float(value) for value in millimetres)


def _count(n: int, rng: np.random.Generator, style: ReportStyle) -> tuple[Count, str]:
    book = phrases()
    if n == 1:
        return Count(), ""
    if chance(rng, style.vague_count):
        way = int(rng.integers(3))
        if way == 0 and n >= 5:
            return Count(value=None, relation=CountRelation.INNUMERABLE), pick(rng, book["innumerable"])
        if way == 1 and n >= 3:
            return Count(value=2, relation=CountRelation.AT_LEAST), pick(rng, book["multiple"])
        low = int(rng.integers(2, n + 1))
        number = book["numbers"].get(low, str(low))
        return Count(value=low, relation=CountRelation.AT_LEAST), pick(rng, book["at_least"]).format(number=number)
    return Count(value=n), book["numbers"].get(n, str(n))
