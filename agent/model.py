"""The one client of the served Llama: asks, decodes under a JSON schema, and parses each reply to a type at once.

It does not know who decides what (agent/decisions.py), how a request travels (agent/endpoint.py) nor how a server comes up
(agent/serve.py).
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..errors import ModelReplyInvalid
from .endpoint import Connection, Endpoint, Message
from .language import LanguageModel, Reply, Spent, counted, metered
from .prompts import DECISIONS, Prompts
from .replies import action_schema, described, lines_schema, probability, read_action, read_lines, spans

__all__ = ["LanguageModel", "Model", "Reply", "ScriptedModel", "Spent", "metered"]


class Model:
    """A served Llama. Nothing is started or imported before the first question; may be used by several threads.

    Every method raises `ModelDown` when the server does not answer, after asking once for a new endpoint, and
    `ModelReplyInvalid` when the second try is not of the wanted form either.
    """

    def __init__(
        self,
        locate: Callable[[], Endpoint],
        *,
        adapter: str | None = None,
        card: Mapping[str, Any] | None = None,
        prompts: Prompts | None = None,
        timeout: float = 60,
        release: Callable[[], None] | None = None,
    ):
        """`locate` tells where the model answers, and may start it; `release` gives back what it opened."""
        self.adapter, self.card = adapter, card
        self._prompts, self._release = prompts or DECISIONS, release
        self._connection = Connection(locate, timeout=timeout)

    @classmethod
    def connect(
        cls,
        url: str,
        *,
        name: str,
        key: str,
        adapter: str | None = None,
        card: Mapping[str, Any] | None = None,
        prompts: Prompts | None = None,
        timeout: float = 60,
    ) -> "Model":
        """A model behind any OpenAI-compatible URL; there (vLLM) an adapter goes by the name of a model of its own."""
        endpoint = Endpoint(url, key, adapter or name)
        return cls(lambda: endpoint, adapter=adapter, card=card, prompts=prompts, timeout=timeout)

    def __enter__(self) -> "Model":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives back the connection and its use of the server."""
        self._connection.close()
        if self._release:
            self._release()

    def knows(self, decision: str) -> bool:
        """Whether there is a prompt for the decision: an adapter tuned before one was thought of has none."""
        return decision in self._prompts

    def choose(self, decision: str, options: Sequence[str], **fields: str) -> Reply:
        """One of `options`, in the words given, with its probability among them."""
        written, meant = [self._space(decision) + option for option in options], {option.strip(): option for option in options}
        limit = max(len(json.dumps(option)) for option in written) + 16
        schema = {"type": "string", "enum": written}
        return self._parsed(self._messages(decision, fields), schema, lambda value: meant[value.strip()], limit, written)

    def yes(self, decision: str, **fields: str) -> float:
        """The probability of yes (0..1), which ranks what it is asked of; 0 or 1 where the server tells no probabilities."""
        reply = self.choose(decision, ("yes", "no"), **fields)
        sure = 1.0 if reply.probability is None else reply.probability
        return sure if reply.value == "yes" else 1.0 - sure

    def fill(self, question: str, *, tool: str, argument: str, description: str, options: Sequence[str] | None = None) -> Reply:
        """One argument's value: one of `options`, else words of the question as they stand there; None where it names none."""
        allowed = [*(spans(question) if options is None else options), "none"]
        fields = {"question": question, "tool": tool, "argument": argument, "description": description}
        reply = self.choose("arguments", list(dict.fromkeys(allowed)), **fields)
        return replace(reply, value=None if reply.value == "none" else reply.value)

    def lines(self, decision: str, *, limit: int, **fields: str) -> Reply:
        """A list of at most `limit` different lines of text. A tuned adapter writes them into one string, as it learned to."""
        schema = lines_schema(limit, one_string=bool(self._space(decision)))
        return self._parsed(self._messages(decision, fields), schema, lambda value: read_lines(value)[:limit], 120 * limit)

    def act(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]], *, max_tokens: int = 512) -> Reply:
        """The next action, `{"name", "arguments"}`: exactly one of `tools` (OpenAI function schemas, `answer` among them).

        They are described at the end of the system message, because native tool calls do not force a call everywhere.
        """
        functions = [tool.get("function", tool) for tool in tools]
        system = {"role": "system", "content": f"{messages[0]['content']}\n\nTools:\n{described(functions)}"}
        schema = action_schema(functions)
        return self._parsed([system, *messages[1:]], schema, lambda value: read_action(value, functions), max_tokens)

    def write(self, messages: Sequence[Message], *, max_tokens: int = 256) -> Reply:
        """Free text; `value` and `text` are the same."""
        return self._ask(messages, max_tokens=max_tokens)

    def stream(self, messages: Sequence[Message], *, max_tokens: int = 256) -> Iterator[str]:
        """Free text, piece by piece as it is decoded."""
        for piece in self._connection.stream(messages, max_tokens=max_tokens):
            if usage := piece.usage_metadata:
                counted(Reply(None, "", None, usage["input_tokens"], usage["output_tokens"]))
            if piece.text:
                yield str(piece.text)

    def _messages(self, decision: str, fields: Mapping[str, str]) -> list[Message]:
        prompt = self._prompts[decision]
        return [{"role": "system", "content": prompt["system"]}, {"role": "user", "content": prompt["user"].format(**fields)}]

    def _space(self, decision: str) -> str:
        """What a tuned adapter's values begin with: inside a sentence words begin with a space, so they are copied whole."""
        return " " if self._prompts[decision].get("leading_space") else ""

    def _parsed(
        self,
        messages: Sequence[Message],
        schema: Mapping[str, Any],
        parse: Callable[[Any], Any],
        limit: int,
        options: Sequence[str] = (),
    ) -> Reply:
        """The reply parsed; a reply of the wrong form is shown to the model once, with the form that is wanted."""
        first = self._ask(messages, schema=schema, max_tokens=limit, options=options)
        if (read := _read(first, parse)) is not None:
            return read
        wanted = f"JSON of this schema: {json.dumps(schema)[:2000]}"
        told = [{"role": "assistant", "content": first.text}, {"role": "user", "content": f"Reply with {wanted}"}]
        second = self._ask([*messages, *told], schema=schema, max_tokens=limit, options=options, before=first)
        if (read := _read(second, parse)) is None:
            raise ModelReplyInvalid(wanted[:200], second.text)
        return read

    def _ask(
        self,
        messages: Sequence[Message],
        *,
        max_tokens: int,
        schema: Mapping[str, Any] | None = None,
        options: Sequence[str] = (),
        before: Reply | None = None,
    ) -> Reply:
        """The reply as it came, its value still the text; tokens spent on the try before it are added."""
        message = self._connection.complete(messages, max_tokens=max_tokens, schema=schema, probabilities=bool(options))
        text, usage = str(message.text), message.usage_metadata or {}
        tokens = (message.response_metadata.get("logprobs") or {}).get("content") or []
        sure, sizes = probability(tokens, options, text), (usage.get("input_tokens", 0), usage.get("output_tokens", 0))
        reply = counted(Reply(text, text, sure, *sizes))
        if before is None:
            return reply
        return replace(
            reply,
            prompt_tokens=reply.prompt_tokens + before.prompt_tokens,
            completion_tokens=reply.completion_tokens + before.completion_tokens,
        )


