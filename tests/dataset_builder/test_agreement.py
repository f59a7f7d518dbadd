"""Agreement by hand: three reports, two types, counted on paper."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from rsuper_bench.benchmark.errors import DataError
from rsuper_bench.benchmark.records import Extractor, Finding, Kind, Presence, ReportFindings
from rsuper_bench.benchmark.tumor_types import TumorType
from rsuper_bench.dataset_builder.extraction.agreement import agree
from rsuper_bench.dataset_builder.extraction.findings_file import read_findings, write_findings
from rsuper_bench.dataset_builder.extraction.pairing import likeness, pair_findings
from rsuper_bench.dataset_builder.extraction.reference_labels import labels_of, read_labels
from rsuper_bench.dataset_builder.extraction.tally import f1_of_draws, f1_score, share

LIVER, KIDNEY = TumorType.LIVER, TumorType.KIDNEY
INFO = Extractor(name="test", version="0")


def said(case_id, findings=(), **presence):
    stated = {TumorType(name): Presence(value) for name, value in presence.items()}
    return ReportFindings(case_id=case_id, presence=stated, findings=tuple(findings), extractor=INFO)


def lesion(organ=LIVER, *mm, **more):
    return Finding(tumor_type=organ, diameters_mm=mm, **more)


def labels_file(folder: Path, text: str) -> Path:
    path = folder / "labels.csv"
    path.write_text(text)
    return path


def test_counts_by_hand(tmp_path):
    labels = read_labels(
        labels_file(
            tmp_path,
            "id,liver_lesion,kidney_lesion,liver_largest_mm,kidney_largest_mm,note\n"
            "a,1,0,21,,\n"  # found, size exact
            "b,1,,30,,\n"  # found 30.8: within 1 mm; kidney found though not mentioned
            "c,1,u,12,,\n"  # missed, size missed with it; kidney skipped
            "d,0,1,,15,\n"  # invented liver; kidney only doubted
            "e,0,1,,40,\n",  # kidney found, size 42
        )
    )
    found = {
        record.case_id: record
        for record in (
            said("a", [lesion(LIVER, 9.0), lesion(LIVER, 21.0, 10.0)], liver="present", kidney="absent"),
            said("b", [lesion(LIVER, 30.8), lesion(KIDNEY)], liver="present", kidney="present"),
            said("c", [lesion(KIDNEY)], liver="absent", kidney="present"),
            said("d", [lesion(LIVER), lesion(KIDNEY, 15.0)], liver="present", kidney="uncertain"),
            said("e", [lesion(KIDNEY, 42.0)], liver="not_stated", kidney="present"),
        )
    }
    content = agree(found, labels).as_json()
    liver, kidney = content["by_type"]["liver"], content["by_type"]["kidney"]
    assert [liver[name] for name in ("tp", "fp", "fn", "tn")] == [2, 1, 1, 1]
    assert liver["size"] == {"n": 3, "exact": 1, "within_1mm": 2}
    assert liver["f1"]["value"] == pytest.approx(4 / 6, abs=1e-6)
    assert [kidney[name] for name in ("tp", "fp", "fn", "tn")] == [1, 1, 1, 1]
    assert kidney["size"] == {"n": 2, "exact": 1, "within_1mm": 1}  # the doubted finding's size is right
    assert [content["micro"][name] for name in ("tp", "fp", "fn", "tn")] == [3, 2, 2, 2]
    assert content["skipped"] == 1
    listed = {
        (d["case_id"], d["tumor_type"], d["field"]): (d["found"], d["expected"]) for d in content["disagreements"]
    }
    assert listed[("d", "kidney", "presence")] == ("uncertain", "present")
    assert listed[("b", "kidney", "presence")] == ("present", "not_stated")
    assert listed[("c", "liver", "largest_mm")] == (None, 12.0)
    assert not any(key[:2] == ("c", "kidney") for key in listed)  # a label u is skipped


def test_f1_interval_by_hand():
    # J = 9/10; Wilson: centre (0.9 + 1.9207/10) / 1.38415, half width 1.96 sqrt(0.009 + 0.0096) / 1.38415
    score = f1_score(9, 1, 0)
    assert score["value"] == pytest.approx(18 / 19, abs=1e-6)
    assert score["low"] == pytest.approx(2 * 0.59585 / 1.59585, abs=1e-3)
    assert score["high"] == pytest.approx(2 * 0.98213 / 1.98213, abs=1e-3)


def test_interval_does_not_collapse_when_all_are_right():
    assert f1_score(3, 0, 0)["low"] < 0.7
    assert f1_score(3, 0, 0)["high"] == 1


def test_nothing_to_find_is_null_with_a_reason():
    assert f1_score(0, 0, 0)["value"] is None
    assert f1_score(0, 0, 0)["reason"]


@given(st.integers(0, 300), st.integers(0, 300), st.integers(0, 300))
def test_f1_lies_in_its_interval(tp, fp, fn):
    score = f1_score(tp, fp, fn)
    if score["value"] is not None:
        assert 0 <= score["low"] <= score["value"] <= score["high"] <= 1


def test_a_set_agrees_with_itself(tmp_path):
    records = [
        said("a", [lesion(LIVER, 21.0, 10.0, kind=Kind.CYST), lesion(LIVER, 9.0)], liver="present", kidney="absent"),
        said("b", [lesion(KIDNEY, 8.0)], kidney="uncertain"),
    ]
    path = tmp_path / "F.jsonl"
    assert write_findings(path, records) == 2
    found = read_findings(path)
    assert list(found.values()) == records
    result = agree(found, read_labels(path))
    assert result.disagreements == []
    assert all(n == same for n, same in result.fields.values())
    assert result.micro.skipped == 1  # the doubted kidney


def test_findings_are_paired_by_size_before_order():
    found = [lesion(LIVER, 9.0), lesion(LIVER, 21.0)]
    wanted = [lesion(LIVER, 21.0), lesion(LIVER, 9.0)]
    assert [(a.diameters_mm, b.diameters_mm) for a, b in pair_findings(found, wanted).pairs] == [
        ((9.0,), (9.0,)),
        ((21.0,), (21.0,)),
    ]


def test_fields_of_pairs_are_compared():
    found = {"a": said("a", [lesion(LIVER, 21.0, kind=Kind.CYST)], liver="present")}
    wanted = {"a": said("a", [lesion(LIVER, 21.0, kind=Kind.MASS)], liver="present")}
    result = agree(found, labels_of(wanted))
    assert result.fields["kind"] == (1, 0)
    assert result.fields["diameters_mm"] == (1, 1)
    assert [(d["field"], d["found"], d["expected"]) for d in result.disagreements] == [("kind", "cyst", "mass")]


def test_labelled_cases_without_findings_are_all_listed(tmp_path):
    labels = read_labels(labels_file(tmp_path, "id,liver_lesion\na,1\nb,0\nc,1\n"))
    with pytest.raises(DataError) as caught:
        agree({"b": said("b", liver="absent")}, labels)
    assert [problem.where for problem in caught.value.problems] == ["case a", "case c"]


def test_bad_labels_are_all_listed(tmp_path):
    path = labels_file(tmp_path, "id,liver_lesion,liver_largest_mm\na,yes,12\na,1,nan\n../x,0,-4\nb,1,huge\n001,1,7\n")
    with pytest.raises(DataError) as caught:
        read_labels(path)
    text = str(caught.value)
    assert len(caught.value.problems) == 6
    assert "row 2: liver_lesion" in text
    assert "already in row 2" in text
    assert "unsafe id" in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "empty file"),
        ("id,liver_lesion\n", "no rows"),
        ("liver_lesion\n1\n", "no column 'id'"),
        ("id,livr_lesion\na,1\n", "no '<organ>_lesion' column"),
    ],
)
def test_wrong_tables(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read_labels(labels_file(tmp_path, content))


def test_bad_findings_files_list_every_line(tmp_path):
    path = tmp_path / "F.jsonl"
    good = said("a", liver="absent").model_dump_json()
    path.write_text(
        f"{good}\nnot json\n{good}\n" + json.dumps({"case_id": "b", "presence": {}, "colour": 1}) + "\n[]\n"
    )
    with pytest.raises(DataError) as caught:
        read_findings(path)
    assert [problem.where.rsplit(":", 1)[-1].split()[0] for problem in caught.value.problems][:2] == ["2", "3"]
    assert len(caught.value.problems) == 5  # no JSON, twice, unknown key, no extractor, no object


def test_hand_made_references_may_leave_out_the_extractor(tmp_path):
    path = tmp_path / "gold.jsonl"
    path.write_text(json.dumps({"case_id": "a", "presence": {"liver": "absent"}}) + "\n")
    assert read_labels(path).presence == {"a": {LIVER: Presence.ABSENT}}


def test_pairs_are_the_best_together_not_the_best_first():
    # likeness: a1 = 8 (size), a2 = 8 + 4 (size, location), b1 = -8, b2 = 4 (location).
    # The likest pair first would be a2 and leave b1: 12 - 8 = 4. Together a1 and b2 are 12.
    first = [lesion(LIVER, 20.0, location="dome"), lesion(LIVER, 30.0, location="dome")]
    second = [lesion(LIVER, 20.0), lesion(LIVER, 20.0, location="dome")]
    pairs = pair_findings(first, second).pairs
    assert pairs == ((first[0], second[0]), (first[1], second[1]))


def test_a_wrong_side_is_one_error_and_not_two():
    pairing = pair_findings([lesion(KIDNEY, 20.0, side="left")], [lesion(KIDNEY, 20.0, side="right")])
    assert len(pairing.pairs) == 1
    assert pairing.only_found == pairing.only_wanted == ()


def test_likeness_by_hand():
    one = lesion(KIDNEY, 20.0, 10.0, side="left", kind=Kind.CYST)
    assert likeness(one, lesion(KIDNEY, 20.9, side="left", kind=Kind.MASS)) == 8 + 4 - 2
    assert likeness(one, lesion(KIDNEY, 30.0, side="right")) == -8 - 4
    assert likeness(one, lesion(KIDNEY)) == 0  # what one of them leaves out counts nothing


def test_what_has_no_partner_is_kept():
    found = [lesion(LIVER, 9.0), lesion(LIVER, 21.0), lesion(LIVER, 40.0)]
    pairing = pair_findings(found, [lesion(LIVER, 20.5)])
    assert pairing.pairs[0][0].diameters_mm == (21.0,)
    assert [lone.diameters_mm for lone in pairing.only_found] == [(9.0,), (40.0,)]
    assert pair_findings([], found).only_wanted == tuple(found)


sizes = st.sampled_from([(), (8.0,), (20.0,), (20.0, 10.0)])
some_findings = st.lists(
    st.builds(
        lambda mm, side, location, kind: lesion(KIDNEY, *mm, side=side, location=location, kind=kind),
        sizes,
        st.sampled_from([None, "left", "right"]),
        st.sampled_from([None, "upper_pole"]),
        st.sampled_from(list(Kind)),
    ),
    max_size=5,
)


@given(some_findings, some_findings)
def test_no_other_pairing_is_likelier(found, wanted):
    pairing = pair_findings(found, wanted)
    assert len(pairing.pairs) == min(len(found), len(wanted))
    total = sum(likeness(a, b) for a, b in pairing.pairs)
    short, long = sorted((found, wanted), key=len)
    best = max(
        sum(likeness(a, b) for a, b in zip(short, order, strict=True)) for order in permutations(long, len(short))
    )
    assert total == best


@given(some_findings)
def test_findings_are_paired_with_themselves(findings):
    assert pair_findings(findings, findings).pairs == tuple((one, one) for one in findings)


def test_fields_by_hand():
    wanted = said(
        "a",
        [
            lesion(KIDNEY, 30.0, 20.0, side="left", kind=Kind.MASS, location="upper_pole"),
            lesion(KIDNEY, 12.0, side="right", kind=Kind.CYST, malignancy="benign"),
            lesion(KIDNEY, count={"value": 2, "relation": "at_least"}),
        ],
        kidney="present",
    )
    found = said(
        "a",
        [
            lesion(KIDNEY, 12.8, side="right", kind=Kind.CYST),  # 0.8 mm off, not called benign
            lesion(KIDNEY, 20.0, 30.0, side="left", kind=Kind.MASS),  # the axes swapped, no pole
        ],
        kidney="present",
    )
    content = agree({"a": found}, labels_of({"a": wanted})).as_json()
    assert content["micro"]["findings"] | {"f1": None} == {"found": 2, "expected": 3, "paired": 2, "f1": None}
    assert content["micro"]["findings"]["f1"]["value"] == pytest.approx(4 / 5)
    counted = {name: (field["agree"], field["n"]) for name, field in content["fields"].items()}
    assert counted == {
        "kind": (2, 2),
        "count": (2, 2),
        "diameters_mm": (1, 2),
        "diameters_within_1mm": (2, 2),
        "location": (1, 2),
        "side": (2, 2),
        "attenuation": (2, 2),
        "malignancy": (1, 2),
        "certainty": (2, 2),
        "series": (2, 2),
        "image": (2, 2),
    }
    stated = {
        name: (field["where_stated"]["agree"], field["where_stated"]["n"]) for name, field in content["fields"].items()
    }
    assert stated["location"] == (0, 1)
    assert stated["malignancy"] == (0, 1)
    assert stated["attenuation"] == (0, 0)
    listed = {(d["field"], str(d["found"]), str(d["expected"])) for d in content["disagreements"]}
    assert ("location", "None", "upper_pole") in listed
    assert ("finding", "None", "{'kind': 'indeterminate'}") in listed
    assert not any(name == "diameters_within_1mm" for name, _, _ in listed)


def test_side_is_compared_in_paired_organs_only():
    found = {"a": said("a", [lesion(LIVER, side="left")], liver="present")}
    result = agree(found, labels_of({"a": said("a", [lesion(LIVER)], liver="present")}))
    assert "side" not in result.fields
    assert result.disagreements == []


def test_doubted_types_have_no_part_in_fields():
    wanted = {"a": said("a", [lesion(LIVER, 9.0, certainty="uncertain")], liver="uncertain")}
    result = agree({"a": said("a", [lesion(LIVER, 7.0)], liver="present")}, labels_of(wanted))
    assert result.fields == {}
    assert (result.micro.words, result.micro.same_words) == (1, 0)


def test_share_by_hand():
    # 0 of 4: Wilson's upper end is z^2 / (n + z^2) = 3.8415 / 7.8415
    assert share(0, 4) == {"value": 0.0, "low": 0.0, "high": pytest.approx(3.8415 / 7.8415, abs=1e-4)}
    assert share(0, 0)["value"] is None


words = st.sampled_from([Presence.PRESENT, Presence.ABSENT, Presence.NOT_STATED])


@given(st.lists(st.tuples(words, words, words, words), min_size=1, max_size=30))
def test_f1_agrees_with_scikit_learn(rows):
    found = {f"c{i}": said(f"c{i}", liver=row[0], kidney=row[1]) for i, row in enumerate(rows)}
    wanted = {f"c{i}": said(f"c{i}", liver=row[2], kidney=row[3]) for i, row in enumerate(rows)}
    content = agree(found, labels_of(wanted)).as_json()
    truth = np.array([[word is Presence.PRESENT for word in row[2:]] for row in rows])
    calls = np.array([[word is Presence.PRESENT for word in row[:2]] for row in rows])
    for column, name in enumerate(("liver", "kidney")):
        ours = content["by_type"][name]
        expected = metrics.f1_score(truth[:, column], calls[:, column], zero_division=np.nan)
        _same_figure(ours["f1"]["value"], expected)
        _same_figure(
            ours["sensitivity"]["value"],
            metrics.recall_score(truth[:, column], calls[:, column], zero_division=np.nan),
        )
        _same_figure(
            ours["precision"]["value"],
            metrics.precision_score(truth[:, column], calls[:, column], zero_division=np.nan),
        )
    micro = metrics.f1_score(truth.ravel(), calls.ravel(), zero_division=np.nan)
    _same_figure(content["micro"]["f1"]["value"], micro)
    _same_figure(content["micro"]["f1_by_report"]["value"], micro)
    macro = metrics.f1_score(truth, calls, average="macro", zero_division=np.nan)
    _same_figure(content["macro"]["f1_by_report"]["value"], macro)


def _same_figure(ours, theirs):
    assert (ours is None) == bool(np.isnan(theirs))
    if ours is not None:
        assert ours == pytest.approx(theirs, abs=1e-6)


def test_draws_of_reports_are_repeatable_and_wider_where_reports_differ():
    # 20 reports of 5 types each, all right or all wrong together: the types are not 100 independent looks.
    together = [[(1, 0, 0)] * 5] * 16 + [[(0, 0, 1)] * 5] * 4
    draws = f1_of_draws(together, seed=3)
    assert draws == f1_of_draws(together, seed=3)
    assert draws["micro"]["value"] == pytest.approx(160 / 180, abs=1e-6)
    independent = f1_score(80, 0, 20)
    assert draws["micro"]["high"] - draws["micro"]["low"] > 1.5 * (independent["high"] - independent["low"])


def test_no_report_means_no_figure():
    assert f1_of_draws([])["micro"] == {"value": None, "low": None, "high": None}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("id,livr_lesion,liver_lesion", "Did you mean 'liver_lesion'"),
        ("id,liver_lesion,breast_largest_mm", "no tumor type"),
        ("id,liver_lesion,kidney_largest_mm", "sizes without labels"),
    ],
)
def test_label_columns_that_would_be_left_out_are_refused(tmp_path, header, message):
    path = labels_file(tmp_path, f"{header}\na,1,\n")
    with pytest.raises(DataError, match=message):
        read_labels(path)


def test_reports_that_were_never_read(tmp_path):
    failed = said("a").model_copy(update={"flags": ("failed:timeout",)})
    path = tmp_path / "F.jsonl"
    write_findings(path, [failed, said("b", liver="present")])
    with pytest.raises(DataError, match=r"a: was not read \(failed:timeout\)"):
        read_labels(path)  # silence is no reference
    labels = labels_of({"a": said("a", liver="present"), "b": said("b", liver="present")})
    result = agree(read_findings(path), labels)
    assert (result.unread, result.micro.fn, result.as_json()["unread"]) == (1, 1, 1)


def test_a_number_of_thousands_of_digits_is_one_clear_error(tmp_path):
    path = tmp_path / "F.jsonl"
    path.write_text('{"case_id": ' + "1" * 5000 + "}\n")
    with pytest.raises(DataError, match="not a JSON object"):
        read_findings(path)


def test_a_name_with_odd_line_ends_comes_back(tmp_path):
    odd = said("a").model_copy(update={"extractor": Extractor(name="llm", version="0", model="x\u2028y\x85z")})
    path = tmp_path / "F.jsonl"
    write_findings(path, [odd, said("b")])
    assert list(read_findings(path).values()) == [odd, said("b")]
