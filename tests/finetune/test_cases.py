"""How a decision is put to the Llama and read back."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from askfirst.finetune.cases import (
    DECISIONS,
    EDGES,
    FIELDS,
    LONGEST_SPAN,
    PROMPTS,
    Case,
    Tool,
    choices,
    exchanges,
    first_sentence,
    messages,
    plain,
    read_case,
    reply_text,
    spans,
)

PROMPT = tomllib.loads(PROMPTS.read_text())
QUESTION = "Cancel order No. 17-B, please; I am Ana Sá."
TOOLS = (Tool("get_order", "Shows an order. Asks nothing."), Tool("CancelOrder", "Cancels it"))


def test_each_decision_has_its_prompt():
    assert set(PROMPT) == set(DECISIONS) == set(FIELDS)


def test_names_become_plain_words():
    assert plain("get_order") == plain("GetOrder") == plain("getOrder") == "get order"
    assert plain("getHTTPStatus") == "get http status"
    assert plain("a-b.c") == "a b c"


def test_only_the_first_sentence_of_a_description_is_shown():
    assert first_sentence("Shows e.g.this order. Asks nothing.") == "Shows e.g.this order"


def test_the_tool_prompt_lists_tools_in_plain_words_after_the_question():
    [asked] = exchanges(Case("tool", "x", QUESTION, "CancelOrder", tools=TOOLS), PROMPT)
    assert asked.user == f"{QUESTION}\nWhich tool?\n- get order: Shows an order\n- cancel order: Cancels it"
    assert asked.reply == '" cancel order"'


def test_an_absent_argument_is_none():
    case = Case("arguments", "x", QUESTION, None, tool="cancel_order", argument="zip_code", description="Zip")
    [asked] = exchanges(case, PROMPT)
    assert asked.user == f"Said: {QUESTION}\nTool: cancel order\nWhat is the zip code? (Zip)"
    assert asked.reply == '" none"'


def test_evidence_is_asked_of_each_sentence():
    asked = exchanges(Case("evidence", "x", "Who?", 1, sentences=("It rains.", "Ana did.")), PROMPT)
    assert [one.reply for one in asked] == ['" no"', '" yes"']


def test_the_right_reply_stands_last_and_the_decision_is_the_system_message():
    [asked] = exchanges(Case("route", "x", "Hi", "direct"), PROMPT)
    assert [one["content"] for one in messages(asked, PROMPT)] == [PROMPT["route"]["system"], "Hi\nWhich way?", '" direct"']


def test_spans_hold_values_without_the_punctuation_around_them():
    assert {"17-B", "Ana Sá", "No. 17-B", "order"} <= set(spans(QUESTION))


@given(st.text())
def test_every_span_stands_in_the_question(question: str):
    for span in spans(question):
        assert span in question
        assert len(span.split()) <= LONGEST_SPAN
        assert span == span.strip(EDGES)


def test_a_case_survives_its_held_out_line():
    schema = {"type": "string", "enum": ["17-B"]}
    for case in (
        Case("tool", "x", QUESTION, "get_order", tools=TOOLS),
        Case("arguments", "x", QUESTION, "17-B", tool="t", argument="a", description="d", schema=schema),
        Case("evidence", "x", "Who?", 1, sentences=("a", "b")),
        Case("answer", "x", "Who?", "Ana Sá", sentences=("It rains.", "Ana Sá did."), near=1),
        Case("decompose", "x", "Which?", ["One?", "Two?"]),
    ):
        assert read_case(case.decision, case.as_line(3)) == case


def test_the_right_value_is_always_among_the_choices():
    for case in (
        Case("route", "x", QUESTION, "tools"),
        Case("tool", "x", QUESTION, "CancelOrder", tools=TOOLS),
        Case("arguments", "x", QUESTION, "Ana Sá"),
        Case("arguments", "x", QUESTION, None),
        Case("answer", "x", "Who?", "Ana Sá", sentences=("It rains.", "Ana Sá did."), near=1),
    ):
        [asked] = exchanges(case, PROMPT)
        assert asked.reply in {reply_text(value) for value in choices(case)}
