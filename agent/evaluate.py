"""Measures the product as it is used, on any file of the forms in docs/design.md: routing, tools, answers, refusal.

Signals and Llama decide as the adapter's card says. Which of the two is better at what is measured in agent/delegation.py.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ModelReplyInvalid
from ..retrieval.documents import Evidence
from . import metrics, signals
from .arguments import Sources
from .cases import AnswerCase, Call, RouteCase, ToolCase, answer_cases, route_cases, tool_cases
from .compose import from_documents
from .dialogue import calls
from .means import Means
from .state import Route
from .wording import MARK
from .words import coverage, stems

PASSAGES = 8  # of those given, as many are read as a search returns
Point = dict[str, float | None]
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Scored:
    """One case: what was decided beside what is right, and its points (None: the measure does not apply)."""

    id: str
    expected: Any
    decided: Any
    points: Point
    label: tuple[str, str] | None = None

    def line(self) -> dict[str, Any]:
        """As `--out` keeps it."""
        return {"id": self.id, "expected": self.expected, "decided": self.decided, **self.points}


def evaluate(
    kind: str,
    path: Path,
    means: Means,
    *,
    collection: str,
    limit: int | None = None,
    out: Path | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """The measures of `kind` ("routing", "tools", "answers", "refusal") over the file's first `limit` cases, each with its
    95 % interval and the number of cases that it is over. `out` gets one JSON line a case. Raises `CasesInvalid`.
    """
    began = time.monotonic()
    read, score = KINDS[kind]
    cases = read(path)[:limit]
    transactional = confirmed(cases) if kind == "tools" else frozenset()
    scored = []
    with out.open("w", encoding="utf-8") if out else nullcontext() as kept:
        for number, case in enumerate(cases, 1):
            scored.append(score(case, means, collection, transactional))
            if kept:
                kept.write(json.dumps(scored[-1].line(), ensure_ascii=False, default=str) + "\n")
            if progress:
                progress(number, len(cases), scored[-1].id)
    table = metrics.summary(one.points for one in scored)
    if kind == "refusal":
        table = {name: table[name] for name in ("accuracy", "wrong_answer_rate", "wrong_refusal_rate")}
    labels = [one.label for one in scored if one.label]
    matrix = {"confusion": metrics.confusion(labels)} if labels else {}
    seconds = round(time.monotonic() - began, 1)
    return {"kind": kind, "n": len(cases), **table, **matrix, "decided_by": dict(means.decisions.who), "seconds": seconds}


def confirmed(cases: Sequence[ToolCase]) -> frozenset[str]:
    """The functions that any case of a file wants confirmed: calling one is a transaction wherever it happens."""
    return frozenset(call.name for case in cases for call in case.calls if call.confirm)


def _routed(case: RouteCase, means: Means, collection: str, _: frozenset[str]) -> Scored:
    """The route of one question. What the house holds settles it where it can; else the Llama's word or the signal's."""
    decided = route_of(case.question, means, collection)
    right = float(decided == case.route)
    return Scored(case.id, case.route, decided, {"accuracy": right}, (case.route, decided))


def route_of(question: str, means: Means, collection: str) -> Route:
    """Which way a question is meant to go.

    A file of questions names neither documents nor tools, and what it asks for may not be here. So a tool that is here and
    fits, several parts and small talk settle it as in a run; of the rest the Llama is asked all four ways, where it decides
    the route, and without it the rest goes to the documents.
    """
    from .decisions import ROUTES

    decisions = means.decisions
    evidence = means.search(question, collection)
    with means.database.connection() as connection:
        sources = Sources(question, connection=connection, embed=decisions.embed)
        goal = decisions.goal(question, list(means.registry), sources)
    route = signals.route(question, goal, decisions.parts(question), evidence[0].score if evidence else 0.0)
    if route != "documents" or decisions.who["route"] != "llama":
        return route
    try:
        return means.model().choose("route", ROUTES, question=question).value
    except ModelReplyInvalid:
        return route


def _called(case: ToolCase, means: Means, _: str, transactional: frozenset[str]) -> Scored:
    """The calls of one case; none where the model gave no reply of the form."""
    try:
        made = calls(case.messages, case.tools, means.decisions)
    except ModelReplyInvalid:
        made = []
    points = call_points(made, case.calls, transactional)
    return Scored(case.id, [call.line() for call in case.calls], [call.line() for call in made], points)


def _answered(case: AnswerCase, means: Means, collection: str, _: frozenset[str]) -> Scored:
    """The answer to one question from its passages or the collection. Overlap is measured where there is an answer."""
    if case.passages is None:
        evidence, reader = means.search(case.question, collection), means
    else:
        evidence, reader = passages_as_evidence(case, means), Given(**vars(means))
    text, status, citations = from_documents(case.question, evidence, collection, reader)
    refused = status == "refused"
    said = "" if refused else MARK.sub("", text).strip()
    texts = {item.document: item for item in evidence}
    stands = all(any(item.document == c.document and c.quote in item.text for item in evidence) for c in citations)
    points: Point = dict.fromkeys(("exact_match", "f1", "rouge_l", "answer_in_text", "support_rate"))
    points |= {"accuracy": float(refused != bool(case.answers)), "wrong_answer_rate": None, "wrong_refusal_rate": None}
    if not refused:
        points["support_rate"] = float(bool(citations) and stands and bool(texts))
    if case.answers:
        points |= {"wrong_refusal_rate": float(refused), "exact_match": metrics.exact_match(said, case.answers)}
        points |= {"f1": metrics.f1(said, case.answers), "rouge_l": metrics.rouge_l(said, case.answers)}
        points["answer_in_text"] = metrics.says(said, case.answers)
    else:
        points["wrong_answer_rate"] = float(not refused)
    return Scored(case.id, list(case.answers), None if refused else text, points)


class Given(Means):
    """Means for passages that are in no collection: no word weighs more than another."""

    def weights(self, question: str, collection: str) -> dict[str, float]:
        """None is known."""
        return {}


def passages_as_evidence(case: AnswerCase, means: Means) -> list[Evidence]:
    """The best of the given passages, scored as a search scores: half by meaning, half by shared words."""
    texts = case.passages or ()
    if not texts:
        return []
    vectors = means.decisions.embed([case.question, *(text for _, text in texts)])
    asked = stems(case.question)
    found = []
    for (name, text), cosine in zip(texts, vectors[1:] @ vectors[0], strict=True):
        score = (max(0.0, float(cosine)) + coverage(asked, stems(text))) / 2
        found.append(Evidence(name, "", "", 0, len(text), text, min(1.0, score)))
    return sorted(found, key=lambda item: -item.score)[:PASSAGES]


def call_points(made: Sequence[Call], wanted: Sequence[Call], transactional: frozenset[str]) -> Point:
    """The points of the calls made beside those wanted, in any order. A call is unasked when no person would have seen it before.

    `unconfirmed_rate` is over the calls made of transactional functions (right or wrong), `needless_confirm_rate` over those
    made of the others.
    """
    names = Counter(call.name for call in made) == Counter(call.name for call in wanted)
    left, pairs = list(wanted), []
    for call in made if names else ():
        nearest = max((each for each in left if each.name == call.name), key=lambda each: sum(_arguments_right(call, each)))
        left.remove(nearest)
        pairs.append((call, nearest))
    return {
        "name_accuracy": float(names),
        "call_exact_match": float(names and all(same_call(one, other) for one, other in pairs)),
        "argument_accuracy": _share([share for one, other in pairs for share in _arguments_right(one, other)]),
        "no_call_accuracy": None if wanted else float(not made),
        "call_rate": float(bool(made)) if wanted else None,
        "unconfirmed_rate": _share([not call.confirm for call in made if call.name in transactional]),
        "needless_confirm_rate": _share([call.confirm for call in made if call.name not in transactional]),
    }


def same_call(made: Call, wanted: Call) -> bool:
    """The same function with the same arguments, or with other values that are accepted for them."""
    return made.name == wanted.name and all(_arguments_right(made, wanted))


def same_arguments(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """The same names with the same values; case, surrounding space and the form of a number aside."""
    return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())


def same(one: Any, other: Any) -> bool:
    """Whether two values say the same: 5 is 5.0 and "5", "San Jose" is "san jose"; lists in order, objects by their keys."""
    if isinstance(one, dict) and isinstance(other, dict):
        return same_arguments(one, other)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return _folded(one) == _folded(other)


def _folded(value: Any) -> str:
    text = " ".join(str(value).casefold().split())
    try:
        return f"{float(text):g}"
    except ValueError:
        return text


def _arguments_right(made: Call, wanted: Call) -> list[bool]:
    """For each argument that either has, whether both have it alike."""
    both = made.arguments.keys() & wanted.arguments.keys()

    def right(name: str) -> bool:
        return any(same(made.arguments[name], value) for value in (wanted.arguments[name], *wanted.accepted.get(name, ())))

    return [name in both and right(name) for name in made.arguments.keys() | wanted.arguments.keys()]


def _share(right: Sequence[bool]) -> float | None:
    return sum(right) / len(right) if right else None


KINDS: dict[str, tuple[Callable[[Path], Any], Callable[[Any, Means, str, frozenset[str]], Scored]]] = {
    "routing": (route_cases, _routed),
    "tools": (tool_cases, _called),
    "answers": (answer_cases, _answered),
    "refusal": (answer_cases, _answered),
}
