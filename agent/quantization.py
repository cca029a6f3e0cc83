"""What a model loses when its weights are served in fewer bits: each kind's server is asked the same, beside float32's.

`benchmarks/serving.py` prints it, and the report of a tuned adapter may. It trains nothing and needs no torch.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..settings import Settings
from .endpoint import Endpoint, Message, fetch
from .serve import Served
from .store import StoredModel

if TYPE_CHECKING:
    from .gguf import Kind

REPLY = 12  # tokens of a reply that are compared; a decision is seldom longer
BEST = 20  # alternatives of each token that the server tells
REACH = 256  # tokens before a token that its perplexity is measured with

Token = tuple[str, Mapping[str, float]]  # what was said, and the log-probabilities of the best alternatives


@dataclass(frozen=True)
class Loss:
    """One kind beside float32: its file, replies equal to float32's (share), the divergence of its next tokens from float32's
    (mean KL in nats, up to where replies part), and the perplexity of a general text."""

    kind: str
    megabytes: float
    same_replies: float
    divergence: float
    perplexity: float


def losses(
    model: StoredModel,
    settings: Settings,
    prompts: Sequence[Sequence[Message]],
    text: str,
    *,
    kinds: Sequence["Kind"] = ("f16", "q8_0", "q4_0"),
    tokens: int = 500,
) -> list[Loss]:
    """One row for float32 and for each kind, in that order; the settings' adapter is on.

    A server is started for each in turn. Costs the reading of every prompt and of `tokens` tokens of the text in each kind:
    with 300 prompts and 135M parameters about ten minutes a kind on one core.
    """
    rows, reference = [], []
    for kind in ("f32", *kinds):
        with Served(settings, replace(model, kind=kind), idle=5) as served:
            endpoint = served.endpoint()
            replies = [greedy(endpoint, prompt) for prompt in prompts]
            reference = reference or replies
            compared = list(zip(reference, replies, strict=True))
            rows.append(
                Loss(
                    kind,
                    served.files.model.stat().st_size / 1e6,
                    mean([float(said(one) == said(other)) for one, other in compared]),
                    mean([one for pair in compared for one in divergences(*pair)]),
                    math.exp(-mean(likelihoods(endpoint, text, tokens))),
                )
            )
            served.stop()
    return rows


def greedy(endpoint: Endpoint, prompt: Sequence[Message]) -> list[Token]:
    """The likeliest reply to a prompt, free of any schema, token by token."""
    told = {"messages": list(prompt), "max_tokens": REPLY, "temperature": 0, "logprobs": True, "top_logprobs": BEST}
    choice = ask(endpoint, "/v1/chat/completions", told)["choices"][0]
    return [
        (token["token"], {each["token"]: each["logprob"] for each in token["top_logprobs"]})
        for token in (choice.get("logprobs") or {}).get("content") or []
    ]


def likelihoods(endpoint: Endpoint, text: str, tokens: int) -> list[float]:
    """The log-probability of each of the text's first tokens after those before it.

    The server tells probabilities of what it says only. So each token is made the only one that it can say, by a bias that
    its probabilities do not count.
    """
    ids = ask(endpoint, "/tokenize", {"content": text})["tokens"][: tokens + 1]
    found = []
    for place in range(1, len(ids)):
        told = {"prompt": ids[max(0, place - REACH) : place], "n_predict": 1, "n_probs": 1, "temperature": 0, "id_slot": 0}
        answer = ask(endpoint, "/completion", {**told, "logit_bias": [[ids[place], 1e6]], "cache_prompt": True})
        (token,) = answer["completion_probabilities"]
        if token["id"] == ids[place]:  # a piece of a character is told with the token that ends it
            found.append(token["logprob"])
    return found


def divergences(reference: Sequence[Token], other: Sequence[Token]) -> list[float]:
    """KL of the reference's next token from the other's, up to the place where the replies part.

    Over the alternatives that both tell; what is left is one alternative more.
    """
    found = []
    for (one, expected), (two, seen) in zip(reference, other, strict=False):
        both = expected.keys() & seen.keys()
        pairs = [(math.exp(expected[token]), math.exp(seen[token])) for token in both]
        rest = tuple(max(1e-9, 1 - sum(pair[side] for pair in pairs)) for side in (0, 1))
        found.append(sum(p * math.log(p / q) for p, q in [*pairs, rest] if p > 0))
        if one != two:
            break
    return found


def said(reply: Sequence[Token]) -> str:
    """A reply's text."""
    return "".join(token for token, _ in reply)


def mean(values: Sequence[float]) -> float:
    """Not a number where there are none."""
    return sum(values) / len(values) if values else math.nan


def ask(endpoint: Endpoint, path: str, body: Mapping[str, Any]) -> Any:
    """Posts to the local server, with the adapters as the endpoint has them."""
    lora = [{"id": number, "scale": scale} for number, scale in enumerate(endpoint.scales or ())]
    told = {**body, **({"lora": lora} if lora else {})}
    return fetch(f"{endpoint.url.removesuffix('/v1')}{path}", endpoint.key, body=told, timeout=300)
