"""What a tuned adapter forgets of its base: perplexity on held-out prose, general questions, and how much free text repeats.

All of it is asked of the served model. The server tells no probability of a prompt's tokens, so each token of a text is
forced in turn after those before it, whose state the server keeps: one token decoded for each one that is measured.
"""

import json
import lzma
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from ..agent.endpoint import Endpoint, fetch
from ..agent.metrics import repetition
from ..agent.model import Model
from ..errors import ModelReplyInvalid
from .dialogues import rows, text_lines

READ, SCORED = 32, 48  # tokens of a text that are only read, and those that follow and are scored
FORCED = 1e6  # a logit's bias that leaves no choice; probabilities are told without it
FREE_TOKENS = 64


def texts(root: Path, *, least: int = 1_200) -> list[tuple[str, str]]:
    """The id and a passage out of the middle of every held-out document that is long enough."""
    with lzma.open(root / "corpus" / "heldout.jsonl.xz", "rt", encoding="utf-8") as lines:
        records = [json.loads(line) for line in lines]
    found = [(record["id"], record["text"]) for record in records if len(record["text"]) >= least]
    return [(name, text[len(text) // 3 :][:least]) for name, text in found]


def surprise(text: str, endpoint: Endpoint) -> dict[str, Any]:
    """Nats a token over `SCORED` tokens of the text, and how many of them were the likeliest next one."""

    def post(path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return fetch(endpoint.url.removesuffix("/v1") + path, endpoint.key, body=body, timeout=120)

    tokens = post("/tokenize", {"content": text, "add_special": True})["tokens"][: READ + SCORED]
    scales = endpoint.scales or ()
    places = range(READ, len(tokens))
    forced = [told(tokens[:place], tokens[place], scales, partial(post, "/completion")) for place in places]
    nats, first = zip(*filter(None, forced), strict=True)
    return {"nats": sum(nats) / len(nats), "next_token_accuracy": sum(first) / len(first), "tokens": len(nats)}


def told(
    before: Sequence[int], token: int, scales: Sequence[float], post: Callable[[dict[str, Any]], Any]
) -> tuple[float, bool] | None:
    """The surprise of a token after those before it, in nats, and whether it was the likeliest; `post` completes a body.

    None for a token that ends amid a character, or ends the text: the server tells no probability of it.
    """
    body = {
        "prompt": list(before),
        "n_predict": 1,
        "temperature": 0,
        "n_probs": 1,
        "logit_bias": [[token, FORCED]],
        "cache_prompt": True,
        "lora": [{"id": number, "scale": scale} for number, scale in enumerate(scales)],
    }
    came = post(body).get("completion_probabilities")
    if not came:
        return None
    said = came[0]
    if said["id"] != token:
        raise ModelReplyInvalid(f"the forced token {token}", str(said)[:200])
    return -said["logprob"], said["top_logprobs"][0]["id"] == token


@dataclass(frozen=True)
class Question:
    """One with options, of which one is right."""

    text: str
    options: tuple[str, ...]
    answer: str


def questions(root: Path) -> list[tuple[str, Question]]:
    """Common-sense questions of ECQA with their ids."""
    found = []
    for number, line in enumerate(text_lines(root, "flan_cot_ecqa_train.tsv")):
        asked, answer, *_ = line.rstrip("\n").split("\t")
        question, _, listed = asked.replace("\\n", "\n").partition("\nOptions:\n")
        options = tuple(option.removeprefix("- ").strip() for option in listed.split("\n"))
        if answer in options and len(options) == 5:
            found.append((f"ecqa-{number}", Question(question, options, answer)))
    return found


def general_points(asked: Question, model: Model) -> dict[str, Any]:
    """Whether the model, held to the options, chooses the right one."""
    listed = "\n".join(f"- {option}" for option in asked.options)
    try:
        chosen = model.choose("general", asked.options, question=asked.text, listed=listed).value
    except ModelReplyInvalid:
        chosen = None
    return {"accuracy": float(chosen == asked.answer), "decided": chosen}


def instructions(root: Path) -> list[tuple[str, str]]:
    """Instructions that want free text."""
    asked = [row["instruction"] for row in rows(root, "llamafactory_alpaca_en_demo") if not row["input"]]
    return [(f"alpaca-{number}", text) for number, text in enumerate(asked)]


def free_text(instruction: str, model: Model) -> dict[str, Any]:
    """What the model writes freely, and how much of it repeats."""
    try:
        said = model.write([{"role": "user", "content": instruction}], max_tokens=FREE_TOKENS).text
    except ModelReplyInvalid:
        said = ""
    return {"repetition": repetition(said), "text": said}


GENERAL: Mapping[str, Mapping[str, Any]] = {
    "general": {"system": "Answer the question with one of the options.", "user": "{question}\n\nOptions:\n{listed}"}
}
