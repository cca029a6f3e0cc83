"""Route, tool, evidence and refusal without a language model: word overlap, embeddings, search scores, arguments found.

Each function is a *signal* in the sense of docs/design.md: milliseconds, no state, and a score that can be measured
beside the Llama's on the same cases. Weights were set on the development questions and on SQuAD 2.0 passages only.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..retrieval.chunk import sentences
from ..retrieval.documents import Evidence
from .arguments import Embed, Filled
from .state import Route
from .words import content, coverage, plain, stem, stems, words

SMALL_TALK = frozenset("hi hello hey greetings thanks thank you bye goodbye cheers good morning evening afternoon day there "
                       "who are what can do help how nice ok okay great please".split())
ASKS = re.compile(r"^(?:so |and |but |please |hi,? |hello,? |hey,? )*(what|when|where|which|who|whose|why|how|is|are|was|were|do|does|did|"
                  r"can|could|may|will|would|should|am|if)\b", re.I)
REQUESTS = re.compile(r"\b(please|i(?:'d| would) like|i want|i need|i wish|go ahead|can you|could you|would you|kindly)\b", re.I)
RULES = re.compile(r"\b(can i|could i|may i|am i|is it possible|how do i|how can i|what happens|policy|allowed|what if|do you|are there|must i)\b", re.I)


@dataclass(frozen=True)
class Candidate:
    """A tool that may fit: what its arguments would be, how many other look-ups they take, what speaks for it."""

    tool: Any
    filled: Filled
    score: float
    hops: int = 0


@dataclass(frozen=True)
class Sentence:
    """A sentence of the evidence with its place in the document and its score for the question (0..1)."""

    document: str
    heading: str
    start: int
    end: int
    text: str
    score: float


def shortlist(question: str, tools: Sequence[Any], embed: Embed, *, limit: int = 6) -> list[tuple[Any, float]]:
    """Tools by cosine with "name. description" plus the share of the name's words that the question says; best first."""
    if not tools:
        return []
    vectors = embed([question, *(f"{plain(tool.name)}. {tool.description.splitlines()[0]}" for tool in tools)])
    cosines = vectors[1:] @ vectors[0]
    asked = stems(question)
    scored = [(tool, float(cosine) + 0.3 * coverage(stems(plain(tool.name)), asked)) for tool, cosine in zip(tools, cosines, strict=True)]
    return sorted(scored, key=lambda pair: -pair[1])[:limit]


def named_tool(question: str, tools: Sequence[Mapping[str, str]], embed: Embed, *, least: float = 0.2) -> str:
    """The name of the best tool by `shortlist` alone, from names and descriptions; "none" when none scores `least`."""
    best, score = shortlist(question, [SimpleNamespace(**tool) for tool in tools], embed, limit=1)[0]
    return best.name if score >= least else "none"


def candidates(question: str, listed: Sequence[Candidate]) -> list[Candidate]:
    """The listed tools weighed by their arguments, best first.

    An argument fixed by a pattern or an existing value speaks for the tool, a missing one against it. A write tool is
    what a person asks for, not what they ask about: a question about rules counts against it, and a plain wish for it.
    """
    weighed = []
    for candidate in listed:
        filled, score = candidate.filled, candidate.score
        score += 0.25 * min(filled.firm, 2) - 0.3 * len(filled.missing) - 0.1 * candidate.hops
        if candidate.tool.writes:
            score += 0.2 if asks_for_change(question) else -0.4
        weighed.append(replace(candidate, score=score))
    return sorted(weighed, key=lambda candidate: -candidate.score)


def asks_for_change(question: str) -> bool:
    """Whether the person asks that something be done, rather than how things are or what the rules say."""
    if RULES.search(question) and not REQUESTS.search(question):
        return False
    return bool(REQUESTS.search(question)) or not ASKS.match(question.strip())


def is_small_talk(question: str) -> bool:
    """A greeting, thanks, or a question about the assistant itself: nothing in it names a subject."""
    spoken = words(question)
    return len(spoken) <= 8 and all(word in SMALL_TALK or word in ("i", "a", "the", "is", "your", "name") for word in spoken)


