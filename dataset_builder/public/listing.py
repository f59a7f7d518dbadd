"""What the readers of public data sets have in common: they list cases without an image, and read one when asked."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from rsuper_bench.benchmark.errors import DataError, Problem
from rsuper_bench.benchmark.files import digest_of
from rsuper_bench.benchmark.nifti import Volume, read_nifti
from rsuper_bench.benchmark.records import ID_PATTERN, Phase, Record, Split
from rsuper_bench.benchmark.tumor_types import Sex, TumorType
from rsuper_bench.dataset_builder.folder_masks import InputLabelMap, MaskReader, mask_files, mask_name
from rsuper_bench.dataset_builder.label_map import LESION_NUMBER
from rsuper_bench.dataset_builder.mask_names import is_lesion_name, lesion_type, organ_number
from rsuper_bench.dataset_builder.organ_masks import OrganMasksConfig
from rsuper_bench.dataset_builder.public.report_file import read_report_file
from rsuper_bench.dataset_builder.raw_case import CaseKey, RawCase
from rsuper_bench.dataset_builder.rejection import CaseError, Reason, Rejection


class PublicConfig(Record):
    """Options of every reader."""

    organ_masks: OrganMasksConfig | None = None


@dataclass(frozen=True)
class Licence:
    """Under which terms a data set comes, and whether its images and reports may be passed on."""

    text: str
    redistributable: bool = False


@dataclass(frozen=True)
class PublicCase:
    """One scan before any image is read.

    Attributes:
        report: The text, or the file that holds it.
        masks: Folder with one binary mask an organ, and lesions as ``<type>_lesion``.
        drawn_fully: Whether every lesion is drawn, so that an empty mask means "none there"; if not, a lesion mask
            counts only where something is drawn.
        take_lesions: Whether lesion masks are read at all.
        says_tumor: What the table of the data set says of a type, to be compared with the mask.
        facts: What only the reader of that data set understands.
    """

    case_id: str
    patient_id: str
    ct: Path
    report: str | Path
    split: Split | None = None
    sex: Sex | None = None
    age: float | None = None
    phase: Phase = Phase.UNKNOWN
    scanner: str | None = None
    kvp: float | None = None
    masks: Path | None = None
    drawn_fully: bool = True
    take_lesions: bool = True
    says_tumor: tuple[tuple[TumorType, bool], ...] = ()
    facts: tuple[tuple[str, str], ...] = ()


@dataclass
class Listing:
    """Cases of a data set, and what is not one."""

    cases: list[PublicCase] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def reject(self, input_id: str, reason: Reason, detail: str) -> None:
        """Note that a scan is not used; an id that is no safe name is not repeated."""
        shown = input_id if re.fullmatch(ID_PATTERN, input_id) else "unsafe-id"
        self.rejections.append(Rejection(shown, reason, detail))


@dataclass(frozen=True)
class PublicKey(CaseKey):
    """A case as workers get it."""

    case: PublicCase | None = field(default=None, repr=False)


def unchanged(_: PublicCase, ct: Volume) -> Volume:
    """For data sets whose CTs are as they should be."""
    return ct


@dataclass(frozen=True)
class PublicSource:
    """Cases of a downloaded data set.

    Attributes:
        name: Of the source in the release.
        list_cases: Lists the cases of the folder.
        mend: Brings a CT to HU and to its place, where the files of the data set need that.
    """

    name: str
    root: Path
    config: Any
    licence: Licence
    list_cases: Callable[[Path, Any], Listing]
    mend: Callable[[PublicCase, Volume], Volume] = unchanged

    def __getstate__(self) -> dict[str, Any]:
        """Without the listing."""
        return {name: value for name, value in self.__dict__.items() if name != "_listing"}

    def keys(self) -> list[CaseKey]:
        """A key for each scan that looks usable.

        Raises:
            DataError: When there is none, with how many were refused for which reason.
        """
        if not self._listing.cases:
            counts = Counter(str(item.reason) for item in self._listing.rejections)
            shown = ", ".join(f"{number} {reason}" for reason, number in sorted(counts.items())) or "no scan found"
            fix = "docs/public-datasets.md shows the layout that is read."
            raise DataError.of([Problem("--input", f"no usable scan ({shown})", f"the layout of {self.name}", fix)])
        return [
            PublicKey(case.case_id, case.patient_id, case.split, None, _digest(case), case)
            for case in self._listing.cases
        ]

    def rejections(self) -> list[Rejection]:
        """Scans and rows that are not used."""
        return self._listing.rejections

    def notes(self) -> list[str]:
        """What is worth a line to the user."""
        return self._listing.notes

    def make(self, key: CaseKey) -> RawCase:
        """Read one scan.

        Raises:
            CaseError: With a reason code.
        """
        case = key.case if isinstance(key, PublicKey) else None
        if case is None:
            raise ValueError(f"not a key of this source: {key.case_id}")
        try:
            ct = read_nifti(case.ct, name=f"case {case.case_id}: ct")
        except DataError as cause:
            raise CaseError.because(Reason.UNREADABLE_IMAGE, cause.problems) from None
        organs, lesions, drawn = _masks(case)
        mended = self.mend(case, ct)
        if mended is not ct:  # masks that lie on the CT's old grid go with it
            organs, lesions = _moved(organs, ct, mended), _moved(lesions, ct, mended)
        report = case.report if isinstance(case.report, str) else read_report_file(case.report, name=case.case_id)
        return RawCase(
            case_id=case.case_id,
            patient_id=case.patient_id,
            source=self.name,
            licence=self.licence.text,
            redistributable=self.licence.redistributable,
            ct=mended,
            report=report,
            organs=organs,
            lesions=lesions,
            lesion_types=drawn,
            sex=case.sex,
            age=case.age,
            phase=case.phase,
            scanner=case.scanner,
            kvp=case.kvp,
            split=case.split,
        )

    @cached_property
    def _listing(self) -> Listing:
        listing = self.list_cases(self.root, self.config)
        listing.cases.sort(key=lambda case: case.case_id)
        _refuse_duplicates(listing)
        _settle_splits(listing)
        return listing


def _masks(case: PublicCase) -> tuple[Volume | None, Volume | None, tuple[TumorType, ...]]:
    if case.masks is None:
        return None, None, ()
    names = [mask_name(path) for path in mask_files(case.masks)]
    reader = MaskReader(f"case {case.case_id}: masks", InputLabelMap())
    organs = reader.organs(case.masks) if any(organ_number(name) for name in names) else None
    kinds = sorted({kind for name in names if is_lesion_name(name) and (kind := lesion_type(name)) is not None})
    if not kinds or not case.take_lesions:
        return organs, None, ()
    lesions = reader.named_lesions(case.masks)
    shown = {kind for kind in kinds if (lesions.data == LESION_NUMBER[kind]).any()}
    for kind, said in case.says_tumor:
        if kind in kinds and said != (kind in shown):
            found = (
                f"the table says {'a' if said else 'no'} {kind} tumor, the mask is {'not ' if not said else ''}empty"
            )
            problem = Problem(f"case {case.case_id}", found, "table and mask that agree", "Ask the makers of the data.")
            raise CaseError.because(Reason.TABLE_AGAINST_MASK, [problem])
    drawn = kinds if case.drawn_fully else sorted(shown)
    return organs, lesions if drawn else None, tuple(drawn)


def _moved(mask: Volume | None, old: Volume, new: Volume) -> Volume | None:
    if mask is None or not mask.same_grid(old):
        return mask
    return Volume(np.asarray(mask.data), new.affine)


def mask_notes(cases: Iterable[PublicCase]) -> list[str]:
    """Names of masks that mean nothing here, and scans without masks."""
    unknown: Counter[str] = Counter()
    bare = 0
    for case in cases:
        if case.masks is None:
            bare += 1
            continue
        for name in map(mask_name, mask_files(case.masks)):
            if organ_number(name) is None and not (is_lesion_name(name) and lesion_type(name)):
                unknown[name[:60]] += 1
    notes = [f"{bare} scans have no masks"] if bare else []
    if unknown:
        notes.append(f"masks that have no label in a release: {', '.join(sorted(unknown))}")
    return notes


def _refuse_duplicates(listing: Listing) -> None:
    counts = Counter(case.case_id for case in listing.cases)
    for case_id in sorted(case_id for case_id, number in counts.items() if number > 1):
        listing.reject(case_id, Reason.DUPLICATE_ID, f"stands {counts[case_id]} times")
    listing.cases = [case for case in listing.cases if counts[case.case_id] == 1]


def _settle_splits(listing: Listing) -> None:
    """A patient in two given splits keeps the held-out scans; the training ones would leak and are refused."""
    order: Sequence[Split | None] = (Split.TEST, Split.VALIDATION, Split.TRAIN, None)
    best: dict[str, int] = {}
    for case in listing.cases:
        best[case.patient_id] = min(best.get(case.patient_id, len(order)), order.index(case.split))
    kept = []
    for case in listing.cases:
        wanted = order[best[case.patient_id]]
        if case.split is wanted:
            kept.append(case)
        else:
            other = "training" if case.split is None else case.split
            detail = f"the split puts a patient into {other} and {wanted}; kept in {wanted} only"
            listing.reject(case.case_id, Reason.SPLIT_CONFLICT, detail)
    listing.cases = kept


def _digest(case: PublicCase) -> str:
    files = [case.ct, *([case.report] if isinstance(case.report, Path) else [])]
    files += mask_files(case.masks) if case.masks is not None else []
    stats = [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    text = case.report if isinstance(case.report, str) else None
    # Not the place of the data set, so that a moved download gives the same cases.
    return digest_of([asdict(case) | {"ct": None, "report": text, "masks": None}, stats])
