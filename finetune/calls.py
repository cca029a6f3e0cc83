"""Held-out cases of whole calls, in the form that `askfirst eval tools` reads: a conversation, functions, the right calls.

No call is right where the person has not yet said what a function requires, where nothing is asked for, and where no
function listed serves the request. A call that changes something is right only once a person was asked.
"""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .dialogues import as_far_as_there, rows, services
from .turns import Moment, functions, moments

JSON_TYPES = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
OTHERS = 4  # functions listed beside those that are needed
OUTCOMES = {"call": ("call",), "confirm": ("confirm",), "missing": ("ask",), "declined": ("call", "confirm"), "talk": ("talk",)}


def held_calls(root: Path, quotas: dict[str, Any], rng: random.Random, missing: list[str]) -> list[dict]:
    """Lines `{"id", "messages", "tools", "calls"}` in random order, so that the first hundred are a fair hundred.

    A call holds `name`, `arguments` (one of the choices where there are choices, else as first said), `accepted` (every
    wording of each value that is right too) and, where it changes something, `"confirm": true`. Ids begin with the source;
    `sgdx` asks the same as `sgd` under renamed schemas. Files that are not there are named in `missing`.
    """
    readers = {"sgd": _of_services, "sealtools": _of_queries, "clinc150": _out_of_scope}
    lines = [line for name, read in readers.items() for line in as_far_as_there(read(root, quotas[name], rng), missing)]
    rng.shuffle(lines)
    return lines


def _of_services(root: Path, quota: dict[str, int], rng: random.Random) -> Iterator[dict]:
    """For services that training names and for those it never does, so many moments of each outcome, each under both namings."""
    trained, views = set(services(root, "sgd_train")[0]), functions(root, "sgd_dev")
    pools: dict[tuple[str, str], list[Moment]] = {}
    for moment in moments(root, "sgd_dev"):
        share = "seen" if moment.service in trained else "unseen"
        for outcome, acts in OUTCOMES.items():
            if moment.next in acts and _fits(moment, outcome, views[0]):
                pools.setdefault((share, outcome), []).append(moment)
    for (share, outcome), pool in sorted(pools.items()):
        for moment in rng.sample(pool, min(quota[outcome], len(pool))):
            seed = rng.random()
            for name, view in zip(("sgd", "sgdx"), views, strict=True):
                line = _asked(moment, outcome, view, random.Random(seed))
                yield {"id": f"{name}-{share}-{outcome}-{moment.id}", **line}


def _fits(moment: Moment, outcome: str, view: dict) -> bool:
    """An argument is missing only where the schema requires it; a call needs all it requires; talk is after the matter."""
    if moment.intent == "NONE":
        return outcome == "talk"
    shown = view[moment.service][moment.intent]
    required = [own for own, name in shown["names"].items() if name in shown["function"]["parameters"]["required"]]
    complete = all(own in moment.known for own in required)
    return (outcome != "missing" or not complete) and (outcome not in ("call", "confirm") or complete) and outcome != "talk"


def _asked(moment: Moment, outcome: str, view: dict, rng: random.Random) -> dict[str, Any]:
    own = [] if outcome == "declined" else [one["function"] for one in view[moment.service].values()]
    tools = [*own, *_foreign(moment.service, view, {one["name"] for one in own}, rng)]
    rng.shuffle(tools)
    calls = [_call(moment, outcome, view[moment.service][moment.intent])] if outcome in ("call", "confirm") else []
    return {"messages": list(moment.messages), "tools": tools, "calls": calls}


def _foreign(service: str, view: dict, taken: set[str], rng: random.Random) -> Iterator[dict]:
    """Functions of other fields, each name once; the same ones under both namings, as long as no two share a name."""
    domain = service.split("_")[0]
    listed = [one["function"] for name in sorted(view) if name.split("_")[0] != domain for one in view[name].values()]
    rng.shuffle(listed)
    found = 0
    for function in listed:
        if found < OTHERS and function["name"] not in taken:
            taken = taken | {function["name"]}
            found += 1
            yield function


def _call(moment: Moment, outcome: str, shown: dict) -> dict[str, Any]:
    said = {name: moment.known[own] for own, name in shown["names"].items() if own in moment.known}
    choices = {name: one.get("enum", ()) for name, one in shown["function"]["parameters"]["properties"].items()}
    arguments = {name: next((one for one in said[name] if one in choices[name]), said[name][0]) for name in said}
    call = {"name": shown["function"]["name"], "arguments": arguments, "accepted": said}
    return call | ({"confirm": True} if outcome == "confirm" else {})


def _of_queries(root: Path, quota: int, rng: random.Random) -> Iterator[dict]:
    """Seal-Tools' held-out queries whose values all stand in the query: only there is one wording right."""
    tools = {row["api_name"]: row for row in rows(root, "sealtools_tool")}
    listed = [row for row in rows(root, "sealtools_test_in_domain") if _literal(row, tools)]
    for row in rng.sample(listed, min(quota, len(listed))):
        names = {call["api"] for call in row["calling"]}
        others = rng.sample(sorted(set(tools) - names), OTHERS)
        shown = [_seal_function(tools[name]) for name in sorted(names) + others]
        rng.shuffle(shown)
        calls = [{"name": call["api"], "arguments": _typed(call["parameters"], tools[call["api"]])} for call in row["calling"]]
        message = {"role": "user", "content": row["query"]}
        yield {"id": f"sealtools-{row['id']}", "messages": [message], "tools": shown, "calls": calls}


def _literal(row: dict, tools: dict) -> bool:
    values = [str(value) for call in row["calling"] for value in call["parameters"].values()]
    return all(call["api"] in tools for call in row["calling"]) and all(value in row["query"] for value in values)


def _seal_function(tool: dict) -> dict[str, Any]:
    properties = {
        name: {"type": JSON_TYPES[one["type"]], "description": one["description"]} for name, one in tool["parameters"].items()
    }
    parameters = {"type": "object", "properties": properties, "required": tool["required"]}
    return {"name": tool["api_name"], "description": tool["api_description"], "parameters": parameters}


def _typed(values: dict[str, Any], tool: dict) -> dict[str, Any]:
    """Values as the schema's types: the set writes some numbers as text."""
    readers = {"int": int, "float": float, "str": str}
    typed = {}
    for name, value in values.items():
        read = readers.get(tool["parameters"].get(name, {}).get("type", ""), lambda same: same)
        try:
            typed[name] = value if isinstance(value, bool | list) else read(value)
        except ValueError:  # "three" where a number is wanted: as it is said
            typed[name] = value
    return typed


def _out_of_scope(root: Path, quota: int, rng: random.Random) -> Iterator[dict]:
    """CLINC150's requests that none of its intents serves, its intents being the functions."""
    listed = list(rows(root, "clinc150"))
    names = sorted({row["intent"] for row in listed} - {"oos"})
    foreign = [row["text"] for row in listed if row["intent"] == "oos"]
    for number, text in enumerate(rng.sample(foreign, min(quota, len(foreign)))):
        empty = {"type": "object", "properties": {}, "required": []}
        tools = [
            {"name": name, "description": f"Serves requests about {name.replace('_', ' ')}", "parameters": empty}
            for name in rng.sample(names, OTHERS + 1)
        ]
        yield {"id": f"clinc150-{number}", "messages": [{"role": "user", "content": text}], "tools": tools, "calls": []}
