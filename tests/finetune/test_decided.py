"""What people decided in the product: approved is right, edited is right as edited, rejected is wrong."""

import tomllib

import pytest

from askfirst.finetune.cases import PROMPTS, reply_text
from askfirst.finetune.decided import decided
from askfirst.finetune.example import Example

PROMPT = tomllib.loads(PROMPTS.read_text())
ASKED = "Please cancel order W17 because it was a mistake."
PROPOSED = {
    "kind": "proposal",
    "question": ASKED,
    "state": "executed",
    "tool": "cancel_order",
    "tools": [{"name": "cancel_order", "description": "Cancels"}, {"name": "return_items", "description": "Returns"}],
    "parameters": {"properties": {"order": {"description": "Its number"}, "reason": {"description": "Why"}, "note": {}}},
    "proposed": {"order": "W17", "reason": "ordered by mistake"},
    "arguments": {"order": "W17", "reason": "ordered by mistake"},
    "why": None,
    "instead": None,
}
QUOTE = "Refunds take five days. Gift cards are immediate."
ANSWERED = {
    "kind": "answer",
    "question": "How long do refunds take?",
    "text": "five",
    "routes": ["documents"],
    "quotes": [QUOTE],
    "rating": None,
    "better": None,
}


def learned(line: dict) -> list[tuple[str, str, str | None]]:
    made = list(decided(line, "shop", PROMPT))
    assert all(isinstance(one, Example) and one.source == "shop" for one in made)
    return [
        (one.messages[1]["content"].split("\n")[-2 if one.kind == "evidence" else -1], one.reply, one.rejected) for one in made
    ]


def test_an_approved_proposal_teaches_its_tool_and_what_was_said():
    rows = learned(PROPOSED)
    assert ("- return items: Returns", reply_text("cancel order"), None) in rows
    assert ("What is the order? (Its number)", reply_text("W17"), None) in rows
    assert ("What is the note? (note)", reply_text("none"), None) in rows
    assert not any("reason" in asked for asked, _, _ in rows), "its value does not stand in the question"


def test_an_edit_prefers_what_the_person_wrote():
    rows = learned(PROPOSED | {"proposed": {"order": "mistake", "reason": "ordered by mistake"}})
    assert ("What is the order? (Its number)", reply_text("W17"), reply_text("mistake")) in rows


def test_an_invented_value_that_was_edited_away_was_better_not_given():
    rows = learned(PROPOSED | {"arguments": {"order": "W17", "reason": "no longer needed"}})
    assert ("What is the reason? (Why)", reply_text("none"), reply_text("ordered by mistake")) in rows


def test_a_value_removed_by_the_person_was_better_not_given():
    rows = learned(PROPOSED | {"proposed": {"order": "W17", "note": "mistake"}, "arguments": {"order": "W17"}})
    assert ("What is the note? (note)", reply_text("none"), reply_text("mistake")) in rows


def test_a_rejected_proposal_is_worse_than_none():
    assert learned(PROPOSED | {"state": "rejected"}) == [
        ("- return items: Returns", reply_text("none"), reply_text("cancel order"))
    ]


def test_a_rejected_proposal_is_worse_than_what_was_done_instead():
    other = {"tool": "return_items", "arguments": {}}
    [(_, right, wrong)] = learned(PROPOSED | {"state": "rejected", "instead": other})
    assert (right, wrong) == (reply_text("return items"), reply_text("cancel order"))
    same = {"tool": "cancel_order", "arguments": {"order": "W17"}}
    rows = learned(PROPOSED | {"state": "rejected", "proposed": {"order": "17"}, "instead": same})
    assert ("What is the order? (Its number)", reply_text("W17"), reply_text("17")) in rows


def test_an_unrated_answer_teaches_nothing():
    assert learned(ANSWERED) == []


def test_a_good_answer_teaches_its_route_and_its_evidence():
    rows = learned(ANSWERED | {"rating": "good"})
    assert [(right, wrong) for _, right, wrong in rows] == [(reply_text("documents"), None), (reply_text("yes"), None)]


def test_a_bad_answer_teaches_that_its_quotes_do_not_answer():
    rows = learned(ANSWERED | {"rating": "bad"})
    assert [(right, wrong) for _, right, wrong in rows] == [(reply_text("no"), None), (reply_text("no"), reply_text("yes"))]


def test_better_words_that_stand_in_a_quote_are_preferred():
    rows = learned(ANSWERED | {"rating": "bad", "better": "five days"})
    assert [(right, wrong) for _, right, wrong in rows] == [
        (reply_text("five days"), None),
        (reply_text("five days"), reply_text("five")),
    ]


def test_an_unknown_state_is_refused():
    with pytest.raises(ValueError, match="no decision"):
        list(decided(PROPOSED | {"state": "waiting"}, "shop", PROMPT))
