"""The next action by a Llama that decides everything: ReAct under a schema that holds what is on the shortlist."""

from typing import Any

from . import signals
from .compose import PARTS, SEARCH
from .means import Means, State
from .prompts import next_action as messages_for
from .state import Route
from .words import storable

ROUTE_OF: dict[str, Route] = {SEARCH: "documents", PARTS: "sub-questions", "answer": "direct"}
OWN = [
    {
        "type": "function",
        "function": {
            "name": SEARCH,
            "description": "Find passages in the documents.",
            "parameters": {"type": "object", "properties": {"question": {"type": "string"}}, "required": ["question"]},
        },
    },
    {
        "type": "function",
        "function": {
            "name": PARTS,
            "description": "Answer several simpler questions, each on its own.",
            "parameters": {
                "type": "object",
                "properties": {"questions": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 4}},
                "required": ["questions"],
            },
        },
    },
    {
        "type": "function",
        "function": {
            "name": "answer",
            "description": "End with this text; empty when nothing supports an answer.",
            "parameters": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]},
        },
    },
]


def next_action(state: State, means: Means) -> dict[str, Any]:
    """What the model wants next, as the change of state of the node `choose`."""
    listed = signals.shortlist(state["question"], list(means.registry), means.decisions.embed, limit=8)
    schemas = [*OWN, *(tool.function_schema() for tool, _ in listed)]
    reply = means.model().act(messages_for(state["question"], state.get("history") or [], state["steps"]), schemas)
    name, arguments = reply.value["name"], storable(reply.value["arguments"])
    routes = list(dict.fromkeys([*(state.get("routes") or []), ROUTE_OF.get(name, "tools")]))
    if name == "answer":
        said = {"said": arguments.get("text") or ""}
        return {**said, "routes": state.get("routes") or routes, "action": {"kind": "answer"}}
    kind = "propose" if name in means.registry.names and means.registry.get(name).writes else "act"
    decided = {"route": "llama", "tool": "llama", "arguments": "llama"}
    return {"routes": routes, "action": {"kind": kind, "tool": name, "arguments": arguments, "decided_by": decided}}
