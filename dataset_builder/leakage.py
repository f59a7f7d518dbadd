"""Do patients, anatomies or images stand in more than one split, within a release or across several?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rsuper_bench.benchmark.records import CaseRecord, Split
from rsuper_bench.benchmark.release import Release


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
    (a release writes the same voxels on the same grid as the same bytes). Splits are told apart by their names, in
    whatever release: train of one may share with train of another.
    """
    for shared, identity in (("one patient", _patient), ("one anatomy", _anatomy), ("one CT", _ct)):
        where: dict[tuple[object, ...], dict[Split, tuple[str, Split, str]]] = {}
        for name, release in zip(_names(releases), releases, strict=True):
            for record in release.records():
                found = where.setdefault(identity(release, record), {})
                found.setdefault(record.split, (name, record.split, record.case_id))
        for found in where.values():
            if len(found) > 1:
                yield Leak(shared, tuple(found[split] for split in Split if split in found))


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


def _names(releases: Sequence[Release]) -> list[str]:
    names = [release.name for release in releases]
    return [
        name if names.count(name) == 1 else str(release.folder) for name, release in zip(names, releases, strict=True)
    ]
