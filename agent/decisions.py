"""Who decides, and the decisions themselves: each one made by a signal or by the Llama, as its card proves.

A `Decisions` is made once per assistant. It changes nothing and calls no tool: it only says what to do next.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from ..errors import ModelReplyInvalid
from ..retrieval.decompose import decompose
from ..retrieval.documents import Evidence
from ..settings import Decider, Decision, Settings
from . import signals
from .arguments import Ask, Embed, Sources, fill
from .evidence import Sentence, choose_sentences, rank_sentences, support, weighed
from .model import LanguageModel, Reply
from .prompts import tool_lines
from .replies import spans
from .signals import Candidate
from .split import split
from .state import Route
from .words import plain, stem, words

ROUTES: tuple[Route, ...] = get_args(Route)
SHORTLIST = 6  # tools that the Llama chooses among
COMPLETED = 3  # tools nearest to the question for which the Llama is asked what is missing
IDENTIFIERS = {"id", "ids", "number", "key", "code"}  # what a look-up may bring; a choice of the person's is never looked up


def deciders(card: Mapping[str, Any] | None, settings: Settings) -> dict[Decision, Decider]:
    """Who makes each decision: the setting where there is one, else the Llama where its card proves it at least as good.

    Proved: over the same held-out cases its gain on the signal is not below zero at the lower end of the 95 % interval. A
    model without a card (any larger Llama behind a URL) decides everything.
    """

    def proved(decision: Decision) -> Decider:
        if card is None:
            return "llama"
        gain = (card["decisions"].get(decision) or {}).get("gain")
        return "llama" if gain and gain["low"] >= 0 else "signal"

    return {decision: settings.decide.get(decision, proved(decision)) for decision in get_args(Decision)}


@dataclass(frozen=True)
class Plan:
    """What a run will do: its route, the tool it is after, the parts of the question, and who decided each."""

    route: Route
    goal: Candidate | None
    parts: tuple[str, ...]
    decided_by: dict[str, str]


@dataclass(frozen=True)
class Decisions:
    """The decisions of one assistant. `model` is opened at the first decision that is the Llama's.

    `free` is a model that no card binds: it chooses each next action itself (react.py), and nothing here is asked.
    """

    who: Mapping[Decision, Decider]
    embed: Embed
    model: Callable[[], LanguageModel]
    free: bool = False

    def plan(
        self,
        question: str,
        tools: Sequence[Any],
        sources: Sources,
        documents: float,
        *,
        forced: Route | None = None,
        parts: Sequence[str] = (),
    ) -> Plan:
        """The route of a question and what it needs. `documents` is the best search score, which a tool has to beat."""
        goal = self.goal(question, tools, sources)
        parts = parts or self.parts(question)
        route, by = (forced, "person") if forced else self._route(question, goal, parts, documents)
        if route == "tools" and goal is None:
            route = "documents"
        who = {"route": by, "tool": goal.by if goal else self.who["tool"]}
        return Plan(route, goal, tuple(parts), who)

    def _route(self, question: str, goal: Candidate | None, parts: Sequence[str], documents: float) -> tuple[Route, Decider]:
        """The signal's route and who decided. Where no tool settles it, the Llama says whether anything is asked for at all.

        Between documents and tools the signal decides, because only it knows which documents and tools there are.
        """
        route = signals.route(question, goal, parts, documents)
        if self.who["route"] != "llama" or route in ("tools", "direct"):
            return route, "signal"
        return ("direct" if self._choose("route", ROUTES, question=question) == "direct" else route), "llama"

    def goal(self, question: str, tools: Sequence[Any], sources: Sources) -> Candidate | None:
        """The tool that the question is after, its arguments filled as far as the sources and other look-ups go."""
        listed = [self.reach(tool, score, tools, sources) for tool, score in signals.shortlist(question, tools, self.embed)]
        found = signals.candidates(question, listed)
        if self.who["arguments"] == "llama" and found and (found[0].filled.missing or not found[0].filled.firm):
            told = [self._completed(candidate, sources) for candidate in listed[:COMPLETED]]
            found = signals.candidates(question, [*told, *listed[COMPLETED:]])
        # An order's number or a sum that only one tool takes settles it; the Llama is asked where names and meanings must.
        if self.who["tool"] == "llama" and len(found) > 1 and not found[0].filled.firm:
            found = self._named(question, found[:SHORTLIST])
        return found[0] if found else None

    def _completed(self, candidate: Candidate, sources: Sources) -> Candidate:
        """A tool with the arguments that only the Llama reads out of the words."""
        if not candidate.filled.missing:
            return candidate
        filled = fill(candidate.tool, replace(sources, ask=self._ask(sources.text)))
        return candidate if filled.missing else replace(candidate, filled=filled)

    def _named(self, question: str, found: Sequence[Candidate]) -> list[Candidate]:
        """The one of the candidates that the Llama names; none where it says so."""
        lines = tool_lines((c.tool.name, c.tool.description) for c in found)
        named = self._choose("tool", [*(plain(c.tool.name) for c in found), "none"], question=question, tools=lines)
        return [replace(candidate, by="llama") for candidate in found if plain(candidate.tool.name) == named]

    def reach(self, tool: Any, score: float, tools: Sequence[Any], sources: Sources) -> Candidate:
        """A tool with its arguments; those that other look-ups can bring count as found, and as hops."""
        filled = fill(tool, sources)
        brought = {name: found for name in filled.missing if (found := self.producer(name, tools, sources, but=(tool.name,)))}
        missing = tuple(name for name in filled.missing if name not in brought)
        firm = filled.firm + sum(found.filled.firm for found in brought.values())
        return Candidate(tool, replace(filled, missing=missing, firm=firm), score, hops=len(brought))

    def producer(
        self, argument: str, tools: Sequence[Any], sources: Sources, *, but: Sequence[str], depth: int = 2
    ) -> Candidate | None:
        """A look-up whose result holds `argument` and whose own arguments are there or can be brought in turn."""
        if not set(plain(argument).split()) & IDENTIFIERS:
            return None
        for tool in tools:
            if tool.writes or tool.name in but or not _returns(tool, argument):
                continue
            filled = fill(tool, sources)
            if filled.arguments and not filled.missing and (filled.firm or "result" in filled.by.values()):
                return Candidate(tool, filled, 0.0)
            if depth > 1 and filled.missing:
                deeper = [self.producer(name, tools, sources, but=(*but, tool.name), depth=depth - 1) for name in filled.missing]
                if all(deeper):
                    return deeper[0]
        return None

    def next_call(self, goal: Any, tools: Sequence[Any], sources: Sources, called: Sequence[str]) -> Candidate:
        """The call that brings the goal nearer: the goal itself once its arguments are there, else a look-up not yet made.

        When no look-up can bring what is missing, the goal with what is there: the tool's own refusal then says what it needs.
        """
        filled = fill(goal, sources)
        found = (self.producer(name, tools, sources, but=(goal.name, *called)) for name in filled.missing)
        look_up = next((candidate for candidate in found if candidate), None)
        if look_up:
            return look_up
        if filled.missing and self.who["arguments"] == "llama":
            filled = fill(goal, replace(sources, ask=self._ask(sources.text)))
        return Candidate(goal, filled, 1.0)

    def parts(self, question: str) -> list[str]:
        """The sub-questions of a question; itself alone when it is a single one."""
        if self.who["decompose"] == "llama":
            told = self._told(lambda: self.model().lines("decompose", limit=4, question=question))
            return list(decompose(question, propose=lambda asked: told or split(asked)))
        return list(decompose(question, propose=split))

    def sentences(
        self, question: str, evidence: Sequence[Evidence], weights: Mapping[str, float], *, floor: float
    ) -> tuple[list[Sentence], float]:
        """The sentences that answer, best first, and how sure it is that they do; none below `floor`.

        The Llama, where it decides, ranks anew the five that the signal ranks highest.
        """
        ranked = rank_sentences(question, evidence, self.embed, weights)
        sure = support(ranked)
        if self.who["refusal"] == "llama" and ranked:
            sure = max(self._yes(question, sentence) for sentence in ranked[:5])
        if sure < floor:
            return [], sure
        if self.who["evidence"] == "llama":
            first = ranked[:5]
            ranked = [*weighed(first, [self._yes(question, sentence) for sentence in first]), *ranked[5:]]
        return choose_sentences(ranked, question), sure

    def _yes(self, question: str, sentence: Sentence) -> float:
        """The Llama's probability that a sentence answers; an even chance where it gave no reply of the form."""
        try:
            return self.model().yes("evidence", question=question, sentence=sentence.text)
        except ModelReplyInvalid:
            return 0.5

    def _choose(self, decision: str, options: Sequence[str], **fields: str) -> Any | None:
        """The Llama's choice among the options."""
        return self._told(lambda: self.model().choose(decision, options, **fields))

    def _ask(self, question: str) -> Ask:
        """Asks the Llama for one argument: one of its choices, else words of the question that no other argument has taken."""

        def ask(tool: Any, name: str, schema: Mapping[str, Any], choices: Sequence[str] | None, found: Mapping[str, Any]) -> Any:
            if schema.get("type", "string") != "string":
                return None
            taken = [value for value in found.values() if isinstance(value, str)]
            free = [span for span in spans(question) if not any(span in value or value in span for value in taken)]
            meaning = schema.get("description", plain(name))
            fields = {"tool": plain(tool.name), "argument": plain(name), "description": meaning}
            return self._told(lambda: self.model().fill(question, options=choices or schema.get("enum") or free, **fields))

        return ask

    def _told(self, ask: Callable[[], Reply]) -> Any | None:
        """The value of a reply; None where even the second try was not of the form: then the signal's decision stands."""
        try:
            return ask().value
        except ModelReplyInvalid:
            return None


def _returns(tool: Any, argument: str) -> bool:
    """Whether the tool's result schema has a key of the argument's name, at any depth."""
    wanted = {stem(part) for part in words(plain(argument))}

    def holds(schema: Any) -> bool:
        if isinstance(schema, dict):
            keys = schema.get("properties", {})
            return any({stem(p) for p in words(plain(key))} == wanted for key in keys) or any(holds(v) for v in schema.values())
        return isinstance(schema, list) and any(holds(v) for v in schema)

    return holds(tool.returns)
