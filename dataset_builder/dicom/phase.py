"""Contrast phase from the words of a series description and the contrast tag; unknown rather than guessed."""

from __future__ import annotations

import re

from rsuper_bench.benchmark.records import Phase
from rsuper_bench.dataset_builder.dicom.headers import SeriesInfo

_WORDS = {
    Phase.NON_CONTRAST: (
        r"non[- ]?contrast|non[- ]?con|without contrast|w/?o contrast|w/o|un-?enhanced|pre[- ]?contrast|native|nativ|"
        r"plain|c-|ohne km|wo|nc"
    ),
    Phase.ARTERIAL: r"(early|late)[- ]arterial|arterial|arteriell|art|angio|cta",
    Phase.PORTAL_VENOUS: (
        r"porto?[- ]?(al)?[- ]?venous|portal|portalvenoes|pvp?|venous|venoes|ven|(60|65|70|75|80) ?s(ec)?"
    ),
    Phase.DELAYED: r"delayed|delay|late|excretory|urographic|equilibrium|nephrographic|(3|5|8|10|15) ?min",
}
# In this order, each taking its words away, so that "late arterial" is not also "late".
_PATTERNS = [(phase, re.compile(rf"(?<!\w)({words})(?!\w)")) for phase, words in _WORDS.items()]
_NO_AGENT = re.compile(r"^(none|no|n/?a|without|0)?$", re.IGNORECASE)


def contrast_phase(info: SeriesInfo) -> Phase:
    """Phase of a series; unknown when the words name none or several, or contradict the contrast tag."""
    text = info.description.lower().replace("_", " ").replace("+", " ")
    found = set()
    for phase, pattern in _PATTERNS:
        text, n = pattern.subn(" ", text)
        if n:
            found.add(phase)
    enhanced = not _NO_AGENT.match(info.contrast_agent)
    if len(found) != 1:
        return Phase.UNKNOWN
    (phase,) = found
    if phase is Phase.NON_CONTRAST and enhanced:
        return Phase.UNKNOWN
    return phase
