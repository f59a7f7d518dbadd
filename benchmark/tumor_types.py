"""The tumor types. Adding one is adding one entry here; nothing else changes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum


class Sex(StrEnum):
    """Sex as recorded for the examination."""

    FEMALE = "F"
    MALE = "M"


class Side(StrEnum):
    """Side of the patient's body, not of the image."""

    LEFT = "left"
    RIGHT = "right"
    BILATERAL = "bilateral"


@dataclass(frozen=True)
class Segment:
    """A part of an organ that reports name.

    Attributes:
        name: What ``Finding.location`` holds.
        synonyms: Other words for it in reports, lower case.
        labels: Names of the organ-mask labels that show it, where a mask has them.
    """

    name: str
    synonyms: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Anatomy:
    """Where tumors of one type grow, in the words of masks and of reports.

    Attributes:
        synonyms: Words for the organ in reports, lower case, singular (nouns and adjectives).
        labels: Organ-mask labels of an unpaired organ (TotalSegmentator's names where it has one).
        left: Labels of the left side of a paired organ.
        right: Labels of the right side of a paired organ.
        segments: Sub-segments that reports name.
        only_sex: Set when the organ exists in one sex only.
    """

    synonyms: tuple[str, ...]
    labels: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    right: tuple[str, ...] = ()
    segments: tuple[Segment, ...] = field(default=())
    only_sex: Sex | None = None

    @property
    def sided(self) -> bool:
        """Whether the organ is paired."""
        return bool(self.left or self.right)

    @property
    def all_labels(self) -> tuple[str, ...]:
        """Every organ-mask label that shows the organ or a part of it."""
        parts = tuple(label for segment in self.segments for label in segment.labels)
        return tuple(dict.fromkeys((*self.labels, *self.left, *self.right, *parts)))


_LIVER_NUMERALS = ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii")


