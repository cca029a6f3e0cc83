"""The noun of training: a `Case` is one decision with its right outcome, and how it is put to the Llama and read back.

It knows the prompts and nothing of where cases come from or what is trained on them.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROMPTS = Path(__file__).with_name("prompts.toml")
ROUTES = ("documents", "sub-questions", "tools", "direct")
LONGEST_SPAN = 8
EDGES = ".,;:!?\"'()[]"
ANY_TEXT = {"type": "string"}  # one for all: there are half a million cases

DECISIONS = ("route", "tool", "arguments", "evidence", "answer", "decompose")
# What a held-out line of each decision holds beside its id and what is expected.
FIELDS = {
    "route": ("question",),
    "tool": ("question", "tools"),
    "arguments": ("question", "tool", "argument", "description", "schema"),
    "evidence": ("question", "sentences"),
    "answer": ("question", "sentences", "near"),
    "decompose": ("question",),
}


@dataclass(frozen=True)
class Tool:
    """Name and description as the data has them; only the prompt turns the name into plain words."""

    name: str
    description: str


@dataclass(frozen=True, slots=True)
class Case:
    """`expected` is a route, a tool's name or "none", a value or None, a sentence's index (-1: none answers), or questions.

    For an answer `near` is the index of the sentence that holds it, or would. A `held` case is only ever scored, never
    trained on.
    """

    decision: str
    source: str
    question: str
    expected: Any
    tools: tuple[Tool, ...] = ()
    tool: str = ""
    argument: str = ""
    description: str = ""
    schema: dict = field(default_factory=lambda: ANY_TEXT, hash=False)
    sentences: tuple[str, ...] = ()
    near: int = 0
    held: bool = False

    def as_line(self, number: int) -> dict:
        """One held-out JSON line; the id begins with the source, so scores can be split by it."""
        line: dict[str, Any] = {"id": f"{self.source}-{number}"}
        line |= {name: getattr(self, name) for name in FIELDS[self.decision]}
        if self.decision == "tool":
            line["tools"] = [vars(tool) for tool in self.tools]
        return line | {"expected": self.expected}


@dataclass(frozen=True)
class Exchange:
    """One question to the Llama and the reply that is right."""

    decision: str
    user: str
    reply: str


def read_case(decision: str, line: dict) -> Case:
    """The inverse of `as_line`."""
    values = {name: line[name] for name in FIELDS[decision]}
    if "tools" in values:
        values["tools"] = tuple(Tool(**tool) for tool in values["tools"])
    if "sentences" in values:
        values["sentences"] = tuple(values["sentences"])
    return Case(decision, line["id"].rsplit("-", 1)[0], expected=line["expected"], **values)


def exchanges(case: Case, prompts: dict) -> Iterator[Exchange]:
    """One exchange for a case; for evidence one for each sentence, in order."""
    for user, value in _asked(case, **prompts[case.decision]):
        yield Exchange(case.decision, user, reply_text(value))


def messages(exchange: Exchange, prompts: dict) -> list[dict]:
    """The exchange in chat form, the right reply last."""
    return [
        {"role": "system", "content": prompts[exchange.decision]["system"]},
        {"role": "user", "content": exchange.user},
        {"role": "assistant", "content": exchange.reply},
    ]


def reply_text(value: str) -> str:
    """A JSON string that begins with a space, so that its tokens are those the value has inside a sentence."""
    return json.dumps(f" {value}", ensure_ascii=False)


def choices(case: Case) -> list[str]:
    """All values the Llama may reply with; empty where any text is allowed (decompose)."""
    if case.decision == "route":
        return list(ROUTES)
    if case.decision == "tool":
        return [plain(tool.name) for tool in case.tools] + ["none"]
    if case.decision in ("arguments", "answer"):
        said = case.question if case.decision == "arguments" else window(case)
        return list(dict.fromkeys([*spans(said), "none"]))
    return ["yes", "no"] if case.decision == "evidence" else []


def window(case: Case) -> str:
    """The sentence nearest to the question with its neighbours: as much as an answer is read from."""
    return " ".join(case.sentences[max(0, case.near - 1) : case.near + 2])


def spans(question: str) -> Iterator[str]:
    """Every run of one to eight words as it stands in the question, without punctuation at its ends."""
    words = [match.span() for match in re.finditer(r"\S+", question)]
    for first, (start, _) in enumerate(words):
        for _, end in words[first : first + LONGEST_SPAN]:
            if span := question[start:end].strip(EDGES):
                yield span


def plain(name: str) -> str:
    """`get_order`, `getOrder` and `GetOrder` all become `get order`."""
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return " ".join(re.split(r"[\s_\-./]+", split)).lower().strip()


def first_sentence(text: str) -> str:
    """Up to the first full stop, without it; descriptions of tools are often paragraphs."""
    return re.split(r"(?<=[^.])\.(?:\s|$)|\n", text.strip(), maxsplit=1)[0]


def _asked(case: Case, user: str, line: str = "", **_: str) -> Iterator[tuple[str, str]]:
    """The filled template with the right value; `line` formats each tool that is listed."""
    if case.decision == "evidence":
        for index, sentence in enumerate(case.sentences):
            yield user.format(question=case.question, sentence=sentence), "yes" if index == case.expected else "no"
    elif case.decision == "answer":
        yield user.format(question=case.question, text=window(case)), case.expected or "none"
    elif case.decision == "tool":
        lines = [line.format(name=plain(tool.name), description=first_sentence(tool.description)) for tool in case.tools]
        yield user.format(question=case.question, tools="\n".join(lines)), plain(case.expected)
    elif case.decision == "arguments":
        asked = {"tool": plain(case.tool), "argument": plain(case.argument), "description": first_sentence(case.description)}
        yield user.format(question=case.question, **asked), case.expected or "none"
    elif case.decision == "decompose":
        yield user.format(question=case.question), "\n".join(case.expected)
    else:
        yield user.format(question=case.question), case.expected
