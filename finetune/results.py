"""What came of a comparison as figures: each with its 95 % interval, each gain paired over the same cases, and the gates."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..agent import delegation, metrics
from ..agent.cases import ROUTES
from .kept import Kept, Record
from .measures import Measure, answer_points
from .sides import BASE, SIGNAL

Score = metrics.Score
Row = dict[str, Any]


class Results:
    """The measures asked so far. `keys` are those under which each side's answers are kept; `tuned` is the side reported on."""

    def __init__(self, kept: Kept, tuned: str, keys: Mapping[str, str]):
        self.tuned, self.llamas = tuned, tuple(name for name in keys if name != SIGNAL)
        self._kept, self._keys = kept, keys
        self._measures: dict[str, Measure] = {}

    def add(self, measure: Measure) -> None:
        """A measure, with those of its cases that every side has answered; without any it is no part of the results."""
        sides = [self._keys[name] for name in measure.sides]
        whole = [case for case in measure.cases if all(self._kept.get(measure.name, side, case[0]) for side in sides)]
        if whole:
            self._measures[measure.name] = replace(measure, cases=whole)

    def sizes(self) -> dict[str, int]:
        """The number of cases of each measure."""
        return {name: len(measure.cases) for name, measure in self._measures.items()}

    def digest_of(self, digest: Callable[[Sequence[str]], str]) -> str:
        """Of every result that the figures come from."""
        return digest([f"{name} {side} {self._records(name, side)}" for name, m in self._measures.items() for side in m.sides])

    def decisions(self) -> dict[str, Row]:
        """For the card: of each decision signal, base and tuned adapter on the same cases; who decides follows from `gain`."""
        table: dict[str, Row] = {}
        for name in self._decisions():
            tuned, base = (self._points(name, side) for side in (self.tuned, BASE))
            used, alone, signal = ([point[whose] for point in tuned] for whose in delegation.WHOSE)
            before = [point["alone"] for point in base]
            row: Row = {"metric": delegation.METRIC[name], "n": len(tuned), "signal": metrics.interval(signal)}
            row |= {"llama": metrics.interval(used), "llama_alone": metrics.interval(alone), "gain": metrics.gain(used, signal)}
            row |= {"base": metrics.interval(before), "base_gain": metrics.gain(alone, before)}
            table[name] = row | {"by_source": self._by_source(name)}
        return table

    def beside(self, decision: str) -> dict[str, Score]:
        """Each further adapter's score alone on a decision."""
        others = [side for side in self._measures[decision].sides if side not in (BASE, self.tuned)]
        return {side: metrics.interval([point["alone"] for point in self._points(decision, side)]) for side in others}

    def decided(self) -> list[str]:
        """The decisions that the tuned adapter makes: those whose gain on the signal is not below zero at its lower end."""
        return [name for name, row in self.decisions().items() if row["gain"]["low"] >= 0]

    def confusion(self) -> dict[str, dict[str, dict[str, int]]]:
        """For base and adapters the routing matrix of the Llama alone; rows are what is right."""
        if "route" not in self._measures:
            return {}
        table = {}
        for side in self._measures["route"].sides:
            records = self._records("route", side)
            counted = metrics.confusion((record["expected"], record["decided"]["alone"] or "none") for record in records)
            table[side] = {right: counted.get(right, {}) for right in ROUTES}
        return table

    def answers(self) -> dict[str, dict[str, Score | None]]:
        """Overlap and both kinds of error of the signal, and of each Llama as a run uses it."""
        if "answer" not in self._measures:
            return {}
        by = {SIGNAL: [answer_points(record, "signal") for record in self._records("answer", self.tuned)]}
        sides = self._measures["answer"].sides
        by |= {side: [answer_points(record, "used") for record in self._records("answer", side)] for side in sides}
        return {side: metrics.summary(points) for side, points in by.items()}

    def calls(self) -> dict[str, dict[str, dict[str, Score | None]]]:
        """Whole calls by kind of case (the beginning of its id) and side."""
        table: dict[str, dict[str, Any]] = defaultdict(dict)
        for measure in self._named("calls"):
            for side in measure.sides:
                groups: dict[str, list[Any]] = defaultdict(list)
                for record in self._records(measure.name, side):
                    groups["all"].append(record["points"])
                    groups["-".join(part for part in record["id"].split("-")[:2] if not part.isdigit())].append(record["points"])
                for group, points in groups.items():
                    table[group][side] = metrics.summary(points)
        return {group: table[group] for group in sorted(table)}

    def bfcl(self) -> dict[str, dict[str, Score | None]]:
        """The leaderboard's accuracy by kind of task and side."""
        table = {}
        for measure in self._named("bfcl"):
            shown = {side: [record["points"] for record in self._records(measure.name, side)] for side in measure.sides}
            table[measure.name.split(" ")[1]] = {side: metrics.summary(points)["accuracy"] for side, points in shown.items()}
        return table

    def tracking(self) -> dict[str, dict[str, Score]]:
        """Joint goal accuracy and intent accuracy by side, over all frames and those of services seen and unseen in training.

        The intervals are over dialogues, because the frames of one are alike.
        """
        if "tracking" not in self._measures:
            return {}
        table = {}
        for side in self._measures["tracking"].sides:
            talks = [record["frames"] for record in self._records("tracking", side)]
            kept = {"all": (True, False), "seen": (True,), "unseen": (False,)}
            groups = {name: [[f for f in talk if f["seen"] in which] for talk in talks] for name, which in kept.items()}
            rows = {f"joint_goal_accuracy {name}": _clustered(group, "joint_goal_accuracy") for name, group in groups.items()}
            rows["intent_accuracy all"] = _clustered(groups["all"], "intent_accuracy")
            table[side] = {name: score for name, score in rows.items() if score}
        return table

    def forgetting(self) -> dict[str, dict[str, Score]]:
        """Perplexity, next-token and general accuracy and repetition of base and adapters; ratio and gains against the base."""
        return {side: dict(self._forgotten(side)) for side in self.llamas if dict(self._forgotten(side))}

    def spent(self) -> dict[str, dict[str, float]]:
        """Tokens and seconds of an average case by measure, of the tuned adapter."""
        table = {}
        for name, measure in self._measures.items():
            records = self._records(name, self.tuned) if self.tuned in measure.sides else []
            if records:
                keys = ("prompt_tokens", "completion_tokens", "seconds")
                table[name] = {key: sum(record[key] for record in records) / len(records) for key in keys}
        return table

    def gates(self, wanted: Mapping[str, float]) -> list[Row]:
        """Each threshold with what was measured; one whose measure is missing is not passed, for nothing was shown."""
        lost, rows = self.forgetting().get(self.tuned, {}), self.decisions()
        calls = self.calls().get("all", {}).get(self.tuned, {})
        unasked = calls.get("unconfirmed_rate")
        own = [rows[name]["base_gain"]["low"] for name in self.decided()]
        found: list[tuple[str, float | None, str]] = [
            ("perplexity_ratio", _value(lost.get("perplexity_ratio")), "<="),
            ("general_loss", _least(lost.get("accuracy_gain"), "high", -1), "<="),
            ("repetition_gain", _least(lost.get("repetition_gain"), "low", 1), "<="),
            ("base_gain", min(own, default=None), ">="),
            ("decided", float(len(own)), ">="),
            ("cases", float(min((row["n"] for row in rows.values()), default=0)), ">="),
        ]
        if calls:
            found.append(("unconfirmed", unasked["score"] if unasked else 0.0, "<="))
        return [_gate(name, value, sign, wanted[name]) for name, value, sign in found]

    def _forgotten(self, side: str) -> Iterator[tuple[str, Score]]:
        if nats := self._column("perplexity", side, "nats"):
            before = self._column("perplexity", BASE, "nats")
            yield "perplexity", _exponential(metrics.interval(nats, share=False))
            more = [after - without for after, without in zip(nats, before, strict=True)]
            yield "perplexity_ratio", _exponential(metrics.interval(more, share=False))
            yield "next_token_accuracy", metrics.interval(self._column("perplexity", side, "next_token_accuracy"), share=False)
        for measure, name in (("general", "accuracy"), ("free_text", "repetition")):
            if points := self._column(measure, side, name):
                yield name, metrics.interval(points)
                yield f"{name}_gain", metrics.gain(points, self._column(measure, BASE, name))

    def _decisions(self) -> list[str]:
        return [name for name in delegation.METRIC if name in self._measures and self.tuned in self._measures[name].sides]

    def _named(self, kind: str) -> list[Measure]:
        return [measure for name, measure in self._measures.items() if name.split(" ")[0] == kind]

    def _records(self, measure: str, side: str) -> list[Record]:
        return list(self._kept.of(measure, self._keys[side], self._measures[measure].ids))

    def _points(self, measure: str, side: str) -> list[dict[str, float]]:
        return [record["points"] for record in self._records(measure, side)]

    def _column(self, measure: str, side: str, name: str) -> list[float]:
        return [record[name] for record in self._records(measure, side)] if measure in self._measures else []

    def _by_source(self, decision: str) -> dict[str, list[float]]:
        """Mean of the tuned adapter alone and number of cases, by the beginning of the ids."""
        groups: dict[str, list[float]] = defaultdict(list)
        for record in self._records(decision, self.tuned):
            groups[record["id"].rsplit("-", 1)[0]].append(record["points"]["alone"])
        return {source: [round(sum(group) / len(group), 3), len(group)] for source, group in sorted(groups.items())}


