"""Tunes a LoRA adapter on the decisions: supervised, and only the replies are learned.

    python -m askfirst.finetune.tune --recipe finetune/recipes/decisions.toml --base MODEL --data PREPARED --out ADAPTER

ADAPTER gets the adapter, the prompts it was tuned on and the recipe; ADAPTER.run keeps checkpoints and log, and a run
started again goes on where it stopped.
"""

import argparse
import json
import shutil
import tomllib
from pathlib import Path

import numpy as np
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from .base import open_base
from .cases import PROMPTS
from .loop import Batch, Schedule, train
from .tokens import chat_text, token_ids

IGNORED = -100  # the label that transformers' loss leaves out


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="askfirst tune sft", description="Tune a LoRA adapter on the decisions.")
    parser.add_argument("--recipe", type=Path, default=Path(__file__).with_name("recipes") / "decisions.toml")
    parser.add_argument("--base", type=Path, required=True, help="model folder or GGUF file")
    parser.add_argument("--data", type=Path, required=True, help="folder that `prepare` wrote")
    parser.add_argument("--out", type=Path, required=True, help="adapter folder")
    options = parser.parse_args(argv)
    recipe = tomllib.loads(options.recipe.read_text())
    training = recipe["training"]
    torch.set_num_threads(training.pop("threads"))
    seed = training.pop("seed")

    # 1. Dialogues as tokens, everything but the reply masked; those of like length share a batch.
    base = open_base(options.base)
    tokenizer = base.tokenizer()
    lines = (options.data / "sft.jsonl").read_text().splitlines()
    dialogues = masked([json.loads(line)["messages"] for line in lines], tokenizer)
    batch = by_length(dialogues, size=training.pop("batch"), pad=tokenizer.pad_token_id, seed=seed)

    # 2. The frozen base with a new adapter.
    model = with_adapter(LlamaForCausalLM.from_pretrained(base.folder, dtype=torch.float32), recipe["lora"], seed=seed)

    # 3. Training, from the last checkpoint if there is one.
    train(model, batch, Schedule(**training), options.out.with_suffix(".run"), loss=reply_loss)

    # 4. The adapter beside its prompts and its recipe. A card that lies there speaks of other weights.
    (options.out / "card.json").unlink(missing_ok=True)
    save(model, options.out, base=base.name)
    shutil.copy(PROMPTS, options.out / "prompts.toml")
    (options.out / "recipe.toml").write_text(options.recipe.read_text() + base.made())


def masked(conversations: list[list[dict]], tokenizer: PreTrainedTokenizerFast) -> list[tuple[list[int], list[int]]]:
    """Ids and labels of each conversation; only the last message and the token that ends it are labelled."""
    whole = token_ids(tokenizer, [chat_text(tokenizer, messages) for messages in conversations])
    asked = token_ids(tokenizer, [chat_text(tokenizer, messages[:-1], answered=False) for messages in conversations])
    return [(full, [IGNORED] * len(prompt) + full[len(prompt) :]) for full, prompt in zip(whole, asked, strict=True)]


def by_length(dialogues: list[tuple[list[int], list[int]]], *, size: int, pad: int, seed: int) -> Batch:
    """`size` dialogues of like length for each step, padded at the right; an epoch's steps come in random order."""
    order = sorted(range(len(dialogues)), key=lambda index: len(dialogues[index][0]))
    groups = [order[start : start + size] for start in range(0, len(order), size)]

    def batch(step: int) -> dict[str, Tensor]:
        epoch, position = divmod(step, len(groups))
        group = groups[np.random.default_rng([seed, epoch]).permutation(len(groups))[position]]
        longest = max(len(dialogues[index][0]) for index in group)
        ids = [dialogues[index][0] + [pad] * (longest - len(dialogues[index][0])) for index in group]
        labels = [dialogues[index][1] + [IGNORED] * (longest - len(dialogues[index][1])) for index in group]
        return {"input_ids": torch.tensor(ids), "labels": torch.tensor(labels)}

    return batch


def reply_loss(model: PeftModel, inputs: dict[str, Tensor]) -> Tensor:
    """Mean over the labelled tokens alone: the vocabulary is the most expensive layer, and most tokens only ask."""
    llama = model.get_base_model()
    hidden = llama.model(input_ids=inputs["input_ids"], use_cache=False).last_hidden_state[:, :-1]
    labels = inputs["labels"][:, 1:]
    said = labels != IGNORED
    return torch.nn.functional.cross_entropy(llama.lm_head(hidden[said]).float(), labels[said])


def with_adapter(model: LlamaForCausalLM, lora: dict, *, seed: int) -> PeftModel:
    """The adapter's first weights are drawn from `seed`; the base is frozen."""
    torch.manual_seed(seed)
    return get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **lora))


def save(model: PeftModel, folder: Path, *, base: str) -> None:
    """In float16, like the base, which is named but not by its path: that is this machine's."""
    model.half()
    model.peft_config["default"].base_model_name_or_path = base
    model.save_pretrained(str(folder))
    (folder / "README.md").unlink()


if __name__ == "__main__":
    main()
