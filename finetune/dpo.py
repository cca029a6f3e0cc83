"""Tunes an adapter further on preference pairs: what it should have said against what it is tempted to say (DPO).

    python -m askfirst.finetune.dpo --base MODEL --adapter SFT --data PREPARED --out ADAPTER

The loss is that of Rafailov et al. 2023, "Direct Preference Optimization", with a share of the chosen reply's own loss, since
preference alone lets both likelihoods sink. trl's DPOTrainer computes the vocabulary for every token of the prompts, too, and
resumes as transformers' Trainer does; here replies alone are computed, on the loop that every stage shares.
"""

import argparse
import shutil
import tomllib
from functools import partial
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from torch.nn.functional import logsigmoid
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from .base import open_base
from .batches import IGNORED, Batch, Dialogue, Inputs, in_random_order, masked, padded
from .example import records_in
from .loop import Schedule, train
from .methods import save

Pair = tuple[Dialogue, Dialogue]  # the chosen, the rejected


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="askfirst tune dpo", description="Tune an adapter on preference pairs.")
    parser.add_argument("--recipe", type=Path, default=Path(__file__).with_name("recipes") / "dpo.toml")
    parser.add_argument("--base", type=Path, required=True, help="model folder or GGUF file")
    parser.add_argument("--adapter", type=Path, required=True, help="the tuned adapter that it starts from and is held to")
    parser.add_argument("--data", type=Path, required=True, help="folder that `prepare` wrote")
    parser.add_argument("--out", type=Path, required=True, help="adapter folder")
    options = parser.parse_args(argv)
    recipe = tomllib.loads(options.recipe.read_text())
    training = recipe["training"]
    torch.set_num_threads(training.pop("threads"))
    seed, size, held = training.pop("seed"), training.pop("batch"), training.pop("validation", 0)
    schedule = Schedule(**training)

    # 1. Pairs of like length share a batch.
    base = open_base(options.base)
    tokenizer = base.tokenizer()
    groups = grouped(pairs_in(options.data / "pairs.jsonl", tokenizer), size=size, tokenizer=tokenizer)
    validation = pairs_in(options.data / "pairs_validation.jsonl", tokenizer)[:held] if held else []
    checks = grouped(validation, size=size, tokenizer=tokenizer)

    # 2. The adapter as it starts, and how likely it finds each reply: the reference does not move, so this is asked once.
    frozen = LlamaForCausalLM.from_pretrained(base.folder, dtype=torch.float32)
    model = PeftModel.from_pretrained(frozen, str(options.adapter), is_trainable=True)
    refer(model, [*groups, *checks], options.out.with_suffix(".run") / "reference.pt", precision=schedule.precision)

    # 3. Training, from the last checkpoint if there is one.
    loss = partial(preference_loss, **recipe["dpo"])
    weights = train(model, shuffled(groups, seed=seed), schedule, options.out.with_suffix(".run"), loss=loss, validation=checks)
    if weights is None:
        return

    # 4. The adapter, with the prompts of the one it was made of. A card that lies there speaks of other weights.
    (options.out / "card.json").unlink(missing_ok=True)
    save(model, weights, options.out, base=base)
    shutil.copy(options.adapter / "prompts.toml", options.out / "prompts.toml")
    (options.out / "recipe.toml").write_text(f'{options.recipe.read_text()}{base.made()}adapter = "{options.adapter.name}"\n')


def pairs_in(path: Path, tokenizer: PreTrainedTokenizerFast) -> list[Pair]:
    """The lines {"prompt": messages, "chosen", "rejected"} of a file, as tokens with the replies labelled."""
    lines = records_in(path)
    said = [
        [*line["prompt"], {"role": "assistant", "content": line[which]}] for line in lines for which in ("chosen", "rejected")
    ]
    dialogues = masked(said, tokenizer) if said else []
    return list(zip(dialogues[::2], dialogues[1::2], strict=True))


def grouped(pairs: list[Pair], *, size: int, tokenizer: PreTrainedTokenizerFast) -> list[Inputs]:
    """Batches of `size` pairs of like length: ids and labels are (pairs, 2, tokens), the chosen reply first."""
    order = sorted(range(len(pairs)), key=lambda index: max(len(ids) for ids, _ in pairs[index]))
    groups = [order[start : start + size] for start in range(0, len(order), size)]
    pad = int(str(tokenizer.pad_token_id))
    rows = [padded([dialogue for index in group for dialogue in pairs[index]], pad=pad) for group in groups]
    return [{name: value.unflatten(0, (-1, 2)) for name, value in inputs.items()} for inputs in rows]


def shuffled(groups: list[Inputs], *, seed: int) -> Batch:
    """One group for each step, all of them once an epoch."""

    return lambda step: in_random_order(groups, step, seed)


@torch.no_grad()
def refer(model: PeftModel, groups: list[Inputs], kept: Path, *, precision: str) -> None:
    """Give each group its "reference": (pairs, 2) log-likelihoods of the replies by the model as it is. Kept in a file."""
    if not kept.exists():
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            found = [log_likelihoods(model.eval(), inputs) for inputs in groups]
        kept.parent.mkdir(parents=True, exist_ok=True)
        torch.save(found, kept)
    for inputs, reference in zip(groups, torch.load(kept, weights_only=True), strict=True):
        inputs["reference"] = reference


def preference_loss(model: Any, inputs: Inputs, *, beta: float, supervised: float) -> Tensor:
    """Mean over pairs of -log sigmoid(beta * margin), where the margin is how much more than the reference the model
    prefers the chosen reply; and `supervised` times the chosen reply's loss, in nats a token."""
    likely = log_likelihoods(model, inputs)
    gained = likely - inputs["reference"]
    lengths = (inputs["labels"][:, 0, 1:] != IGNORED).sum(1)
    preferred = -logsigmoid(beta * (gained[:, 0] - gained[:, 1]))
    return (preferred - supervised * likely[:, 0] / lengths).mean()


def log_likelihoods(model: Any, inputs: Inputs) -> Tensor:
    """The log-likelihood of each labelled reply, summed over its tokens: (pairs, 2)."""
    llama: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    ids, labels = inputs["input_ids"].flatten(0, 1), inputs["labels"].flatten(0, 1)[:, 1:]
    hidden = llama.model(input_ids=ids, use_cache=False).last_hidden_state[:, :-1]
    said = labels != IGNORED
    logits = llama.lm_head(hidden[said]).float()
    each = -torch.nn.functional.cross_entropy(logits, labels[said], reduction="none")
    rows = said.nonzero()[:, 0]
    return torch.zeros(len(ids), device=each.device).index_add(0, rows, each).unflatten(0, (-1, 2))


if __name__ == "__main__":
    main()
