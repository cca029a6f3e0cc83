"""The comparison: its published definitions on cases worked out by hand, and the whole of it with the shipped model."""

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from askfirst.agent import card as cards
from askfirst.agent.cases import Call
from askfirst.agent.llamacpp import end, read_state
from askfirst.finetune import bfcl, compare, forgetting, tracking
from askfirst.finetune.kept import Kept
from askfirst.finetune.measures import Measure, answer_points, sampled
from askfirst.finetune.results import Results

SERVICE = {
    "slots": [
        {"name": "city", "is_categorical": False, "possible_values": []},
        {"name": "stars", "is_categorical": True, "possible_values": ["1", "2"]},
    ]
}
AREA = {
    "name": "area",
    "parameters": {
        "type": "dict",
        "properties": {"side": {"type": "float"}, "unit": {"type": "string"}, "points": {"type": "array"}},
        "required": ["side"],
    },
}
FITTING = {"area": {"side": [3], "unit": ["square meters", ""], "points": ["", [1, 2]]}}


def task(*wanted: Any) -> bfcl.Task:
    return bfcl.Task("t", [], [AREA], wanted)


@pytest.mark.parametrize(
    ("arguments", "right"),
    [
        ({"side": 3}, True),
        ({"side": 3.0, "unit": "Square-Meters"}, True),
        ({"side": 3, "points": [1, 2]}, True),
        ({"side": "3"}, False),
        ({"side": 4}, False),
        ({"unit": "square meters"}, False),
        ({"side": 3, "colour": "red"}, False),
        ({"side": 3, "points": [2, 1]}, False),
        ({"side": True}, False),
    ],
)
def test_a_call_matches_as_the_leaderboard_matches(arguments: dict[str, Any], right: bool):
    assert bfcl.matches([Call("area", arguments)], task(FITTING)) is right


def test_parallel_calls_match_in_any_order_and_number():
    other = {"area": {"side": [5]}}
    made = [Call("area", {"side": 5}), Call("area", {"side": 3})]
    assert bfcl.matches(made, task(FITTING, other))
    assert not bfcl.matches(made[:1], task(FITTING, other))
    assert not bfcl.matches([made[0], made[0]], task(FITTING, other))
    assert bfcl.matches([], task())
    assert not bfcl.matches(made[:1], task())


def test_joint_goal_is_exact_for_categories_and_fuzzy_for_free_text():
    wanted = {"city": ["San Jose", "SJ"], "stars": ["2"]}
    assert tracking.joint_goal(wanted, {"city": "san jose", "stars": "2"}, SERVICE) == 1
    assert tracking.joint_goal(wanted, {"city": "Jose, San", "stars": "2"}, SERVICE) == 1
    assert tracking.joint_goal(wanted, {"city": "San Jos", "stars": "2"}, SERVICE) == pytest.approx(0.93)
    assert tracking.joint_goal(wanted, {"city": "San Jose", "stars": "1"}, SERVICE) == 0
    assert tracking.joint_goal(wanted, {"city": "San Jose"}, SERVICE) == 0
    assert tracking.joint_goal({}, {"city": "San Jose"}, SERVICE) == 0
    assert tracking.joint_goal({}, {}, SERVICE) == 1


def test_a_smaller_sample_is_the_beginning_of_a_larger_one():
    drawn = sampled(range(100), seed=3, limit=40)
    assert sampled(range(100), seed=3, limit=10) == drawn[:10]
    assert drawn != sampled(range(100), seed=4, limit=40)


def test_both_kinds_of_error_are_counted_where_they_can_be_made():
    def came(expected: str | None, said: str | None) -> dict[str, Any]:
        return {"expected": expected, "decided": {"used": said}}

    assert answer_points(came(None, "x"), "used") == {"wrong_answer_rate": 1.0}
    assert answer_points(came(None, None), "used") == {"wrong_answer_rate": 0.0}
    assert answer_points(came("in Paris", None), "used")["wrong_refusal_rate"] == 1.0
    assert answer_points(came("in Paris", "Paris"), "used")["f1"] == pytest.approx(2 / 3)


