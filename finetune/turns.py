"""Reads Schema-Guided dialogues turn by turn: what was said, what is known by then, and what the assistant did next.

It names no service and no slot otherwise than the data does; `functions` shows them under either of their two namings.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from .dialogues import rows, services

Act = Literal["ask", "confirm", "call", "talk", "told"]
PARTING = {"GOODBYE", "THANK_YOU", "NEGATE", "AFFIRM"}


@dataclass(frozen=True)
class Moment:
    """The end of one user's turn. `next` says what the assistant did: it asked for a missing argument, asked for a yes to
    a change, called, told that the change is made, or merely talked; `reply` are its words.

    `messages` is the conversation so far; `known` holds, by the schema's own slot names, every wording of each value.
    """

    id: str
    service: str
    intent: str
    messages: tuple[dict[str, str], ...]
    known: dict[str, list[str]]
    next: Act
    reply: str


def moments(root: Path, part: str) -> Iterator[Moment]:
    """Every user's turn that is about one service alone; `part` is sgd_train or sgd_dev."""
    transactional = {
        (service["service_name"], intent["name"]): intent["is_transactional"]
        for service in rows(root, f"{part}_schema")
        for intent in service["intents"]
    }
    for dialogue in rows(root, part):
        said: list[dict[str, str]] = []
        for number, (user, system) in enumerate(zip(dialogue["turns"][::2], dialogue["turns"][1::2], strict=False)):
            said = [*said, {"role": "user", "content": user["utterance"]}]
            if len(user["frames"]) == len(system["frames"]) == 1:
                frame = user["frames"][0]
                state, service = frame["state"], frame["service"]
                act = _next(frame, system["frames"][0], changes=transactional.get((service, state["active_intent"]), False))
                facts = {"service": service, "intent": state["active_intent"], "known": _known(state, system["frames"][0])}
                key = f"{dialogue['dialogue_id']}-{number}"
                yield Moment(key, messages=tuple(said), next=act, reply=system["utterance"], **facts)
            said = [*said, {"role": "assistant", "content": system["utterance"]}]


def functions(root: Path, part: str) -> tuple[dict[str, dict], dict[str, dict]]:
    """JSON Schema functions by service and intent, under the schema's own names and under those of its paraphrase.

    A function is `{"name", "description", "parameters"}`; beside them, `names` maps the schema's own slot names to those
    that the function shows.
    """
    own, paraphrased = services(root, part)
    return _functions(own), _functions(paraphrased)


def _functions(view: dict[str, dict]) -> dict[str, dict]:
    return {
        service: {name: _function(intent, schema["slots"]) for name, intent in schema["intents"].items()}
        for service, schema in view.items()
    }


def _function(intent: dict, slots: dict) -> dict[str, Any]:
    properties = {}
    for name in intent["slots"]:
        slot = slots[name]
        choice = {"enum": slot["possible_values"]} if slot["is_categorical"] else {}
        properties[slot["name"]] = {"type": "string", "description": slot["description"], **choice}
    parameters = {"type": "object", "properties": properties, "required": intent["required_slots"]}
    function = {"name": intent["name"], "description": intent["description"], "parameters": parameters}
    return {"function": function, "names": {name: slots[name]["name"] for name in intent["slots"]}}


def _next(user: dict, system: dict, *, changes: bool) -> Act:
    acts = {action["act"] for action in system["actions"]}
    if {action["act"] for action in user["actions"]} <= PARTING and "service_call" not in system:
        return "talk"
    if "CONFIRM" in acts and changes:
        return "confirm"
    if "service_call" in system:
        return "told" if changes and "NOTIFY_SUCCESS" in acts else "talk" if changes else "call"
    return "ask" if acts == {"REQUEST"} else "talk"


def _known(state: dict, system: dict) -> dict[str, list[str]]:
    """Each slot's wordings, and beside them the canonical one of the call that follows; "dontcare" is no value."""
    canonical = system.get("service_call", {}).get("parameters", {})
    for action in system["actions"]:
        if action["act"] == "CONFIRM":
            canonical = canonical | dict.fromkeys([action["slot"]], action["canonical_values"][0])
    said = {name: [one for one in values if one != "dontcare"] for name, values in state["slot_values"].items()}
    return {name: list(dict.fromkeys([*values, *filter(None, [canonical.get(name)])])) for name, values in said.items() if values}
