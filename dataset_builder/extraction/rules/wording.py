"""What the words of a sentence say of the lesion words in it: a part, a title, one of several."""

from __future__ import annotations

from rsuper_bench.benchmark.records import Attenuation, CountRelation, Kind, Malignancy
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.extraction.rules.drafts import Draft
from rsuper_bench.dataset_builder.extraction.rules.exclusions import grows_in_walls
from rsuper_bench.dataset_builder.extraction.rules.items import Row, is_pick
from rsuper_bench.dataset_builder.extraction.rules.lexicon import Label
from rsuper_bench.dataset_builder.extraction.rules.measurements import Measurement
from rsuper_bench.dataset_builder.extraction.rules.references import link_before
from rsuper_bench.dataset_builder.extraction.rules.segments import places_in
from rsuper_bench.dataset_builder.extraction.rules.sites import Site

_SOFT_NAMES = ("lipoma", "liposarcoma", "sarcoma", "desmoid", "hibernoma", "angiolipoma", "fibromatosis", "soft tissue",
               "elastofibroma", "neurofibroma", "myxofibrosarcoma", "pleomorphic sarcoma")  # fmt: skip
_BODY_WALL = frozenset(
    ["flank", "chest wall", "abdominal wall", "anterior abdominal wall", "body wall", "groin", "inguinal", "axilla",
     "axillary", "inguinal region", "shoulder", "hip", "knee", "scapular", "popliteal fossa", "abdominal musculature",
     "inguinal canal", "pelvic floor", "umbilical", "umbilicus"]
)  # fmt: skip
_FIELDS = frozenset(
    ["size", "location", "site", "appearance", "attenuation", "density", "enhancement", "margin", "margins", "side",
     "diameter", "dimensions", "laterality", "type", "morphology", "number"]
)  # fmt: skip
_PICKED = {"the former": 0, "the first": 0, "the latter": -1, "the second": 1, "the third": 2}


def is_bare_landmark(row: Row, lesion: int) -> bool:
    """Whether a sentence opens by what a known lesion touches: "Tumor abuts the prostate"."""
    following = row.items[lesion + 1 : lesion + 2]
    first = lesion == 0 or row.items[lesion - 1].text == ":"
    return first and not row.has(Label.MEASUREMENT) and bool(following) and following[0].label is Label.FAR


def is_made_of_soft_tissue(row: Row, lesion: int, sites: list[Site]) -> bool:
    """Whether "soft tissue" says what a lesion is made of, not where it is: "soft tissue mass in the bladder"."""
    item = row.items[lesion]
    before = row.items[lesion - 1].text if lesion else ""
    return [site.tumor_type for site in sites] == [TumorType.SOFT_TISSUE] and (
        before == "soft tissue" or (item.text.startswith("soft tissue") and sites[0].span == item.span)
    )


def is_component(row: Row, earlier: int, lesion: int) -> bool:
    """Whether a lesion word is a part of the lesion before it: "cystic mass with an enhancing nodule"."""
    if row.items[lesion].entry.kind is not Kind.INDETERMINATE or row.items[earlier].entry.is_plural:
        return False
    mural = "mural" in row.items[lesion].text
    if row.items[earlier].entry.kind not in (Kind.CYST, Kind.MASS) and not mural:
        return False
    start = row.phrase_start(lesion)
    if any(item.label is Label.ORGAN for item in row.items[start:lesion]):
        return False
    return start > earlier and row.items[start - 1].label is Label.WITH


def one_of(row: Row, lesion: int, earlier: int, drafts: list[Draft] | None) -> list[Draft] | None:
    """Of the lesions a word named the one that "the former" or "the latter" means; else all."""
    if drafts is None or len(drafts) < 2:
        return drafts
    if row.items[lesion - 1].text == "(":  # "two lesions, 12 mm in segment 5 (hemangioma) and 9 mm in segment 6 (cyst)"
        start = row.items[lesion].start
        ends = [draft.spans.get("diameters_mm", (start, start + 1))[1] for draft in drafts]
        before = [(end, index) for index, end in enumerate(ends) if end <= start]
        return [drafts[max(before)[1]]] if before else drafts
    for item in reversed(row.items[earlier + 1 : lesion]):
        if item.label is Label.COREF and item.text in _PICKED:
            return [drafts[_PICKED[item.text]]]
        if item.label is Label.LESION:
            break
    return drafts


def is_heading(group: Draft) -> bool:
    """Whether a group stands for the lines under it alone; "too many to count; index lesions:" has more."""
    return group.count.relation is not CountRelation.INNUMERABLE


def is_title(row: Row) -> bool:
    """Whether a sentence only names a lesion, to go on about it: "Duodenal lesion."."""
    return all(item.label in (Label.ORGAN, Label.LESION, Label.PUNCTUATION, Label.SIDE) for item in row.items)


