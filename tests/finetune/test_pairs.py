"""Preference pairs: the wrong reply is one that the model could give, and each kind has its counterweight."""

import random
import tomllib
from pathlib import Path

import pytest

from askfirst.finetune.cases import PROMPTS, Case, Tool, reply_text, spans
from askfirst.finetune.example import Example
from askfirst.finetune.pairs import KINDS, pairs
from askfirst.finetune.turns import moments

from .sets import data_folder

PROMPT = tomllib.loads(PROMPTS.read_text())
SAID = "I am Ana Sá and want to cancel order 17-B."
TOOLS = (Tool("cancel_order", "Cancels an order"), Tool("cancel_trip", "Cancels a trip"), Tool("weather", "The weather"))
TEXT = ("The mill stands in Ghent.", "It was built in 1850 by Jan Maes.")
CASES = [
    Case("tool", "x", SAID, "cancel_order", tools=TOOLS),
    Case("tool", "x", "Sing me a song.", "none", tools=TOOLS),
    Case("arguments", "x", SAID, "Ana Sá", tool="cancel_order", argument="name"),
    Case("arguments", "x", SAID, "17-B", tool="cancel_order", argument="number"),
    Case("arguments", "x", SAID, None, tool="cancel_order", argument="reason"),
    Case("answer", "x", "When was the mill built?", "1850", sentences=TEXT, near=1),
    Case("answer", "x", "Who painted it?", None, sentences=TEXT, near=1),
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    root = data_folder(tmp_path_factory.mktemp("data"))
    return list(pairs(CASES, moments(root, "sgd_train"), dict.fromkeys(KINDS, 50), PROMPT, random.Random(1)))


def of(made: list[Example], kind: str) -> list[Example]:
    return [one for one in made if one.kind == kind]


def test_every_kind_is_made(made: list[Example]):
    assert {one.kind for one in made} == set(KINDS)


def test_no_pair_prefers_what_it_rejects(made: list[Example]):
    assert all(one.reply != one.rejected for one in made)


def test_the_wrong_tool_is_the_one_nearest_in_words(made: list[Example]):
    [one] = of(made, "wrong tool")
    assert (one.reply, one.rejected) == (reply_text("cancel order"), reply_text("cancel trip"))


def test_where_no_tool_serves_calling_one_is_rejected(made: list[Example]):
    [one] = of(made, "tool where none serves")
    assert one.reply == reply_text("none")
    assert one.rejected in {reply_text(name) for name in ("cancel order", "cancel trip", "weather")}


def test_an_invented_argument_is_a_value_that_was_said_for_another(made: list[Example]):
    [one] = of(made, "invented argument")
    assert one.reply == reply_text("none")
    assert one.rejected in {reply_text("Ana Sá"), reply_text("17-B")}


def test_a_wrong_value_could_have_been_copied(made: list[Example]):
    wrong = of(made, "wrong value")
    assert {one.reply for one in wrong} == {reply_text("Ana Sá"), reply_text("17-B"), reply_text("1850")}
    copyable = {reply_text(span) for text in (SAID, *TEXT) for span in spans(text)}
    assert all(one.rejected in copyable for one in wrong)


def test_an_answer_is_rejected_where_the_text_has_none(made: list[Example]):
    [one] = of(made, "answered the unanswerable")
    assert (one.reply, one.rejected) == (reply_text("none"), reply_text("Ghent"))


def test_a_change_is_confirmed_before_it_is_told_and_not_after(made: list[Example]):
    for kind, last, chosen in (("skipped confirmation", "We come at", "right?"), ("asked twice", "Yes,", "It is booked.")):
        found = of(made, kind)
        assert found
        for one in found:
            assert one.messages[-2]["content"].startswith(last)
            assert chosen in one.reply
            assert one.reply != one.rejected


def test_each_claim_of_too_much_has_its_counterweight(made: list[Example]):
    assert {one.rejected for one in of(made, "refused needlessly")} == {reply_text("none")}
    assert len(of(made, "refused needlessly")) >= 3


def test_held_out_cases_make_no_pairs(tmp_path: Path):
    held = [Case("tool", "x", SAID, "cancel_order", tools=TOOLS, held=True)]
    quotas = {"wrong tool": 9}
    assert list(pairs(held, moments(data_folder(tmp_path), "sgd_train"), quotas, PROMPT, random.Random(1))) == []


def test_quotas_are_kept_and_the_same_seed_makes_the_same_pairs(tmp_path: Path):
    root = data_folder(tmp_path)
    first, second = (
        list(pairs(CASES, moments(root, "sgd_train"), dict.fromkeys(KINDS, 1), PROMPT, random.Random(1))) for _ in range(2)
    )
    assert first == second
    assert [len(of(first, kind)) for kind in KINDS] == [1] * len(KINDS)