def choose_sentences(question: str, evidence: Sequence[Evidence], embed: Embed, weights: Mapping[str, float], *, most: int = 3) -> list[Sentence]:
    """The sentences that answer best, in the order of their scores: the best one, and those that add to it.

    Score: mean of the cosine with the question (heading before the sentence) and the weighed share of the question's
    words in sentence and heading, lifted by the search score of the passage it stands in.
    """
    ranked = rank_sentences(question, evidence, embed, weights)
    chosen: list[Sentence] = []
    asked = stems(question)
    for sentence in ranked:
        seen = frozenset().union(*(stems(f"{s.heading} {s.text}") for s in chosen)) if chosen else frozenset()
        adds = (stems(sentence.text) & asked) - seen
        if not chosen or sentence.score >= chosen[0].score * (0.8 if adds else 0.88):
            chosen.append(sentence)
        if len(chosen) == most:
            break
    return chosen


def rank_sentences(question: str, evidence: Sequence[Evidence], embed: Embed, weights: Mapping[str, float], *,
                   spans: Sequence[tuple[int, int]] | None = None) -> list[Sentence]:
    """Every sentence of the evidence once, best first; `spans` names the sentences where they are known."""
    places = {(item.document, item.start + a, item.start + b): (item, item.text[a:b])
              for item in evidence for a, b in (spans or sentences(item.text)) if content(item.text[a:b])}
    if not places:
        return []
    texts = [f"{_last(item.heading)}: {text}" for item, text in places.values()]
    cosines = embed(texts) @ embed([question])[0]
    asked = stems(question)
    ranked = []
    for ((name, start, end), (item, text)), cosine, told in zip(places.items(), cosines, texts, strict=True):
        score = 0.5 * float(cosine) + 0.3 * coverage(asked, stems(told), weights) + 0.2 * item.score
        ranked.append(Sentence(name, item.heading, start, end, text, max(0.0, min(1.0, score))))
    return sorted(ranked, key=lambda sentence: -sentence.score)


def _last(heading: str) -> str:
    return heading.rsplit(" > ", 1)[-1]


def support(question: str, chosen: Sequence[Sentence], evidence: Sequence[Evidence], weights: Mapping[str, float]) -> float:
    """How sure it is that the evidence answers at all, 0..1; below `settings.refuse_below` the answer is a refusal.

    The best sentence's score, pulled down by weighty words of the question that occur nowhere in the evidence: a word that
    the whole collection lacks has the highest weight, so that a question about something foreign is refused.
    """
    if not chosen:
        return 0.0
    read = frozenset().union(*(stems(f"{item.title} {item.heading} {item.text}") for item in evidence))
    return 0.6 * chosen[0].score + 0.4 * coverage(stems(question), read, weights)


def route(question: str, best: Candidate | None, parts: Sequence[str], documents: float) -> Route:
    """The way to an answer, from what is on offer: the best tool, the parts of the question, the best search score.

    A tool wins when all its arguments are there and its score beats the documents' by what the firm arguments add.
    """
    if is_small_talk(question):
        return "direct"
    fits = best is not None and not best.filled.missing
    if fits and best.filled.firm and best.score >= max(0.55, documents):
        return "tools"
    if len(parts) > 1:
        return "sub-questions"
    if fits and best.score >= max(0.6, documents + 0.1):
        return "tools"
    return "documents"


def relevant(question: str, fields: Mapping[str, Any], embed: Embed, *, most: int = 6) -> list[str]:
    """The keys of a tool's result that the question asks for, best first; all of a small result."""
    if len(fields) <= 3:
        return list(fields)
    asked = stems(question)
    keys = list(fields)
    cosines = embed([plain(key) for key in keys]) @ embed([question])[0]
    scores = np.array([float(cosine) + 0.6 * coverage({stem(w) for w in words(plain(key))}, asked)
                       for key, cosine in zip(keys, cosines, strict=True)])
    order = [int(i) for i in np.argsort(-scores)]
    keep = [i for i in order if scores[i] >= max(0.35, 0.6 * scores[order[0]])] or order[:most]
    return [keys[i] for i in keep[:most]]
