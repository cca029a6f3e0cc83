"""Training itself: copying from the start, masked prompts, and a killed run that goes on as if nothing had been."""

import json
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from askfirst.finetune.initialise import set_copying_heads
from askfirst.finetune.loop import Schedule
from askfirst.finetune.pretrain import new_model
from askfirst.finetune.tune import IGNORED, by_length, masked

ROOT = Path(__file__).parents[2]
SIZES = tomllib.loads((ROOT / "finetune/recipes/pretrain.toml").read_text())["model"]
RECIPE = """
[model]
hidden_size = 32
intermediate_size = 32
num_hidden_layers = 3
num_attention_heads = 2
num_key_value_heads = 1
head_dim = 16
rope_theta = 10_000.0
context = 64

[training]
seed = 3
sequence = 16
batch = 2
steps = 40
warmup = 4
cooldown = 0.5
rate = 1e-3
decay = 0.1
clip = 1.0
checkpoint = 7
threads = 1
"""


def losses(folder: Path) -> list[tuple[int, float]]:
    """Step and loss of every whole line of the log."""
    path = folder / "log.jsonl"
    lines = [json.loads(line) for line in path.read_text().split("\n")[:-1]] if path.exists() else []
    return [(line["step"], line["loss"]) for line in lines]


def pretraining(prepared: Path, recipe: Path, out: Path) -> subprocess.Popen:
    """A real run in a process of its own."""
    command = [sys.executable, "-m", "askfirst.finetune.pretrain", "--recipe", recipe, "--data", prepared, "--out", out]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def killed_after(run: subprocess.Popen, out: Path, *, steps: int) -> None:
    """SIGKILL as soon as the log shows so many steps."""
    deadline = time.monotonic() + 120
    while len(losses(out)) < steps and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    run.send_signal(signal.SIGKILL)
    run.wait()


def test_a_killed_run_goes_on_with_the_same_losses(prepared: Path, tmp_path: Path):
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(RECIPE)
    assert pretraining(prepared, recipe, tmp_path / "whole").wait() == 0
    killed_after(pretraining(prepared, recipe, tmp_path / "cut"), tmp_path / "cut", steps=10)
    assert len(losses(tmp_path / "cut")) < 40
    assert pretraining(prepared, recipe, tmp_path / "cut").wait() == 0
    assert losses(tmp_path / "cut") == losses(tmp_path / "whole")
    assert len(losses(tmp_path / "whole")) == 40
    weights = [(tmp_path / run / "model/model.safetensors").read_bytes() for run in ("cut", "whole")]
    assert weights[0] == weights[1]


def test_the_model_copies_random_tokens_before_any_training(prepared: Path):
    tokenizer = PreTrainedTokenizerFast.from_pretrained(prepared / "tokenizer")
    said = torch.randint(7, len(tokenizer), (4, 40), generator=torch.Generator().manual_seed(1))
    model = new_model(SIZES, tokenizer)
    set_copying_heads(model, seed=7)
    with torch.no_grad():
        guessed = model(input_ids=torch.cat([said, said], dim=1)).logits.argmax(-1)
    copied = (guessed[:, 41:-1] == said[:, 2:]).float().mean().item()
    assert copied > 0.4


def test_only_the_reply_is_labelled(prepared: Path):
    tokenizer = PreTrainedTokenizerFast.from_pretrained(prepared / "tokenizer")
    chat = [{"role": role, "content": text} for role, text in (("system", "route"), ("user", "Hi"), ("assistant", '" direct"'))]
    [(ids, labels)] = masked([chat], tokenizer)
    counted = [label for label in labels if label != IGNORED]
    assert tokenizer.decode(counted) == '" direct"<|eot_id|>'
    assert ids[-len(counted) :] == counted


def test_a_batch_depends_on_its_step_alone_and_pads_without_labels():
    dialogues = [(list(range(1, length)), [IGNORED] * (length - 2) + [5]) for length in range(3, 20)]
    batch = by_length(dialogues, size=4, pad=0, seed=1)
    for step in range(12):
        first, again = batch(step), batch(step)
        assert torch.equal(first["input_ids"], again["input_ids"])
        assert (first["labels"][first["input_ids"] == 0] == IGNORED).all()
    epoch = torch.cat([batch(step)["labels"].ne(IGNORED).sum().unsqueeze(0) for step in range(5)])
    assert epoch.sum() == len(dialogues)


def test_the_rate_rises_is_held_and_falls_to_zero():
    schedule = Schedule(steps=100, warmup=10, cooldown=0.3, rate=1.0, decay=0.0, clip=1.0, checkpoint=10)
    rates = [schedule.rate_at(step) for step in range(101)]
    assert rates[0] == 0.1
    assert set(rates[9:70]) == {1.0}
    assert rates[70:] == sorted(rates[70:], reverse=True)
    assert rates[100] == pytest.approx(0.0)
