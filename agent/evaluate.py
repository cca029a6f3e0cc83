"""Measures who decides best: each decision by signal and by Llama on the same held-out cases, for the card.

Cases are JSONL, one file for each decision (`route.jsonl`, `tool.jsonl`, ...), written by `tune prepare` or by a user.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import sqrt
from pathlib import Path
from typing import Any

from ..errors import ModelReplyInvalid
from ..retrieval.documents import Evidence
from . import signals
from .arguments import Embed, from_text
from .model import LanguageModel
from .split import split
from .words import plain, stems

Score = dict[str, float]
METRIC = {"tool": "accuracy", "arguments": "exact_match", "evidence": "hit_rate@1", "decompose": "f1", "route": "accuracy"}


def measure(folder: Path, *, embed: Embed, model: LanguageModel, limit: int | None = None,
            progress: Callable[[int, int, str], None] | None = None) -> dict[str, Any]:
    """Score, 95 % interval and number of cases for each decision whose file stands in the folder, Llama beside signal.

    The route has no signal here: without a user's tools and documents the signal has nothing to go by.
    """
    table: dict[str, Any] = {}
    for decision, metric in METRIC.items():
        path = folder / f"{decision}.jsonl"
        if not path.exists():
            continue
        cases = list(_cases(path))[:limit]
        llama, signal = [], []
        for number, case in enumerate(cases, 1):
            llama.append(_points(decision, case, lambda case=case: _llama(decision, case, model)))
            if decision != "route":
                signal.append(_points(decision, case, lambda case=case: _signal(decision, case, embed)))
            if progress:
                progress(number, len(cases), decision)
        table[decision] = {"metric": metric, "n": len(cases), "llama": interval(llama), "signal": interval(signal) if signal else None}
    return table


def interval(points: Sequence[float]) -> Score:
    """Mean with a 95 % interval: Wilson's for right or wrong, the normal one for shares."""
    n, mean = len(points), sum(points) / len(points)
    if set(points) <= {0.0, 1.0}:
        middle = (mean + 1.92 / n) / (1 + 3.84 / n)
        half = 1.96 * sqrt(mean * (1 - mean) / n + 0.96 / n**2) / (1 + 3.84 / n)
    else:
        middle, half = mean, 1.96 * sqrt(sum((p - mean) ** 2 for p in points) / max(1, n - 1) / n)
    return {"score": round(mean, 3), "low": round(max(0.0, middle - half), 3), "high": round(min(1.0, middle + half), 3)}


def write_card(path: Path, table: Mapping[str, Any]) -> None:
    """Puts measured decisions into a card, beside what it already says."""
    card = json.loads(path.read_text("utf-8"))
    card["decisions"] = {**card.get("decisions", {}), **table}
    path.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _cases(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines if line.strip())


def _points(decision: str, case: Mapping[str, Any], decide: Callable[[], Any]) -> float:
    """1 for right and 0 for wrong; for a decomposition the F1 of its words."""
    try:
        decided = decide()
    except ModelReplyInvalid:
        return 0.0
    expected = case["expected"]
    if decision == "decompose":
        return _f1(stems(" ".join(decided)), stems(" ".join(expected)))
    if decision == "arguments":
        return float(_folded(decided) == _folded(expected))
    return float(decided == expected)


def _llama(decision: str, case: Mapping[str, Any], model: LanguageModel) -> Any:
    """What the Llama decides, under the schema it is given in a run."""
    question = case["question"]
    if decision == "route":
        return model.choose("route", ("documents", "sub-questions", "tools", "direct"), question=question).value
    if decision == "tool":
        lines = "\n".join(f"- {plain(t['name'])}: {t['description'].rstrip('.')}" for t in case["tools"])
        named = model.choose("tool", [*(plain(t["name"]) for t in case["tools"]), "none"], question=question, tools=lines).value
        return next((t["name"] for t in case["tools"] if plain(t["name"]) == named), "none")
    if decision == "arguments":
        value = model.fill(question, tool=plain(case["tool"]), argument=plain(case["argument"]), description=case["description"],
                           options=case.get("schema", {}).get("enum")).value
        return value or "none"
    if decision == "evidence":
        sure = [model.yes("evidence", question=question, sentence=sentence) for sentence in case["sentences"]]
        return max(range(len(sure)), key=lambda i: sure[i])
    return model.lines("decompose", limit=4, question=question).value


def _signal(decision: str, case: Mapping[str, Any], embed: Embed) -> Any:
    """What the signal decides."""
    question = case["question"]
    if decision == "tool":
        return signals.named_tool(question, case["tools"], embed)
    if decision == "arguments":
        found = from_text(case["argument"], case.get("schema") or {"type": "string"}, None, question, embed)
        return found[0] if found else "none"
    if decision == "evidence":
        passage = " ".join(case["sentences"])
        starts = [sum(len(s) + 1 for s in case["sentences"][:i]) for i in range(len(case["sentences"]))]
        places = [(start, start + len(s)) for start, s in zip(starts, case["sentences"], strict=True)]
        ranked = signals.rank_sentences(question, [Evidence("case", "", "", 0, len(passage), passage, 0.0)], embed, {}, spans=places)
        return next((places.index((s.start, s.end)) for s in ranked), None)
    return split(question)


def _folded(value: Any) -> str:
    return " ".join(str(value if value is not None else "none").casefold().split())


def _f1(found: frozenset[str], wanted: frozenset[str]) -> float:
    both = len(found & wanted)
    return 2 * both / (len(found) + len(wanted)) if both else 0.0
