"""Route and tool without a language model: word overlap, embeddings, search scores, arguments found.

Each function is a *signal* in the sense of docs/design.md: milliseconds, no state, and a score that can be measured
beside the Llama's on the same cases. Weights were set on the development questions only.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from .arguments import Embed, Filled
from .state import Route
from .words import content, coverage, plain, stems, words

SMALL_TALK = frozenset(
    "hi hello hey greetings thanks thank you bye goodbye cheers good morning evening afternoon day there "
    "who are what can do help how nice ok okay great please".split()
)
ASKS = re.compile(
    r"^(?:so |and |but |please |hi,? |hello,? |hey,? )*(what|when|where|which|who|whose|why|how|is|are|was|were|do|does|did|"
    r"can|could|may|will|would|should|am|if)\b",
    re.I,
)
TOLD = (
    r"(?!,?\s+(?:please\s+)?(?:to\s+)?(?:tell|show|check|find|look|explain|say|list|give me|know|see|confirm|count|compute|"
    r"calculate|hear)\b)"
)
REQUESTS = re.compile(
    rf"\b(?:please|i(?:'d| would) like|i want|i need|i wish|go ahead(?: and)?|can you|could you|would you|kindly){TOLD}", re.I
)
COUNTED = re.compile(r"\bhow many\b|\b(?:count|number) of\b", re.I)
LOOSE = 0.45  # the score of a tool that no firm argument speaks for
IDENTIFIER = re.compile(r"(?=\S*\d)[\w#@.+-]*[#@_A-Za-z-][\w#@.+-]*|[\w.+-]+@[\w.-]+")
RULES = re.compile(
    r"\b(can i|could i|may i|am i|is it possible|how do i|how can i|what happens|policy|allowed|what if|"
    r"do you|are there|must i)\b",
    re.I,
)


@dataclass(frozen=True)
class Candidate:
    """A tool that may fit: what its arguments would be, how many other look-ups they take, what speaks for it, who chose it."""

    tool: Any
    filled: Filled
    score: float
    hops: int = 0
    by: str = "signal"


def shortlist(question: str, tools: Sequence[Any], embed: Embed, *, limit: int = 40) -> list[tuple[Any, float]]:
    """Tools by cosine with "name. description" plus the share of the name's words that the question says; best first."""
    if not tools:
        return []
    vectors = embed([question, *(f"{plain(tool.name)}. {tool.description.splitlines()[0]}" for tool in tools)])
    cosines = vectors[1:] @ vectors[0]
    asked = stems(question)
    scored = [
        (tool, float(cosine) + 0.3 * coverage(stems(plain(tool.name)), asked))
        for tool, cosine in zip(tools, cosines, strict=True)
    ]
    return sorted(scored, key=lambda pair: -pair[1])[:limit]


def named_tool(question: str, tools: Sequence[Mapping[str, str]], embed: Embed, *, least: float = 0.2) -> str:
    """The name of the best tool by `shortlist` alone, from names and descriptions; "none" when none scores `least`."""
    best, score = shortlist(question, [SimpleNamespace(**tool) for tool in tools], embed, limit=1)[0]
    return best.name if score >= least else "none"


def candidates(question: str, listed: Sequence[Candidate]) -> list[Candidate]:
    """The listed tools weighed by their arguments, best first.

    An argument fixed by a pattern or an existing value speaks for the tool, a missing one against it, and so does a number
    that the question names and the tool would not use. A write tool is what a person asks for, not what they ask about: a
    question about rules counts against it, and a plain wish for it.
    """
    given = frozenset().union(*(identifiers(candidate) for candidate in listed))
    weighed = []
    for candidate in listed:
        filled, score = candidate.filled, candidate.score
        score += (0.0, 0.25, 0.4)[min(filled.firm, 2)] - 0.3 * len(filled.missing) - 0.1 * candidate.hops
        if given - identifiers(candidate) and not candidate.hops:
            score -= 0.3
        if candidate.tool.writes:
            score += 0.2 if asks_for_change(question) else -0.4
        weighed.append(replace(candidate, score=score))
    if not weighed:
        return []
    weighed.sort(key=lambda candidate: -candidate.score)
    return sorted(weighed, key=lambda candidate: candidate is not _fullest(weighed))


def identifiers(candidate: Candidate) -> frozenset[str]:
    """The numbers and addresses among a tool's arguments that name one record: no document answers about them."""
    texts = (value for value in candidate.filled.arguments.values() if isinstance(value, str))
    return frozenset(text for text in texts if IDENTIFIER.fullmatch(text))


def _fullest(weighed: Sequence[Candidate]) -> Candidate:
    """The best candidate, or the look-up that comes close to it with the same arguments and returns more.

    "What was charged on order 7?" is as near to tracking an order as to showing it, and only the fuller one can answer.
    """
    best = weighed[0]
    close = [
        each
        for each in weighed
        if each.score >= best.score - 0.1
        and each.filled.arguments == best.filled.arguments
        and each.tool.writes == best.tool.writes
    ]
    return max(close, key=lambda each: len((each.tool.returns or {}).get("properties", ())))


def asks_for_change(question: str) -> bool:
    """Whether the person asks that something be done, rather than how things are or what the rules say."""
    if REQUESTS.search(question):
        return True
    return not (question.rstrip().endswith("?") or ASKS.match(question.strip()) or RULES.search(question))


def is_small_talk(question: str) -> bool:
    """A greeting, thanks, or a question about the assistant itself: nothing in it names a subject."""
    spoken = words(question)
    return len(spoken) <= 8 and all(word in SMALL_TALK or word in ("i", "a", "the", "is", "your", "name") for word in spoken)


def route(question: str, best: Candidate | None, parts: Sequence[str], documents: float) -> Route:
    """The way to an answer, from what is on offer: the best tool, the parts of the question, the best search score.

    A tool wins when all its arguments are there and one names a record, or its score beats the documents'.
    """
    if is_small_talk(question):
        return "direct"
    fitting = best if best and not best.filled.missing else None
    if fitting and (identifiers(fitting) or fitting.hops):
        return "tools"
    if fitting and fitting.filled.firm and fitting.score >= max(0.4, documents):
        return "tools"
    if len(parts) > 1:
        return "sub-questions"
    if fitting and fitting.score >= max(LOOSE, documents + 0.1):
        return "tools"
    return "documents"


def relevant(question: str, arguments: Mapping[str, Any], fields: Mapping[str, Any], embed: Embed) -> list[str]:
    """The keys of a tool's result that the question asks for, best first; all of them where it names none by its word.

    What the person gave is no news, so a field that repeats an argument is not what they ask for.
    """
    given = {str(value) for value in arguments.values()}
    news = [key for key in fields if str(fields[key]) not in given]
    said = {_singular(word) for word in content(question)}
    named = [key for key in news if {_singular(word) for word in content(plain(key))} & said]
    if COUNTED.search(question):
        named += [key for key in news if type(fields[key]) is int and key not in named]
    keys = named or news
    if not keys:
        return list(fields)
    cosines = embed([plain(key) for key in keys]) @ embed([question])[0]
    return [keys[int(i)] for i in np.argsort(-cosines)]


def _singular(word: str) -> str:
    """A noun without its plural s: "orders" asks for orders, "ordered" does not."""
    return word[:-1] if len(word) > 3 and word.endswith("s") else word
