"""Lines that name a lesion only by its place and size: "T1: liver, segment 5: 38 mm", "RUL, part-solid, 13 mm"."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace

from rsuper_bench.benchmark.records import Attenuation, Malignancy
from rsuper_bench.benchmark.tumor_types import Side, TumorType
from rsuper_bench.dataset_builder.extraction.rules.drafting import place_in
from rsuper_bench.dataset_builder.extraction.rules.drafts import Draft, apply_malignancy, refer
from rsuper_bench.dataset_builder.extraction.rules.grouping import set_size
from rsuper_bench.dataset_builder.extraction.rules.items import Row
from rsuper_bench.dataset_builder.extraction.rules.lexicon import Label
from rsuper_bench.dataset_builder.extraction.rules.measurements import PAIR, Measurement, bare_in, bare_size
from rsuper_bench.dataset_builder.extraction.rules.sections import Sentence, is_segment
from rsuper_bench.dataset_builder.extraction.rules.segments import places_in
from rsuper_bench.dataset_builder.extraction.rules.sites import Site, site_at
from rsuper_bench.dataset_builder.extraction.rules.sizes import Sizes

_TARGET = re.compile(
    r"\s*#\d{1,2}\b|\s*(?:(?:non-?)?target|index|lesion|observation|tl?|ntl?|l)\s?(?:lesion\s?)?#?\d{1,2}\b",
    re.IGNORECASE,
)
_TABLE = re.compile(
    r"\b(?:target|index|measurable|measured|reference) (?:lesions|disease)\b|^\s*(?:index|reference|target)s?:",
    re.IGNORECASE,
)
# What any heading of a table, and any row of one with bars or columns, holds.
_HINT = re.compile(
    r"baseline|prior|prev|nadir|current|today|now|target|index|reference|measur|\||\s\s\d", re.IGNORECASE
)
_COLUMNS = re.compile(r"\b(baseline|prior|previous|prev|nadir)\b[^.]*\b(current|today|now|follow)", re.IGNORECASE)
_COLUMNS_BACK = re.compile(
    r"\b(current|today|now)\b[^.]*(?:\b(?:baseline|prior|previous|prev)\b|\s{2,12}\d{1,2}/\d)", re.IGNORECASE
)
_SIZES = re.compile(r"\d\s?[cm]m\b|\s{2,12}\d{1,3}(?:\s{2}|$)", re.IGNORECASE)
_ROW = re.compile(rf"(?<=\s\s){PAIR}(?=\s{{2}}|\s*$)", re.IGNORECASE)
_SIZE_COLUMN = re.compile(r"(?:size|diameter|current|today|mm|cm|measurement|largest)\b", re.IGNORECASE)
_CELL = re.compile(rf"{PAIR}", re.IGNORECASE)
_MOST = 20  # lesions a sentence names; more is no report
_LINES = 12  # paragraphs a table is long
# A measured part of these organs is a lesion: nobody states how large a normal lobe, pole or segment is.
_PARTS = frozenset({TumorType.LIVER, TumorType.LUNG, TumorType.KIDNEY})
_SMALLEST_ADRENAL_MM = 10.0  # limbs are thinner
_KINDS = frozenset(
    ["solid", "subsolid", "part solid", "enhancing", "spiculated", "necrotic", "cavitary", "cavitating", "lobulated",
     "washout", "aphe", "hyperenhancement", "indeterminate", "exophytic", "pedunculated", "sessile", "papillary",
     "ground glass", "ground", "calcified", "encapsulated", "ill defined", "well defined", "circumscribed",
     "lr 1", "lr 2", "lr 3", "lr 4", "fdg avid", "avid"]
)  # fmt: skip
_EXTENTS = frozenset(
    ["thick", "length", "span", "craniocaudal", "volume", "lumen", "dilated", "distended", "distance", "width",
     "caliber", "bipolar", "cc", "resection", "remnant", "ml", "duct", "normal", "enlarged", "bulky", "atrophic",
     "shrunken", "size"]
)  # fmt: skip
# From this size on a length beside the bare name of an organ is that of the organ.
_WHOLE_MM = {
    TumorType.SPLEEN: 70.0, TumorType.LIVER: 110.0, TumorType.KIDNEY: 80.0, TumorType.PROSTATE: 30.0,
    TumorType.UTERUS: 50.0, TumorType.BLADDER: 80.0, TumorType.GALLBLADDER: 60.0,
}  # fmt: skip
_LOBES = frozenset({"left_lobe", "right_lobe", "caudate"})
_LOBE_MM = 60.0
_LARGE = frozenset({"enlarged", "bulky"})  # a large adrenal with a size holds a tumor


@dataclass(slots=True)
class TargetTable:
    """The table a sentence may stand in.

    Attributes:
        paragraph: Where its heading stands, if there was one.
        last_is_current: Which of two columns of sizes is today's; None where the table does not say.
        column: Which column of a table with bars holds the size, if one does.
        unit: Of that column.
    """

    paragraph: int | None = None
    last_is_current: bool | None = None
    column: int | None = None
    unit: str = "mm"

    def bare_sizes(self, sentence: Sentence) -> list[Measurement]:
        """Note the headings a sentence holds; give the sizes without a unit that stand in a line of the table."""
        if _HINT.search(sentence.text) is None:
            return bare_in(sentence.text, sentence.start) if self.is_line(sentence) and self.column is None else []
        if _TABLE.search(sentence.text) is not None:
            self.paragraph = sentence.paragraph
        for pattern, last in ((_COLUMNS, True), (_COLUMNS_BACK, False)):
            if pattern.search(sentence.text) is not None and _SIZES.search(sentence.text) is None:
                self.paragraph, self.last_is_current = sentence.paragraph, last
        cells = _cells(sentence)
        heading = next((index for index, (_, text) in enumerate(cells) if _SIZE_COLUMN.match(text)), None)
        if heading is not None:
            self.paragraph, self.column, self.unit = (
                sentence.paragraph,
                heading,
                "cm" if "cm" in cells[heading][1] else "mm",
            )
            return []
        if self.column is not None and len(cells) > self.column and self._is_near(sentence):
            start, text = cells[self.column]
            match = _CELL.fullmatch(text)
            return [] if match is None else [bare_size(match, start, self.unit)]
        row = list(_ROW.finditer(sentence.text)) if self.last_is_current is not None and self._is_near(sentence) else []
        if row:
            return [bare_size(row[-1 if self.last_is_current else 0], sentence.start, None)]
        return bare_in(sentence.text, sentence.start) if self.is_line(sentence) else []

    def is_line(self, sentence: Sentence) -> bool:
        """Whether a sentence is a line of a table of lesions."""
        return self._is_near(sentence) or _TARGET.match(sentence.text) is not None

    def today(self, sizes: Sizes, sentence: Sentence) -> Sizes:
        """Of two columns of sizes keep today's."""
        if self.last_is_current is None or not self._is_near(sentence):
            return sizes
        last = -1 if self.last_is_current else 0
        for lesion, sized in sizes.of_lesion.items():
            if len(sized) > 1:
                sizes.of_lesion[lesion] = [sized[last]]
        if len(sizes.loose) > 1:
            sizes.loose = [sizes.loose[last]]
        return sizes

    def targets(
        self, row: Row, sentence: Sentence, sizes: Sizes, topic: tuple[Site, ...], group: Draft | None
    ) -> list[Draft]:
        """Read the lesions a sentence names by place and size alone.

        Args:
            row: The sentence.
            sentence: Where it stands.
            sizes: Its sizes.
            topic: Sites of the header above.
            group: The heading the line stands under ("Hepatic metastases:"), if any.
        """
        if row.has(Label.HISTORY, Label.REMOVED) or not sizes.loose:
            return []
        if not all(row.items[index].entry.vague for index in row.indices(Label.LESION)):
            return []
        listed = self.is_line(sentence)
        numbered = _TARGET.match(sentence.text) is not None
        found: list[Draft] = []
        first = 0
        for position, size in sizes.loose[:_MOST]:
            site = _site_of(row, first, position, topic)
            if site is None and found:  # "adrenals: 18 mm on the right and 22 mm on the left"
                site = _with_side(row, first, position, Site(found[-1].tumor_type, None, Side.BILATERAL))
            if site is not None and not numbered and _is_organ_size(row, site, size):
                continue  # "Spleen 15 cm", "PROSTATE: 5.8 cm, heterogeneous"
            if site is not None and (
                listed or group is not None or _stands_alone(row, first, position, size, site, sentence)
            ):
                found.append(_draft(row, sentence, (first, position), size, site, group))
            first = position + 1
        return found

    def _is_near(self, sentence: Sentence) -> bool:
        return self.paragraph is not None and sentence.paragraph - self.paragraph <= _LINES


