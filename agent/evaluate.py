"""Measures who decides best: each decision by signal and by Llama on the same held-out cases, for the card.

Cases are JSONL, one file for each decision (`route.jsonl`, `tool.jsonl`, ...), written by `tune prepare` or by a user.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from math import sqrt
from pathlib import Path
from typing import Any

from ..errors import CasesInvalid, ModelReplyInvalid
from ..retrieval.documents import Evidence
from . import signals
from .arguments import Embed, from_text
from .evidence import rank_sentences, weighed
from .model import LanguageModel
from .prompts import tool_lines
from .split import split
from .words import plain, stems

Score = dict[str, float]
NEEDS = {"tool": ("tools",), "arguments": ("tool", "argument", "description"), "evidence": ("sentences",)}
METRIC = {"tool": "accuracy", "arguments": "exact_match", "evidence": "hit_rate@1", "decompose": "f1", "route": "accuracy"}


def measure(
    folder: Path,
    *,
    embed: Embed,
    model: LanguageModel,
    limit: int | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """For each decision whose file stands in the folder: the signal alone, the Llama alone, the Llama as a run uses it
    ("llama": among what the signal shortlists or leaves open), and its gain on the signal over the same cases.

    Of the route a run asks the Llama only whether anything is asked for at all (`direct`), and only that is compared: the
    rest needs the user's tools and documents. The Llama alone is scored on all four routes. Raises `CasesInvalid`.
    """
    table: dict[str, Any] = {}
    if not any((folder / f"{decision}.jsonl").exists() for decision in METRIC):
        raise CasesInvalid(folder, f"it holds none of {', '.join(f'{decision}.jsonl' for decision in METRIC)}")
    for decision, metric in METRIC.items():
        path = folder / f"{decision}.jsonl"
        if path.exists():
            cases = _cases(path, decision)[:limit]
            points = []
            for number, case in enumerate(cases, 1):
                points.append(_both(decision, case, embed, model))
                if progress:
                    progress(number, len(cases), decision)
            table[decision] = {"metric": metric, "n": len(cases), **_row(points)}
    return table


def _row(points: Sequence[tuple[float, float, float]]) -> dict[str, Any]:
    """Scores over all cases; each point is (Llama as used, Llama alone, signal)."""
    used, alone, signal = zip(*points, strict=True)
    gain = [u - s for u, s in zip(used, signal, strict=True)]
    scores = {"llama": interval(used), "llama_alone": interval(alone), "signal": interval(signal)}
    return scores | {"gain": interval(gain, share=False)}


def _both(decision: str, case: Mapping[str, Any], embed: Embed, model: LanguageModel) -> tuple[float, float, float]:
    """Points of the Llama as used, of the Llama alone, and of the signal, for one case."""
    alone = _decided(lambda: _llama(decision, case, model))
    if decision == "route":
        direct, small = case["expected"] == "direct", signals.is_small_talk(case["question"])
        return float((alone == "direct" or small) == direct), _points(decision, case, alone), float(small == direct)
    signal = _signal(decision, case, embed)
    used = alone
    if decision == "arguments" and signal is not None:
        used = signal
    if decision == "evidence":
        signal, used = _ranked(case, embed, None), _ranked(case, embed, alone)
        alone = max(range(len(alone)), key=alone.__getitem__) if alone else None
    return _points(decision, case, used), _points(decision, case, alone), _points(decision, case, signal)


def interval(points: Sequence[float], *, share: bool = True) -> Score:
    """Mean with its 95 % interval: Wilson's for right or wrong, the normal one for shares and differences."""
    n, mean = len(points), sum(points) / len(points)
    if share and set(points) <= {0.0, 1.0}:
        middle = (mean + 1.92 / n) / (1 + 3.84 / n)
        half = 1.96 * sqrt(mean * (1 - mean) / n + 0.96 / n**2) / (1 + 3.84 / n)
    else:
        middle, half = mean, 1.96 * sqrt(sum((p - mean) ** 2 for p in points) / max(1, n - 1) / n)
    return {"score": round(mean, 3), "low": round(middle - half, 3), "high": round(middle + half, 3)}


