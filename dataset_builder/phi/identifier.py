"""Ids and file names: pseudonyms pass, what looks like a person or a number of a hospital does not."""

from __future__ import annotations

import re

from rsuper_bench.dataset_builder.phi.hit import Hit, merged
from rsuper_bench.dataset_builder.phi.plain import plain_text
from rsuper_bench.dataset_builder.phi.words import words

_PATTERNS = (
    ("ssn", re.compile(r"(?<!\d)\d{3}-\d{2}-\d{4}(?!\d)")),
    ("phone", re.compile(r"(?<!\d)\d{3}[-.]\d{3}[-.]\d{4}(?!\d)")),
    ("date", re.compile(r"(?<!\d)(?:19|20)\d\d[-._]?(?:0[1-9]|1[0-2])[-._]?(?:0[1-9]|[12]\d|3[01])(?!\d)")),
    ("date", re.compile(r"(?<!\d)(?:0?[1-9]|[12]\d|3[01])[-._](?:0?[1-9]|[12]\d|3[01])[-._](?:19|20)?\d\d(?!\d)")),
    (
        "date",
        re.compile(
            r"(?<!\d)(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])(?:19|20)\d\d(?!\d)|(?<!\d)(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:19|20)\d\d(?!\d)"
        ),
    ),
    ("date", re.compile(r"\d{1,2}[-._]?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[-._]?\d{2,4}", re.I)),
    ("email", re.compile(r"[\w.+-]+@[\w-]+\.\w+")),
    ("medical_record_number", re.compile(r"(?:mrn|mr|pid|ssn|dob|nhs|csn|fin|hosp|chart)[-._#]?\d{3,}", re.I)),
    ("accession_number", re.compile(r"(?:acc(?:ession)?|acn|order|req)[-._#]?[a-z]{0,3}\d{3,}", re.I)),
    ("accession_number", re.compile(r"(?<![A-Za-z])[A-Za-z]{1,3}\d{2}-\d{4,}(?!\d)")),
    ("age_over_89", re.compile(r"(?<!\d)0?(?:9\d|1[0-2]\d)(?:y|yo|yr)(?![a-z])", re.I)),
    ("uid", re.compile(r"(?<!\d)[0-2](?:\.\d+){5,}")),
    # Counters begin with zeros (BDMAP_00000123); what does not, and is long, is a number of a hospital.
    (
        "number",
        re.compile(
            r"(?<![\dA-Fa-f])(?!000)\d{7,}(?![\dA-Fa-f])|^(?!000)\d{6}$|^[A-Za-z]{1,2}(?!000)\d{6,}$|(?<!\d)\d{2}-\d{5,}(?!\d)"
        ),
    ),
)
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z]+|[a-z]+")


def scan_identifier(value: str) -> list[Hit]:
    """Find protected information in an id or in the name of a file or folder."""
    plain = plain_text(value)
    hits = [Hit(*match.span(), kind) for kind, pattern in _PATTERNS for match in pattern.finditer(plain.text)]
    common = words("known_words") | words("eponyms")
    given, surnames = words("given_names") - common, words("surnames") - common
    for match in _WORD.finditer(plain.text):
        word = match.group().lower()
        if (
            (len(word) > 3 and word in given | surnames)
            or (len(word) == 3 and word in given | {"doe", "roe"})
            or (len(word) > 5 and word not in common and _glued(word, given, surnames))
        ):
            hits.append(Hit(*match.span(), "name"))
        elif word in words("institutions"):
            hits.append(Hit(*match.span(), "institution"))
    return merged([Hit(*plain.span(hit.start, hit.end), hit.kind) for hit in hits])


def scan_path(path: str) -> list[Hit]:
    """Find protected information in a relative path, part by part."""
    hits, offset = [], 0
    for part in path.split("/"):
        stem = re.sub(r"(?:\.nii)?\.(?:gz|nii|dcm|parquet|csv|json|png)$", "", part)
        hits += [Hit(hit.start + offset, hit.end + offset, hit.kind) for hit in scan_identifier(stem)]
        offset += len(part) + 1
    return merged(hits)


def _glued(word: str, given: frozenset[str], surnames: frozenset[str]) -> bool:
    """`johnsmith`, `smithjohn`, `jsmith`."""
    if word[1:] in surnames and len(word) > 5:
        return True
    return any(
        (word[:cut] in given and word[cut:] in surnames) or (word[:cut] in surnames and word[cut:] in given)
        for cut in range(3, len(word) - 2)
    )
