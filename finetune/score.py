"""Scores a model with its adapter on the held-out cases, each reply decoded under the values it may take.

    python -m askfirst.finetune.score --model models/askfirst-5m --adapter decisions --heldout PREPARED/heldout

Writes `card.json` beside the adapter: the agent gives a decision to the Llama only where this card shows that it does at
least as well as the signal, whose scores another evaluation puts there.
"""

import argparse
import json
import random
import re
import tomllib
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from peft import PeftModel
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from .cases import Case, Exchange, choices, exchanges, messages, plain, read_case, reply_text
from .tokens import chat_text, token_ids

METRICS = {"route": "accuracy", "tool": "accuracy", "arguments": "accuracy", "evidence": "accuracy", "decompose": "question_f1"}
LONGEST_REPLY = 96
TOGETHER = 16


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="askfirst tune score", description="Score an adapter on held-out cases.")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--adapter", default="decisions")
    parser.add_argument("--heldout", type=Path, required=True, help="folder of <decision>.jsonl")
    parser.add_argument("--limit", type=int, help="at most so many cases of each decision, drawn at random")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(argv)
    torch.set_num_threads(options.threads)
    folder = options.model / "adapters" / options.adapter
    prompts = tomllib.loads((folder / "prompts.toml").read_text())

    # 1. The base and its adapter, merged.
    llama = Llama(options.model, folder, prompts)

    # 2. Each decision's points on its cases, beside what others have measured for these weights.
    path = folder / "card.json"
    card = {"model": options.model.name, "adapter": options.adapter, "decisions": {}}
    card |= json.loads(path.read_text()) if path.exists() else {}
    for decision, metric in METRICS.items():
        cases = list(held_out(options.heldout / f"{decision}.jsonl", decision))
        cases = random.Random(0).sample(cases, min(options.limit or len(cases), len(cases)))
        points = POINTS[decision](llama, cases)
        entry = {"llama": with_interval(points), "n": len(cases), "metric": metric, "by_source": by_source(cases, points)}
        card["decisions"][decision] = {"signal": None} | card["decisions"].get(decision, {}) | entry

    # 3. The card.
    path.write_text(json.dumps(card, indent=2) + "\n")
    for decision, entry in card["decisions"].items():
        print(decision, entry["llama"], entry["by_source"])


class Llama:
    """The merged model, asked many exchanges at a time."""

    def __init__(self, base: Path, adapter: Path, prompts: dict) -> None:
        self.prompts = prompts
        self.tokenizer = PreTrainedTokenizerFast.from_pretrained(base, padding_side="left")
        model = LlamaForCausalLM.from_pretrained(base, dtype=torch.float32)
        self.model = PeftModel.from_pretrained(model, adapter).merge_and_unload().eval()

    def values(self, asked: list[Exchange], allowed: list[list[str]]) -> list[str]:
        """The greedy reply to each, among its allowed values where there are any."""
        order = sorted(range(len(asked)), key=lambda index: len(asked[index].user))
        replies: dict[int, str] = {}
        for start in range(0, len(order), TOGETHER):
            group = order[start : start + TOGETHER]
            replies |= zip(group, self._replies([asked[i] for i in group], [allowed[i] for i in group]), strict=True)
        return [replies[index] for index in range(len(asked))]

    @torch.no_grad()
    def yes(self, asked: list[Exchange]) -> list[float]:
        """How much likelier "yes" is than "no" as the reply to each, as a difference of logits."""
        yes, no = (ids[0] for ids in token_ids(self.tokenizer, [" yes", " no"]))
        margins = []
        for start in range(0, len(asked), TOGETHER):
            inputs = self._inputs(asked[start : start + TOGETHER], begun='"')
            last = self.model(**inputs, logits_to_keep=1).logits[:, -1]
            margins += (last[:, yes] - last[:, no]).tolist()
        return margins

    def _replies(self, asked: list[Exchange], allowed: list[list[str]]) -> list[str]:
        inputs, end = self._inputs(asked), self.tokenizer.eos_token_id
        width = inputs["input_ids"].shape[1]
        tries = [self._following(values) for values in allowed if values]

        def allow(row: int, ids: torch.Tensor) -> list[int]:
            return sorted(tries[row].get(tuple(ids[width:].tolist()), {end}))

        limits = {"do_sample": False, "max_new_tokens": LONGEST_REPLY, "pad_token_id": self.tokenizer.pad_token_id}
        constraint = {"prefix_allowed_tokens_fn": allow} if all(allowed) else {}
        output = self.model.generate(**inputs, **limits, **constraint)
        return [_value(text) for text in self.tokenizer.batch_decode(output[:, width:], skip_special_tokens=True)]

    def _following(self, values: list[str]) -> dict[tuple[int, ...], set[int]]:
        """For each beginning of a reply, the tokens that may come next."""
        following: dict[tuple[int, ...], set[int]] = defaultdict(set)
        for ids in token_ids(self.tokenizer, [reply_text(value) for value in values]):
            for length, token in enumerate(ids):
                following[tuple(ids[:length])].add(token)
        return following

    def _inputs(self, asked: list[Exchange], *, begun: str = "") -> dict[str, torch.Tensor]:
        chats = [messages(one, self.prompts)[:-1] for one in asked]
        texts = [chat_text(self.tokenizer, chat, answered=False) + begun for chat in chats]
        inputs = self.tokenizer(texts, add_special_tokens=False, padding=True, return_tensors="pt")
        return {name: inputs[name] for name in ("input_ids", "attention_mask")}


