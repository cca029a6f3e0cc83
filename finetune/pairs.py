"""Makes preference pairs from training cases: beside the right reply the wrong one that a model is most tempted to give.

For each way to claim too much there is one to claim too little, so that preferring never comes down to one reply: trained
on invented arguments alone, a model learns to say "none".
"""

import random
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator

from .cases import EDGES, Case, exchanges, messages, plain, reply_text, spans, window
from .example import Example, replied
from .turns import Moment

ASK_FIRST = "A change is made only after the person saw it and said yes. Say what is changed and ask, or that it is done."
TURNS = 6  # of the conversation before a confirmation
KINDS = (
    "wrong tool",
    "tool where none serves",
    "invented argument",
    "wrong value",
    "answered the unanswerable",
    "refused needlessly",
    "skipped confirmation",
    "asked twice",
)
NUMBER_ASKED = re.compile(
    r"\b(how (many|much|long|old|far|often)|when|what (year|date|time|number|percent\w*)|which year)\b", re.I
)
TELLING = re.compile(r"[A-Z0-9]|\w{4}")  # some sets mark "and the" as a value
NAME = re.compile(r"(?:[A-Z][\w'’-]*|\d[\d,.:/-]*)(?: (?:[A-Z][\w'’-]*|\d[\d,.:/-]*))*")


def pairs(
    cases: Iterable[Case], turns: Iterable[Moment], quotas: dict[str, int], prompts: dict, rng: random.Random
) -> Iterator[Example]:
    """At most so many of each kind, from cases that are not held out and from the training dialogues' turns."""
    kept = [case for case in cases if not case.held and case.decision in ("tool", "arguments", "answer")]
    said = _values_said(kept)
    rng.shuffle(kept)
    left = {kind: quotas.get(kind, 0) for kind in KINDS}
    for kind, found in confirmations(turns).items():
        yield from rng.sample(found, min(left.pop(kind), len(found)))
    for case in kept:
        for kind, wrong in tempting(case, said):
            if left[kind] and wrong is not None:
                left[kind] -= 1
                yield _pair(kind, case, wrong, prompts)
        if not any(left.values()):
            return


def tempting(case: Case, said: dict[str, list[str]]) -> Iterator[tuple[str, str | None]]:
    """The kinds of mistake that this case invites, each with the wrong reply, None where there is no good one.

    `said` holds by question the values that were really said for any argument: the likeliest to be taken for another's.
    """
    if case.decision == "tool" and case.expected == "none":
        yield "tool where none serves", _nearest_tool(case)
    elif case.decision == "tool":
        yield "wrong tool", _nearest_tool(case)
        yield "refused needlessly", "none"
    elif case.decision == "arguments" and case.expected is None:
        yield "invented argument", _another_value(case, said)
    elif case.decision == "arguments":
        yield "wrong value", _another_value(case, said)
        yield "refused needlessly", "none"
    elif case.decision == "answer" and case.expected is None:
        yield "answered the unanswerable", _likely_answer(case)
    elif case.decision == "answer":
        yield "wrong value", _likely_answer(case)
        yield "refused needlessly", "none"


def confirmations(turns: Iterable[Moment]) -> dict[str, list[Example]]:
    """Before the yes: asking for it against telling that all is done. After it: the other way round.

    Both replies stand in the same dialogue and are about the same change, so they differ in nothing but their moment.
    """
    changes: dict[tuple[str, str], dict[str, Moment]] = defaultdict(dict)
    for turn in turns:
        if turn.next in ("confirm", "told"):
            changes[turn.id.rsplit("-", 1)[0], turn.intent][turn.next] = turn
    found: dict[str, list[Example]] = {"skipped confirmation": [], "asked twice": []}
    for both in changes.values():
        if len(both) == 2:
            found["skipped confirmation"].append(_confirmation("skipped confirmation", both["confirm"], both["told"]))
            found["asked twice"].append(_confirmation("asked twice", both["told"], both["confirm"]))
    return found


def _pair(kind: str, case: Case, wrong: str, prompts: dict) -> Example:
    asked = next(exchanges(case, prompts))
    return Example(kind, case.source, case.question, tuple(messages(asked, prompts)), rejected=reply_text(wrong))


def _confirmation(kind: str, now: Moment, other: Moment) -> Example:
    prompt = [{"role": "system", "content": ASK_FIRST}, *_from_user(now.messages[-TURNS:])]
    chosen = replied(prompt, reply_text(now.reply))
    return Example(kind, "sgd", now.messages[-1]["content"], chosen, rejected=reply_text(other.reply))


def _from_user(turns: tuple[dict[str, str], ...]) -> tuple[dict[str, str], ...]:
    return turns if turns[0]["role"] == "user" else turns[1:]


def _values_said(cases: list[Case]) -> dict[str, list[str]]:
    """Each question's values, with those of all its arguments together."""
    said: dict[str, list[str]] = defaultdict(list)
    for case in cases:
        if case.decision == "arguments" and case.expected:
            said[case.question].append(case.expected)
    return said


def _nearest_tool(case: Case) -> str | None:
    """Of the wrong tools the one that shares most words with the question."""
    asked = _words(case.question)
    wrong = [tool for tool in case.tools if plain(tool.name) != plain(case.expected)]
    shared = {plain(tool.name): len(asked & _words(f"{plain(tool.name)} {tool.description}")) for tool in wrong}
    return max(sorted(shared), key=lambda name: shared[name], default=None)


def _another_value(case: Case, said: dict[str, list[str]]) -> str | None:
    """What was said for another argument, else a name or number of the question, else the right value cut short."""
    right = case.expected or ""
    others = [value for value in said[case.question] if not _overlapping(value, right)]
    candidates = [*others, *_names(case.question, right)]
    if not candidates and len(right.split()) > 1:
        candidates = [right.rsplit(" ", 1)[0].strip(EDGES)]
    return next((one for one in candidates if TELLING.search(one)), None)


def _likely_answer(case: Case) -> str | None:
    """A name or number of the text that the question does not hold, of the sort it asks for where there is one."""
    candidates = [one for one in _names(window(case), case.expected or "") if one.lower() not in case.question.lower()]
    numeric = bool(NUMBER_ASKED.search(case.question))
    return next((one for one in candidates if one[0].isdigit() == numeric), next(iter(candidates), None))


def _names(text: str, right: str) -> Iterator[str]:
    """Runs of capitalised words and numbers that may be copied whole, but not what merely begins a sentence."""
    allowed = set(spans(text))
    for match in NAME.finditer(text):
        begins = match.start() == 0 or text[match.start() - 2 : match.start()] in (". ", "? ", "! ")
        if begins and " " not in match[0] and not match[0][0].isdigit():
            continue
        value = match[0].strip(EDGES)
        if value in allowed and len(value) > 1 and not _overlapping(value, right):
            yield value


def _overlapping(one: str, other: str) -> bool:
    """Whether one holds the other: a value a little too long or short is no clear mistake."""
    return bool(other) and (one.lower() in other.lower() or other.lower() in one.lower())


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w{3,}", text.lower()))
