"""Evaluation files measured as a run decides, and every line that is no case named by file and line."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from askfirst.agent.assistant import Assistant
from askfirst.agent.cases import Call, answer_cases, route_cases, tool_cases
from askfirst.agent.decisions import Decisions
from askfirst.agent.dialogue import calls
from askfirst.agent.evaluate import evaluate, same, same_call
from askfirst.agent.model import ScriptedModel
from askfirst.agent.offered import Offered, typed
from askfirst.errors import CasesInvalid

BOOK = {
    "name": "book_table",
    "description": "Books a table in a restaurant.",
    "parameters": {
        "type": "object",
        "properties": {"guests": {"type": "integer"}, "kitchen": {"type": "string", "enum": ["Italian", "Thai"]}},
        "required": ["guests", "kitchen"],
    },
}
WEATHER = {
    "name": "getWeather",
    "description": "Looks up the weather at a date.",
    "parameters": {"type": "dict", "properties": {"date": {"type": "string"}}, "required": ["date"]},
}
PASSAGES = [{"id": "p", "text": "The shop opens at nine. Lamps are made of brass."}]


def write(folder: Path, *lines: Any) -> Path:
    path = folder / "cases.jsonl"
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def measured(assistant: Assistant, kind: str, path: Path, **options: Any) -> dict[str, Any]:
    return evaluate(kind, path, assistant.means(), collection="shop", **options)


def asked(id: str, *said: str, calls: list[dict[str, Any]]) -> dict[str, Any]:
    roles = ("user", "assistant")
    messages = [{"role": roles[number % 2], "content": text} for number, text in enumerate(said)]
    return {"id": id, "messages": messages, "tools": [BOOK, {"type": "function", "function": WEATHER}], "calls": calls}


def test_routing_is_scored_with_its_confusion_matrix(assistant: Assistant, tmp_path: Path):
    path = write(
        tmp_path,
        {"id": 1, "question": "Hello there!", "route": "direct"},
        {"id": 2, "question": "How long can an item be returned?", "route": "documents"},
        {"id": 3, "question": "What is 17 * 23?", "route": "documents"},
    )
    report = measured(assistant, "routing", path)
    assert report["confusion"]["documents"] == {"direct": 0, "documents": 1, "tools": 1}
    assert (report["kind"], report["n"], report["accuracy"]["score"]) == ("routing", 3, 0.667)
    assert report["seconds"] >= 0


def test_functions_that_nobody_registered_are_called_by_their_schemas(assistant: Assistant, tmp_path: Path):
    wanted = {"name": "book_table", "arguments": {"guests": 4, "kitchen": "Italian"}, "confirm": True}
    path = write(
        tmp_path,
        asked("whole", "Book an Italian table for 4 guests, please.", calls=[wanted]),
        asked("thanks", "Is it open?", "Yes.", "Thank you, bye.", calls=[]),
        asked("missing", "Please book a table in a restaurant.", calls=[]),
        asked("read", "How is the weather on 2026-11-21?", calls=[{"name": "getWeather", "arguments": {"date": "2026-11-21"}}]),
        asked("filled", "Book a table for 4 guests.", "Which kitchen?", "Italian would be nice.", calls=[wanted]),
    )
    report, out = measured(assistant, "tools", path, out=tmp_path / "out.jsonl"), tmp_path / "out.jsonl"
    kept = {line["id"]: line for line in map(json.loads, out.read_text().splitlines())}
    assert kept["whole"]["decided"] == [wanted]
    assert report["call_exact_match"]["score"] == 1.0
    assert report["unconfirmed_rate"] == {"score": 0.0, "low": 0.0, "high": 0.658, "n": 2}
    assert report["needless_confirm_rate"]["n"] == 1
    assert report["needless_confirm_rate"]["score"] == 0.0


def test_a_share_of_unconfirmed_calls_is_never_told_without_a_call(assistant: Assistant, tmp_path: Path):
    path = write(tmp_path, asked("none", "What do you think of jazz?", calls=[{"name": "book_table", "confirm": True}]))
    assert measured(assistant, "tools", path)["unconfirmed_rate"] is None


def test_a_call_made_unasked_counts_even_where_it_is_the_wrong_one(assistant: Assistant, tmp_path: Path):
    weather = {"name": "getWeather", "arguments": {"date": "2026-11-21"}}
    path = write(
        tmp_path,
        asked("wrong", "How is the weather on 2026-11-21?", calls=[]),
        asked("right", "How is the weather on 2026-11-21?", calls=[weather | {"confirm": True}]),
    )
    assert measured(assistant, "tools", path)["unconfirmed_rate"]["score"] == 1.0


def test_answers_and_refusals_are_scored_on_the_passages(assistant: Assistant, tmp_path: Path):
    path = write(
        tmp_path,
        {"id": "a", "question": "When does the shop open?", "passages": PASSAGES, "answers": ["The shop opens at nine"]},
        {"id": "b", "question": "Who painted the Mona Lisa?", "passages": PASSAGES, "answers": []},
        {"id": "c", "question": "Who painted the Mona Lisa?", "passages": PASSAGES, "answers": ["Leonardo"]},
    )
    report = measured(assistant, "answers", path)
    assert report["exact_match"]["score"] == report["f1"]["score"] == report["rouge_l"]["score"] == 0.5
    assert report["support_rate"]["score"] == 1.0
    assert (report["wrong_answer_rate"]["score"], report["wrong_answer_rate"]["n"]) == (0.0, 1)
    assert (report["wrong_refusal_rate"]["score"], report["wrong_refusal_rate"]["n"]) == (0.5, 2)
    assert set(measured(assistant, "refusal", path)) & {"f1", "accuracy", "wrong_answer_rate"} == {
        "accuracy",
        "wrong_answer_rate",
    }


def test_without_passages_the_collection_is_searched(assistant: Assistant, tmp_path: Path):
    path = write(tmp_path, {"id": 1, "question": "How long can an item be returned?", "answers": ["30 days"]})
    assert measured(assistant, "answers", path)["support_rate"]["score"] == 1.0


@pytest.mark.parametrize(
    ("read", "line", "problem"),
    [
        (route_cases, {"id": 1, "question": "?", "route": "north"}, "'route' is 'north', not one of documents"),
        (route_cases, {"question": "?", "route": "tools"}, "'id' is missing"),
        (tool_cases, {"id": 1, "messages": [], "tools": [], "calls": []}, "no words of a user"),
        (tool_cases, asked("x", "Hi", calls=[{"arguments": {}}]), "'calls' holds one without name"),
        (tool_cases, asked("x", "Hi", calls=[{"name": "a", "arguments": "{"}]), "line 2: "),
        (answer_cases, {"id": 1, "question": "?"}, "'answers' is missing"),
        (answer_cases, {"id": 1, "question": "?", "passages": ["x"], "answers": []}, "'passages' is missing, or no list"),
        (answer_cases, ["a"], "line 2 is no JSON object"),
    ],
)
def test_a_line_that_is_no_case_is_named(tmp_path: Path, read: Any, line: Any, problem: str):
    path = tmp_path / "cases.jsonl"
    path.write_text(f"\n{json.dumps(line)}\n")
    with pytest.raises(CasesInvalid, match="line 2") as error:
        read(path)
    assert problem in str(error.value)
    assert "cases.jsonl" in str(error.value)


def test_a_llama_that_decides_everything_is_asked_for_its_next_action():
    model = ScriptedModel({"name": "getWeather", "arguments": {"date": "today"}}, {"name": "answer", "arguments": {"text": ""}})
    free = Decisions({}, lambda texts: np.zeros((len(texts), 2)), lambda: model, free=True)
    messages = [{"role": "user", "content": "Weather today?"}]
    assert calls(messages, [WEATHER], free) == [Call("getWeather", {"date": "today"})]
    assert calls(messages, [WEATHER], free) == []
    assert model.asked[0][1]["messages"][-1]["content"] == "Weather today?"


def test_other_wordings_of_a_value_are_right_where_the_case_accepts_them():
    wanted = Call("book", {"time": "11:30"}, accepted={"time": ["half past 11", "11:30 am"]})
    assert same_call(Call("book", {"time": "Half past 11"}), wanted)
    assert not same_call(Call("book", {"time": "noon"}), wanted)
    assert not same_call(Call("book", {"time": "11:30", "guests": 2}), wanted)


def test_two_lines_of_one_id_are_told(tmp_path: Path):
    with pytest.raises(CasesInvalid, match="line 2 has the id of line 1"):
        route_cases(write(tmp_path, *[{"id": "a", "question": "?", "route": "tools"}] * 2))


def test_values_are_the_same_in_any_form_of_writing():
    assert same(5, "5.0")
    assert same({"a": ["San  Jose"]}, {"a": ["san jose"]})
    assert not same([1, 2], [2, 1])
    assert not same(True, "1")


def test_values_take_the_type_of_the_schema():
    assert typed("three", {"type": "integer"}) == 3
    assert typed("$1,299.50", {"type": "number"}) == 1299.5
    assert typed("2.5", {"type": "integer"}) is None
    assert typed("thai", {"enum": ["Italian", "Thai"]}) == "Thai"
    assert typed("1", {"type": "array", "items": {"type": "integer"}}) == [1]


def test_a_function_asks_first_unless_it_surely_only_looks():
    assert not Offered.of(WEATHER).asks_first
    assert Offered.of(BOOK).asks_first
    odd = {"name": "frobnicate", "description": "", "parameters": {}}
    assert Offered.of(odd).asks_first
    assert not Offered.of(odd | {"annotations": {"readOnlyHint": True}}).asks_first
    assert Offered.of(WEATHER | {"annotations": {"readOnlyHint": False}}).asks_first
