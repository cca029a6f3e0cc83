"""What the agent asks of a language model, what comes back, and what it costs. Knows no server and no prompt."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

from .endpoint import Message


@dataclass(frozen=True)
class Reply:
    """A parsed reply and the words it was parsed from.

    `probability` (0..1) is that of the chosen option among all options, None where the server tells no token
    probabilities. The tokens are those of all tries together.
    """

    value: Any
    text: str
    probability: float | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0


@dataclass
class Spent:
    """The tokens of all requests inside a `metered` block."""

    prompt: int = 0
    completion: int = 0

    def add(self, reply: Reply) -> None:
        """Counts one reply."""
        self.prompt += reply.prompt_tokens
        self.completion += reply.completion_tokens


_METER: ContextVar[Spent | None] = ContextVar("meter", default=None)


@contextmanager
def metered() -> Iterator[Spent]:
    """Counts what the block spends on any model, in this thread of work only."""
    spent = Spent()
    token = _METER.set(spent)
    try:
        yield spent
    finally:
        _METER.reset(token)


def counted(reply: Reply) -> Reply:
    """The reply, its tokens added to those of the `metered` block that it was asked in."""
    if spent := _METER.get():
        spent.add(reply)
    return reply


class LanguageModel(Protocol):
    """What the agent asks of a language model; `Model` and `ScriptedModel` are two of them."""

    @property
    def adapter(self) -> str | None:
        """The LoRA adapter that is asked; None for the base."""

    @property
    def card(self) -> Mapping[str, Any] | None:
        """What the model was shown to decide well; None where nothing limits it."""

    def knows(self, decision: str) -> bool:
        """Whether it can be asked for this decision."""
        ...

    def choose(self, decision: str, options: Sequence[str], **fields: str) -> Reply:
        """One of `options`."""
        ...

    def yes(self, decision: str, **fields: str) -> float:
        """The probability of yes, 0..1."""
        ...

    def fill(self, question: str, *, tool: str, argument: str, description: str, options: Sequence[str] | None = None) -> Reply:
        """An argument's value: one of `options`, else words of the question; None where it names none."""
        ...

    def lines(self, decision: str, *, limit: int, **fields: str) -> Reply:
        """At most `limit` lines of text."""
        ...

    def act(self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]], *, max_tokens: int = 512) -> Reply:
        """The next action, `{"name", "arguments"}`, a call of one of `tools`."""
        ...

    def write(self, messages: Sequence[Message], *, max_tokens: int = 256) -> Reply:
        """Free text."""
        ...

    def stream(self, messages: Sequence[Message], *, max_tokens: int = 256) -> Iterator[str]:
        """Free text, piece by piece."""
        ...

    def close(self) -> None:
        """Gives back what it opened."""
