"""Held-out calls: right outcome at each moment, two namings of the same, and in the form that `eval tools` reads."""

import json
import random
from pathlib import Path

import pytest

from askfirst.finetune.calls import held_calls
from askfirst.finetune.turns import moments

from .sets import data_folder, write

QUOTAS = {"sgd": {"call": 5, "confirm": 5, "missing": 5, "declined": 5, "talk": 5}, "sealtools": 5, "clinc150": 3}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = data_folder(tmp_path_factory.mktemp("data"))
    parameters = {"code": {"type": "str", "description": "Code"}, "count": {"type": "int", "description": "How many"}}
    tools = [
        {"api_name": f"tool{n}", "api_description": "Does it", "field": "x", "parameters": parameters, "required": ["code"]}
        for n in range(9)
    ]
    write(folder, "sealtools_tool", tools)
    asked = [
        {
            "id": "a-0",
            "query": "Do it with AB1 three times, no, 3.",
            "calling": [{"api": "tool1", "parameters": {"code": "AB1", "count": "3"}}],
        },
        {"id": "a-1", "query": "Do it.", "calling": [{"api": "tool2", "parameters": {"code": "API_call_0"}}]},
    ]
    write(folder, "sealtools_test_in_domain", asked)
    requests = [{"text": f"do thing {n}", "intent": f"thing_{n}"} for n in range(8)]
    write(folder, "clinc150", [*requests, {"text": "why is the sky blue", "intent": "oos"}])
    return folder


@pytest.fixture(scope="module")
def lines(root: Path) -> list[dict]:
    return held_calls(root, QUOTAS, random.Random(3), [])


def of(lines: list[dict], prefix: str) -> list[dict]:
    return [line for line in lines if line["id"].startswith(prefix)]


def test_each_turn_is_told_by_what_the_assistant_did_next(root: Path):
    first = [moment.next for moment in moments(root, "sgd_dev")][:4]
    assert first == ["ask", "confirm", "told", "talk"]


def test_a_change_is_a_call_that_a_person_confirms(lines: list[dict]):
    for line in of(lines, "sgd-unseen-confirm"):
        [call] = line["calls"]
        assert call["name"] == "BookTable"
        assert call["confirm"] is True
        assert set(call["arguments"]) == {"city", "hour"}
        said = " ".join(message["content"] for message in line["messages"])
        assert all(value in said for value in call["arguments"].values())
        assert all(call["arguments"][name] in call["accepted"][name] for name in call["arguments"])


def test_no_call_is_right_before_all_that_is_required_was_said(lines: list[dict]):
    missing = of(lines, "sgd-seen-missing")
    assert missing
    assert all(line["calls"] == [] and line["messages"][-1]["role"] == "user" for line in missing)


def test_no_call_is_right_where_no_function_serves_or_nothing_is_asked(lines: list[dict]):
    for prefix in ("sgd-seen-declined", "sgd-unseen-talk", "clinc150"):
        assert of(lines, prefix), prefix
        assert all(line["calls"] == [] for line in of(lines, prefix))


def test_a_declined_request_lists_no_function_of_its_own_service(lines: list[dict]):
    for line in of(lines, "sgd-seen-declined"):
        assert len(line["tools"]) <= 4


def test_renamed_schemas_ask_the_same_under_other_names(lines: list[dict]):
    pairs = {line["id"].removeprefix("sgd-"): line for line in of(lines, "sgd-")}
    renamed = {line["id"].removeprefix("sgdx-"): line for line in of(lines, "sgdx-")}
    assert pairs.keys() == renamed.keys()
    for key, line in pairs.items():
        assert line["messages"] == renamed[key]["messages"]
        for call, other in zip(line["calls"], renamed[key]["calls"], strict=True):
            assert other["name"] == f"other_{call['name']}"
            assert other["arguments"] == {f"other_{name}": value for name, value in call["arguments"].items()}


def test_every_call_fits_a_listed_function_and_no_name_is_listed_twice(lines: list[dict]):
    for line in lines:
        shown = {tool["name"]: tool["parameters"] for tool in line["tools"]}
        assert len(shown) == len(line["tools"])
        for call in line["calls"]:
            assert set(call["arguments"]) <= set(shown[call["name"]]["properties"])
            assert set(shown[call["name"]]["required"]) <= set(call["arguments"])


def test_only_queries_with_one_right_wording_are_taken_and_numbers_are_numbers(lines: list[dict]):
    [line] = of(lines, "sealtools")
    assert line["calls"] == [{"name": "tool1", "arguments": {"code": "AB1", "count": 3}}]


def test_the_assistant_reads_the_file(lines: list[dict], tmp_path: Path):
    from askfirst.agent.cases import tool_cases

    path = tmp_path / "tools.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    read = tool_cases(path)
    assert [case.id for case in read] == [line["id"] for line in lines]
    assert [[call.confirm for call in case.calls] for case in read] == [
        ["confirm" in call for call in line["calls"]] for line in lines
    ]
