"""What a run would call after the last turn of a dialogue, decided on the schemas of functions that were never registered.

It measures nothing (agent/evaluate.py does) and calls nothing.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from . import signals
from .arguments import Sources, refers_back
from .cases import Call
from .decisions import Decisions
from .offered import Offered
from .prompts import NEXT_ACTION
from .react import OWN
from .signals import Candidate

AGREES = re.compile(
    r"^\W*(?:yes|yeah|yep|yup|sure|ok(?:ay)?|correct|right|exactly|perfect|great|fine|please do|go ahead|sounds? (?:good|great)|"
    r"that(?:'s| is| sounds| works)(?: \w+)? (?:good|great|fine|right|correct|perfect))\b",
    re.I,
)
ENDS = re.compile(
    r"^\W*(?:no\b[ ,.]*)?(?:thanks|thank you|that(?:'s| is| will be) all|bye|goodbye|i'm (?:good|done))\b[^?]*$", re.I
)
NEXT = ({**OWN[2], "function": {**OWN[2]["function"], "description": "No call is right: reply with this text instead."}},)


def calls(messages: Sequence[Mapping[str, Any]], functions: Sequence[Mapping[str, Any]], decisions: Decisions) -> list[Call]:
    """The calls that are right now, each with whether a person is asked first; none where no function serves what is
    asked, nothing is asked, or an argument is missing that then has to be asked for."""
    tools = [Offered.of(function) for function in functions]
    if decisions.free:
        return _free(messages, tools, decisions)
    said = [str(message["content"]) for message in messages if message["role"] == "user" and message.get("content")]
    # No embedding guesses a value: of a function that nobody knows, what was not said must not be invented.
    sources = Sources(said[-1], before=tuple(said[-2::-1]), results=_results(messages))
    return [_call(found) for found in _goals(messages, said, tools, sources, decisions)] if tools else []


def _goals(
    messages: Sequence[Mapping[str, Any]], said: Sequence[str], tools: Sequence[Offered], sources: Sources, decisions: Decisions
) -> list[Candidate]:
    """The functions to call with all their arguments, one for the request or one for each of its parts."""
    question = said[-1]
    if ENDS.match(question):
        return []
    asked = _asked(messages)
    if len(said) > 1 and (asked or AGREES.match(question) or refers_back(question)):
        question = " ".join([_standing(said, tools, decisions), question])
        sources = replace(sources, text=question)
        question = f"{asked} {question}" if AGREES.match(said[-1]) else question
    plan = decisions.plan(question, tools, sources, documents=0.0)
    if plan.route == "sub-questions":
        goals = [decisions.goal(part, tools, replace(sources, text=part, before=())) for part in plan.parts]
        found = [goal for goal in goals if goal and not goal.filled.missing]
        return list({json.dumps([goal.tool.name, goal.filled.arguments], sort_keys=True): goal for goal in found}.values())
    if plan.route == "tools" and plan.goal and not plan.goal.filled.missing:
        return [plan.goal]
    return []


def _standing(said: Sequence[str], tools: Sequence[Offered], decisions: Decisions) -> str:
    """The latest earlier words that ask for something a function serves: what a "yes" or a detail belongs to."""
    earlier = [text for text in reversed(said[:-1]) if not AGREES.match(text) and not ENDS.match(text)]
    scored = [(signals.shortlist(text, tools, decisions.embed, limit=1)[0][1], text) for text in earlier]
    return next((text for score, text in scored if score >= signals.LOOSE), earlier[-1] if earlier else said[0])


def _asked(messages: Sequence[Mapping[str, Any]]) -> str:
    """What the assistant asked right before the last words, or wanted confirmed; empty when it asked nothing.

    It helps to choose the function a "yes" is for. Values are never taken from it.
    """
    before = [message for message in messages if message["role"] in ("user", "assistant") and message.get("content")][:-1]
    said = str(before[-1]["content"]) if before and before[-1]["role"] == "assistant" else ""
    return said if "?" in said or re.search(r"\bconfirm", said, re.I) else ""


def _results(messages: Sequence[Mapping[str, Any]]) -> list[Any]:
    """What tools returned so far, newest first."""
    found = []
    for message in reversed(messages):
        if message["role"] in ("tool", "function"):
            try:
                found.append(json.loads(message["content"]))
            except (ValueError, TypeError):
                continue
    return found


def _call(goal: Candidate) -> Call:
    return Call(goal.tool.name, goal.filled.arguments, goal.tool.asks_first)


def _free(messages: Sequence[Mapping[str, Any]], tools: Sequence[Offered], decisions: Decisions) -> list[Call]:
    """The next action of a Llama that decides everything."""
    shown = [{"role": message["role"], "content": str(message.get("content") or "")} for message in messages]
    shown = [message if message["role"] in ("user", "assistant") else {**message, "role": "user"} for message in shown]
    schemas = [{"name": tool.name, "description": tool.description, "parameters": tool.parameters} for tool in tools]
    reply = decisions.model().act([{"role": "system", "content": NEXT_ACTION}, *shown], [*NEXT, *schemas])
    made = next((tool for tool in tools if tool.name == reply.value["name"]), None)
    return [Call(made.name, reply.value["arguments"], made.asks_first)] if made else []
