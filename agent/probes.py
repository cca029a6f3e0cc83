"""What a model and its server are shown to do, each by doing it: files, start, template, context, schemas, adapter, tool calls.

A probe returns what it saw in a few words, or raises `Unfit` with the next act. agent/doctor.py asks them.
"""

import time
import tomllib
from functools import partial
from pathlib import Path

from ..errors import ModelDown
from ..settings import Settings
from .endpoint import fetch, offered
from .model import Model
from .serve import Served, serve
from .store import better, find, prompts_of
from .template import CONVERSATIONS, Conversation, rendering_sha256

BEGIN = "<|begin_of_text|>"  # the server adds it when it cuts the text into tokens
QUESTIONS = ("When is it open?", "Who made the lamp?", "How do I return an item?")


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
    """The server renders conversations as training does, with the very template that the adapter was tuned with.

    Training's rendering is jinja2's with the options of transformers; its digest stands in the adapter's recipe.
    """
    model = find(settings)
    if model.source.is_file():
        return "the one inside the GGUF file"
    text = (model.source / "chat_template.jinja").read_text("utf-8")
    here, tuned = rendering_sha256(partial(rendered_in_training, text)), tuned_rendering(model.adapter(settings.adapter))
    if tuned not in (None, here):
        problem = f"the adapter was tuned with another template (rendering {tuned[:12]}, here {here[:12]})"
        raise Unfit(problem, "Tune it again, or pull it.")
    endpoint = served.endpoint()
    for messages in CONVERSATIONS:
        address = f"{endpoint.url.removesuffix('/v1')}/apply-template"
        rendered = fetch(address, endpoint.key, body={"messages": messages})["prompt"].removeprefix(BEGIN)
        trained = rendered_in_training(text, messages).removeprefix(BEGIN)
        if rendered != trained:
            problem = f"the server renders {rendered[:60]!r}, training {trained[:60]!r}"
            raise Unfit(problem, f"Delete {settings.home / 'gguf'} and try again.")
    proved = "by its digest the one it was tuned with" if tuned else "no digest from its tuning"
    return f"{len(CONVERSATIONS)} conversations rendered by the server as in training; {proved}"


def rendered_in_training(template: str, messages: Conversation) -> str:
    """What transformers makes of a conversation before the reply."""
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(template).render(messages=messages, add_generation_prompt=True, bos_token=BEGIN)


def tuned_rendering(adapter: Path | None) -> str | None:
    """The digest of what an adapter's training rendered, where its recipe tells it."""
    path = adapter / "recipe.toml" if adapter else None
    if path is None or not path.exists():
        return None
    return tomllib.loads(path.read_text("utf-8")).get("made", {}).get("template_sha256")


def context(settings: Settings, served: Served) -> str:
    """Each request has the tokens that the model is said to take."""
    endpoint, wanted = served.endpoint(), find(settings).context
    told = fetch(f"{endpoint.url.removesuffix('/v1')}/props", endpoint.key)["default_generation_settings"]["n_ctx"]
    if told < wanted:
        raise Unfit(f"{told} tokens, the model has {wanted}", "Free some memory and try again.")
    return f"{told} tokens for each request"


def filled_context(settings: Settings, served: Served) -> str:
    """A prompt that fills the context is read, one that is longer is refused and not cut."""
    told, endpoint, limit = context(settings, served), served.endpoint(), find(settings).context
    address = f"{endpoint.url.removesuffix('/v1')}/completion"
    (word,) = fetch(f"{endpoint.url.removesuffix('/v1')}/tokenize", endpoint.key, body={"content": " the"})["tokens"]
    fetch(address, endpoint.key, body={"prompt": [word] * (limit - 4), "n_predict": 1}, timeout=600)
    try:
        fetch(address, endpoint.key, body={"prompt": [word] * (limit + 1), "n_predict": 1}, timeout=600)
    except ModelDown as refused:
        if "HTTP 400" in str(refused):
            return f"{told}; filled once, and one token more is refused"
        raise
    raise Unfit(f"a prompt of {limit + 1} tokens was cut without a word", "Use the llama.cpp that the wheel xllamacpp brings.")


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
    """The model's name must be one of those that the server lists; an adapter that it lists must be one of that model."""
    endpoint = served.endpoint()
    try:
        listed = {each["id"]: each for each in fetch(f"{endpoint.url}/models", endpoint.key).get("data", [])}
    except ModelDown as down:
        problem = str(down).removesuffix(" `askfirst doctor` tells more.")
        raise Unfit(problem, "Start that server, or leave ASKFIRST_MODEL out to use the shipped model.") from None
    if settings.model_name not in listed:
        raise Unfit(
            f"{endpoint.url} offers {', '.join(listed) or 'nothing'}, not '{settings.model_name}'",
            "Name one of them: ASKFIRST_MODEL_NAME=NAME.",
        )
    if settings.adapter not in listed:
        return f"{endpoint.url} offers {settings.model_name}"
    parent = listed[settings.adapter].get("parent")  # vLLM's word for an adapter's base; others say nothing
    if parent not in (None, settings.model_name):
        raise Unfit(
            f"{settings.adapter} is an adapter of {parent}, not of '{settings.model_name}'",
            f"Name its base, ASKFIRST_MODEL_NAME={parent}, or another adapter: ASKFIRST_ADAPTER=NAME.",
        )
    return f"{endpoint.url} offers {settings.model_name} and its adapter {settings.adapter}"
