"""Licence and leakage gates, and that a gate which breaks has not passed."""

import shutil

import numpy as np
import pytest
from scipy.ndimage import zoom
from test_phi import rewrite
from tiny_sources import TinySource, WordExtractor

from rsuper_bench.benchmark.nifti import Volume
from rsuper_bench.benchmark.records import Split
from rsuper_bench.benchmark.release import Release
from rsuper_bench.dataset_builder import gates
from rsuper_bench.dataset_builder.build import BuildPlan, build
from rsuper_bench.dataset_builder.fingerprint import MAX_DISTANCE, as_words, distances, fingerprint
from rsuper_bench.dataset_builder.gates import run_gates
from rsuper_bench.dataset_builder.leakage import find_leaks
from rsuper_bench.dataset_builder.licences import licence_gate
from rsuper_bench.dataset_builder.near_text import near_duplicates, shingles


def built(out, source, **options):
    build(BuildPlan(source, "tiny", {}, WordExtractor(), out, **options))
    return out


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return built(tmp_path_factory.mktemp("gates") / "release", TinySource(n=12))


@pytest.fixture
def folder(good, tmp_path):
    return shutil.copytree(good, tmp_path / "release")


def test_a_good_release_passes_every_gate(good):
    assert [(result.name, result.findings) for result in run_gates(Release(good))] == [
        (name, ()) for name in ("phi", "licence", "lint", "leakage")
    ]


# --- licence


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"redistributable": False}, "licence_forbids"),
        ({"licence": "unknown"}, "licence_missing"),
        ({"licence": " "}, "licence_missing"),
        ({"licence": "CC BY-NC-ND 4.0"}, "licence_contradicts"),
        ({"licence": "Merlin Data Use Agreement"}, "licence_contradicts"),
        ({"licence": "All rights reserved"}, "licence_contradicts"),
        ({"licence": "CC BY-NC-SA 4.0"}, None),
        ({"licence": "Apache-2.0"}, None),
    ],
)
def test_licences(tmp_path, change, code):
    out = built(tmp_path / "release", TinySource(changes={"case-001": change}))
    assert [(f.case_id, f.gate) for f in licence_gate(Release(out))] == ([("case-001", code)] if code else [])


def test_a_row_without_a_licence_does_not_pass(folder):
    def rename(row):
        if row["case_id"] == "case-001":
            row["case_id"] = "case-999"

    rewrite(folder, "cases", rename)
    assert [(f.case_id, f.gate) for f in licence_gate(Release(folder))] == [("case-999", "licence_missing")]


def test_what_cannot_be_read_has_no_licence(folder):
    next((folder / "cases").iterdir()).write_bytes(b"PAR1")
    assert [f.gate for f in licence_gate(Release(folder))] == ["licence_unreadable"]


# --- leakage


def smooth(seed, shape=(48, 40, 36), spacing=(4.0, 4.0, 5.0)):
    """A picture with structure at every scale, as scans have."""
    rng = np.random.default_rng(seed)
    data = sum(
        zoom(rng.normal(0, 120, (n, n, n)), np.array(shape) / n, order=1, grid_mode=True, mode="nearest")
        for n in (3, 6, 12)
    )
    return Volume(np.asarray(data).round().astype(np.int16), np.diag([*spacing, 1.0]))


def resampled(volume, factors):
    data = zoom(volume.data.astype(np.float32), factors, order=1, grid_mode=True, mode="nearest")
    scale = np.array(volume.data.shape) / np.array(data.shape)
    return Volume(data, volume.affine @ np.diag([*scale, 1.0]))


def turned(volume):
    """The same scan stored left to right, and axes in another order."""
    flip = np.diag([-1.0, 1.0, 1.0, 1.0])
    flip[0, 3] = volume.data.shape[0] - 1
    swap = np.eye(4)[[1, 0, 2, 3]]
    return Volume(volume.data[::-1].transpose(1, 0, 2), volume.affine @ flip @ swap)


@pytest.mark.parametrize("seed", range(4))
def test_a_fingerprint_survives_what_happens_to_scans(seed):
    scan = smooth(seed)
    print_ = fingerprint(scan)
    assert fingerprint(turned(scan)) == print_
    assert fingerprint(Volume(scan.data.astype(np.float32), scan.affine)) == print_
    for factors in ((0.5, 0.5, 0.5), (1.4, 1.4, 1.2), (0.7, 0.7, 1.0), (1.0, 1.0, 0.6)):
        assert distances(as_words(print_), as_words(fingerprint(resampled(scan, factors)))) <= MAX_DISTANCE
    noisy = Volume(scan.data + np.random.default_rng(0).normal(0, 15, scan.data.shape), scan.affine)
    assert distances(as_words(print_), as_words(fingerprint(noisy))) <= MAX_DISTANCE


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 2), (0, 1, 2)])
def test_a_mirrored_scan_is_the_same_scan(axes):
    """Saved with a wrong direction: the voxels are mirrored, the header is not."""
    scan = smooth(3)
    mirrored = Volume(np.flip(scan.data, axes), scan.affine)
    assert fingerprint(mirrored) != fingerprint(scan)
    assert distances(as_words(fingerprint(mirrored)), as_words(fingerprint(scan))) == 0


