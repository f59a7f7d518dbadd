"""Draw one tumor of each type of the frozen phantoms: ``python docs/pictures/make_phantom_picture.py``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from style import BALL, POSITIVE, Slice, legend, line, page, save

from rsuper_bench.benchmark.records import Attenuation, Kind
from rsuper_bench.benchmark.tumor_types import TumorType, region_labels
from rsuper_bench.dataset_builder.label_map import LESION_NUMBER, ORGAN_NUMBER
from rsuper_bench.dataset_builder.phantom.config import load_phantom_config
from rsuper_bench.dataset_builder.phantom.source import PhantomSource
from rsuper_bench.dataset_builder.raw_case import RawCase

CONFIG, SEED = "seven-tumors-phantom-small-v1", 0
HALF = 14  # voxels from the middle of the picture to its edge
ACROSS = 4  # types side by side
FIRST = 40  # training cases that are looked through, in their order


def main() -> None:
    """Training cases only: the others are not for looking at."""
    config = load_phantom_config(CONFIG)
    source = PhantomSource(config, SEED)
    cases = [source.make(key) for key in source.keys()[:FIRST]]
    figure, axes = page(ACROSS, 4, (8.0, 9.2), "Seven tumor types on synthetic phantoms of 4 mm")
    for number, kind in enumerate(config.tumor_types):
        band, column = divmod(number, ACROSS)
        ill = next(case for case in cases if _shows(case, kind))
        well = next(case for case in cases if _free(case, kind))
        for row, (case, shown) in enumerate(((ill, _lesion(ill, kind)), (well, _organ(well, kind)))):
            panel = axes[(2 * band + row) * ACROSS + column]
            z = int(np.argmax(shown.sum((0, 1))))
            middle = np.argwhere(shown[:, :, z]).mean(0).round().astype(int)
            x, y = (
                slice(max(at - HALF, 0), min(at + HALF, size)) for at, size in zip(middle, shown.shape[:2], strict=True)
            )
            cut = Slice("axial", z, config.spacing_mm[0], (x, y))
            cut.draw(panel, case.ct.data, _title(case, kind) if row == 0 else "no tumor")
            cut.outline(panel, _organ(case, kind), BALL, "dotted", 1.0)
            if row == 0:
                cut.outline(panel, shown, POSITIVE)
    for panel in axes:
        panel.set_axis_off()
    legend(figure, [line(POSITIVE, "tumor"), line(BALL, "organ, with a segmenter's errors", "dotted")])
    save(figure, Path(__file__).parent / "seven-tumors-phantom.png")


def _organ(case: RawCase, kind: TumorType) -> np.ndarray:
    return np.isin(case.organs.data, [ORGAN_NUMBER[name] for name in region_labels(kind, ORGAN_NUMBER)])


def _lesion(case: RawCase, kind: TumorType) -> np.ndarray:
    return case.lesions.data == LESION_NUMBER[kind]


def _planted(case: RawCase, kind: TumorType) -> list:
    return [item for item in case.planted_findings if item.tumor_type is kind]


def _shows(case: RawCase, kind: TumorType) -> bool:
    """One tumor that can be seen."""
    found = _planted(case, kind)
    seen = [item for item in found if item.kind is not Kind.CYST and item.attenuation is not Attenuation.ISO]
    return len(found) == len(seen) == 1 and bool(_lesion(case, kind).any())


def _free(case: RawCase, kind: TumorType) -> bool:
    return kind not in case.not_evaluable and not _planted(case, kind) and bool(_organ(case, kind).any())


def _title(case: RawCase, kind: TumorType) -> str:
    (found,) = _planted(case, kind)
    return f"{kind}\n{max(found.diameters_mm):.0f} mm, {found.attenuation}"


if __name__ == "__main__":
    main()