def _cells(sentence: Sentence) -> list[tuple[int, str]]:
    """The cells of a row of a table with bars, each with where its text begins in the report."""
    if sentence.text.count("|") < 2:
        return []
    cells, position = [], sentence.start
    for cell in sentence.text.split("|"):
        cells.append((position + len(cell) - len(cell.lstrip()), cell.strip()))
        position += len(cell) + 1
    return cells


def _is_organ_size(row: Row, site: Site, size: Measurement) -> bool:
    """Whether a size is that of a whole organ or of a lobe of the liver, not of a lesion in it."""
    if site.tumor_type is None:
        return False
    longest = max(size.diameters_mm)
    parts = {name for name, _ in places_in(row, site.tumor_type, (row.offset, row.offset + len(row.text)))}
    if site.tumor_type is TumorType.LIVER and parts and parts <= _LOBES:
        return longest >= _LOBE_MM or parts == {"caudate"}
    return not parts and longest >= _WHOLE_MM.get(site.tumor_type, math.inf)


def _draft(
    row: Row, sentence: Sentence, reach: tuple[int, int], size: Measurement, site: Site, group: Draft | None
) -> Draft:
    draft = Draft(
        tumor_type=site.tumor_type or TumorType.SOFT_TISSUE, section=sentence.section, paragraph=sentence.paragraph
    )
    place_in(draft, site, row, sentence, reach[1])
    draft.spans["kind"] = draft.spans["count"] = row.items[reach[1]].span
    set_size(draft, size)
    for index in range(reach[0], row.clause_end(reach[1])):
        item = row.items[index]
        if item.label is Label.ATTENUATION and draft.attenuation is Attenuation.UNKNOWN and item.entry.attenuation:
            draft.attenuation, draft.spans["attenuation"] = item.entry.attenuation, item.span
        if item.label is Label.NATURE:
            if draft.malignancy is Malignancy.UNKNOWN:
                apply_malignancy(draft, item.entry, item.span)
            if item.entry.kind is not None:
                draft.kind, draft.spans["kind"] = item.entry.kind, item.span
    if group is not None and group.tumor_type is draft.tumor_type:
        draft.fill_only(group, "kind")
        draft.fill_only(group, "malignancy")
    refer(draft, row, row.offset, row.offset + len(row.text), size.start)
    return draft


