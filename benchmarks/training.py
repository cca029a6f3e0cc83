"""Tuning a LoRA adapter with dialogues packed into rows, beside padded: tokens a second and peak memory, in the same run.

    python -m askfirst.benchmarks.training --base models/askfirst-5m --data PREPARED [--steps 20]

Three ways to make a batch of the same dialogues, about the same number of their tokens in each: padded at random, as
most trainers do by default; padded among dialogues of like length, as ours does; packed into rows in which no dialogue sees
another. What counts is tokens of dialogues a second, padding not counted. Each way runs in a process of its own, so that its
peak memory is its own, and rounds are interleaved, so that what else the machine does meets all alike. The recipe's method,
schedule and precision are those of tuning.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import torch

from askfirst.finetune.base import open_base
from askfirst.finetune.batches import Batch, Dialogue, Inputs, by_length, masked, packed, padded
from askfirst.finetune.loop import Schedule, train
from askfirst.finetune.methods import learner, loss_of, method_of

WAYS = ("padded at random", "padded by length", "packed")
UNCOUNTED = 2  # first steps of a process, in which memory is laid out


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="LoRA tuning packed beside padded.")
    parser.add_argument("--recipe", type=Path, default=Path(__file__).parents[1] / "finetune/recipes/smollm2.toml")
    parser.add_argument("--base", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--dialogues", type=int, default=2_000, help="how many of the data, taken evenly")
    parser.add_argument("--length", type=int, default=512, help="tokens of a packed row")
    parser.add_argument("--rows", type=int, default=4, help="packed rows a step; the others get as many tokens")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.way:
        print(json.dumps(measured(options)))
        return

    # 1. Each way in a process of its own, round after round.
    words = [*(sys.argv[1:] if argv is None else argv), "--way"]
    command = [sys.executable, "-m", "askfirst.benchmarks.training", *words]
    seen: dict[str, list[dict]] = {way: [] for way in WAYS}
    for number in range(options.rounds):
        for way in WAYS if number % 2 == 0 else reversed(WAYS):
            told = subprocess.run([*command, way], check=True, stdout=subprocess.PIPE, text=True).stdout
            seen[way].append(json.loads(told.splitlines()[-1]))

    # 2. The table, each beside the first.
    first = median(each["speed"] for each in seen[WAYS[0]])
    least = median(each["memory"] for each in seen[WAYS[0]])
    rounds = f"median of {options.rounds} rounds"
    print(f"{rounds:<22}{'tokens/s':>10}{'ratio':>8}{'peak GB':>10}{'ratio':>8}{'padding':>10}")
    for way in WAYS:
        speed, memory = (median(each[key] for each in seen[way]) for key in ("speed", "memory"))
        padding = median(each["padding"] for each in seen[way])
        print(f"{way:<22}{speed:>10,.0f}{speed / first:>8.2f}{memory / 1e9:>10.2f}{memory / least:>8.2f}{padding:>10.0%}")


def measured(options: argparse.Namespace) -> dict:
    """Tokens of dialogues a second, peak bytes and share of padding of one way, over its steps but the first."""
    recipe = tomllib.loads(options.recipe.read_text())
    training = recipe["training"]
    torch.set_num_threads(training["threads"])
    base = open_base(options.base)
    tokenizer = base.tokenizer()
    lines = (options.data / "sft.jsonl").read_text().splitlines()
    sample = [json.loads(line)["messages"] for line in lines[:: max(1, len(lines) // options.dialogues)]]
    dialogues = masked(sample, tokenizer)
    pad, seed = int(str(tokenizer.pad_token_id)), training["seed"]
    batch, marked = (batches(options, dialogues, pad=each, seed=seed) for each in (pad, -1))  # padding is no token, so it shows
    known = {name: value for name, value in training.items() if name in Schedule.__dataclass_fields__}
    schedule = replace(Schedule(**known), steps=options.steps, checkpoint=options.steps, patience=0)
    with tempfile.TemporaryDirectory() as folder:
        model = learner(base, recipe, seed=seed)
        train(model, batch, schedule, Path(folder), loss=loss_of(method_of(recipe)))
        log = [json.loads(line) for line in (Path(folder) / "log.jsonl").read_text().splitlines()][UNCOUNTED:]
    said = sum((marked(entry["step"])["input_ids"] >= 0).sum().item() for entry in log)
    seconds = sum(entry["seconds"] for entry in log)
    return {"speed": said / seconds, "memory": log[-1]["memory"], "padding": 1 - said / sum(entry["tokens"] for entry in log)}


def batches(options: argparse.Namespace, dialogues: list[Dialogue], *, pad: int, seed: int) -> Batch:
    """The batches of one way, each with about `rows * length` tokens of dialogues."""
    if options.way == "packed":
        return packed(dialogues, size=options.rows, length=options.length, pad=pad, seed=seed)
    mean = sum(len(ids) for ids, _ in dialogues) / len(dialogues)
    maker = by_length if options.way == "padded by length" else at_random
    return maker(dialogues, size=max(1, round(options.rows * options.length / mean)), pad=pad, seed=seed)


def at_random(dialogues: list[Dialogue], *, size: int, pad: int, seed: int) -> Batch:
    """Any `size` dialogues for each step, padded to the longest of them."""

    def batch(step: int) -> Inputs:
        chosen = np.random.default_rng([seed, step]).choice(len(dialogues), size, replace=False)
        return padded([dialogues[index] for index in chosen], pad=pad)

    return batch


if __name__ == "__main__":
    main()
