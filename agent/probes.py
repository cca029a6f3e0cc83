"""What a model and its server are shown to do, each by doing it: files, start, template, context, schemas, adapter, tool calls.

A probe returns what it saw in a few words, or raises `Unfit` with the next act. agent/doctor.py asks them.
"""

import random
import re
import time
from collections.abc import Mapping
from typing import Any

from ..errors import ModelDown, ModelReplyInvalid
from ..settings import Settings
from .endpoint import fetch, offered
from .model import Model
from .serve import Served, open_model, serve
from .store import better, find, prompts_of

SCHEMAS, SCHEMA_SECONDS = 50, 30.0
SAMPLE = [{"role": "system", "content": "route"}, {"role": "user", "content": "Where is it?\nWhich way?"}]
QUESTIONS = ("When is it open?", "Who made the lamp?", "How do I return an item?")
WORDS = ("red", "large", "order", "Monday", "none")
LOOK_UP = {
    "name": "look_up",
    "description": "Finds an order.",
    "parameters": {"type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]},
}


class Unfit(Exception):
    """What a check found wrong, and what to do about it."""

    def __init__(self, detail: str, next_act: str):
        self.next_act = next_act
        super().__init__(detail)


def model_files(settings: Settings) -> str:
    """The model and the adapter that the settings name are here; and whether a better one could be."""
    model = find(settings)
    adapter = model.adapter(settings.adapter)
    there = better(settings)
    hint = f"; {there} is better: `askfirst model pull {there}`" if there else ""
    return f"{model.name} in {model.source}, {f'adapter {adapter.name}' if adapter else 'no adapter'}{hint}"


def server(_: Settings, served: Served) -> str:
    """Started, and asked with its key."""
    started = time.monotonic()
    endpoint = served.endpoint()
    offered(endpoint.url, endpoint.key)
    return f"{endpoint.url}, up in {time.monotonic() - started:.1f} s"


def template(settings: Settings, served: Served) -> str:
    """The server renders the sample as training does: the same template under jinja2 with the options of transformers."""
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    model = find(settings)
    if model.source.is_file():
        return "the one inside the GGUF file"
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    text = (model.source / "chat_template.jinja").read_text("utf-8")
    trained = environment.from_string(text).render(messages=SAMPLE, add_generation_prompt=True, bos_token="<|begin_of_text|>")
    endpoint = served.endpoint()
    rendered = fetch(f"{endpoint.url.removesuffix('/v1')}/apply-template", endpoint.key, body={"messages": SAMPLE})["prompt"]
    begin = "<|begin_of_text|>"  # the server adds it when it cuts the text into tokens
    if rendered.removeprefix(begin) != trained.removeprefix(begin):
        raise Unfit(
            f"the server renders {rendered[:60]!r}, training {trained[:60]!r}", f"Delete {settings.home / 'gguf'} and try again."
        )
    return "rendered by the server as in training"


def context(settings: Settings, served: Served) -> str:
    """Each request has all the tokens that the model was trained for."""
    endpoint, wanted = served.endpoint(), find(settings).context
    told = fetch(f"{endpoint.url.removesuffix('/v1')}/props", endpoint.key)["default_generation_settings"]["n_ctx"]
    if told < wanted:
        raise Unfit(f"{told} tokens, the model has {wanted}", "Free some memory and try again.")
    return f"{told} tokens for each request"


def schemas(settings: Settings, _: Served) -> str:
    """Replies under random small schemas, each checked; as many of them as fit into the time."""
    began, tried, wrong, rng = time.monotonic(), 0, 0, random.Random(1)
    with open_model(settings) as model:
        while tried < SCHEMAS and time.monotonic() - began < SCHEMA_SECONDS:
            tried += 1
            wrong += not _replied(model, {f"field_{number}": random_schema(rng) for number in range(rng.randint(1, 3))})
    if wrong:
        raise Unfit(f"{wrong} of {tried} replies broke their schema", "Use a server that decodes under a JSON schema.")
    return f"{tried} of {tried} replies under random schemas hold"


def adapter(settings: Settings, served: Served) -> str:
    """The same question to the adapter and to the base under it must not come out equally sure."""
    folder = find(settings).adapter(settings.adapter)
    if folder is None:
        return "none: the base is asked"
    prompts = prompts_of(folder)
    with serve(settings.model_copy(update={"adapter": "none"})) as bare:
        tuned, base = Model(served.endpoint, prompts=prompts), Model(bare.endpoint, prompts=prompts)
        sure = [
            [model.yes("evidence", question=question, sentence="It is open on Monday.") for question in QUESTIONS]
            for model in (tuned, base)
        ]
        tuned.close()
        base.close()
    if sure[0] == sure[1]:
        raise Unfit(f"{folder.name} changes nothing", f"Delete {settings.home / 'gguf'} and try again.")
    return f"{folder.name} changes the replies of its base"


def offers(settings: Settings, served: Served) -> str:
    """The model's name must be one of those that the server lists."""
    endpoint = served.endpoint()
    try:
        names = offered(endpoint.url, endpoint.key)
    except ModelDown as down:
        problem = str(down).removesuffix(" `askfirst doctor` tells more.")
        raise Unfit(problem, "Start that server, or leave ASKFIRST_MODEL out to use the shipped model.") from None
    if settings.model_name not in names:
        raise Unfit(
            f"{endpoint.url} offers {', '.join(names) or 'nothing'}, not '{settings.model_name}'",
            "Name one of them: ASKFIRST_MODEL_NAME=NAME.",
        )
    return f"{endpoint.url} offers {settings.model_name}"


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


def random_schema(rng: random.Random) -> dict[str, Any]:
    """A schema of a kind that tools have, with short values."""
    low = rng.randint(0, 50)
    return rng.choice(
        [
            {"type": "string", "minLength": 1, "maxLength": rng.randint(1, 12)},
            {"type": "integer", "minimum": low, "maximum": low + rng.randint(0, 50)},
            {"type": "boolean"},
            {"type": "string", "enum": [f"{rng.choice(WORDS)}-{number}" for number in range(rng.randint(1, 4))]},
            {"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 9}, "minItems": 1, "maxItems": 3},
            {"type": "string", "pattern": f"^#[A-Z]{{{rng.randint(1, 3)}}}[0-9]{{4}}$"},
        ]
    )


def holds(schema: Mapping[str, Any], value: Any) -> bool:
    """Whether a value is of one of the kinds that `random_schema` makes."""
    kind = schema["type"]
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "integer":
        return type(value) is int and schema["minimum"] <= value <= schema["maximum"]
    if kind == "array":
        fits = isinstance(value, list) and 1 <= len(value) <= schema["maxItems"]
        return fits and all(holds(schema["items"], one) for one in value)
    if not isinstance(value, str) or ("enum" in schema and value not in schema["enum"]):
        return False
    return bool(re.search(schema.get("pattern", ""), value)) and len(value) <= schema.get("maxLength", 100)


def _replied(model: Model, properties: dict[str, Any]) -> bool:
    """Whether an action under a schema of these properties comes back with exactly such arguments."""
    parameters = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    asked = [{"role": "system", "content": "Call the tool."}, {"role": "user", "content": "Where is order #AB1234?"}]
    try:
        arguments = model.act(asked, [{"name": "look_up", "parameters": parameters}], max_tokens=256).value["arguments"]
    except ModelReplyInvalid:
        return False
    return arguments.keys() == properties.keys() and all(holds(schema, arguments[name]) for name, schema in properties.items())


HERE = {"model server": server, "template": template, "context": context, "schemas": schemas, "adapter": adapter}
AT_URL = {"model server": offers, "schemas": schemas, "tool calls": tool_calls}