def held_out(path: Path, decision: str) -> Iterator[Case]:
    """The cases of one held-out file."""
    for line in path.read_text().splitlines():
        yield read_case(decision, json.loads(line))


def choice_points(llama: Llama, cases: list[Case]) -> list[float]:
    """1 where the value is exactly the expected one."""
    asked = [next(exchanges(case, llama.prompts)) for case in cases]
    values = llama.values(asked, [choices(case) for case in cases])
    expected = [plain(case.expected) if case.decision == "tool" else case.expected or "none" for case in cases]
    return [float(value == right) for value, right in zip(values, expected, strict=True)]


def evidence_points(llama: Llama, cases: list[Case]) -> list[float]:
    """1 where the sentence likeliest to answer is the right one."""
    asked = [list(exchanges(case, llama.prompts)) for case in cases]
    margins = iter(llama.yes([one for each in asked for one in each]))
    ranked = [[next(margins) for _ in each] for each in asked]
    return [float(row.index(max(row)) == case.expected) for row, case in zip(ranked, cases, strict=True)]


def decompose_points(llama: Llama, cases: list[Case]) -> list[float]:
    """Harmonic mean of how well the expected questions are found and how well the given ones are expected, by words."""
    asked = [next(exchanges(case, llama.prompts)) for case in cases]
    values = llama.values(asked, [[] for _ in cases])
    return [question_f1(value.split("\n"), case.expected) for value, case in zip(values, cases, strict=True)]


POINTS: dict[str, Callable[[Llama, list[Case]], list[float]]] = {
    "route": choice_points,
    "tool": choice_points,
    "arguments": choice_points,
    "evidence": evidence_points,
    "decompose": decompose_points,
}


def question_f1(given: list[str], expected: list[str]) -> float:
    """1 when both lists hold the same questions in any order, 0 when they share no word."""
    recall = fmean(max(word_f1(one, other) for other in given) for one in expected)
    precision = fmean(max(word_f1(one, other) for other in expected) for one in given)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def word_f1(one: str, other: str) -> float:
    """Overlap of the sets of words, case and punctuation aside."""
    a, b = (set(re.findall(r"\w+", text.lower())) for text in (one, other))
    return 2 * len(a & b) / (len(a) + len(b)) if a and b else 0.0


def with_interval(points: list[float]) -> dict[str, float]:
    """The mean with its 95 % bootstrap interval."""
    rng = random.Random(0)
    means = sorted(fmean(rng.choices(points, k=len(points))) for _ in range(1000))
    return {"score": round(fmean(points), 4), "low": round(means[25], 4), "high": round(means[974], 4)}


def by_source(cases: list[Case], points: list[float]) -> dict[str, list[float]]:
    """Mean and number of cases of each source."""
    groups: dict[str, list[float]] = defaultdict(list)
    for case, point in zip(cases, points, strict=True):
        groups[case.source].append(point)
    return {source: [round(fmean(group), 3), len(group)] for source, group in sorted(groups.items())}


def _value(text: str) -> str:
    """What stands in the JSON string without its leading space; a reply cut off in the middle stays as it is."""
    try:
        value: Any = json.loads(text)
    except json.JSONDecodeError:
        value = text
    return str(value).removeprefix(" ")


if __name__ == "__main__":
    main()
