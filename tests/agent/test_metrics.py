"""The measures against values worked out by hand or known from their definitions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askfirst.agent import metrics


def test_wilsons_interval_is_the_published_one():
    assert metrics.interval([1.0] * 8 + [0.0] * 2) == {"score": 0.8, "low": 0.49, "high": 0.943}
    assert metrics.interval([0.0] * 5)["low"] == 0.0


def test_a_gain_is_paired_and_no_difference_on_few_cases_proves_nothing():
    same = metrics.gain([1.0, 1.0, 0.0], [1.0, 1.0, 0.0])
    assert same["score"] == 0.0
    assert same["low"] == -same["high"] < -0.3
    assert metrics.gain([1.0] * 50, [0.0] * 50)["low"] > 0.85
    assert metrics.gain([1.0] * 30 + [0.0] * 70, [0.0] * 20 + [1.0] * 10 + [0.0] * 70) == {
        "score": 0.2,
        "low": 0.117,
        "high": 0.275,
    }


def test_answers_are_compared_by_squads_words():
    assert metrics.exact_match("The Eiffel Tower.", ["eiffel tower"]) == 1
    assert metrics.f1("in Paris, France", ["Paris"]) == pytest.approx(0.5)
    assert metrics.f1("", ["Paris"]) == 0
    assert metrics.says("It stands in Paris since 1889.", ["the Paris"]) == 1


def test_rouge_l_is_that_of_the_longest_common_subsequence():
    assert metrics.rouge_l("the cat sat on the mat", ["the cat lay on the mat"]) == pytest.approx(5 / 6)
    assert metrics.rouge_l("police killed the gunman", ["police kill the gunman"]) == 1
    assert metrics.rouge_l("the gunman police killed", ["police kill the gunman"]) == pytest.approx(0.5)


def test_repetition_counts_runs_that_stood_before():
    assert metrics.repetition("a b c d e f") == 0
    assert metrics.repetition("a b c d " * 10) > 0.8


def test_a_confusion_matrix_counts_every_pair():
    assert metrics.confusion([("a", "a"), ("a", "b"), ("b", "b")]) == {"a": {"a": 1, "b": 1}, "b": {"a": 0, "b": 1}}


def test_a_measure_without_a_case_has_no_figure():
    table = metrics.summary([{"accuracy": 1.0, "rate": None}, {"accuracy": 0.0, "rate": None}])
    assert table["rate"] is None
    assert table["accuracy"]["n"] == 2


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=60))
def test_an_interval_holds_its_mean_and_stays_between_none_and_all(points: list[float]):
    found = metrics.interval(points)
    assert 0 <= found["low"] <= found["score"] <= found["high"] <= 1


@given(st.text(alphabet="ab c", max_size=20), st.text(alphabet="ab c", max_size=20))
def test_overlaps_are_shares_and_the_same_both_ways(one: str, other: str):
    for measure in (metrics.f1, metrics.rouge_l):
        assert 0 <= measure(one, [other]) <= 1
        assert measure(one, [other]) == measure(other, [one])