def _site_of(row: Row, first: int, position: int, topic: tuple[Site, ...]) -> Site | None:
    """The one site a size has: of the words before it, else after it, else of the header."""
    start = max(first, row.clause_start(position))
    before = range(start, position)
    if any(row.items[index].label in (Label.THING, Label.PLACE, Label.FAR, Label.NEGATION) for index in before):
        return None
    after = range(position + 1, row.clause_end(position))
    for reach in (before, after):
        organs = [index for index in reach if row.items[index].label is Label.ORGAN]
        if (
            reach is after
            and organs
            and any(
                row.items[index].label in (Label.THING, Label.PLACE, Label.FAR, Label.MEASUREMENT, Label.VERB)
                for index in range(position, organs[0])
            )
        ):
            organs = []
        named = [index for index in organs if not row.items[index].entry.implied] or organs
        if named:
            return _with_side(row, start, position, _as_in(topic, _single(site_at(row, named[0], named[0]))))
    return _with_side(row, start, position, _single(list(topic)))


def _as_in(topic: tuple[Site, ...], site: Site | None) -> Site | None:
    """The site with the side of the header, where it has none: "Right: upper pole 21 mm"."""
    if site is None or site.side is not None:
        return site
    same = next((other for other in topic if other.tumor_type is site.tumor_type and other.side is not None), None)
    return site if same is None else replace(site, side=same.side, side_span=same.side_span)


def _with_side(row: Row, start: int, position: int, site: Site | None) -> Site | None:
    """The site with the side that stands by itself before a size: "Both adrenals: right 31 mm, left 22 mm"."""
    if site is None or site.tumor_type is None or not site.tumor_type.anatomy.sided:
        return site
    if site.side not in (None, Side.BILATERAL):
        return site
    following = row.items[position + 1 : position + 2]
    if following and following[0].label is Label.SIDE:  # "18 mm on the right and 22 mm on the left"
        return replace(site, side=following[0].entry.side, side_span=following[0].span)
    for item in reversed(row.items[start:position]):
        if item.label is Label.SIDE:
            return replace(site, side=item.entry.side, side_span=item.span)
    return site


def _single(sites: list[Site]) -> Site | None:
    if len({site.tumor_type for site in sites}) != 1 or sites[0].tumor_type is None:
        return None
    return min(sites, key=lambda site: site.side is None)


def _stands_alone(row: Row, first: int, position: int, size: Measurement, site: Site, sentence: Sentence) -> bool:
    """Whether a size beside a place can only be that of a lesion, not of the organ itself."""
    items = row.items
    near = items[max(first, row.clause_start(position)) : row.clause_end(position)]
    words = {word for item in near for word in (item.text, *item.text.split())}
    sided = site.side in (Side.LEFT, Side.RIGHT) and site.tumor_type is TumorType.ADRENAL
    if words & (_EXTENTS - _LARGE if sided else _EXTENTS) or any(
        item.label in (Label.NORMAL, Label.SURGERY, Label.PARTIAL_SURGERY) for item in near
    ):
        return False
    segment = sentence.topic is not None and is_segment(sentence.topic.text) and not row.has(Label.ORGAN)
    if segment or words & _KINDS or any(item.label in (Label.ATTENUATION, Label.NATURE) for item in near):
        return True
    if site.tumor_type is TumorType.ADRENAL:
        return max(size.diameters_mm) >= _SMALLEST_ADRENAL_MM
    if site.tumor_type not in _PARTS:
        return False
    probe = Draft(tumor_type=site.tumor_type, section=sentence.section, paragraph=sentence.paragraph)
    place_in(probe, site, row, replace(sentence, topic=None), position)
    lobe_of_lung = site.tumor_type is TumorType.LUNG and site.span is not None
    return probe.location is not None or lobe_of_lung
