"""Measures who decides best: each decision by signal and by Llama on the same held-out cases, for the card.

Cases are JSONL, one file for each decision (`route.jsonl`, `tool.jsonl`, ...), written by `tune prepare` or by a user.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import CasesInvalid, ModelReplyInvalid
from ..retrieval.documents import Evidence
from ..settings import Settings
from . import signals
from .arguments import Embed, from_text
from .cases import decision_cases
from .evidence import Sentence, rank_sentences, support, weighed
from .metrics import f1, gain, interval
from .model import LanguageModel
from .prompts import tool_lines
from .replies import spans
from .split import split
from .words import plain, stems

METRIC = {
    "tool": "accuracy",
    "arguments": "exact_match",
    "evidence": "hit_rate@1",
    "answer": "f1",
    "decompose": "f1",
    "route": "accuracy",
}
WHOSE = ("used", "alone", "signal")
FLOOR: float = Settings.model_fields["refuse_below"].default
SHORTLIST = 5  # sentences that a run asks the Llama about


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
        if path.exists() and model.knows(decision):
            cases = decision_cases(path, decision)[:limit]
            points = []
            for number, case in enumerate(cases, 1):
                points.append(judged(decision, case, embed, model))
                if progress:
                    progress(number, len(cases), decision)
            table[decision] = {"metric": metric, "n": len(cases), **_row(points)}
    return table


def _row(cases: Sequence["Judged"]) -> dict[str, Any]:
    """Scores over all cases: the Llama as used, alone, the signal, and the gain of the first on the last."""
    used, alone, signal = ([float(points[whose]) for points in (case.points for case in cases)] for whose in WHOSE)
    scores = {"llama": interval(used), "llama_alone": interval(alone), "signal": interval(signal)}
    return scores | {"gain": gain(used, signal)}


@dataclass(frozen=True)
class Judged:
    """One case: what was decided by the Llama as a run uses it ("used"), by the Llama alone and by the signal; its points."""

    decided: dict[str, Any]
    points: dict[str, float]


def judged(decision: str, case: Mapping[str, Any], embed: Embed, model: LanguageModel) -> Judged:
    """One case, decided in the three ways. The Llama is asked once; for `evidence` once for each sentence on the shortlist."""
    if decision == "route":
        alone = _decided(lambda: _llama(decision, case, model))
        direct, small = case["expected"] == "direct", signals.is_small_talk(case["question"])
        named = "direct" if small else "not direct"
        decided = {"used": "direct" if small or alone == "direct" else "not direct", "alone": alone, "signal": named}
        points = {"used": float((decided["used"] == "direct") == direct), "signal": float(small == direct)}
        return Judged(decided, points | {"alone": _points(decision, case, alone)})
    if decision == "evidence":
        decided = _first_sentences(case, embed, model)
    elif decision == "answer":
        decided = _answers(case, embed, model)
    else:
        signal, alone = _signal(decision, case, embed), _decided(lambda: _llama(decision, case, model))
        used = signal if decision == "arguments" and signal is not None else alone
        decided = {"used": used, "alone": alone, "signal": signal}
    return Judged(decided, {whose: _points(decision, case, value) for whose, value in decided.items()})


def write_card(path: Path, table: Mapping[str, Any]) -> None:
    """Puts measured decisions into a card, beside what it already says."""
    card = json.loads(path.read_text("utf-8"))
    before = card.get("decisions", {})
    card["decisions"] = before | {decision: before.get(decision, {}) | row for decision, row in table.items()}
    path.write_text(json.dumps(card, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _decided(decide: Callable[[], Any]) -> Any:
    """What the Llama decides; None where even its second reply was not of the form."""
    try:
        return decide()
    except ModelReplyInvalid:
        return None


def _points(decision: str, case: Mapping[str, Any], decided: Any) -> float:
    """1 for right and 0 for wrong; for a decomposition the F1 of its words, for an answer that of SQuAD 2.0."""
    expected = case["expected"]
    if decision == "decompose":
        return _f1(stems(" ".join(decided or ())), stems(" ".join(expected)))
    if decision == "arguments":
        return float(_folded(decided) == _folded(expected))
    if decision == "answer":
        return f1(decided, [expected]) if decided and expected else float(decided == expected)
    return float(decided == expected)


def _llama(decision: str, case: Mapping[str, Any], model: LanguageModel) -> Any:
    """What the Llama decides alone."""
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


def _first_sentences(case: Mapping[str, Any], embed: Embed, model: LanguageModel) -> dict[str, int | None]:
    """The index of the sentence put first: among those that the signal ranks highest, which are all the Llama is asked about."""
    ranked, index = _ranked(case, embed)
    first = ranked[:SHORTLIST]
    sure = [_decided(lambda text=s.text: model.yes("evidence", question=case["question"], sentence=text)) or 0.0 for s in first]
    if not first:
        return dict.fromkeys(WHOSE)
    likeliest = first[max(range(len(first)), key=sure.__getitem__)]
    best = {"used": weighed(first, sure)[0], "alone": likeliest, "signal": first[0]}
    return {whose: index[sentence.start, sentence.end] for whose, sentence in best.items()}


def _answers(case: Mapping[str, Any], embed: Embed, model: LanguageModel) -> dict[str, str | None]:
    """The words that answer: by the signal the sentence it ranks first, where that is sure enough; by the Llama words of
    that sentence and its neighbours ("used"), or of those that the case names ("alone")."""
    ranked, index = _ranked(case, embed)
    near = index[ranked[0].start, ranked[0].end] if ranked else 0
    used = _words_of(case, near, model)
    alone = used if near == case["near"] else _words_of(case, case["near"], model)
    return {"used": used, "alone": alone, "signal": ranked[0].text if support(ranked) >= FLOOR else None}


def _words_of(case: Mapping[str, Any], near: int, model: LanguageModel) -> str | None:
    """The Llama's answer from the sentence at `near` and its neighbours."""
    text = " ".join(case["sentences"][max(0, near - 1) : near + 2])
    options = list(dict.fromkeys([*spans(text), "none"]))
    told = _decided(lambda: model.choose("answer", options, question=case["question"], text=text).value)
    return None if told == "none" else told


def _ranked(case: Mapping[str, Any], embed: Embed) -> tuple[list[Sentence], dict[tuple[int, int], int]]:
    """The sentences as the signal ranks them, and the place of each in the case."""
    passage = " ".join(case["sentences"])
    places, at = [], 0
    for sentence in case["sentences"]:
        places.append((at, at + len(sentence)))
        at += len(sentence) + 1
    evidence = [Evidence("case", "", "", 0, len(passage), passage, 0.0)]
    ranked = rank_sentences(case["question"], evidence, embed, {}, spans=places)
    return ranked, {place: number for number, place in enumerate(places)}


def _folded(value: Any) -> str:
    return " ".join(str(value if value is not None else "none").casefold().split())


def _f1(found: frozenset[str], wanted: frozenset[str]) -> float:
    both = len(found & wanted)
    return 2 * both / (len(found) + len(wanted)) if both else 0.0
