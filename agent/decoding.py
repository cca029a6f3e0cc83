"""Whether a model's replies hold what they are held to: random schemas, a call and its way back, native tool calls.

Probes like those of agent/probes.py, for any server.
"""

import json
import random
import time
from typing import Any

from ..errors import ModelDown, ModelReplyInvalid
from ..settings import Settings
from .endpoint import fetch
from .model import Model
from .probes import Unfit
from .schemas import holds, random_object
from .serve import Served, open_model

SCHEMAS, QUICK = 50, 5.0  # random schemas when asked to be thorough; else as many of them as these seconds allow
LOOK_UP = {
    "name": "look_up",
    "description": "Finds an order.",
    "parameters": {
        "type": "object",
        "properties": {"order": {"type": "string", "pattern": "^#W[0-9]{1,4}$"}},
        "required": ["order"],
        "additionalProperties": False,
    },
}
ANSWER = {
    "name": "answer",
    "description": "Tells the person.",
    "parameters": {"type": "object", "properties": {"text": {"type": "string", "maxLength": 40}}, "required": ["text"]},
}


def schemas(settings: Settings, _: Served, *, seconds: float | None = None) -> str:
    """Replies under random schemas, each checked; as many of them as fit into the time, which is `QUICK` if none is given."""
    tried, wrong, rng = 0, 0, random.Random(1)
    with open_model(settings) as model:
        deadline = time.monotonic() + (QUICK if seconds is None else seconds)
        while tried < SCHEMAS and (not tried or time.monotonic() < deadline):
            tried += 1
            wrong += not _replied(model, random_object(rng))
    if wrong:
        raise Unfit(f"{wrong} of {tried} replies broke their schema", "Use a server that decodes under a JSON schema.")
    return f"{tried} of {tried} replies under random schemas hold"


def all_schemas(settings: Settings, served: Served) -> str:
    """All of them, however long they take."""
    return schemas(settings, served, seconds=3600)


def round_trip(settings: Settings, _: Served) -> str:
    """A call under its schema, its result handed back, and then the answer: the way of every step."""
    asked = [{"role": "system", "content": "Act."}, {"role": "user", "content": "Where is order #W17?"}]
    with open_model(settings) as model:
        call = model.act(asked, [LOOK_UP], max_tokens=64).value
        if not holds(LOOK_UP["parameters"], call["arguments"]):
            raise Unfit(f"the call {call} breaks the tool's schema", "Use a server that decodes under a JSON schema.")
        seen = [
            {"role": "assistant", "content": json.dumps(call)},
            {"role": "user", "content": "<observation>sent</observation>"},
        ]
        answer = model.act([*asked, *seen], [ANSWER], max_tokens=96).value
    return f"{call['name']}({', '.join(call['arguments'].values())}), its result, and then {answer['name']}"


def tool_calls(settings: Settings, served: Served) -> str:
    """Whether a call can be forced natively. Information only: Askfirst asks under a schema instead."""
    endpoint = served.endpoint()
    body = {
        "model": endpoint.name,
        "messages": [{"role": "user", "content": "Where is order W1?"}],
        "tool_choice": "required",
        "tools": [{"type": "function", "function": LOOK_UP}],
        "max_tokens": 128,
    }
    try:
        message = fetch(f"{endpoint.url}/chat/completions", endpoint.key, body=body, timeout=60)["choices"][0]["message"]
    except ModelDown:
        return "native ones are refused (not needed)"
    return "native ones work" if message.get("tool_calls") else "native ones are not forced (not needed)"


def _replied(model: Model, parameters: dict[str, Any]) -> bool:
    """Whether an action under a schema of these parameters comes back with such arguments."""
    asked = [{"role": "system", "content": "Call the tool."}, {"role": "user", "content": "Where is order #AB1234?"}]
    try:
        arguments = model.act(asked, [{"name": "look_up", "parameters": parameters}], max_tokens=512).value["arguments"]
    except ModelReplyInvalid:
        return False
    return holds(parameters, arguments)
