"""Tunes a base on dialogues, supervised: only the replies are learned. The recipe chooses the method and the schedule.

    python -m askfirst.finetune.tune --recipe finetune/recipes/decisions.toml --base MODEL --data PREPARED --out ADAPTER

ADAPTER gets the adapter, the prompts it was tuned on and the recipe with what it was made of; ADAPTER.run keeps checkpoints
and log, and a run started again goes on where it stopped. `torchrun --nproc-per-node N -m ...` shares the work.
"""

import argparse
import shutil
import tomllib
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerFast

from .base import open_base
from .batches import Batch, Dialogue, by_length, masked, packed, padded
from .cases import PROMPTS
from .example import records_in
from .loop import Schedule, train
from .methods import learner, loss_of, method_of, save


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="askfirst tune sft", description="Tune a base on dialogues.")
    parser.add_argument("--recipe", type=Path, default=Path(__file__).with_name("recipes") / "decisions.toml")
    parser.add_argument("--base", type=Path, required=True, help="model folder or GGUF file")
    parser.add_argument("--data", type=Path, required=True, help="folder that `prepare` wrote")
    parser.add_argument("--out", type=Path, required=True, help="adapter folder")
    options = parser.parse_args(argv)
    recipe = tomllib.loads(options.recipe.read_text())
    training = recipe["training"]
    torch.set_num_threads(training.pop("threads"))
    seed, size, length = training.pop("seed"), training.pop("batch"), training.pop("pack", 0)
    held, recompute = training.pop("validation", 0), training.pop("recompute", False)

    # 1. Dialogues as tokens, everything but the reply masked.
    base = open_base(options.base)
    tokenizer = base.tokenizer()
    pad = int(str(tokenizer.pad_token_id))
    dialogues = dialogues_in(options.data / "sft.jsonl", tokenizer)
    kept = dialogues_in(options.data / "sft_validation.jsonl", tokenizer)[:held] if held else []
    validation = [padded(kept[start : start + size], pad=pad) for start in range(0, len(kept), size)]

    # 2. Those of like length share a batch, or as many as fit share a row.
    batch = batches(dialogues, size=size, length=length, pad=pad, seed=seed)

    # 3. The base with what the method adds to it.
    model = learner(base, recipe, seed=seed)
    if recompute:  # activations anew in the backward pass: less memory, a third more work
        model.gradient_checkpointing_enable({"use_reentrant": False})

    # 4. Training, from the last checkpoint if there is one.
    loss = loss_of(method_of(recipe))
    weights = train(model, batch, Schedule(**training), options.out.with_suffix(".run"), loss=loss, validation=validation)
    if weights is None:
        return

    # 5. The adapter beside its prompts and its recipe. A card that lies there speaks of other weights.
    (options.out / "card.json").unlink(missing_ok=True)
    save(model, weights, options.out, base=base)
    shutil.copy(PROMPTS, options.out / "prompts.toml")
    (options.out / "recipe.toml").write_text(options.recipe.read_text() + base.made())


def dialogues_in(path: Path, tokenizer: PreTrainedTokenizerFast) -> list[Dialogue]:
    """The lines {"messages"} of a file, as tokens with the replies labelled."""
    return masked([line["messages"] for line in records_in(path)], tokenizer)


def batches(dialogues: list[Dialogue], *, size: int, length: int, pad: int, seed: int) -> Batch:
    """Packed into rows of `length` tokens, or for 0 padded."""
    if length:
        return packed(dialogues, size=size, length=length, pad=pad, seed=seed)
    return by_length(dialogues, size=size, pad=pad, seed=seed)


if __name__ == "__main__":
    main()
