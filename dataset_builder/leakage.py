"""Do patients, anatomies, images or reports stand in more than one split, within a release or across several?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq

from rsuper_bench.benchmark.records import CaseRecord, Split
from rsuper_bench.benchmark.release import Release
from rsuper_bench.dataset_builder.fingerprint import MAX_DISTANCE, as_words, distances
from rsuper_bench.dataset_builder.near_text import near_duplicates, shingles


@dataclass(frozen=True)
class Leak:
    """Something that several splits share, and an example case of each."""

    shared: str
    cases: tuple[tuple[str, Split, str], ...]

    def __str__(self) -> str:
        places = ", ".join(f"case {case_id} ({split} of {release})" for release, split, case_id in self.cases)
        return f"{self.shared} in several splits: {places}"


def find_leaks(releases: Sequence[Release]) -> Iterator[Leak]:
    """Compare all splits of all releases.

    A patient is the same where the source and the patient id are; an image where the embedded CT has the same bytes
    (a release writes the same voxels on the same grid as the same bytes), or nearly the same fingerprint (the scan
    was saved or resampled anew); a report where it shares most of the words that no other report has. Splits are told
    apart by their names, in whatever release: train of one may share with train of another.
    """
    places = [
        (release, record, (name, record.split, record.case_id))
        for name, release in zip(_names(releases), releases, strict=True)
        for record in release.records()
    ]
    same_ct: set[frozenset[tuple[str, Split, str]]] = set()
    for shared, identity in (("one patient", _patient), ("one anatomy", _anatomy), ("one CT", _ct)):
        where: dict[tuple[object, ...], dict[Split, tuple[str, Split, str]]] = {}
        for release, record, place in places:
            where.setdefault(identity(release, record), {}).setdefault(record.split, place)
        for found in where.values():
            if len(found) > 1:
                leak = Leak(shared, tuple(found[split] for split in Split if split in found))
                same_ct |= {frozenset(leak.cases)} if shared == "one CT" else set()
                yield leak
    yield from (leak for leak in _resampled(places) if frozenset(leak.cases) not in same_ct)
    yield from _reports(releases, places)


_Place = tuple[Release, CaseRecord, tuple[str, Split, str]]


def _patient(release: Release, record: CaseRecord) -> tuple[object, ...]:
    # Computer-made patients of one number are other people under another seed.
    seed = release.info.seed if record.synthetic and release.info is not None else None
    return record.source, record.patient_id, seed


def _anatomy(release: Release, record: CaseRecord) -> tuple[object, ...]:
    if record.derived_from is not None:
        return (record.derived_from,)
    return (record.case_id,) if not record.synthetic else (record.case_id, release.folder)


def _ct(release: Release, record: CaseRecord) -> tuple[object, ...]:  # noqa: ARG001
    return (record.ct.sha256,)


def _resampled(places: Sequence[_Place]) -> Iterator[Leak]:
    """Scans of different splits that look the same; memory holds one row of distances."""
    printed = [(place, record) for _, record, place in places if record.ct.fingerprint is not None]
    if not printed:
        return
    words = np.stack([as_words(record.ct.fingerprint or "") for _, record in printed])
    splits = np.array([record.split for _, record in printed])
    for index, (place, record) in enumerate(printed):
        near = np.flatnonzero(distances(words[index], words[index + 1 :]) <= MAX_DISTANCE) + index + 1
        for other in near[splits[near] != record.split]:
            if printed[other][1].ct.sha256 != record.ct.sha256:
                yield Leak("one CT, saved or resampled anew,", tuple(sorted((place, printed[other][0]), key=_order)))


def _reports(releases: Sequence[Release], places: Sequence[_Place]) -> Iterator[Leak]:
    """Reports of different splits that are nearly the same.

    Reports of two computer-made cases are left out: one grammar wrote them, and their patients have numbers.
    """
    by_id = {
        f"{name} {record.case_id}": (record, (name, split, case_id)) for _, record, (name, split, case_id) in places
    }
    texts: dict[str, frozenset[int]] = {}
    for name, release in zip(_names(releases), releases, strict=True):
        for path in sorted((release.folder / "cases").glob("*.parquet")):
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=256, columns=["case_id", "report"]):
                    for row in batch.to_pylist():
                        if row["report"] and f"{name} {row['case_id']}" in by_id:
                            texts[f"{name} {row['case_id']}"] = shingles(row["report"])
    for one, other in near_duplicates(texts):
        (first, first_place), (second, second_place) = by_id[one], by_id[other]
        if first.split != second.split and not (first.synthetic and second.synthetic):
            yield Leak("nearly one report", tuple(sorted((first_place, second_place), key=_order)))


def _order(place: tuple[str, Split, str]) -> tuple[int, str, str]:
    return list(Split).index(place[1]), place[0], place[2]


def _names(releases: Sequence[Release]) -> list[str]:
    names = [release.name for release in releases]
    return [
        name if names.count(name) == 1 else str(release.folder) for name, release in zip(names, releases, strict=True)
    ]
