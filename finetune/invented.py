"""Invents office and shop requests from parts: an opening, and a phrase for each detail the speaker happens to give.

It exists because the dialogue sets hold few numbers, codes, e-mails and addresses. No sentence is fixed: every name, code,
item and order of phrases is drawn.
"""

import random
from collections.abc import Iterator
from typing import Any

from .cases import Case, Tool
from .phrases import (
    ADJECTIVES,
    COMPARED,
    DETAILS,
    HELD_NOUNS,
    JOINTS,
    LOOKUPS,
    MEASURES,
    NOUNS,
    OPENINGS,
    RULES,
    SUMS,
    THINGS,
    VERBS,
    WORDED_SUMS,
)


def requests(count: int, *, seed: int, held: bool) -> Iterator[Case]:
    """`count` requests, each with its route, its tool among near ones, and its details; held-out ones use other nouns."""
    rng = random.Random(seed)
    nouns = [noun for noun in NOUNS if (noun in HELD_NOUNS) == held]
    for _ in range(count):
        verb, noun = rng.choice(list(VERBS)), rng.choice(nouns)
        wanted = rng.sample(list(DETAILS), rng.randint(2, 4))
        given = {kind: DETAILS[kind][0](rng) for kind in wanted if rng.random() < 0.7}
        question = _utterance(rng, verb, noun, given)
        yield Case("route", "invented", question, "tools", held=held)
        yield _tool_choice(rng, question, verb, noun, nouns, held=held)
        for kind in wanted:
            name, about = (rng.choice(texts).replace("{noun}", noun) for texts in DETAILS[kind][1:3])
            asked: dict[str, Any] = {"tool": f"{verb} {noun}", "argument": name, "description": about}
            yield Case("arguments", "invented", question, given.get(kind), held=held, **asked)


def comparisons(count: int, *, seed: int, names: list[str], held: bool) -> Iterator[Case]:
    """Questions on two of `names`, each with the two questions that come first; the two share one wording."""
    rng = random.Random(seed)
    for _ in range(count):
        single, wordings = rng.choice(list(COMPARED.items()))
        adjective, comparative = rng.choice(ADJECTIVES)
        words = {"adjective": adjective, "comparative": comparative, "measure": rng.choice(MEASURES)}
        a, b = rng.sample(names, 2)
        question = rng.choice(wordings).format(a=a, b=b, **words)
        yield Case("route", "invented", question, "sub-questions", held=held)
        yield Case("decompose", "invented", question, [single.format(x=x, **words) for x in (a, b)], held=held)


def rules(count: int, *, seed: int, names: list[str], held: bool) -> Iterator[Case]:
    """Questions on what holds in general, in the same words as requests: only a text answers them."""
    rng = random.Random(seed)
    nouns = [noun for noun in NOUNS if (noun in HELD_NOUNS) == held]
    for _ in range(count):
        act = rng.choice(VERBS[rng.choice(list(VERBS))])
        words = {"act": act, "noun": rng.choice(nouns), "number": rng.randint(2, 90), "thing": rng.choice(THINGS)}
        yield Case("route", "invented", rng.choice(RULES).format(name=rng.choice(names), **words), "documents", held=held)


def sums(count: int, *, seed: int) -> Iterator[Case]:
    """Calculations in words and signs; the expression is copied where it stands in signs."""
    rng = random.Random(seed)
    for _ in range(count):
        a, b = (rng.choice([str(rng.randint(1, 9999)), f"{rng.uniform(0, 500):.2f}"]) for _ in range(2))
        expression = f"{a} {rng.choice('+-*/')} {b}"
        spoken = rng.choice(SUMS).format(e=expression)
        worded = rng.choice(WORDED_SUMS).format(a=a, b=b)
        asked: dict[str, Any] = {"tool": "calculate", "argument": "expression", "description": "The calculation as it is written"}
        yield Case("route", "invented", rng.choice([spoken, worded]), "tools")
        yield Case("arguments", "invented", spoken, expression, **asked)


def _utterance(rng: random.Random, verb: str, noun: str, given: dict[str, str]) -> str:
    openings = OPENINGS + LOOKUPS if verb == "look up" else OPENINGS
    opening = rng.choice(openings).format(act=rng.choice(VERBS[verb]), noun=noun)
    stated = [rng.choice(DETAILS[kind][3]).replace("{noun}", noun).replace("{v}", value) for kind, value in given.items()]
    rng.shuffle(stated)
    parts = [*stated, opening] if stated and rng.random() < 0.2 else [opening, *stated]
    text = parts[0]
    for part in parts[1:]:
        joint = rng.choice(JOINTS)
        text += joint + (part[0].upper() + part[1:] if joint == ". " else part)
    return (text[0].upper() + text[1:] if rng.random() < 0.8 else text) + rng.choice(["", ".", ".", "?"])


def _tool_choice(rng: random.Random, question: str, verb: str, noun: str, nouns: list[str], *, held: bool) -> Case:
    """Beside the right tool stand one with its verb, one with its noun, and one or two others."""
    other_noun = [one for one in nouns if one != noun]
    other_verb = [one for one in VERBS if one != verb]
    pairs = [(verb, rng.choice(other_noun)), (rng.choice(other_verb), noun)]
    pairs += [(rng.choice(other_verb), rng.choice(other_noun)) for _ in range(rng.randint(1, 2))]
    missing = rng.random() < 0.1
    pairs = pairs[2:] if missing else [*pairs, (verb, noun)]
    rng.shuffle(pairs)
    about = ["{} a {}", "{} the {} of a customer", "{} one {} by its number"]
    tools = tuple(Tool(f"{a} {b}", rng.choice(about).format(a, b).capitalize()) for a, b in dict.fromkeys(pairs))
    return Case("tool", "invented", question, "none" if missing else f"{verb} {noun}", tools=tools, held=held)
