"""Trains a base Llama: from scratch on the packed tokens that `data.py` wrote, or an existing one further on a user's texts.

    python -m askfirst.finetune.pretrain --data PREPARED --out OUT
    python -m askfirst.finetune.pretrain --base MODEL --texts FOLDER --out OUT

OUT gets checkpoints and a log while it runs, and OUT/model, a transformers folder in float16, at its end. Started again it
goes on where it stopped. On a user's texts every twentieth paragraph is held out, and how well the model says them before
and after stands in OUT/perplexity.json.
"""

import argparse
import json
import math
import shutil
import tomllib
from pathlib import Path

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from ..errors import NothingToTrain
from .base import open_base
from .batches import Batch, Inputs
from .initialise import set_copying_heads
from .loop import Schedule, own_loss, train
from .methods import save_model
from .tokens import token_ids

RECIPES = Path(__file__).with_name("recipes")
TEXTS = (".md", ".rst", ".txt")
HELD = 20  # one paragraph in so many is not learned but asked


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="askfirst tune pretrain", description="Train a base Llama, from scratch or further.")
    parser.add_argument("--recipe", type=Path, help="else recipes/pretrain.toml, with --base recipes/domain.toml")
    parser.add_argument("--data", type=Path, help="folder that `prepare` wrote: train from scratch")
    parser.add_argument("--base", type=Path, help="model folder or GGUF file: train it further on --texts")
    parser.add_argument("--texts", type=Path, help=f"folder of your own texts ({', '.join(TEXTS)})")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(argv)
    if (options.data is None) == (options.base is None) or (options.base is None) != (options.texts is None):
        parser.error("give --data to train from scratch, or --base and --texts to train a model further")
    path = options.recipe or RECIPES / ("domain.toml" if options.base else "pretrain.toml")
    recipe = tomllib.loads(path.read_text())
    torch.set_num_threads(recipe["training"].pop("threads"))
    (further if options.base else from_scratch)(options, recipe)
    if (options.out / "model").is_dir():
        shutil.copy(path, options.out / "model" / "recipe.toml")


def from_scratch(options: argparse.Namespace, recipe: dict) -> None:
    """A new model with its own sizes and the prepared tokenizer."""
    training = recipe["training"]

    # 1. The tokens, cut into sequences; each epoch sees them in another order.
    tokens = np.fromfile(options.data / "pretrain.bin", dtype=np.uint16)
    batch = shuffled(tokens, size=training.pop("batch"), length=training.pop("sequence"), seed=training["seed"])

    # 2. The model, which can copy from the start.
    tokenizer = PreTrainedTokenizerFast.from_pretrained(options.data / "tokenizer")
    model = new_model(recipe["model"], tokenizer)
    set_copying_heads(model, seed=training.pop("seed"))

    # 3. Training, from the last checkpoint if there is one, and the folder that everything else starts from.
    weights = train(model, batch, Schedule(**training), options.out)
    if weights is not None:
        save_model(model, weights, options.out / "model")
        tokenizer.save_pretrained(options.out / "model")


def further(options: argparse.Namespace, recipe: dict) -> None:
    """An existing model, every weight of it, on a user's texts."""
    training = recipe["training"]
    size, length, seed = training.pop("batch"), training.pop("sequence"), training.pop("seed")

    # 1. The texts as one row of tokens, some paragraphs held out.
    base = open_base(options.base)
    tokenizer = base.tokenizer()
    tokens, held = texts_in(options.texts, tokenizer)
    if len(tokens) < size * length or len(held) < 2:
        problem = f"{options.texts} has {len(tokens):,} tokens in files {', '.join(TEXTS)}, one step takes {size * length:,}"
        raise NothingToTrain(problem, act="Name a folder with more text with --texts, or take a smaller batch in the recipe")
    checks = [{"input_ids": ids, "labels": ids} for ids in torch.from_numpy(held.astype(np.int64)).unsqueeze(0).split(length, 1)]
    checks = [inputs for inputs in checks if inputs["input_ids"].shape[1] > 1]

    # 2. Training, with the model's loss on what is held out before the first step and at every checkpoint.
    model = LlamaForCausalLM.from_pretrained(base.folder, dtype=torch.float32)
    before = perplexity(model, checks)
    batch = shuffled(tokens, size=size, length=length, seed=seed)
    weights = train(model, batch, Schedule(**training), options.out, validation=checks)
    if weights is None:
        return

    # 3. The model, and what it gained.
    save_model(model, weights, options.out / "model")
    tokenizer.save_pretrained(options.out / "model")
    after = perplexity(LlamaForCausalLM.from_pretrained(options.out / "model", dtype=torch.float32), checks)
    told = {"held_out_tokens": len(held), "before": before, "after": after}
    (options.out / "perplexity.json").write_text(json.dumps(told) + "\n")
    print(f"perplexity of {len(held):,} held-out tokens: {before:.2f} before, {after:.2f} after")


def texts_in(folder: Path, tokenizer: PreTrainedTokenizerFast) -> tuple[np.ndarray, np.ndarray]:
    """The tokens to learn and those held out: paragraphs in the order of their files, each ended by the end token."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in TEXTS)
    paragraphs = [part for path in files for part in path.read_text("utf-8", "replace").split("\n\n") if part.strip()]
    ended = [[*ids, int(str(tokenizer.eos_token_id))] for ids in token_ids(tokenizer, paragraphs)] if paragraphs else []
    held = [number % HELD == HELD - 1 for number in range(len(ended))]
    parts = [[each for each, out in zip(ended, held, strict=True) if out == wanted] for wanted in (False, True)]
    learned, asked = (np.array([token for ids in part for token in ids], dtype=np.uint32) for part in parts)
    return learned, asked


@torch.no_grad()
def perplexity(model: LlamaForCausalLM, checks: list[Inputs]) -> float:
    """exp of the mean loss a token over all of the texts, in float32."""
    counts = [inputs["labels"].shape[1] - 1 for inputs in checks]
    losses = [own_loss(model.eval(), inputs).item() for inputs in checks]
    return math.exp(sum(loss * count for loss, count in zip(losses, counts, strict=True)) / sum(counts))


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