class ScriptedModel:
    """A `LanguageModel` for tests: each call takes the next enqueued value and is recorded in `asked`.

        model = ScriptedModel("tools", "get order", "W1")
        model.choose("route", ("documents", "tools"), question="Where is W1?").value    # "tools"

    It raises when a value is no possible reply to what was asked, and when it runs dry.
    """

    def __init__(self, *values: Any, adapter: str | None = None, card: Mapping[str, Any] | None = None):
        self.adapter, self.card = adapter, card
        self.asked: list[tuple[str, Mapping[str, Any]]] = []
        self._values = list(values)

    def script(self, *values: Any) -> None:
        """Replies instead of those that are left."""
        self._values = list(values)

    def enqueue(self, *values: Any) -> None:
        """Further replies, given after those already there."""
        self._values.extend(values)

    def knows(self, decision: str) -> bool:
        """It can be scripted for any."""
        return True

    def choose(self, decision: str, options: Sequence[str], **fields: str) -> Reply:
        """The next value, which must be one of `options`."""
        return self._next(decision, {"options": tuple(options), **fields}, allowed=options)

    def yes(self, decision: str, **fields: str) -> float:
        """The next value, a number."""
        return float(self._next(decision, fields).value)

    def fill(self, question: str, *, tool: str, argument: str, description: str, options: Sequence[str] | None = None) -> Reply:
        """The next value, which must be one of `options`, words of the question, or None."""
        fields = {"question": question, "tool": tool, "argument": argument, "description": description, "options": options}
        return self._next("arguments", fields, allowed=[*(spans(question) if options is None else options), None])

    def lines(self, decision: str, *, limit: int, **fields: str) -> Reply:
        """The next value, a list of lines."""
        return self._next(decision, {"limit": limit, **fields})

    def act(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]], *, max_tokens: int = 512) -> Reply:
        """The next value, which must be a call of one of `tools`."""
        reply = self._next("act", {"messages": list(messages), "tools": list(tools)})
        read_action(reply.value, [tool.get("function", tool) for tool in tools])
        return reply

    def write(self, messages: Sequence[Message], *, max_tokens: int = 256) -> Reply:
        """The next value, a text."""
        return self._next("write", {"messages": list(messages)})

    def stream(self, messages: Sequence[Message], *, max_tokens: int = 256) -> Iterator[str]:
        """The next value, a text, word by word."""
        yield from re.findall(r"\S+\s*", self._next("stream", {"messages": list(messages)}).text)

    def close(self) -> None:
        """Holds nothing open."""

    def _next(self, asked: str, fields: Mapping[str, Any], *, allowed: Sequence[Any] | None = None) -> Reply:
        self.asked.append((asked, fields))
        if not self._values:
            raise AssertionError(f"ScriptedModel has no reply left for '{asked}' with {fields}. Enqueue one more.")
        value = self._values.pop(0)
        if allowed is not None and value not in allowed:
            raise AssertionError(f"ScriptedModel was to reply {value!r} to '{asked}', which allows {list(allowed)[:20]}.")
        text = value if isinstance(value, str) else json.dumps(value)
        return counted(Reply(value, text, prompt_tokens=1, completion_tokens=1))


def _read(reply: Reply, parse: Callable[[Any], Any]) -> Reply | None:
    """The reply with its parsed value; None when it is not of the form."""
    try:
        return replace(reply, value=parse(json.loads(reply.text)))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
