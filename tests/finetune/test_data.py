"""The tokenizer, the chat form, the invented cases, and that packing loses nothing."""

import random
from pathlib import Path

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from askfirst.finetune.cases import reply_text
from askfirst.finetune.corpus import pack, repeats
from askfirst.finetune.invented import comparisons, requests
from askfirst.finetune.phrases import HELD_NOUNS
from askfirst.finetune.tokens import token_ids


@pytest.fixture
def tokenizer(prepared: Path) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast.from_pretrained(prepared / "tokenizer")


def test_the_tokenizer_gives_every_text_back(tokenizer: PreTrainedTokenizerFast, texts: list[str]):
    for text in texts:
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


def test_a_value_has_the_same_tokens_in_the_reply_as_in_the_question(tokenizer: PreTrainedTokenizerFast):
    for value in ("Maria Berg", "#12-A/7", "4421", "ana@site.io", "Sá"):
        said = tokenizer(f"I am {value} today", add_special_tokens=False)["input_ids"]
        reply = tokenizer(reply_text(value), add_special_tokens=False)["input_ids"][1:-1]
        assert any(said[start : start + len(reply)] == reply for start in range(len(said))), value


def test_packing_loses_no_token(tokenizer: PreTrainedTokenizerFast, texts: list[str], tmp_path: Path):
    documents = [*token_ids(tokenizer, texts), *repeats(5, tokenizer, random.Random(1))]
    assert pack(documents, tmp_path / "packed.bin") == sum(map(len, documents))
    packed = np.fromfile(tmp_path / "packed.bin", dtype=np.uint16).tolist()
    assert packed == [token for document in documents for token in document]


def test_the_chat_template_takes_several_tool_calls_and_their_results(tokenizer: PreTrainedTokenizerFast):
    calls = [{"type": "function", "function": {"name": name, "arguments": {"id": 7}}} for name in ("look_up", "cancel")]
    history = [
        {"role": "user", "content": "Cancel 7"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "content": "done"},
    ]
    text = tokenizer.apply_chat_template(history, tokenize=False, add_generation_prompt=True)
    assert text == (
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nCancel 7<|eot_id|>"
        '<|start_header_id|>assistant<|end_header_id|>\n\n{"name": "look_up", "arguments": {"id": 7}}\n'
        '{"name": "cancel", "arguments": {"id": 7}}<|eom_id|>'
        "<|start_header_id|>ipython<|end_header_id|>\n\ndone<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
    )


def test_invented_values_stand_in_their_question_and_held_out_nouns_apart():
    for held in (False, True):
        for case in requests(50, seed=5, held=held):
            assert case.held == held
            assert case.decision != "arguments" or case.expected is None or case.expected in case.question
            if case.decision == "tool" and case.expected != "none":
                assert (case.expected.split()[-1] in HELD_NOUNS) == held


def test_a_comparison_asks_the_same_of_both():
    for case in comparisons(50, seed=5, names=["Peru", "Chile"], held=False):
        if case.decision == "decompose":
            first, second = case.expected
            assert first != second
            assert first.replace("Peru", "Chile") == second.replace("Peru", "Chile")
