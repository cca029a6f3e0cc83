"""A model trained further on a user's own texts says texts like them better, and those are texts it never saw."""

import json
import tomllib
from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast

from askfirst.errors import NothingToTrain
from askfirst.finetune.methods import save_model
from askfirst.finetune.pretrain import HELD, main, new_model, texts_in

SIZES = {
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "rope_theta": 10_000.0,
    "context": 128,
}
RECIPE = """
[texts]

[training]
seed = 7
sequence = 32
batch = 4
steps = 30
warmup = 3
cooldown = 0.5
rate = 5e-3
decay = 0.0
clip = 1.0
checkpoint = 10
threads = 1
"""


@pytest.fixture
def base(prepared: Path, tmp_path: Path) -> Path:
    """A small Llama with random weights."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(prepared / "tokenizer")
    model = new_model(SIZES, tokenizer)
    save_model(model, dict(model.named_parameters()), tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    return tmp_path / "base"


@pytest.fixture
def handbook(tmp_path: Path) -> Path:
    """A folder of texts of one kind, and one that is not text."""
    folder = tmp_path / "handbook"
    (folder / "more").mkdir(parents=True)
    for name, start in (("a.md", 0), ("more/b.txt", 200)):
        paragraphs = [
            f"The lamp {number} is kept in the cellar and costs {number % 7} euro." for number in range(start, start + 60)
        ]
        (folder / name).write_text("\n\n".join(paragraphs))
    (folder / "picture.png").write_bytes(b"\x89PNG")
    return folder


def test_held_out_texts_are_said_better_after_than_before(base: Path, handbook: Path, tmp_path: Path):
    (tmp_path / "domain.toml").write_text(RECIPE)
    words = ["--recipe", tmp_path / "domain.toml", "--base", base, "--texts", handbook, "--out", tmp_path / "out"]
    main([str(word) for word in words])
    told = json.loads((tmp_path / "out/perplexity.json").read_text())
    assert told["after"] < told["before"] / 2
    assert (tmp_path / "out/model/model.safetensors").exists()
    assert "training" in tomllib.loads((tmp_path / "out/model/recipe.toml").read_text())


def test_one_paragraph_in_twenty_is_held_out(base: Path, handbook: Path):
    tokenizer = PreTrainedTokenizerFast.from_pretrained(base)
    learned, held = (tokenizer.decode(tokens.tolist()) for tokens in texts_in(handbook, tokenizer))
    assert learned.count("The lamp") == 120 - 120 // HELD
    assert held.count("The lamp") == 120 // HELD
    assert "lamp 19 " in held
    assert "lamp 19 " not in learned


def test_too_little_text_is_told_in_one_line(base: Path, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(NothingToTrain, match="0 tokens"):
        main(["--base", str(base), "--texts", str(tmp_path / "empty"), "--out", str(tmp_path / "out")])
