"""Reads general instructions and their replies, which keep a tuned model from forgetting what it could do before."""

import random
from collections.abc import Iterator
from pathlib import Path

from .dialogues import as_far_as_there, rows, text_lines
from .example import Example, replied

LONGEST = 700  # characters of instruction and reply together
FLAN = ("creak", "ecqa", "gsm8k", "qasc", "sensemaking", "strategyqa")


def conversations(root: Path, quotas: dict[str, int], rng: random.Random, missing: list[str]) -> Iterator[Example]:
    """At most so many short ones of each source, without a system message; files that are not there go to `missing`."""
    for source, quota in quotas.items():
        pairs = [pair for pair in as_far_as_there(READERS[source](root), missing) if all(pair) and sum(map(len, pair)) <= LONGEST]
        for asked, reply in rng.sample(pairs, min(quota, len(pairs))):
            yield Example("general", source, asked, replied([{"role": "user", "content": asked}], reply))


def alpaca(root: Path) -> Iterator[tuple[str, str]]:
    """Instructions with their input, if any."""
    for row in rows(root, "llamafactory_alpaca_en_demo"):
        yield "\n".join(filter(None, (row["instruction"], row["input"]))), row["output"]


def prompted(root: Path) -> Iterator[tuple[str, str]]:
    """T0's prompted tasks, each instance once."""
    seen = set()
    for row in rows(root, "t0_50k"):
        if row["prompt"] not in seen:
            seen.add(row["prompt"])
            yield row["prompt"].strip(), row["completion"].removesuffix("<|endoftext|>").strip()


def reasoned(root: Path) -> Iterator[tuple[str, str]]:
    """Flan's questions with their answer and the reason."""
    for name in FLAN:
        for line in text_lines(root, f"flan_cot_{name}_train.tsv"):
            asked, answer, reason = (*line.rstrip("\n").split("\t"), "", "")[:3]
            yield asked.replace("\\n", "\n"), f"{reason} So the answer is {answer}."


READERS = {"alpaca": alpaca, "t0": prompted, "flan": reasoned}
