"""The commands on the real database: what people see, and the one object that programs get."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from askfirst.agent.assistant import Assistant
from askfirst.agent.model import ScriptedModel

Run = Callable[..., tuple[int, str, str]]


def only_object(outcome: tuple[int, str, str]) -> dict[str, Any]:
    code, out, errors = outcome
    assert (code, errors) == (0, "")
    return json.loads(out)


def test_ask_shows_text_and_sources(run: Run):
    code, out, _ = run("ask", "Which reasons for cancelling an order are accepted?")
    assert code == 0
    assert "[1] cancelling-an-order.md" in out


def test_ask_gives_programs_the_contract(run: Run, assistant: Assistant):
    answer = only_object(run("ask", "Which reasons for cancelling an order are accepted?", "--json"))
    assert list(answer) == [
        "question",
        "text",
        "status",
        "routes",
        "citations",
        "sub_questions",
        "steps",
        "proposals",
        "usage",
        "thread",
        "run",
    ]
    for each in answer["citations"]:
        assert assistant.document(each["document"]).text[each["start"] : each["end"]] == each["quote"]


def test_a_refusal_is_a_result_and_no_failure(run: Run):
    answer = only_object(run("ask", "Who won the regatta at Cowes in 1851?", "--json", "--route", "documents"))
    assert answer["status"] == "refused"


def test_steps_are_shown_on_demand(run: Run):
    assert "calculate(" in run("ask", "What is 12.5% of 1,299.90?", "--steps")[1]


@pytest.mark.parametrize(
    "words",
    [
        ("ask", "q", "--collection", "nope"),
        ("ask", "x" * 100_000),
        ("ask", " "),
        ("proposals", "show", "nope"),
        ("proposals", "new", "nope"),
        ("ingest", "/no/such/folder"),
    ],
)
def test_a_wrong_call_is_one_line_and_exit_code_2(run: Run, words: tuple[str, ...]):
    code, out, errors = run(*words)
    assert (code, out) == (2, "")
    assert errors.startswith("askfirst: ")
    assert errors.count("\n") == 1


def test_a_proposal_is_made_shown_approved_and_audited(run: Run, pending: str):
    made = only_object(
        run("proposals", "new", "cancel_order", "--set", f"order_id={pending}", "--set", "reason=no longer needed", "--json")
    )
    assert made["id"] in run("proposals", "list")[1]
    assert "status: pending -> cancelled" in run("proposals", "show", made["id"])[1]
    assert only_object(run("proposals", "approve", made["id"], "--by", "maria", "--json"))["status"] == "answered"
    assert only_object(run("proposals", "show", made["id"], "--json"))["state"] == "executed"
    assert only_object(run("audit", "verify", "--json"))["ok"]


def test_an_approval_may_change_an_argument(run: Run, pending: str):
    made = only_object(
        run("proposals", "new", "cancel_order", "--set", f"order_id={pending}", "--set", "reason=no longer needed", "--json")
    )
    run("proposals", "approve", made["id"], "--set", "reason=ordered by mistake")
    assert only_object(run("proposals", "show", made["id"], "--json"))["arguments"]["reason"] == "ordered by mistake"


def test_a_second_decision_is_refused(run: Run, pending: str):
    made = only_object(
        run("proposals", "new", "cancel_order", "--set", f"order_id={pending}", "--set", "reason=no longer needed", "--json")
    )
    run("proposals", "reject", made["id"], "--why", "not now")
    code, _, errors = run("proposals", "approve", made["id"])
    assert code == 2
    assert "already rejected" in errors


def test_a_batch_is_answered_line_by_line_and_not_twice(run: Run, tmp_path: Path):
    questions, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    questions.write_text('{"id": "a", "question": "What is 2 + 2?"}\n{"id": "b", "question": "What is 3 * 3?"}\n')
    assert only_object(run("batch", str(questions), "--out", str(out), "--json"))["done"] == 2
    assert only_object(run("batch", str(questions), "--out", str(out), "--json"))["done"] == 0
    assert sorted(json.loads(line)["id"] for line in out.read_text().splitlines()) == ["a", "b"]


def test_a_line_that_is_no_json_is_named(run: Run, tmp_path: Path):
    questions = tmp_path / "in.jsonl"
    questions.write_text('{"id": "a", "question": "What is 2 + 2?"}\nnot json\n')
    code, _, errors = run("batch", str(questions), "--out", str(tmp_path / "out.jsonl"))
    assert code == 2
    assert "Line 2" in errors


def test_search_and_tools_and_ingest_give_one_object(run: Run, tmp_path: Path):
    (tmp_path / "note.md").write_text("# Keys\n\nThe key hangs behind the door.\n")
    assert only_object(run("ingest", str(tmp_path), "--collection", "notes", "--json"))["added"] == ["note.md"]
    found = only_object(run("search", "Where is the key?", "--collection", "notes", "--json"))
    assert found["evidence"][0]["document"] == "note.md"
    assert {"cancel_order", "get_order"} <= {each["name"] for each in only_object(run("tools", "list", "--json"))["tools"]}


def test_eval_shows_who_decides_best(run: Run, assistant: Assistant, tmp_path: Path):
    (tmp_path / "route.jsonl").write_text('{"question": "Hello!", "expected": "direct"}\n' * 2)
    model = assistant.model()
    assert isinstance(model, ScriptedModel)
    model.enqueue("direct", "tools", "direct", "direct")
    measured = only_object(run("eval", "decisions", str(tmp_path), "--json"))
    assert (measured["kind"], measured["n"], measured["decisions"]["route"]["llama_alone"]["score"]) == ("decisions", 2, 0.5)
    assert "accuracy" in run("eval", "decisions", str(tmp_path))[1]


def test_eval_measures_a_file_of_cases(run: Run, tmp_path: Path):
    path, out = tmp_path / "routing.jsonl", tmp_path / "out.jsonl"
    path.write_text('{"id": 1, "question": "Hello!", "route": "direct"}\n{"id": 2, "question": "Hi!", "route": "tools"}\n')
    measured = only_object(run("eval", "routing", str(path), "--out", str(out), "--json"))
    assert (measured["kind"], measured["n"], measured["accuracy"]["score"]) == ("routing", 2, 0.5)
    assert len(out.read_text().splitlines()) == 2
    assert "right \\ decided" in run("eval", "routing", str(path))[1]
    assert only_object(run("eval", "routing", str(path), "--limit", "1", "--json"))["n"] == 1


def test_eval_names_what_it_can_measure(run: Run, tmp_path: Path):
    (tmp_path / "cases.jsonl").write_text("[]\n")
    for kind, path, told in (
        ("retrieval", tmp_path, "'retrieval' cannot be measured yet; what can be: decisions, routing, tools, answers, refusal."),
        ("routing", tmp_path, "is a folder, not a file of cases"),
        ("decisions", tmp_path / "cases.jsonl", "is a file, not a folder of cases"),
        ("tools", tmp_path / "cases.jsonl", "line 1 is no JSON object"),
    ):
        code, _, errors = run("eval", kind, str(path))
        assert code == 2
        assert told in " ".join(errors.split())


def test_a_chat_asks_before_it_writes(run: Run, assistant: Assistant, pending: str, monkeypatch: pytest.MonkeyPatch):
    lines = iter([f"Please cancel order {pending}, it was ordered by mistake.", "n", "they called again", ""])
    monkeypatch.setattr("builtins.input", lambda *_: next(lines))
    code, out, _ = run("chat")
    assert code == 0
    assert "status: pending -> cancelled" in out
    assert assistant.proposals("rejected")[-1].why == "they called again"
