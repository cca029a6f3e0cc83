"""Trains the base Llama from scratch on the packed tokens that `data.py` wrote.

    python -m askfirst.finetune.pretrain --recipe finetune/recipes/pretrain.toml --data PREPARED --out OUT

OUT gets checkpoints and a log while it runs, and OUT/model, a transformers folder in float16, at its end. Started again it
goes on where it stopped.
"""

import argparse
import shutil
import tomllib
from pathlib import Path

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from .batches import Batch, Inputs
from .initialise import set_copying_heads
from .loop import Schedule, train
from .methods import save_model


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="askfirst tune pretrain", description="Train the base Llama from scratch.")
    parser.add_argument("--recipe", type=Path, default=Path(__file__).with_name("recipes") / "pretrain.toml")
    parser.add_argument("--data", type=Path, required=True, help="folder that `prepare` wrote")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(argv)
    recipe = tomllib.loads(options.recipe.read_text())
    training = recipe["training"]
    torch.set_num_threads(training.pop("threads"))

    # 1. The tokens, cut into sequences; each epoch sees them in another order.
    tokens = np.fromfile(options.data / "pretrain.bin", dtype=np.uint16)
    batch = shuffled(tokens, size=training.pop("batch"), length=training.pop("sequence"), seed=training["seed"])

    # 2. The model, which can copy from the start.
    tokenizer = PreTrainedTokenizerFast.from_pretrained(options.data / "tokenizer")
    model = new_model(recipe["model"], tokenizer)
    set_copying_heads(model, seed=training.pop("seed"))

    # 3. Training, from the last checkpoint if there is one.
    weights = train(model, batch, Schedule(**training), options.out)
    if weights is None:
        return

    # 4. The folder that everything else starts from, with the recipe that made it.
    save_model(model, weights, options.out / "model")
    tokenizer.save_pretrained(options.out / "model")
    shutil.copy(options.recipe, options.out / "model" / "recipe.toml")


def new_model(sizes: dict, tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """A Llama with tied embeddings; its ids are those of the tokenizer."""
    sizes = dict(sizes)
    rope = {"rope_type": "default", "rope_theta": sizes.pop("rope_theta")}
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    context = sizes.pop("context")
    config = LlamaConfig(
        vocab_size=len(tokenizer), tie_word_embeddings=True, rope_parameters=rope, max_position_embeddings=context, **ids, **sizes
    )
    return LlamaForCausalLM(config)


def shuffled(tokens: np.ndarray, *, size: int, length: int, seed: int) -> Batch:
    """`size` sequences of `length` tokens for each step, all of them once an epoch; a rest shorter than one is left over."""
    sequences = tokens[: len(tokens) // length * length].reshape(-1, length)
    steps = len(sequences) // size

    def batch(step: int) -> Inputs:
        epoch, position = divmod(step, steps)
        order = np.random.default_rng([seed, epoch]).permutation(len(sequences))
        rows = order[position * size : (position + 1) * size]
        ids = torch.from_numpy(sequences[rows].astype(np.int64))
        return {"input_ids": ids, "labels": ids}

    return batch


if __name__ == "__main__":
    main()
