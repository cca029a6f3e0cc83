"""Measuring who decides: right and wrong counted on a folder of cases, and cases that are none named by file and line."""

import json
from pathlib import Path

import pytest

from askfirst.agent.delegation import measure, write_card
from askfirst.agent.model import ScriptedModel
from askfirst.errors import CasesInvalid
from askfirst.retrieval.embed import Embedder

TOOLS = [{"name": "get_order", "description": "Shows an order."}, {"name": "cancel_order", "description": "Cancels an order."}]
SENTENCES = ["The shop opens at nine.", "Lamps are made of brass.", "Returns are free."]


def write(folder: Path, decision: str, *cases: object) -> None:
    (folder / f"{decision}.jsonl").write_text("".join(f"{json.dumps(case)}\n" for case in cases))


def test_each_file_is_scored_for_signal_and_llama(tmp_path: Path, embedder: Embedder):
    write(tmp_path, "route", {"question": "Where is order 7?", "expected": "tools"}, {"question": "Hello!", "expected": "direct"})
    write(tmp_path, "tool", {"question": "Cancel order 7.", "tools": TOOLS, "expected": "cancel_order"})
    write(tmp_path, "evidence", {"question": "When does the shop open?", "sentences": SENTENCES, "expected": 0})
    model, steps = ScriptedModel("get order", 0.9, 0.1, 0.1, "tools", "documents"), []
    table = measure(tmp_path, embed=embedder.embed, model=model, progress=lambda *step: steps.append(step))
    assert {name: (row["n"], row["llama"]["score"]) for name, row in table.items()} == {
        "route": (2, 1.0),
        "tool": (1, 0.0),
        "evidence": (1, 1.0),
    }
    assert table["tool"]["signal"]["score"] == 1.0
    assert table["tool"]["gain"]["score"] == -1.0
    assert (table["route"]["signal"]["score"], table["route"]["llama_alone"]["score"]) == (1.0, 0.5)
    assert steps[-1] == (2, 2, "route")


def test_the_limit_is_for_each_file(tmp_path: Path, embedder: Embedder):
    write(tmp_path, "route", *[{"question": "Hello!", "expected": "direct"}] * 5)
    assert measure(tmp_path, embed=embedder.embed, model=ScriptedModel("direct"), limit=1)["route"]["n"] == 1


def test_a_card_keeps_what_was_not_measured(tmp_path: Path):
    card = tmp_path / "card.json"
    card.write_text('{"model": "mine", "decisions": {"tool": {"n": 1}, "route": {"n": 1}}}')
    write_card(card, {"route": {"n": 9}})
    assert json.loads(card.read_text()) == {"model": "mine", "decisions": {"tool": {"n": 1}, "route": {"n": 9}}}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "line 1 is no JSON"),
        ("{}", "lacks question"),
        ("[]", "line 1 is no JSON object"),
        ("3", "line 1 is no JSON"),
        ('{"question": "?", "expected": 0}', "lacks sentences"),
        ("", "it is empty"),
    ],
)
def test_a_line_that_is_no_case_is_named(tmp_path: Path, embedder: Embedder, line: str, problem: str):
    (tmp_path / "evidence.jsonl").write_text(line)
    with pytest.raises(CasesInvalid, match=problem) as error:
        measure(tmp_path, embed=embedder.embed, model=ScriptedModel())
    assert "evidence.jsonl" in str(error.value)


def test_a_folder_without_cases_is_told_what_is_looked_for(tmp_path: Path, embedder: Embedder):
    with pytest.raises(CasesInvalid, match=r"none of tool\.jsonl"):
        measure(tmp_path, embed=embedder.embed, model=ScriptedModel())