def test_a_line_cut_off_by_a_crash_is_asked_again(tmp_path: Path):
    path = tmp_path / "cases.jsonl"
    with Kept(path) as kept:
        kept.add("tool", "base", "1", {"points": 1})
    with path.open("ab") as file:
        file.write(b'{"measure": "tool", "side": "base", "id": "2", "poi')
    with Kept(path) as kept:
        assert kept.get("tool", "base", "1") == {"measure": "tool", "side": "base", "id": "1", "points": 1}
        assert kept.get("tool", "base", "2") is None
        kept.add("tool", "base", "2", {"points": 0})
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 2


def test_gates_are_passed_by_what_was_measured_and_by_nothing_else(tmp_path: Path):
    wanted = {"perplexity_ratio": 1.2, "general_loss": 0.05, "repetition_gain": 0.05, "base_gain": 0, "decided": 1, "cases": 2}
    ids = [f"a-{number}" for number in range(30)]
    with Kept(tmp_path / "cases.jsonl") as kept:
        results = Results(kept, "mine", {"signal": "signal", "base": "base", "mine": "mine-7"})
        assert not any(gate["passed"] for gate in results.gates(wanted))
        for side, right in (("base", 0.0), ("mine", 1.0)):
            for id in ids:
                side = {"mine": "mine-7"}.get(side, side)
                kept.add("tool", side, id, {"points": {"used": right, "alone": right, "signal": 0.5}})
                kept.add("perplexity", side, id, {"nats": 3 + right, "next_token_accuracy": 0.5})
        for name in ("tool", "perplexity"):
            results.add(Measure(name, [(id, None) for id in ids], ("base", "mine"), lambda *_: {}))
        gates = {gate["name"]: gate for gate in results.gates(wanted)}
    assert results.decided() == ["tool"]
    assert gates["perplexity_ratio"] == {"name": "perplexity_ratio", "value": 2.718, "wanted": "<= 1.2", "passed": False}
    assert gates["base_gain"]["passed"]
    assert gates["cases"]["passed"]
    assert gates["general_loss"] == {"name": "general_loss", "value": None, "wanted": "<= 0.05", "passed": False}


