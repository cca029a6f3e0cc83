"""The exported history is what the training data's reader takes."""

import json
import tomllib
from pathlib import Path

from askfirst.finetune.cases import PROMPTS, reply_text
from askfirst.finetune.own import own_examples

from .conftest import Run


def test_an_exported_decision_becomes_examples_and_pairs(run: Run, pending: str, tmp_path: Path):
    file = tmp_path / "history.jsonl"
    asked = json.loads(run("ask", f"Please cancel order {pending}, it was ordered by mistake.", "--json")[1])
    run("proposals", "approve", asked["proposals"][0]["id"], "--set", "reason=no longer needed")
    run("ask", "Which reasons for cancelling an order are accepted?")
    code, out, _ = run("history", "export", str(file), "--json")
    counts = json.loads(out)
    assert code == 0
    assert counts["executed"] >= 1
    assert counts["answers"] >= 1
    lines = file.read_text("utf-8").strip("\n").split("\n")
    assert len(lines) == counts["executed"] + counts["rejected"] + counts["answers"]
    examples = list(own_examples(file, tomllib.loads(PROMPTS.read_text())))
    assert any(one.kind == "tool" and one.reply == reply_text("cancel order") for one in examples)
    assert any(one.kind == "arguments" and one.reply == reply_text(pending) for one in examples)
    assert not any(one.rejected == reply_text("ordered by mistake") for one in examples), "it was said, only not meant"


def test_a_file_that_cannot_be_written_is_the_callers_mistake(run: Run, tmp_path: Path):
    code, _, errors = run("history", "export", str(tmp_path / "none" / "history.jsonl"))
    assert code == 2
    assert "cannot be written" in errors
