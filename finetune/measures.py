"""What a comparison asks: each measure with its cases, who is asked, and how one case is scored.

Cases are shuffled once by the seed and taken from the front, so that a larger limit goes on where a smaller one ended.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any, TypeVar

from ..agent import delegation, dialogue, metrics
from ..agent.cases import ToolCase, decision_cases, tool_cases
from ..agent.evaluate import call_points, confirmed
from ..errors import ModelReplyInvalid
from . import bfcl, forgetting, tracking
from .sides import SIGNAL, Side, Sides

Item = TypeVar("Item")
Message = Mapping[str, Any]
Score = Callable[[Any, Side], dict[str, Any]]


@dataclass(frozen=True)
class Measure:
    """`cases` are (id, case); `sides` are asked one after another, so that the server keeps what it has read of a prompt."""

    name: str
    cases: Sequence[tuple[str, Any]]
    sides: tuple[str, ...]
    score: Score

    @property
    def ids(self) -> list[str]:
        """Of the cases, in order."""
        return [id for id, _ in self.cases]


def sampled(items: Sequence[Item], *, seed: int, limit: float) -> list[Item]:
    """So many of them, drawn at random; the first of a larger sample are those of a smaller one."""
    return random.Random(seed).sample(items, len(items))[: max(1, ceil(limit))]


def decisions(folder: Path, sides: Sides, *, seed: int, limit: float) -> list[Measure]:
    """One measure for each decision whose file stands in the folder and that the adapter has a prompt for."""
    found = []
    for decision in delegation.METRIC:
        path = folder / f"{decision}.jsonl"
        asked = tuple(side.name for side in sides.llamas if side.model and side.model.knows(decision))
        if path.exists() and asked:
            cases = [(str(case.get("id", number)), case) for number, case in enumerate(decision_cases(path, decision))]
            found.append(Measure(decision, sampled(cases, seed=seed, limit=limit), asked, _judge(decision)))
    return found


def _judge(decision: str) -> Score:
    """Signal, Llama alone and Llama as used on one case; for the measures that need it also what was decided."""

    def score(case: Mapping[str, Any], side: Side) -> dict[str, Any]:
        judged = delegation.judged(decision, case, side.embed, side.llama())
        return {"points": judged.points, "decided": judged.decided, "expected": case["expected"]}

    return score


def calls(path: Path, sides: Sides, llama: Sequence[str], *, seed: int, limit: float) -> Measure:
    """Whole calls out of dialogues; a Llama makes the decisions in `llama`, and signals the others."""
    cases = tool_cases(path)
    transactional = confirmed(cases)

    def score(case: ToolCase, side: Side) -> dict[str, Any]:
        made = _called(case.messages, case.tools, side, llama)
        points = call_points(made, case.calls, transactional)
        return {"points": points, "decided": [call.line() for call in made]}

    drawn = sampled([(case.id, case) for case in cases], seed=seed, limit=limit)
    return Measure(f"calls {_by(llama)}", drawn, tuple(side.name for side in sides.all), score)


def function_calling(path: Path, sides: Sides, llama: Sequence[str], *, seed: int, limit: float) -> list[Measure]:
    """The leaderboard's tasks, one measure for each kind."""

    def score(task: bfcl.Task, side: Side) -> dict[str, Any]:
        made = _called(task.messages, task.functions, side, llama)
        return {"points": {"accuracy": float(bfcl.matches(made, task))}, "decided": [call.line() for call in made]}

    names = tuple(side.name for side in sides.all)
    drawn = {kind: sampled(tasks, seed=seed, limit=limit) for kind, tasks in bfcl.tasks(path).items()}
    return [
        Measure(f"bfcl {kind} {_by(llama)}", [(t.id, t) for t in tasks], names, score) for kind, tasks in drawn.items() if tasks
    ]


def states(root: Path, sides: Sides, *, seed: int, limit: float) -> Measure:
    """The state of every slot after every turn of whole dialogues."""

    def score(talk: tracking.Dialogue, side: Side) -> dict[str, Any]:
        return {"frames": tracking.tracked(talk, side.embed, side.model)}

    drawn = sampled([(talk.id, talk) for talk in tracking.dialogues(root)], seed=seed, limit=limit)
    return Measure("tracking", drawn, tuple(side.name for side in sides.all), score)


def forgotten(root: Path, sides: Sides, share: Mapping[str, float], *, seed: int, limit: float) -> list[Measure]:
    """Held-out prose, general questions and free text, each asked of base and adapters."""
    names = tuple(side.name for side in sides.llamas)
    texts = sampled(forgetting.texts(root), seed=seed, limit=share["perplexity"] * limit)
    asked = sampled(forgetting.questions(root), seed=seed, limit=share["general"] * limit)
    wanted = sampled(forgetting.instructions(root), seed=seed, limit=share["free_text"] * limit)
    return [
        Measure("perplexity", texts, names, lambda text, side: forgetting.surprise(text, side.endpoint())),
        Measure("general", asked, names, lambda question, side: forgetting.general_points(question, side.llama())),
        Measure("free_text", wanted, names, lambda text, side: forgetting.free_text(text, side.llama())),
    ]


def answer_points(record: Mapping[str, Any], whose: str) -> metrics.Score:
    """The measures of one answered question by what was decided: overlap where there is an answer, both kinds of error."""
    said, expected = record["decided"][whose] or "", record["expected"]
    if expected is None:
        return {"wrong_answer_rate": float(bool(said))}
    overlap = {name: getattr(metrics, name)(said, [expected]) for name in ("exact_match", "f1", "rouge_l")}
    return overlap | {"wrong_refusal_rate": float(not said)}


def _called(
    messages: Sequence[Mapping[str, Any]], functions: Sequence[Mapping[str, Any]], side: Side, llama: Sequence[str]
) -> Any:
    """The calls that a run would make; none where the Llama gave no reply of the form."""
    try:
        return dialogue.calls(messages, functions, side.decisions(() if side.name == SIGNAL else llama))
    except ModelReplyInvalid:
        return []


def _by(llama: Sequence[str]) -> str:
    """Who decided, in the measure's name: with others deciding it is another measure."""
    return f"({', '.join(sorted(llama)) or 'signals'})"
