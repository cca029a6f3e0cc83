"""Dialogues as batches: padded to a like length, or packed into rows in which no dialogue sees another.

Every batch is a function of its step alone, which is what makes a run resumable. Nothing here knows a model.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable
from itertools import chain
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from .tokens import chat_text, token_ids

IGNORED = -100  # the label that transformers' loss leaves out
Inputs = dict[str, Tensor]
Batch = Callable[[int], Inputs]
Dialogue = tuple[list[int], list[int]]  # ids and labels
Group = TypeVar("Group")


def masked(conversations: list[list[dict]], tokenizer: PreTrainedTokenizerFast) -> list[Dialogue]:
    """Ids and labels of each conversation; only the last message and the token that ends it are labelled."""
    whole = token_ids(tokenizer, [chat_text(tokenizer, messages) for messages in conversations])
    asked = token_ids(tokenizer, [chat_text(tokenizer, messages[:-1], answered=False) for messages in conversations])
    return [(full, [IGNORED] * len(prompt) + full[len(prompt) :]) for full, prompt in zip(whole, asked, strict=True)]


def by_length(dialogues: list[Dialogue], *, size: int, pad: int, seed: int) -> Batch:
    """`size` dialogues of like length for each step, padded at the right; an epoch's steps come in random order."""
    order = sorted(range(len(dialogues)), key=lambda index: len(dialogues[index][0]))
    groups = [order[start : start + size] for start in range(0, len(order), size)]

    def batch(step: int) -> Inputs:
        return padded([dialogues[index] for index in in_random_order(groups, step, seed)], pad=pad)

    return batch


def padded(dialogues: list[Dialogue], *, pad: int) -> Inputs:
    """One row for each dialogue, filled up at the right to the longest without labels."""
    longest = max(len(ids) for ids, _ in dialogues)
    ids = [ids + [pad] * (longest - len(ids)) for ids, _ in dialogues]
    labels = [labels + [IGNORED] * (longest - len(labels)) for _, labels in dialogues]
    return {"input_ids": torch.tensor(ids), "labels": torch.tensor(labels)}


def packed(dialogues: list[Dialogue], *, size: int, length: int, pad: int, seed: int) -> Batch:
    """`size` rows for each step, each with as many dialogues as fit `length`; a longer dialogue has a row to itself.

    Positions start anew with each dialogue: from that, transformers keeps their attention apart.
    """
    rows = best_fit([len(ids) for ids, _ in dialogues], length)
    rows = [rows[index] for index in np.random.default_rng([seed]).permutation(len(rows))]  # they come full ones first
    groups = [rows[start : start + size] for start in range(0, len(rows), size)]

    def batch(step: int) -> Inputs:
        chosen = [[dialogues[index] for index in row] for row in in_random_order(groups, step, seed)]
        inputs = padded([(joined(ids for ids, _ in row), joined(labels for _, labels in row)) for row in chosen], pad=pad)
        starts = [joined(range(len(ids)) for ids, _ in row) for row in chosen]
        width = inputs["input_ids"].shape[1]
        inputs["position_ids"] = torch.tensor([row + list(range(width - len(row))) for row in starts])
        return inputs

    return batch


def joined(lists: Iterable[Iterable[int]]) -> list[int]:
    """One list of all their numbers."""
    return list(chain.from_iterable(lists))


def best_fit(lengths: list[int], length: int) -> list[list[int]]:
    """Indices row by row: longest first, each into the row with the least space that still takes it."""
    rows: list[list[int]] = []
    spaces: list[tuple[int, int]] = []  # space left and row, ascending
    for index in sorted(range(len(lengths)), key=lambda index: (-lengths[index], index)):
        place = bisect_left(spaces, (lengths[index], -1))
        space, row = spaces.pop(place) if place < len(spaces) else (max(length, lengths[index]), len(rows))
        if row == len(rows):
            rows.append([])
        rows[row].append(index)
        insort(spaces, (space - lengths[index], row))
    return rows


def counted(inputs: Inputs) -> Tensor:
    """How much each row weighs in the mean loss: its labels; a preference pair is one whole, whatever its length."""
    labels = inputs["labels"]
    return (labels[:, 1:] != IGNORED).sum(1) if labels.dim() == 2 else torch.ones(len(labels))


def parts(inputs: Inputs, count: int) -> list[tuple[Inputs, float]]:
    """The rows dealt out to `count` parts, each with its share of the labels that count: the shares add up to one.

    A part's mean loss times its share, summed, is the mean over the whole. Where rows are too few a part gets one that weighs
    nothing, since every process must take part.
    """
    if count == 1:
        return [(inputs, 1.0)]
    labels = counted(inputs)
    dealt = []
    for first in range(count):
        rows = torch.arange(first, len(labels), count) if first < len(labels) else torch.tensor([0])
        share = (labels[rows].sum() / labels.sum()).item() if first < len(labels) else 0.0
        dealt.append(({name: value[rows] for name, value in inputs.items()}, share))
    return dealt


def in_random_order(groups: list[Group], step: int, seed: int) -> Group:
    """The group of a step: all of them once an epoch, each epoch in an order of its own."""
    epoch, position = divmod(step, len(groups))
    return groups[np.random.default_rng([seed, epoch]).permutation(len(groups))[position]]
