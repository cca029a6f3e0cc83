"""The measures of evaluations by their standard names, and each one's 95 % interval. Pure functions; nothing is asked here."""

import re
import string
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from typing import Any

from .words import stem

Score = dict[str, Any]
ARTICLES = re.compile(r"\b(?:a|an|the)\b")
TOKEN = re.compile(r"[a-z0-9]+")


def interval(points: Sequence[float], *, share: bool = True) -> Score:
    """Mean with its 95 % interval: Wilson's for right or wrong, the normal one for shares (kept to 0..1) and differences."""
    n, mean = len(points), sum(points) / len(points)
    if share and set(points) <= {0.0, 1.0}:
        middle = (mean + 1.92 / n) / (1 + 3.84 / n)
        half = 1.96 * sqrt(mean * (1 - mean) / n + 0.96 / n**2) / (1 + 3.84 / n)
    else:
        middle, half = mean, 1.96 * sqrt(sum((p - mean) ** 2 for p in points) / max(1, n - 1) / n)
    low, high = (max(0.0, middle - half), min(1.0, middle + half)) if share else (middle - half, middle + half)
    return {"score": round(mean, 3), "low": round(low, 3) + 0.0, "high": round(high, 3)}  # + 0.0: no -0.0


def gain(points: Sequence[float], before: Sequence[float]) -> Score:
    """The paired difference of points (0..1) over the same cases, with Agresti and Min's interval for matched pairs.

    It counts half a case more for each way in which a pair can come out, so that few cases without any difference prove
    nothing; the plain interval would have no width then.
    """
    changes = [new - old for new, old in zip(points, before, strict=True)]
    n, total = len(changes) + 2, sum(changes)
    half = 1.96 * sqrt(sum(change**2 for change in changes) + 1 - total**2 / n) / n
    score, low, high = total / len(changes), total / n - half, total / n + half
    return {"score": round(score, 3) + 0.0, "low": round(low, 3) + 0.0, "high": round(high, 3) + 0.0}


def summary(points: Iterable[Mapping[str, float | None]]) -> dict[str, Score | None]:
    """Each measure over the cases that it applies to (None: it does not), with their number; None where there are none."""
    columns: dict[str, list[float]] = {}
    for row in points:
        for name, value in row.items():
            columns.setdefault(name, []).extend([] if value is None else [float(value)])
    return {name: interval(values) | {"n": len(values)} if values else None for name, values in columns.items()}


def confusion(pairs: Iterable[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """How often each expected label (outer) was decided as each label (inner)."""
    counted = Counter(pairs)
    labels = sorted({label for pair in counted for label in pair})
    return {expected: {decided: counted[expected, decided] for decided in labels} for expected in labels}


def squad_words(text: str) -> list[str]:
    """The words as SQuAD's evaluation compares them: lower case, without punctuation and articles."""
    plain = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return ARTICLES.sub(" ", plain).split()


def exact_match(text: str, answers: Sequence[str]) -> float:
    """1 when the text is one of the answers, by SQuAD's words."""
    return float(any(squad_words(text) == squad_words(answer) for answer in answers))


def f1(text: str, answers: Sequence[str]) -> float:
    """SQuAD's F1 of the words, with the nearest of the answers."""
    return max((_f1(squad_words(text), squad_words(answer)) for answer in answers), default=0.0)


def rouge_l(text: str, answers: Sequence[str]) -> float:
    """ROUGE-L's F measure with the nearest answer, as the package `rouge-score` defines it with its Porter stemmer.

    The stemmer here is Snowball's English one, which treats a few words otherwise.
    """
    given = _rouge_tokens(text)
    return max((_rouge(given, _rouge_tokens(answer)) for answer in answers), default=0.0)


def says(text: str, answers: Sequence[str]) -> float:
    """1 when one of the answers stands in the text, word for word by SQuAD's words."""
    said = f" {' '.join(squad_words(text))} "
    return float(any(f" {' '.join(squad_words(answer))} " in said for answer in answers))


def repetition(text: str, *, length: int = 4) -> float:
    """The share of word 4-grams that stood before in the same text (seq-rep-4 of Welleck et al. 2020); 0 for short texts."""
    words = text.split()
    runs = [tuple(words[i : i + length]) for i in range(len(words) - length + 1)]
    return 1 - len(set(runs)) / len(runs) if runs else 0.0


def _f1(found: Sequence[str], wanted: Sequence[str]) -> float:
    if not found or not wanted:
        return float(list(found) == list(wanted))
    return _harmonic(sum((Counter(found) & Counter(wanted)).values()), len(found), len(wanted))


def _rouge(found: Sequence[str], wanted: Sequence[str]) -> float:
    return _harmonic(_common(found, wanted), len(found), len(wanted)) if found and wanted else 0.0


def _harmonic(both: int, found: int, wanted: int) -> float:
    """F1 of so many in both out of so many found and wanted."""
    return 2 * both / (found + wanted)


def _common(left: Sequence[str], right: Sequence[str]) -> int:
    """The length of the longest common subsequence."""
    row = [0] * (len(right) + 1)
    for one in left:
        before = 0
        for place, other in enumerate(right, 1):
            row[place], before = (before + 1 if one == other else max(row[place], row[place - 1])), row[place]
    return row[-1]


def _rouge_tokens(text: str) -> list[str]:
    """Runs of letters and digits in lower case; words longer than three letters by their stem."""
    return [stem(word) if len(word) > 3 else word for word in TOKEN.findall(text.lower())]
