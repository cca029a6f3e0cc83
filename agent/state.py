"""The nouns of a run: frozen values that serialise to the JSON of docs/design.md and know nothing of how they came to be."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Status = Literal["answered", "refused", "waiting", "limited"]
Route = Literal["documents", "sub-questions", "tools", "direct"]


@dataclass(frozen=True)
class Citation:
    """`text of document[start:end] == quote`, against the stored text; `score` is the evidence's."""

    document: str
    start: int
    end: int
    quote: str
    score: float


@dataclass(frozen=True)
class SubQuestion:
    """One part of a question. A failed one is kept with its status and its reason as `text`."""

    question: str
    text: str
    status: Literal["answered", "refused", "failed", "limited"]
    citations: tuple[Citation, ...] = ()


@dataclass(frozen=True)
class Step:
    """One turn of the loop: which tool was called with what, what came back, and who decided (signal or llama)."""

    number: int
    tool: str
    arguments: dict[str, Any]
    result: str | None
    error: str | None
    decided_by: dict[str, str]
    milliseconds: int


@dataclass(frozen=True)
class ProposalView:
    """A proposal as an answer shows it: what would be done, what would change, and until when it can be decided."""

    id: str
    tool: str
    arguments: dict[str, Any]
    preview: str
    digest: str
    expires: str


@dataclass(frozen=True)
class Usage:
    """What the run cost."""

    steps: int = 0
    tool_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Budget:
    """What the run may cost; reaching any one of these ends it with status `limited`."""

    steps: int
    tool_calls: int
    tokens: int
    seconds: float

    def exceeded(self, usage: Usage) -> str | None:
        """The first cap that `usage` has reached, in words, or None."""
        caps = (
            ("steps", usage.steps, self.steps),
            ("tool calls", usage.tool_calls, self.tool_calls),
            ("tokens", usage.prompt_tokens + usage.completion_tokens, self.tokens),
            ("seconds", usage.seconds, self.seconds),
        )
        return next((f"{limit:g} {name}" for name, used, limit in caps if used >= limit), None)


@dataclass(frozen=True)
class Answer:
    """What every door returns. `json()` is the contract in docs/design.md."""

    question: str
    text: str | None
    status: Status
    routes: tuple[Route, ...] = ()
    citations: tuple[Citation, ...] = ()
    sub_questions: tuple[SubQuestion, ...] = ()
    steps: tuple[Step, ...] = ()
    proposals: tuple[ProposalView, ...] = ()
    usage: Usage = field(default_factory=Usage)
    thread: str = ""
    run: str = ""

    def json(self) -> dict[str, Any]:
        """A plain dictionary, keys in the contract's order."""
        return asdict(self)


def read_answer(stored: Mapping[str, Any]) -> Answer:
    """The `Answer` whose `json()` is stored."""
    return Answer(
        **{
            **stored,
            "routes": tuple(stored["routes"]),
            "citations": _citations(stored["citations"]),
            "sub_questions": tuple(read_sub_question(part) for part in stored["sub_questions"]),
            "steps": tuple(Step(**step) for step in stored["steps"]),
            "proposals": tuple(ProposalView(**view) for view in stored["proposals"]),
            "usage": Usage(**stored["usage"]),
        }
    )


def read_step(stored: Mapping[str, Any]) -> Step:
    """The `Step` of a run's record, which keeps the tool's own value besides."""
    return Step(**{key: value for key, value in stored.items() if key != "value"})


def read_sub_question(stored: Mapping[str, Any]) -> SubQuestion:
    """The `SubQuestion` stored as plain JSON."""
    return SubQuestion(**{**stored, "citations": _citations(stored["citations"])})


def _citations(stored: Iterable[Mapping[str, Any]]) -> tuple[Citation, ...]:
    return tuple(Citation(**citation) for citation in stored)
