"""Tables of target lesions, whose lines name only organ and size: "T1: liver, segment 5: 38 mm"."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rsuper_bench.dataset_builder.extraction.rules.drafting import place_in
from rsuper_bench.dataset_builder.extraction.rules.drafts import Draft, refer
from rsuper_bench.dataset_builder.extraction.rules.grouping import set_size
from rsuper_bench.dataset_builder.extraction.rules.items import Row
from rsuper_bench.dataset_builder.extraction.rules.lexicon import Label
from rsuper_bench.dataset_builder.extraction.rules.sections import Sentence, is_segment
from rsuper_bench.dataset_builder.extraction.rules.sites import Site, site_at
from rsuper_bench.dataset_builder.extraction.rules.sizes import Sizes

_TARGET = re.compile(
    r"\s*#\d{1,2}\b|\s*(?:(?:non-?)?target|index|lesion|observation|tl?|ntl?|l)\s?(?:lesion\s?)?#?\d{1,2}\b",
    re.IGNORECASE,
)
_TABLE = re.compile(r"\b(?:target|index|measurable|measured|reference) (?:lesions|disease)\b", re.IGNORECASE)
_LINES = 12  # paragraphs a table is long


@dataclass(slots=True)
class TargetTable:
    """Where the last heading of a table of target lesions stands (``paragraph``), if there was one."""

    paragraph: int | None = None

    def target(self, row: Row, sentence: Sentence, sizes: Sizes, topic: tuple[Site, ...]) -> Draft | None:
        """Read a line of a table, or a size under a segment of the liver ("Segment IV: 14 mm"); None for other text."""
        if _TABLE.search(row.text) is not None:
            self.paragraph = sentence.paragraph
        if (
            row.has(Label.LESION, Label.THING, Label.PLACE)
            or not sizes.loose
            or not self._is_line(row, sentence, sizes)
        ):
            return None
        position, size = sizes.loose[0]
        organs = [index for index in row.indices(Label.ORGAN) if index < position]
        organs = [index for index in organs if not row.items[index].entry.implied] or organs
        sites = site_at(row, organs[0]) if organs else list(topic)
        if len({site.tumor_type for site in sites}) != 1 or sites[0].tumor_type is None:
            return None
        sites.sort(key=lambda site: site.side is None)
        draft = Draft(tumor_type=sites[0].tumor_type, section=sentence.section, paragraph=sentence.paragraph)
        place_in(draft, sites[0], row, sentence, position)
        draft.spans["kind"] = draft.spans["count"] = row.items[position].span
        set_size(draft, size)
        refer(draft, row, row.offset, row.offset + len(row.text), size.start)
        return draft

    def _is_line(self, row: Row, sentence: Sentence, sizes: Sizes) -> bool:
        numbered = _TARGET.match(row.text) is not None
        near = self.paragraph is not None and sentence.paragraph - self.paragraph <= _LINES
        segment = sentence.topic is not None and is_segment(sentence.topic.text) and sizes.loose[0][0] == 0
        return numbered or near or segment