def grown_sites(row: Row, lesion: int, sites: list[Site]) -> list[Site]:
    """The sites where a lesion word can be a tumor."""
    walls = row.items[lesion].entry.kind is Kind.WALL_THICKENING
    return [site for site in sites if site.tumor_type is not None and (not walls or grows_in_walls(site.tumor_type))]


_LIKENED = frozenset({"similar", "identical", "for example", "for instance", "e g"})


def is_similar(row: Row, lesion: int) -> bool:
    """Whether a lesion is likened to the one before: "a similar 1.5 cm lesion"."""
    return any(item.text in _LIKENED for item in row.items[max(0, lesion - 6) : lesion])


def liken(draft: Draft, other: Draft | None) -> None:
    """Give a finding what is said of the one it is likened to, or of the group it is an example of."""
    if other is None or other.tumor_type is not draft.tumor_type:
        return
    if draft.attenuation is Attenuation.UNKNOWN:
        draft.attenuation = other.attenuation
    if draft.kind is Kind.INDETERMINATE and draft.malignancy is Malignancy.UNKNOWN and not other.doubted:
        draft.fill_only(other, "kind")
        draft.fill_only(other, "malignancy")


def is_field(row: Row, lesion: int) -> bool:
    """Whether a sentence is a line of a form: "Tumor size: 3.4 x 2.8 cm"."""
    after = row.items[lesion + 1 : lesion + 3]
    return lesion <= 1 and len(after) > 1 and after[1].text == ":" and after[0].text in _FIELDS


def is_of_body_wall(row: Row, lesion: int) -> bool:
    """Whether a tumor of fat, muscle or skin stands beside a part of the trunk or a limb: "right inguinal lipoma"."""
    if not row.items[lesion].text.startswith(_SOFT_NAMES):
        return False
    places = {row.items[index].text for index in row.indices(Label.PLACE) if row.clauses[index] == row.clauses[lesion]}
    return bool(places) and places <= _BODY_WALL


def heading_in(row: Row, heads: list[int], drafts_of: dict[int, list[Draft]]) -> Draft | None:
    """The group that only heads its members, whom it names: "Liver metastases: segment 2 lesion, segment 5 one"."""
    if len(heads) < 2 or len(drafts_of.get(heads[0], [])) != 1:
        return None
    group = drafts_of[heads[0]][0]
    members: list[Draft] = []
    for head in heads[1:]:
        members += [
            draft for draft in drafts_of.get(head, []) if all(draft is not other for other in (group, *members))
        ]
    heading = any(item.text == ":" for item in row.items[heads[0] + 1 : heads[1]])
    counted = group.count.value == len(members) and len(members) > 1  # "two nodules, a 6 mm nodule ... and a 9 mm one"
    if not (heading or counted) or not members or group.diameters_mm:
        return None
    kinds = (Kind.INDETERMINATE, group.kind)
    open_kind = group.kind is Kind.INDETERMINATE
    if all(draft.tumor_type is group.tumor_type and (open_kind or draft.kind in kinds) for draft in members):
        for draft in members:
            draft.fill_only(group, "kind")
            draft.fill_only(group, "malignancy")
        return group
    return None


def is_open_group(draft: Draft) -> bool:
    """Whether a finding is a plural of which nothing is described yet: "Liver metastases: overall increase."."""
    return draft.bare and not draft.diameters_mm and draft.location is None


def is_bare_diagnosis(row: Row, lesion: int) -> bool:
    """Whether a word only names a cancer and its organ, without a place, number or verb."""
    entry = row.items[lesion].entry
    if entry.malignancy is not Malignancy.MALIGNANT or entry.kind is not Kind.MASS or entry.is_plural:
        return False
    if row.has(Label.VERB, Label.SIDE, Label.COUNT, Label.BREAK, Label.PLACE, Label.HEDGE, Label.COMPARE):
        return False
    others = [index for index in row.indices(Label.LESION) if row.items[index].entry.kind is not Kind.METASTASIS]
    if others != [lesion]:
        return False
    organs = entry.organs or tuple(o for index in row.indices(Label.ORGAN) for o in row.items[index].entry.organs)
    return bool(organs) and not places_in(row, organs[0], (row.offset, row.offset + len(row.text)))


def only_site(types: set[TumorType], row: Row, denied: bool, sized: list[Measurement]) -> list[Site]:
    """The organ of a lesion with a size that nothing places, where the report speaks of lesions of one organ only."""
    if denied or not sized or len(types) != 1 or row.has(Label.PLACE, Label.THING):
        return []
    return [Site(next(iter(types)))]


def is_of_group(row: Row, lesion: int, last: list[Draft]) -> bool:
    """Whether a sentence describes and names one of the group before: "The biggest is 17 mm, likely a cyst"."""
    first = row.items[0]
    if not last or last[0].count.value == 1 or first.label is not Label.COREF or lesion <= 1:
        return False
    return is_pick(first) and link_before(row, lesion, None) is not None
