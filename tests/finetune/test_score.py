"""How an adapter is scored, and that only allowed values come out of it."""

import tomllib
from pathlib import Path

import pytest

from askfirst.finetune.cases import Case, choices, exchanges
from askfirst.finetune.curve import averaged, drawing
from askfirst.finetune.score import Llama, evidence_points, question_f1, with_interval, word_f1

QUESTION = "Please send parcel KX-20418 to Nadia Weber in Turku."


def test_the_same_questions_in_another_order_score_one():
    assert question_f1(["How old is A?", "How old is B?"], ["how old is B", "how old is A"]) == 1
    assert question_f1(["Rain"], ["How old is A?"]) == 0
    assert 0 < question_f1(["How old is A?"], ["How old is A?", "How old is B?"]) < 1


def test_words_are_compared_without_case_and_punctuation():
    assert word_f1("How old?", "how OLD") == 1
    assert word_f1("", "how") == 0


def test_the_interval_holds_the_mean():
    entry = with_interval([1.0, 0.0, 1.0, 1.0] * 20)
    assert entry["low"] < entry["score"] == 0.75 < entry["high"]
    assert with_interval([1.0] * 9) == {"score": 1, "low": 1, "high": 1}


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")
def test_the_shipped_llama_replies_only_what_is_allowed(shipped: Path):
    folder = shipped / "adapters/decisions"
    llama = Llama(shipped, folder, tomllib.loads((folder / "prompts.toml").read_text()))
    about = {"tool": "send parcel", "argument": "parcel number", "description": "Number of the parcel"}
    cases = [Case("route", "x", QUESTION, "tools"), Case("arguments", "x", QUESTION, "KX-20418", **about)]
    asked = [next(exchanges(case, llama.prompts)) for case in cases]
    for value, case in zip(llama.values(asked, [choices(case) for case in cases]), cases, strict=True):
        assert value in choices(case)
    assert evidence_points(llama, [Case("evidence", "x", "Who sent it?", 0, sentences=("Nadia sent it.",))]) == [1.0]


def test_the_curve_shows_every_window_of_steps():
    entries = [{"loss": 4 - step / 50, "tokens": 20_000} for step in range(100)]
    points = averaged(entries)
    assert len(points) == 4
    assert points[-1][0] == pytest.approx(2.0)
    assert drawing(points).count("polyline") == 1