class TumorType(StrEnum):
    """A kind of tumor, named after its organ. The member's ``anatomy`` says the rest."""

    anatomy: Anatomy

    def __new__(cls, value: str, anatomy: Anatomy = Anatomy(())) -> TumorType:
        """Keep the anatomy beside the value; the member is its value in every other respect."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.anatomy = anatomy
        return member

    SPLEEN = "spleen", Anatomy(synonyms=("spleen", "splenic"), labels=("spleen",))
    GALLBLADDER = (
        "gallbladder",
        Anatomy(
            synonyms=("gallbladder", "gall bladder", "cholecystic"),
            labels=("gallbladder",),
            segments=(Segment("fundus"), Segment("body"), Segment("neck")),
        ),
    )
    PROSTATE = (
        "prostate",
        Anatomy(
            synonyms=("prostate", "prostatic", "prostate gland"),
            labels=("prostate",),
            segments=(
                Segment("peripheral_zone", ("peripheral zone",)),
                Segment("transition_zone", ("transition zone", "transitional zone")),
                Segment("apex"),
                Segment("base"),
            ),
            only_sex=Sex.MALE,
        ),
    )
    BLADDER = (
        "bladder",
        Anatomy(
            synonyms=("urinary bladder", "bladder", "vesical"),
            labels=("urinary_bladder",),
            segments=(
                Segment("dome"),
                Segment("trigone"),
                Segment("anterior_wall", ("anterior wall",)),
                Segment("posterior_wall", ("posterior wall",)),
                Segment("lateral_wall", ("lateral wall",)),
            ),
        ),
    )
    UTERUS = (
        "uterus",
        Anatomy(
            synonyms=(
                "uterus",
                "uterine",
                "endometrium",
                "endometrial",
                "myometrium",
                "myometrial",
                "cervix",
                "cervical canal",
                "uterine cervix",
            ),
            labels=("uterus",),
            segments=(
                Segment("fundus"),
                Segment("endometrium", ("endometrial", "endometrial canal", "endometrial cavity")),
                Segment("cervix", ("uterine cervix", "cervical")),
            ),
            only_sex=Sex.FEMALE,
        ),
    )
    ESOPHAGUS = (
        "esophagus",
        Anatomy(
            synonyms=(
                "esophagus",
                "esophageal",
                "oesophagus",
                "oesophageal",
                "gastroesophageal junction",
                "ge junction",
            ),
            labels=("esophagus",),
            segments=(
                Segment("upper", ("upper third", "proximal")),
                Segment("middle", ("middle third", "mid")),
                Segment("lower", ("lower third", "distal")),
            ),
        ),
    )
    ADRENAL = (
        "adrenal",
        Anatomy(
            synonyms=("adrenal", "adrenal gland", "suprarenal gland", "suprarenal"),
            left=("adrenal_gland_left",),
            right=("adrenal_gland_right",),
            segments=(
                Segment("medial_limb", ("medial limb",)),
                Segment("lateral_limb", ("lateral limb",)),
                Segment("body"),
            ),
        ),
    )
    PANCREAS = (
        "pancreas",
        Anatomy(
            synonyms=("pancreas", "pancreatic"),
            labels=("pancreas",),
            segments=(
                Segment("head", ("pancreatic head",), ("pancreas_head",)),
                Segment("uncinate", ("uncinate process",), ("pancreas_uncinate",)),
                Segment("neck", ("pancreatic neck",), ("pancreas_neck",)),
                Segment("body", ("pancreatic body",), ("pancreas_body",)),
                Segment("tail", ("pancreatic tail",), ("pancreas_tail",)),
            ),
        ),
    )
    KIDNEY = (
        "kidney",
        Anatomy(
            synonyms=("kidney", "renal", "nephric"),
            left=("kidney_left",),
            right=("kidney_right",),
            segments=(
                Segment("upper_pole", ("upper pole", "superior pole", "upper renal pole")),
                Segment("interpolar", ("interpolar region", "midpole", "mid pole", "mid kidney")),
                Segment("lower_pole", ("lower pole", "inferior pole", "lower renal pole")),
            ),
        ),
    )
    LIVER = (
        "liver",
        Anatomy(
            synonyms=("liver", "hepatic", "hepatic lobe"),
            labels=("liver",),
            segments=(
                *(
                    Segment(
                        f"segment_{number}",
                        (f"segment {numeral}", f"segment {number}"),
                        (f"liver_segment_{number}",),
                    )
                    for number, numeral in enumerate(_LIVER_NUMERALS, start=1)
                ),
                Segment(
                    "left_lobe", ("left lobe", "left hepatic lobe", "left lobe of the liver"), ("liver_left_lobe",)
                ),
                Segment(
                    "right_lobe", ("right lobe", "right hepatic lobe", "right lobe of the liver"), ("liver_right_lobe",)
                ),
                Segment("caudate", ("caudate lobe",), ("liver_caudate",)),
                Segment("dome", ("hepatic dome",)),
            ),
        ),
    )
    COLON = (
        "colon",
        Anatomy(
            synonyms=(
                "colon",
                "colonic",
                "large bowel",
                "sigmoid",
                "cecum",
                "cecal",
                "rectum",
                "rectal",
                "rectosigmoid",
                "hepatic flexure",
                "splenic flexure",
            ),
            labels=("colon",),
            segments=(
                Segment("cecum", ("cecal", "caecum")),
                Segment("ascending", ("ascending colon",)),
                Segment("hepatic_flexure", ("hepatic flexure",)),
                Segment("transverse", ("transverse colon",)),
                Segment("splenic_flexure", ("splenic flexure",)),
                Segment("descending", ("descending colon",)),
                Segment("sigmoid", ("sigmoid colon", "rectosigmoid")),
                Segment("rectum", ("rectal",)),
            ),
        ),
    )
    STOMACH = (
        "stomach",
        Anatomy(
            synonyms=("stomach", "gastric"),
            labels=("stomach",),
            segments=(
                Segment("cardia"),
                Segment("fundus"),
                Segment("body"),
                Segment("antrum", ("antral",)),
                Segment("pylorus", ("pyloric",)),
            ),
        ),
    )
    DUODENUM = (
        "duodenum",
        Anatomy(
            synonyms=("duodenum", "duodenal", "ampulla", "ampullary"),
            labels=("duodenum",),
            segments=(
                Segment("first_portion", ("first portion", "duodenal bulb")),
                Segment("second_portion", ("second portion", "descending duodenum")),
                Segment("third_portion", ("third portion",)),
                Segment("fourth_portion", ("fourth portion",)),
            ),
        ),
    )
    LUNG = (
        "lung",
        Anatomy(
            synonyms=("lung", "pulmonary", "lung base"),
            left=("lung_left", "lung_upper_lobe_left", "lung_lower_lobe_left"),
            right=("lung_right", "lung_upper_lobe_right", "lung_middle_lobe_right", "lung_lower_lobe_right"),
            segments=(
                Segment("upper_lobe", ("upper lobe",), ("lung_upper_lobe_left", "lung_upper_lobe_right")),
                Segment("middle_lobe", ("middle lobe",), ("lung_middle_lobe_right",)),
                Segment("lower_lobe", ("lower lobe",), ("lung_lower_lobe_left", "lung_lower_lobe_right")),
                Segment("lingula", ("lingular",)),
            ),
        ),
    )
    SOFT_TISSUE = (
        "soft_tissue",
        Anatomy(synonyms=("soft tissue", "soft-tissue", "subcutaneous", "intramuscular"), labels=("soft_tissue",)),
    )


# The seven types of arXiv 2510.14803 for which no public masks exist.
SEVEN_TYPES = (
    TumorType.SPLEEN,
    TumorType.GALLBLADDER,
    TumorType.PROSTATE,
    TumorType.BLADDER,
    TumorType.UTERUS,
    TumorType.ESOPHAGUS,
    TumorType.ADRENAL,
)


def region_labels(
    tumor_type: TumorType, available: Iterable[str], *, side: Side | None = None, location: str | None = None
) -> tuple[str, ...]:
    """Names of the organ-mask labels that make up the place a report names.

    The narrowest place the mask can show is returned: the segment if it is labelled, else the side, else the
    whole organ. A paired organ without a side is both sides (the report left it open).

    Args:
        tumor_type: The organ.
        available: Labels the mask has.
        side: Left or right, for paired organs.
        location: Name of a segment.

    Returns:
        Labels in a fixed order; empty when the mask does not show the organ.
    """
    anatomy = tumor_type.anatomy
    have = set(available)
    allowed = set(anatomy.all_labels)
    if anatomy.sided and side in (Side.LEFT, Side.RIGHT):
        allowed = set(anatomy.left if side is Side.LEFT else anatomy.right)
    if location is not None:
        named = {label for segment in anatomy.segments if segment.name == location for label in segment.labels}
        narrowed = named & allowed if anatomy.sided else named
        if narrowed & have:
            allowed = narrowed
    return tuple(label for label in anatomy.all_labels if label in allowed and label in have)
