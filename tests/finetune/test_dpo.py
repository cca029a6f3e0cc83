"""Preference tuning: the loss against one computed by hand, pairs as tokens, and a run that learns to prefer."""

import json
import math
import tomllib
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from askfirst.finetune.batches import IGNORED, parts
from askfirst.finetune.dpo import grouped, log_likelihoods, main, pairs_in, preference_loss

RECIPE = """
[dpo]
beta = 0.5
supervised = 0.1

[training]
seed = 7
batch = 4
steps = 12
warmup = 2
cooldown = 0.5
rate = 5e-3
decay = 0.0
clip = 1.0
checkpoint = 6
validation = 4
threads = 1
"""


@pytest.fixture(scope="module")
def tokenizer(prepared: Path) -> PreTrainedTokenizerFast:
    """The small one."""
    return PreTrainedTokenizerFast.from_pretrained(prepared / "tokenizer")


@pytest.fixture(scope="module")
def llama(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """With random weights."""
    torch.manual_seed(1)
    sizes = {
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
    }
    return LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **sizes)).eval()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Pairs in which the same reply is always the right one."""
    for name, count in (("pairs", 24), ("pairs_validation", 4)):
        asked = [[{"role": "user", "content": f"{name} {'very ' * (number % 3)}{number}?"}] for number in range(count)]
        lines = [{"prompt": prompt, "chosen": '" none"', "rejected": '" 12 lamps"', "kind": "invented"} for prompt in asked]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path


def fixed(likely: list[list[float]], monkeypatch: pytest.MonkeyPatch) -> None:
    """The model's log-likelihoods are these."""
    monkeypatch.setattr("askfirst.finetune.dpo.log_likelihoods", lambda model, inputs: torch.tensor(likely))


def test_the_loss_is_that_of_a_worked_example(monkeypatch: pytest.MonkeyPatch):
    """Margins (-2 + 3) - (-5 + 4) = 2 and (-1 + 1) - (-2 + 2) = 0; chosen replies of two tokens and one."""
    fixed([[-2.0, -5.0], [-1.0, -2.0]], monkeypatch)
    labels = torch.full((2, 2, 4), IGNORED)
    labels[0, :, 2:], labels[1, :, 3:] = 5, 5
    inputs = {"reference": torch.tensor([[-3.0, -4.0], [-1.0, -2.0]]), "labels": labels}
    alone = (math.log(1 + math.exp(-0.1 * 2)) + math.log(2)) / 2
    assert preference_loss(None, inputs, beta=0.1, supervised=0.0).item() == pytest.approx(alone)
    both = alone + 0.2 * (2.0 / 2 + 1.0 / 1) / 2
    assert preference_loss(None, inputs, beta=0.1, supervised=0.2).item() == pytest.approx(both)


def test_likelihoods_are_those_of_the_whole_vocabulary(llama: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, data: Path):
    [inputs, *_] = grouped(pairs_in(data / "pairs.jsonl", tokenizer), size=4, tokenizer=tokenizer)
    with torch.no_grad():
        found = log_likelihoods(llama, inputs)
        for pair in range(4):
            for side in range(2):
                ids, labels = inputs["input_ids"][pair, side], inputs["labels"][pair, side]
                spread = llama(input_ids=ids.unsqueeze(0), use_cache=False).logits[0].log_softmax(-1)
                said = [spread[place - 1, ids[place]].item() for place in range(len(ids)) if labels[place] != IGNORED]
                assert found[pair, side].item() == pytest.approx(sum(said), rel=1e-4)


def test_a_pair_stays_together_and_the_chosen_reply_comes_first(tokenizer: PreTrainedTokenizerFast, data: Path):
    [inputs, *_] = grouped(pairs_in(data / "pairs.jsonl", tokenizer), size=4, tokenizer=tokenizer)
    for part, share in parts(inputs, 2):
        assert share == 0.5
        for chosen, rejected in part["labels"]:
            assert tokenizer.decode(chosen[chosen != IGNORED]) == '" none"<|eot_id|>'
            assert tokenizer.decode(rejected[rejected != IGNORED]) == '" 12 lamps"<|eot_id|>'


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # peft asks transformers by the old name
def test_a_run_starts_from_the_adapter_and_learns_to_prefer(
    llama: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, data: Path, tmp_path: Path
):
    base, start, out = (tmp_path / name for name in ("base", "start", "out"))
    llama.save_pretrained(base)
    tokenizer.save_pretrained(base)
    copy = LlamaForCausalLM.from_pretrained(base, dtype=torch.float32)
    torch.manual_seed(3)
    adapter = get_peft_model(copy, LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=["q_proj", "v_proj", "down_proj"]))
    adapter.save_pretrained(start)
    (start / "prompts.toml").write_text("")
    (tmp_path / "dpo.toml").write_text(RECIPE)
    words = ["--recipe", tmp_path / "dpo.toml", "--base", base, "--adapter", start, "--data", data, "--out", out]
    main([str(word) for word in words])

    log = [json.loads(line) for line in (tmp_path / "out.run/log.jsonl").read_text().splitlines()]
    reference = torch.load(tmp_path / "out.run/reference.pt", weights_only=True)
    assert len(reference) == 7
    assert log[-1]["loss"] < log[0]["loss"] - 0.05
    assert log[-1]["validation"] < log[5]["validation"]
    assert (out / "adapter_model.safetensors").exists()
    assert tomllib.loads((out / "recipe.toml").read_text())["made"]["adapter"] == "start"
