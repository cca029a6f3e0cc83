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
LEANS = re.compile(
    r"(?:no other|otherwise|it|its|they|their|this|that|these|those|such|then|there|he|she|also|however|both|"
    r"in (?:that|this) case|the (?:same|latter|former|other))\b",
    re.I,
)
RULES = re.compile(
    r"\b(can i|could i|may i|am i|is it possible|how do i|how can i|what happens|policy|allowed|what if|"
    r"do you|are there|must i)\b",
    re.I,
)


@dataclass(frozen=True)
class Candidate:
    """A tool that may fit: what its arguments would be, how many other look-ups they take, what speaks for it."""

    tool: Any
    filled: Filled
    score: float
    hops: int = 0


@dataclass(frozen=True)
class Sentence:
    """A sentence of the evidence with its place in the document; `score` ranks it, `support` says how sure it answers."""

    document: str
    heading: str
    start: int
    end: int
    text: str
    score: float
    support: float


def shortlist(question: str, tools: Sequence[Any], embed: Embed, *, limit: int = 6) -> list[tuple[Any, float]]:
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

    An argument fixed by a pattern or an existing value speaks for the tool, a missing one against it. A write tool is
    what a person asks for, not what they ask about: a question about rules counts against it, and a plain wish for it.
    """
    weighed = []
    for candidate in listed:
        filled, score = candidate.filled, candidate.score
        score += (0.0, 0.25, 0.35)[min(filled.firm, 2)] - 0.3 * len(filled.missing) - 0.1 * candidate.hops
        if candidate.tool.writes:
            score += 0.2 if asks_for_change(question) else -0.4
        weighed.append(replace(candidate, score=score))
    if not weighed:
        return []
    weighed.sort(key=lambda candidate: -candidate.score)
    return sorted(weighed, key=lambda candidate: candidate is not _fullest(weighed))


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


def choose_sentences(ranked: Sequence[Sentence], question: str, *, most: int = 3) -> list[Sentence]:
    """The best sentence, and those that come close: closer still when they add no further word of the question.

    One that leans on the sentence before it ("It ...", "No other ...") brings that one along.
    """
    chosen: list[Sentence] = []
    asked, said = stems(question), frozenset[str]()
    for sentence in ranked[: 2 * most]:
        adds = (stems(sentence.text) & asked) - said
        if not chosen or sentence.score >= chosen[0].score * (0.78 if adds else 0.85):
            chosen.append(sentence)
            said |= stems(f"{sentence.heading} {sentence.text}")
        if len(chosen) == most:
            break
    before = [_before(sentence, ranked) for sentence in chosen if LEANS.match(sentence.text)]
    return [*chosen, *(each for each in before if each and each not in chosen)]


def _before(sentence: Sentence, ranked: Sequence[Sentence]) -> Sentence | None:
    """The sentence right before this one in its document: what "No other ..." or "It ..." speaks of."""
    earlier = [each for each in ranked if each.document == sentence.document and each.end <= sentence.start]
    return max(earlier, key=lambda each: each.end, default=None)


def rank_sentences(
    question: str,
    evidence: Sequence[Evidence],
    embed: Embed,
    weights: Mapping[str, float],
    *,
    spans: Sequence[tuple[int, int]] | None = None,
) -> list[Sentence]:
    """Every sentence of the evidence once, best first; `spans` names the sentences where they are known.

    Score: cosine with the question (heading before the sentence), the weighed share of the question's words in sentence
    and heading, and the search score of the passage, 6 : 2.5 : 1.5.
    """
    places = {
        (item.document, item.start + a, item.start + b): (item, item.text[a:b])
        for item in evidence
        for a, b in (spans or sentences(item.text))
        if content(item.text[a:b])
    }
    if not places:
        return []
    texts = [f"{_last(item.heading)}: {text}" for item, text in places.values()]
    vectors = embed([question, *texts])
    cosines = vectors[1:] @ vectors[0]
    asked = stems(question)
    ranked = []
    for ((name, start, end), (item, text)), cosine, told in zip(places.items(), cosines, texts, strict=True):
        shared = coverage(asked, stems(told), weights)
        score = 0.6 * float(cosine) + 0.25 * shared + 0.15 * item.score
        sure = max(float(cosine), 0.6 * shared if len(asked) > 1 else 0.0)
        ranked.append(Sentence(name, item.heading, start, end, text, _unit(score), _unit(sure)))
    return sorted(ranked, key=lambda sentence: -sentence.score)


def weighed(ranked: Sequence[Sentence], sure: Sequence[float]) -> list[Sentence]:
    """The sentences ranked again with the Llama's probability that each one answers, which counts a fifth of a cosine."""
    order = sorted(range(len(ranked)), key=lambda i: -(ranked[i].score + 0.2 * sure[i]))
    return [ranked[i] for i in order]


def _last(heading: str) -> str:
    return heading.rsplit(" > ", 1)[-1]


def _unit(value: float) -> float:
    return max(0.0, min(1.0, value))


def support(ranked: Sequence[Sentence]) -> float:
    """How sure it is that the evidence answers at all, 0..1; below `settings.refuse_below` the answer is a refusal.

    The highest cosine of a sentence with the question: on the development questions it told answerable from foreign ones
    with an AUC of 0.98, where search scores reached 0.91 and the share of missing words 0.83, because people paraphrase.
    A sentence that says nearly all the question's words also counts.
    """
    return max((sentence.support for sentence in ranked), default=0.0)


def route(question: str, best: Candidate | None, parts: Sequence[str], documents: float) -> Route:
    """The way to an answer, from what is on offer: the best tool, the parts of the question, the best search score.

    A tool wins when all its arguments are there and its score beats the documents' by what the firm arguments add.
    """
    if is_small_talk(question):
        return "direct"
    fits = best is not None and not best.filled.missing
    if fits and best.filled.firm and best.score >= max(0.4, documents):
        return "tools"
    if len(parts) > 1:
        return "sub-questions"
    if fits and best.score >= max(0.6, documents + 0.1):
        return "tools"
    return "documents"


def relevant(question: str, arguments: Mapping[str, Any], fields: Mapping[str, Any], embed: Embed) -> list[str]:
    """The keys of a tool's result that the question asks for, best first; all of them where it names none by its word.

    What the person gave is no news, so a field that repeats an argument is not what they ask for.
    """
    given = {str(value) for value in arguments.values()}
    news = [key for key in fields if str(fields[key]) not in given]
    named = [key for key in news if {stem(word) for word in words(plain(key))} & stems(question)]
    keys = named or news
    if not keys:
        return list(fields)
    cosines = embed([plain(key) for key in keys]) @ embed([question])[0]
    return [keys[int(i)] for i in np.argsort(-cosines)]
