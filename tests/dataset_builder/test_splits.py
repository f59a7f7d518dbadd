"""Splits: by patient and anatomy, exact in size, the same for the same seed."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rsuper_bench.benchmark.errors import ConfigError, DataError
from rsuper_bench.benchmark.records import Split
from rsuper_bench.dataset_builder.raw_case import CaseKey
from rsuper_bench.dataset_builder.splits import draw_splits

TRAIN, VALIDATION, TEST = Split


def patients(n, **fields):
    return [CaseKey(f"case-{i}", f"patient-{i}", **fields) for i in range(n)]


@pytest.mark.parametrize(
    ("n", "sizes"),
    [(100, (70, 10, 20)), (10, (7, 1, 2)), (5, (3, 1, 1)), (3, (1, 1, 1)), (2, (1, 0, 1)), (1, (1, 0, 0))],
)
def test_sizes_by_hand(n, sizes):
    counts = Counter(draw_splits(patients(n), seed=0).values())
    assert tuple(counts[split] for split in Split) == sizes


KEYS = st.lists(
    st.builds(
        CaseKey,
        case_id=st.integers(0, 10**6).map(str),
        patient_id=st.integers(0, 12).map(str),
        derived_from=st.none() | st.integers(0, 4).map(lambda n: f"anatomy-{n}"),
    ),
    min_size=1,
    max_size=40,
    unique_by=lambda key: key.case_id,
)


@given(KEYS, st.integers(0, 5))
def test_no_patient_and_no_anatomy_is_divided(keys, seed):
    keys = [*keys, *patients(3)]  # enough to fill three splits, whatever was drawn
    drawn = draw_splits(keys, seed=seed)
    assert drawn.keys() == {key.case_id for key in keys}
    for shared in ("patient_id", "derived_from"):
        splits = {}
        for key in keys:
            if getattr(key, shared) is not None:
                splits.setdefault(getattr(key, shared), set()).add(drawn[key.case_id])
        assert all(len(found) == 1 for found in splits.values())


@given(KEYS, st.randoms())
def test_order_of_the_cases_does_not_matter(keys, random):
    shuffled = list(keys)
    random.shuffle(shuffled)
    assert draw_splits(shuffled, seed=1, smoke=True) == draw_splits(keys, seed=1, smoke=True)


def test_another_seed_draws_other_splits():
    assert draw_splits(patients(50), seed=0) != draw_splits(patients(50), seed=1)


def test_a_given_split_holds_for_all_cases_of_the_patient():
    keys = [CaseKey("a", "p", TEST), CaseKey("b", "p"), *patients(8)]
    drawn = draw_splits(keys, seed=0)
    assert drawn["a"] is drawn["b"] is TEST


def test_a_case_others_are_derived_from_stays_with_them():
    keys = [CaseKey("original", "p"), CaseKey("planted", "q", derived_from="original"), *patients(30)]
    for seed in range(10):
        drawn = draw_splits(keys, seed=seed)
        assert drawn["original"] is drawn["planted"]


def test_all_conflicts_are_listed_without_patient_ids():
    keys = [
        CaseKey("a", "doe-john", TRAIN),
        CaseKey("b", "doe-john", TEST),
        CaseKey("c", "p", TRAIN, derived_from="x"),
        CaseKey("d", "q", VALIDATION, derived_from="x"),
    ]
    with pytest.raises(DataError) as caught:
        draw_splits(keys, seed=0)
    text = str(caught.value)
    assert "case a in train, case b in test are of one patient" in text
    assert "case c in train, case d in validation are derived from one anatomy" in text
    assert "--smoke" in text
    assert "doe" not in text


def test_smoke_lets_an_anatomy_but_no_patient_be_in_two_splits():
    keys = patients(10, derived_from="one")
    with pytest.raises(DataError, match="10 cases come from 1 anatomy; expected at least 3 anatomies"):
        draw_splits(keys, seed=0)
    assert Counter(draw_splits(keys, seed=0, smoke=True).values()) == {TRAIN: 7, VALIDATION: 1, TEST: 2}
    with pytest.raises(DataError, match="of one patient"):
        draw_splits([CaseKey("a", "p", TRAIN), CaseKey("b", "p", TEST)], seed=0, smoke=True)


def test_a_split_that_is_not_wanted_stays_empty():
    drawn = draw_splits(patients(9), seed=0, fractions={TRAIN: 0.0, VALIDATION: 0.0, TEST: 1.0})
    assert set(drawn.values()) == {TEST}


@pytest.mark.parametrize("values", [(0.5, 0.5, 0.5), (-0.1, 0.6, 0.5), (float("nan"), 0.5, 0.5)])
def test_wrong_fractions_are_a_wrong_call(values):
    with pytest.raises(ConfigError, match="--fractions"):
        draw_splits(patients(3), seed=0, fractions=dict(zip(Split, values, strict=True)))
