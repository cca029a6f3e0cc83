"""The forms of reply that a Llama is held to, and the reading of what came back: schemas, grammars, spans, probabilities.

Pure functions over text; nothing here talks to a server. Whatever does not fit raises `ValueError`, `KeyError` or `TypeError`,
which agent/model.py turns into a second try.
"""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

LONGEST_SPAN = 8  # words of one argument, as in training
MOST_SPANS = 12_000  # llguidance takes 10,000 options in 0.1 s
MOST_PORTABLE = 500  # OpenAI refuses enums of more than 1,000 values; others grow slow
EDGES = ".,;:!?\"'()[]"
# No white space but what `json.dumps` writes; keywords that the grammar cannot hold are left to the reader.
GUIDANCE = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": ", "lenient": True}


def spans(question: str) -> list[str]:
    """Every run of up to eight words as it stands in the question, without punctuation at its ends, each once.

    Runs get shorter where a very long question would give more than `MOST_SPANS` of them.
    """
    words = [match.span() for match in re.finditer(r"\S+", question)]
    longest = max(1, min(LONGEST_SPAN, MOST_SPANS // max(1, len(words))))
    runs = (question[start:end].strip(EDGES) for i, (start, _) in enumerate(words) for _, end in words[i : i + longest])
    return [run for run in dict.fromkeys(runs) if run][:MOST_SPANS]


def grammar(schema: Mapping[str, Any]) -> str:
    """The schema as llama.cpp's llguidance reads it."""
    return "%llguidance {}\nstart: %json " + json.dumps({"x-guidance": GUIDANCE, **schema}, ensure_ascii=False)


def portable(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """The schema for any server: an enumeration too long for most of them becomes any text, which the reader then checks."""
    return {"type": "string"} if len(schema.get("enum", ())) > MOST_PORTABLE else schema


def lines_schema(limit: int, *, one_string: bool) -> dict[str, Any]:
    """A list of lines, or all of them in one string as a tuned adapter learned to write them."""
    if one_string:
        return {"type": "string", "minLength": 1, "maxLength": 120 * limit}
    line = {"type": "string", "minLength": 1, "maxLength": 200}
    return {"type": "array", "items": line, "minItems": 1, "maxItems": limit}


def read_lines(value: str | list[str]) -> tuple[str, ...]:
    """The lines of either form, stripped, each once."""
    found = value.splitlines() if isinstance(value, str) else value
    lines = tuple(dict.fromkeys(line.strip() for line in found if line.strip()))
    if not lines:
        raise ValueError("no line")
    return lines


def action_schema(functions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Exactly one of the functions, with arguments of its own schema; definitions they refer to stand at the root."""
    definitions: dict[str, Any] = {}
    calls = []
    for function in functions:
        name = function["name"]
        arguments = json.loads(json.dumps(function["parameters"]).replace('"#/$defs/', f'"#/$defs/{name}.'))
        definitions |= {f"{name}.{key}": value for key, value in arguments.pop("$defs", {}).items()}
        properties = {"name": {"const": name}, "arguments": {"additionalProperties": False, **arguments}}
        calls.append(
            {"type": "object", "properties": properties, "required": ["name", "arguments"], "additionalProperties": False}
        )
    return {"anyOf": calls, **({"$defs": definitions} if definitions else {})}


def read_action(value: Any, functions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """`{"name", "arguments"}` of a function that is on offer; its arguments are validated where the tool is known."""
    if value["name"] not in {function["name"] for function in functions} or not isinstance(value["arguments"], dict):
        raise ValueError("no call of a tool on offer")
    return {"name": value["name"], "arguments": value["arguments"]}


def described(functions: Sequence[Mapping[str, Any]]) -> str:
    """The functions as a system message lists them."""
    return "\n".join(f"- {f['name']}: {f.get('description', '')} Arguments: {json.dumps(f['parameters'])}" for f in functions)


def probability(tokens: Sequence[Mapping[str, Any]], options: Sequence[str], text: str) -> float | None:
    """How probable the option that `text` is was among all `options`, from the tokens' alternatives; None without them.

    At each token, the mass of those alternatives that begin an option is one: what a grammar does to the distribution.
    An option beyond the server's best twenty alternatives counts as impossible.
    """
    written = [json.dumps(option, ensure_ascii=False).encode() for option in options]
    said, done, sure = text.strip().encode(), b"", 1.0
    for token in tokens:
        piece = _bytes(token)
        if not done and not piece.strip():
            continue
        if len(done) >= len(said) or not piece:
            break
        shares = {_bytes(other): math.exp(other["logprob"]) for other in [*token["top_logprobs"], token]}
        open_mass = sum(share for other, share in shares.items() if other and _begins(done + other, written))
        sure *= shares[piece] / open_mass if open_mass else 1.0
        done += piece
    return sure if tokens else None


def _bytes(token: Mapping[str, Any]) -> bytes:
    return bytes(token["bytes"]) if token.get("bytes") is not None else token["token"].encode()


def _begins(text: bytes, written: Sequence[bytes]) -> bool:
    return any(option.startswith(text) for option in written)