def _clustered(talks: Sequence[Sequence[Mapping[str, float]]], name: str) -> Score | None:
    """The mean over all frames, with an interval from the spread of the dialogues' sums (a ratio of means)."""
    talks = [talk for talk in talks if talk]
    frames = sum(map(len, talks))
    if not frames:
        return None
    mean = sum(frame[name] for talk in talks for frame in talk) / frames
    off = [sum(frame[name] - mean for frame in talk) for talk in talks]
    half = 1.96 * math.sqrt(sum(each**2 for each in off) * len(talks) / max(1, len(talks) - 1)) / frames
    return {"score": round(mean, 3), "low": round(max(0.0, mean - half), 3), "high": round(min(1.0, mean + half), 3), "n": frames}


def _exponential(score: Score) -> Score:
    return {name: round(math.exp(value), 3) for name, value in score.items()}


def _value(score: Score | None) -> float | None:
    return score["score"] if score else None


def _least(gain: Score | None, end: str, sign: int) -> float | None:
    """How much worse it surely is: the end of the interval that is nearer to no change."""
    return None if gain is None else sign * gain[end] + 0.0


def _gate(name: str, value: float | None, sign: str, wanted: float) -> Row:
    passed = value is not None and (value <= wanted if sign == "<=" else value >= wanted)
    return {"name": name, "value": value, "wanted": f"{sign} {wanted:g}", "passed": passed}