def write_card(path: Path, table: Mapping[str, Any]) -> None:
    """Puts measured decisions into a card, beside what it already says."""
    card = json.loads(path.read_text("utf-8"))
    before = card.get("decisions", {})
    card["decisions"] = before | {decision: before.get(decision, {}) | row for decision, row in table.items()}
    path.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _cases(path: Path, decision: str) -> list[dict[str, Any]]:
    """All cases of a file; each is checked before the first is measured."""
    cases = []
    for number, line in enumerate(path.read_text("utf-8", errors="replace").split("\n"), 1):
        if not line.strip():
            continue
        try:
            case = json.loads(line)
            missing = [name for name in ("question", "expected", *NEEDS.get(decision, ())) if name not in case]
        except (ValueError, TypeError) as error:
            raise CasesInvalid(path, f"line {number} is no JSON object ({error})") from None
        if missing:
            raise CasesInvalid(path, f"line {number} lacks {', '.join(missing)}")
        cases.append(case)
    if not cases:
        raise CasesInvalid(path, "it is empty")
    return cases


def _decided(decide: Callable[[], Any]) -> Any:
    """What the Llama decides; None where even its second reply was not of the form."""
    try:
        return decide()
    except ModelReplyInvalid:
        return None


def _points(decision: str, case: Mapping[str, Any], decided: Any) -> float:
    """1 for right and 0 for wrong; for a decomposition the F1 of its words."""
    expected = case["expected"]
    if decision == "decompose":
        return _f1(stems(" ".join(decided or ())), stems(" ".join(expected)))
    if decision == "arguments":
        return float(_folded(decided) == _folded(expected))
    return float(decided == expected)


def _llama(decision: str, case: Mapping[str, Any], model: LanguageModel) -> Any:
    """What the Llama decides alone; for evidence the probability of each sentence."""
    question = case["question"]
    if decision == "route":
        return model.choose("route", ("documents", "sub-questions", "tools", "direct"), question=question).value
    if decision == "tool":
        lines = tool_lines((t["name"], t["description"]) for t in case["tools"])
        named = model.choose("tool", [*(plain(t["name"]) for t in case["tools"]), "none"], question=question, tools=lines).value
        return next((t["name"] for t in case["tools"] if plain(t["name"]) == named), "none")
    if decision == "arguments":
        return model.fill(
            question,
            tool=plain(case["tool"]),
            argument=plain(case["argument"]),
            description=case["description"],
            options=(case.get("schema") or {}).get("enum"),
        ).value
    if decision == "evidence":
        return [model.yes("evidence", question=question, sentence=sentence) for sentence in case["sentences"]]
    return model.lines("decompose", limit=4, question=question).value


def _signal(decision: str, case: Mapping[str, Any], embed: Embed) -> Any:
    """What the signal decides alone."""
    question = case["question"]
    if decision == "tool":
        return signals.named_tool(question, case["tools"], embed)
    if decision == "arguments":
        found = from_text(case["argument"], case.get("schema") or {"type": "string"}, None, question, embed)
        return found[0] if found else None
    return split(question) if decision == "decompose" else None


def _ranked(case: Mapping[str, Any], embed: Embed, sure: Sequence[float] | None) -> int | None:
    """The index of the sentence ranked first, by the signal alone or together with the Llama's probabilities."""
    passage = " ".join(case["sentences"])
    places, at = [], 0
    for sentence in case["sentences"]:
        places.append((at, at + len(sentence)))
        at += len(sentence) + 1
    evidence = [Evidence("case", "", "", 0, len(passage), passage, 0.0)]
    ranked = rank_sentences(case["question"], evidence, embed, {}, spans=places)
    index = {place: number for number, place in enumerate(places)}
    if sure:
        ranked = weighed(ranked, [sure[index[s.start, s.end]] for s in ranked])
    return index[ranked[0].start, ranked[0].end] if ranked else None


def _folded(value: Any) -> str:
    return " ".join(str(value if value is not None else "none").casefold().split())


def _f1(found: frozenset[str], wanted: frozenset[str]) -> float:
    both = len(found & wanted)
    return 2 * both / (len(found) + len(wanted)) if both else 0.0