def test_other_scans_have_other_fingerprints():
    words = [as_words(fingerprint(smooth(seed))) for seed in range(12)]
    apart = [int(distances(one, other)) for i, one in enumerate(words) for other in words[:i]]
    assert min(apart) > 2 * MAX_DISTANCE


def test_a_scan_that_was_resampled_is_a_leak(tmp_path):
    parts = {"organs": None, "lesions": None, "lesion_types": (), "report": "no liver"}
    changes = {f"case-{i:03d}": parts | {"ct": smooth(100 + i)} for i in range(12)}
    plain = Release(built(tmp_path / "plain", TinySource(n=12, changes=changes), name="plain"))
    assert list(find_leaks([plain])) == []
    test, train = (plain.records(split)[0].case_id for split in (Split.TEST, Split.TRAIN))
    changes[train] = parts | {"ct": resampled(changes[test]["ct"], (0.6, 0.6, 0.8))}
    (leak,) = find_leaks([Release(built(tmp_path / "leaky", TinySource(n=12, changes=changes), name="leaky"))])
    assert leak.shared == "one CT, saved or resampled anew,"
    assert leak.cases == (("leaky", Split.TRAIN, train), ("leaky", Split.TEST, test))
    result = next(item for item in run_gates(plain, against=[Release(tmp_path / "leaky")]) if item.name == "leakage")
    assert not result.passed


NORMAL = (
    "The liver is normal in size. The spleen is unremarkable. No free fluid is seen in the abdomen or pelvis today."
)
OWN = (
    "A lobulated exophytic lesion of the left upper pole abuts the hilum and displaces a replaced artery toward the"
    " crus where two punctate foci of calcium trail along the capsule near a surgical clip of uncertain age"
)


def test_near_duplicates_by_hand():
    texts = {f"r{i}": NORMAL for i in range(9)}  # one template for nine patients: no copy
    texts |= {
        "a": f"{NORMAL} {OWN}.",
        "b": f"{OWN.upper()}, as before. {NORMAL}",
        "c": f"{NORMAL} Other words entirely.",
    }
    prints = {name: shingles(text) for name, text in texts.items()}
    assert list(near_duplicates(prints)) == [("a", "b")]
    assert shingles("four words are few") == frozenset()


def test_a_copied_report_is_a_leak(tmp_path):
    def release(name, copied):
        changes = {f"case-{i:03d}": {"synthetic": False} for i in range(12)}
        for case_id in copied:
            changes[case_id] = changes[case_id] | {"report": f"no liver. {OWN}."}
        return Release(built(tmp_path / name, TinySource(n=12, changes=changes), name=name))

    plain = release("plain", ())
    test, train = (plain.records(split)[0].case_id for split in (Split.TEST, Split.TRAIN))
    second = plain.records(Split.TRAIN)[1].case_id
    for name, copied, leaks in (("apart", (test, train), 1), ("together", (train, second), 0)):
        found = list(find_leaks([release(name, copied)]))
        assert [leak.shared for leak in found] == ["nearly one report"] * leaks
        assert not any("lobulated" in str(leak) for leak in found)


# --- gates that break


def test_a_gate_that_breaks_has_not_passed(good, monkeypatch):
    def broken(*args, **kwargs):
        raise ZeroDivisionError("the report said: John Smith")

    monkeypatch.setattr(gates, "lint", broken)
    results = {result.name: result for result in run_gates(Release(good))}
    assert not results["lint"].passed
    assert [str(finding) for finding in results["lint"].findings] == ["gate_broke: ZeroDivisionError while checking"]
    assert results["phi"].passed


def test_ids_of_patients_are_not_shown_by_the_other_gates(folder):
    def rename(row):
        row["case_id"] = row["case_id"].replace("case-001", "smith_john")

    for config in ("cases", "attributes", "tumors"):
        rewrite(folder, config, rename)
    results = run_gates(Release(folder))
    assert [result.passed for result in results] == [False] * 4
    shown = "\n".join(str(finding) for result in results for finding in result.findings)
    assert "smith" not in shown
    assert "not_run: case ids look like protected information" in shown


def test_smoke_releases_stay_at_home(tmp_path):
    out = built(tmp_path / "release", TinySource(anatomies=1), smoke=True)
    leakage = next(result for result in run_gates(Release(out)) if result.name == "leakage")
    assert {finding.gate for finding in leakage.findings} == {"smoke", "leak"}