@pytest.fixture(scope="module")
def home(shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with a model of its own: the shipped one under another name, without what was measured of it."""
    folder = tmp_path_factory.mktemp("home")
    shutil.copytree(shipped, folder / "models" / "mine")
    (folder / "models/mine/adapters/decisions/card.json").unlink()
    yield folder
    for path in (folder / "run").glob("model-*.json"):
        if state := read_state(path):
            with suppress(psutil.Error):
                end(state)


@pytest.fixture(scope="module")
def heldout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case of some decisions."""
    folder = tmp_path_factory.mktemp("heldout")
    about = {"tool": "send parcel", "argument": "city", "description": "City of the parcel", "schema": {"type": "string"}}
    cases: dict[str, list[dict[str, Any]]] = {
        "route": [{"id": f"x-{n}", "question": f"What is rule {n}?", "expected": "documents"} for n in range(3)],
        "arguments": [{"id": "x-0", "question": "Send it to Turku.", **about, "expected": "Turku"}],
        "evidence": [{"id": "x-0", "question": "Who sent it?", "sentences": ["Nadia sent it."], "expected": 0}],
        "answer": [{"id": "x-0", "question": "Who sent it?", "sentences": ["Nadia sent it."], "near": 0, "expected": "Nadia"}],
    }
    schema = {"type": "object", "properties": {"guests": {"type": "integer"}}, "required": ["guests"]}
    tools = [{"name": "book_table", "description": "Books a table.", "parameters": schema}]
    right = [{"name": "book_table", "arguments": {"guests": 4}, "confirm": True}]
    asked = [{"role": "user", "content": "Please book a table for 4 guests."}]
    cases["tools"] = [{"id": "sgd-unseen-0", "messages": asked, "tools": tools, "calls": right}]
    for decision, lines in cases.items():
        (folder / f"{decision}.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return folder


def test_a_comparison_reports_signs_and_goes_on_where_it_was(home: Path, heldout: Path, tmp_path: Path):
    words = ["--model", "mine", "--home", str(home), "--heldout", str(heldout), "--work", str(tmp_path)]
    compare.main([*words, "--limit", "2"])
    folder, kept = home / "models/mine/adapters/decisions", tmp_path / "cases.jsonl"
    card, before = json.loads((folder / "card.json").read_text()), kept.read_text()
    assert card["signature"] == cards.signed(card, folder, home / "models/mine")["signature"]
    assert card["decisions"]["route"]["n"] == 2
    assert "answer" not in card["decisions"], "the adapter has no prompt for it"
    assert card["report"]["command"].endswith("--limit 2")
    assert not card["passed"]
    report = (folder / "REPORT.md").read_text()
    assert "**did not pass**" in report
    assert "| sgd-unseen | 1 | decisions | 1.000 [0.207, 1.000] | 1.000 [0.207, 1.000] | - | 0.000 [0.000, 0.793] |" in report
    assert next(gate for gate in card["gates"] if gate["name"] == "unconfirmed")["passed"]
    assert all((folder / name).exists() for name in ("decisions.svg",))
    compare.main([*words, "--limit", "3"])
    after = kept.read_text()
    assert after.startswith(before)
    assert len(after.splitlines()) == len(before.splitlines()) + 2, "the third route, of base and adapter"


def test_when_the_time_is_over_only_what_all_have_answered_is_reported(home: Path, heldout: Path, tmp_path: Path):
    words = ["--model", "mine", "--home", str(home), "--heldout", str(heldout), "--work", str(tmp_path)]
    compare.main([*words, "--minutes", "0"])
    card = json.loads((home / "models/mine/adapters/decisions/card.json").read_text())
    assert card["report"]["samples"] == {}
    assert not card["passed"]


def test_what_other_weights_answered_is_asked_again(home: Path, heldout: Path, tmp_path: Path):
    words = ["--model", "mine", "--home", str(home), "--heldout", str(heldout), "--work", str(tmp_path), "--only", "route"]
    compare.main(words)
    prompts = home / "models/mine/adapters/decisions/prompts.toml"
    prompts.write_text(prompts.read_text() + "\n# changed\n")
    compare.main(words)
    sides = [json.loads(line)["side"] for line in (tmp_path / "cases.jsonl").read_text().splitlines()]
    assert len(set(sides)) == 4, "base and adapter, each before and after"


def test_a_texts_surprise_is_that_of_the_served_model(shipped: Path, served: Any):
    """The forced tokens' probabilities are those of the model, whatever it would rather have said."""
    text = "The refund goes to the card that paid. " * 12

    def post(body: dict[str, Any]) -> dict[str, Any]:
        return served("/completion", body)

    tokens = served("/tokenize", {"content": text, "add_special": True})["tokens"]
    told = forgetting.told(tokens[:40], tokens[40], (0.0,), post)
    free = post({"prompt": tokens[:40], "n_predict": 1, "temperature": 0, "n_probs": 2000, "lora": [{"id": 0, "scale": 0.0}]})
    listed = {each["id"]: each["logprob"] for each in free["completion_probabilities"][0]["top_logprobs"]}
    assert told
    assert told[0] == pytest.approx(-listed[tokens[40]], abs=1e-3)
    half = served("/tokenize", {"content": "日", "add_special": False})["tokens"]
    if len(half) > 1:
        assert forgetting.told(tokens[:4], half[0], (0.0,), post) is None, "a token amid a character has no text of its own"
