"""The evaluation files of docs/design.md as values: every line is checked before the first case is measured.

Whatever is wrong with a file is one `CasesInvalid` that names the file, the line and the fault.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, get_args

from ..errors import CasesInvalid
from .state import Route

ROUTES: tuple[Route, ...] = get_args(Route)
NEEDS = {"tool": ("tools",), "arguments": ("tool", "argument", "description"), "evidence": ("sentences",)}
NEEDS["answer"] = ("sentences", "near")
Line = Mapping[str, Any]


@dataclass(frozen=True)
class RouteCase:
    """A question and the route that is right for it."""

    id: str
    question: str
    route: Route


@dataclass(frozen=True)
class Call:
    """A call; `confirm` says that a person is to be asked before it is made, `accepted` which other values are right too."""

    name: str
    arguments: dict[str, Any]
    confirm: bool = False
    accepted: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def line(self) -> dict[str, Any]:
        """As results keep it."""
        return {"name": self.name, "arguments": self.arguments, "confirm": self.confirm}


@dataclass(frozen=True)
class ToolCase:
    """A dialogue, the functions on offer and the calls that are right after its last turn; none where no call is."""

    id: str
    messages: tuple[Mapping[str, Any], ...]
    tools: tuple[Mapping[str, Any], ...]
    calls: tuple[Call, ...]


@dataclass(frozen=True)
class AnswerCase:
    """A question with its right answers; none where refusing is right. `passages` is None where a collection is searched."""

    id: str
    question: str
    passages: tuple[tuple[str, str], ...] | None
    answers: tuple[str, ...]


def route_cases(path: Path) -> list[RouteCase]:
    """JSONL of {"id", "question", "route"}."""

    def read(line: Line) -> RouteCase:
        if _text(line, "route") not in ROUTES:
            raise ValueError(f"'route' is {line['route']!r}, not one of {', '.join(ROUTES)}")
        return RouteCase(_id(line), _text(line, "question"), line["route"])

    return _read(path, read)


def tool_cases(path: Path) -> list[ToolCase]:
    """JSONL of {"id", "messages", "tools", "calls"}; a tool is a function schema, bare or under "function"."""

    def read(line: Line) -> ToolCase:
        messages = _list(line, "messages", needs=("role",))
        if not any(message["role"] == "user" and message.get("content") for message in messages):
            raise ValueError("'messages' holds no words of a user")
        tools = [_function(tool) for tool in _list(line, "tools")]
        if len({tool["name"] for tool in tools}) < len(tools):
            raise ValueError("'tools' names a function twice")
        calls = [_call(call) for call in _list(line, "calls", needs=("name",))]
        return ToolCase(_id(line), tuple(messages), tuple(tools), tuple(calls))

    return _read(path, read)


def answer_cases(path: Path) -> list[AnswerCase]:
    """JSONL of {"id", "question", "passages", "answers"}; "passages" may be left out."""

    def read(line: Line) -> AnswerCase:
        answers = _list(line, "answers", kind=str)
        passages = None
        if line.get("passages") is not None:
            given = _list(line, "passages", needs=("id", "text"))
            passages = tuple((str(passage["id"]), str(passage["text"])) for passage in given)
        return AnswerCase(_id(line), _text(line, "question"), passages, tuple(answers))

    return _read(path, read)


def decision_cases(path: Path, decision: str) -> list[dict[str, Any]]:
    """JSONL of one decision's cases, as `tune prepare` writes them."""

    def read(line: Line) -> dict[str, Any]:
        missing = [name for name in ("question", "expected", *NEEDS.get(decision, ())) if name not in line]
        if missing:
            raise ValueError(f"it lacks {', '.join(missing)}")
        return dict(line)

    return _read(path, read)


Case = TypeVar("Case")


def _read(path: Path, read: Callable[[Line], Case]) -> list[Case]:
    """Every line as a case; an id stands for one case only, so that results can be told apart."""
    cases: list[Case] = []
    seen: dict[Any, int] = {}
    for number, line in _lines(path):
        try:
            case = read(line)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise CasesInvalid(path, f"line {number}: {error}") from None
        if (first := seen.setdefault(getattr(case, "id", number), number)) != number:
            raise CasesInvalid(path, f"line {number} has the id of line {first}")
        cases.append(case)
    if not cases:
        raise CasesInvalid(path, "it is empty")
    return cases


def _lines(path: Path) -> Iterator[tuple[int, Line]]:
    for number, text in enumerate(path.read_text("utf-8-sig", errors="replace").split("\n"), 1):
        if text.strip():
            try:
                line = json.loads(text)
            except ValueError as error:
                raise CasesInvalid(path, f"line {number} is no JSON object ({error})") from None
            if not isinstance(line, dict):
                raise CasesInvalid(path, f"line {number} is no JSON object")
            yield number, line


def _id(line: Line) -> str:
    if isinstance(line.get("id"), bool) or not isinstance(line.get("id"), str | int):
        raise ValueError("'id' is missing, or neither text nor a whole number")
    return str(line["id"])


def _text(line: Line, name: str) -> str:
    if not isinstance(line.get(name), str) or not line[name].strip():
        raise ValueError(f"'{name}' is missing, or no text")
    return line[name]


def _list(line: Line, name: str, *, kind: type = dict, needs: Sequence[str] = ()) -> list[Any]:
    found = line.get(name)
    if not isinstance(found, list) or not all(isinstance(each, kind) for each in found):
        raise ValueError(f"'{name}' is missing, or no list of {'texts' if kind is str else 'objects'}")
    for each in found:
        if missing := [need for need in needs if need not in each]:
            raise ValueError(f"'{name}' holds one without {', '.join(missing)}")
    return found


def _function(tool: Line) -> Line:
    """The function's schema with what may be left out: description and parameters."""
    function = tool.get("function", tool)
    parameters = function.get("parameters") or {}
    if not isinstance(parameters.get("properties", {}), dict):
        raise ValueError(f"the parameters of {function.get('name')!r} are no JSON Schema of an object")
    return {**function, "name": _text(function, "name"), "parameters": {"properties": {}, **parameters}}


def _call(call: Line) -> Call:
    arguments = call.get("arguments", {})
    arguments = json.loads(arguments) if isinstance(arguments, str) else arguments
    if not isinstance(arguments, dict):
        raise ValueError(f"the arguments of {call['name']!r} are no object")
    accepted = call.get("accepted", {})
    if not isinstance(accepted, dict) or not all(isinstance(values, list) for values in accepted.values()):
        raise ValueError(f"'accepted' of {call['name']!r} is no object of lists")
    return Call(_text(call, "name"), arguments, bool(call.get("confirm")), accepted)
