"""The extractor on reports the grammar writes: what is written is what is read."""

from __future__ import annotations

import numpy as np

from rsuper_bench.benchmark.records import Attenuation, Finding, Kind
from rsuper_bench.benchmark.tumor_types import Sex, Side, TumorType
from rsuper_bench.dataset_builder.extraction import RulesExtractor
from rsuper_bench.dataset_builder.extraction.agreement import agree
from rsuper_bench.dataset_builder.extraction.reference_labels import labels_of
from rsuper_bench.dataset_builder.report_grammar import ReportStyle, Scene, Stone, write_report

N_REPORTS = 300
STYLE = ReportStyle(resected=0.1)
HOLLOW = (TumorType.COLON, TumorType.STOMACH, TumorType.ESOPHAGUS, TumorType.BLADDER)
STONES = (TumorType.KIDNEY, TumorType.GALLBLADDER, TumorType.BLADDER)
FIXED_SIDE = {"lingula": Side.LEFT, "middle_lobe": Side.RIGHT}  # lobes of one lung only


def random_finding(tumor_type: TumorType, rng: np.random.Generator) -> Finding:
    kinds = [Kind.CYST, Kind.MASS, Kind.INDETERMINATE, Kind.METASTASIS]
    kinds += [Kind.WALL_THICKENING] * 3 if tumor_type in HOLLOW else []
    segments = tumor_type.anatomy.segments
    location = segments[int(rng.integers(len(segments)))].name if segments else None
    side = None
    if tumor_type.anatomy.sided:
        side = FIXED_SIDE.get(location or "", Side.LEFT if rng.random() < 0.5 else Side.RIGHT)
    return Finding(
        tumor_type=tumor_type,
        kind=kinds[int(rng.integers(len(kinds)))],
        location=location,
        side=side,
        diameters_mm=tuple(sorted(rng.uniform(4, 60, 3).tolist(), reverse=True)),
        attenuation=list(Attenuation)[int(rng.integers(4))],
        series=int(rng.integers(1, 9)),
        image=int(rng.integers(1, 300)),
    )


def random_scene(seed: int) -> Scene:
    rng = np.random.default_rng([7, seed])
    sex = Sex.FEMALE if rng.random() < 0.5 else Sex.MALE
    organs = tuple(kind for kind in TumorType if kind.anatomy.only_sex in (None, sex) and rng.random() < 0.8)
    ill = [kind for kind in organs if rng.random() < 0.4]
    findings = tuple(random_finding(kind, rng) for kind in ill for _ in range(int(rng.integers(1, 5))))
    stones = tuple(
        Stone(kind, Side.LEFT if kind.anatomy.sided else None, float(rng.uniform(2, 9)))
        for kind in organs
        if kind in STONES and rng.random() < 0.3
    )
    return Scene(findings, organs, stones, sex, float(rng.integers(30, 85)))


def test_grammar_reports_are_read_as_written():
    reader = RulesExtractor()
    written = {
        f"g{seed}": write_report(random_scene(seed), np.random.default_rng([9, seed]), STYLE)
        for seed in range(N_REPORTS)
    }
    expected = {case_id: report.expected(case_id) for case_id, report in written.items()}
    found = {case_id: reader.extract(case_id, report.text) for case_id, report in written.items()}
    result = agree(found, labels_of(expected))
    micro = result.as_json()["micro"]
    assert micro["tp"] > N_REPORTS  # enough lesions for the shares below to mean something
    assert micro["f1"]["value"] >= 0.98
    assert micro["size"]["exact"] >= 0.98 * micro["size"]["n"]
    for name in ("kind", "count", "diameters_mm", "location", "side", "attenuation", "certainty"):
        n, same = result.fields[name]
        assert same >= 0.98 * n, name
    assert all(found[case_id].not_evaluable == expected[case_id].not_evaluable for case_id in written)
