"""Reports that are nearly the same, among many that share their turns of phrase."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from itertools import combinations

WORDS = 5  # in a row
MAX_REPORTS = 4  # a run of words in more reports than these is a phrase of the writer, not of the patient
MIN_SHARED = 12
MIN_SHARE = 0.5  # of the runs of the shorter report that are no phrase


def shingles(text: str) -> frozenset[int]:
    """Digests of all runs of five words of a text; case and punctuation do not matter, numbers do."""
    words = re.findall(r"[a-z]+|\d+(?:\.\d+)?", text.lower())
    runs = (" ".join(words[index : index + WORDS]) for index in range(len(words) - WORDS + 1))
    return frozenset(int.from_bytes(hashlib.blake2b(run.encode(), digest_size=8).digest(), "big") for run in runs)


def near_duplicates(reports: Mapping[str, frozenset[int]]) -> Iterator[tuple[str, str]]:
    """Pairs of reports that share at least twelve runs of words that hardly any other report has, and half of all such.

    Counting rare runs exactly takes the place of an estimate by MinHash: normal findings are written in the same
    words for many patients, so that a share of all words would call them one report.

    Args:
        reports: Digests of the runs of each report, by its id.
    """
    where: defaultdict[int, list[str]] = defaultdict(list)
    for name in sorted(reports):
        for run in reports[name]:
            where[run].append(name)
    shared: Counter[tuple[str, str]] = Counter()
    rare: Counter[str] = Counter()
    for names in where.values():
        if len(names) <= MAX_REPORTS:
            rare.update(names)
            shared.update(combinations(names, 2))
    for (one, other), n in sorted(shared.items()):
        if n >= MIN_SHARED and n >= MIN_SHARE * min(rare[one], rare[other]):
            yield one, other
