"""The contract with a vLLM server that serves adapters (docs/vllm.md), against one that replays what vLLM documents.

The forms in `vllm_recorded.json` are written from vLLM's documentation, not recorded from a live server.
"""

import copy
import json
import math
import threading
from collections.abc import Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from askfirst.agent import decoding, doctor
from askfirst.agent.serve import open_model
from askfirst.agent.store import SHIPPED, prompts_of
from askfirst.errors import ModelDown, ModelReplyInvalid
from askfirst.settings import Settings

RECORDED = json.loads(Path(__file__).with_name("vllm_recorded.json").read_text("utf-8"))
# The fields of a chat request that vLLM documents and we may send. It ignores others without a word, so we must not rely on any.
DOCUMENTED = {"model", "messages", "temperature", "max_tokens", "max_completion_tokens", "response_format", "logprobs"}
DOCUMENTED |= {"top_logprobs", "stream", "stream_options", "tools", "tool_choice"}
KEY, ROUTES = "token-abc123", ("documents", "sub-questions", "tools", "direct")


class Recorded:
    """The server. `bodies` holds what it was asked; `broken` names the error that it answers with instead."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.models = copy.deepcopy(RECORDED["models"])
        self.broken: str | None = None
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()

    def answer(self, body: dict[str, Any]) -> tuple[int, Any]:
        self.bodies.append(body)
        if body["model"] not in {model["id"] for model in self.models["data"]}:
            return self.error("unknown model", body["model"])
        if self.broken:
            return self.error(self.broken)
        told = copy.deepcopy(RECORDED["completion"]) | {"model": body["model"]}
        content = said(body)
        told["choices"][0]["message"]["content"] = content
        if body.get("logprobs"):
            told["choices"][0]["logprobs"] = {"content": [probable(piece) for piece in (content[:3], content[3:])]}
        return 200, told

    def chunks(self, body: dict[str, Any]) -> list[dict[str, Any]]:
        """A reply in pieces, then why it ended, then what it cost, as `stream_options` ask."""
        self.bodies.append(body)
        chunks = [copy.deepcopy(RECORDED["chunk"]) | {"model": body["model"]} for _ in range(4)]
        for chunk, text in zip(chunks, ("", "It is ", "sunny.", ""), strict=True):
            chunk["choices"][0]["delta"] = {"content": text}
        chunks[0]["choices"][0]["delta"]["role"] = "assistant"
        chunks[-1]["choices"][0]["finish_reason"] = "stop"
        return [*chunks, {**chunks[0], "choices": [], "usage": RECORDED["completion"]["usage"]}]

    @staticmethod
    def error(name: str, *facts: str) -> tuple[int, Any]:
        told = RECORDED["errors"][name]
        return told["status"], json.loads(json.dumps(told["body"]).replace("{}", *facts) if facts else json.dumps(told["body"]))


def _handler(recorded: Recorded) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._tell(*((200, recorded.models) if self._known() else recorded.error("no key")))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if not self._known():
                self._tell(*recorded.error("no key"))
            elif body.get("stream"):
                lines = [json.dumps(chunk) for chunk in recorded.chunks(body)]
                self._send(200, "text/event-stream", "".join(f"data: {line}\n\n" for line in [*lines, "[DONE]"]).encode())
            else:
                self._tell(*recorded.answer(body))

        def log_message(self, *_: object) -> None:
            """Says nothing."""

        def _known(self) -> bool:
            return self.headers["Authorization"] == f"Bearer {KEY}"

        def _tell(self, status: int, value: Any) -> None:
            self._send(status, "application/json", json.dumps(value).encode())

        def _send(self, status: int, kind: str, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return Handler


def said(body: dict[str, Any]) -> str:
    """Text, or under a schema the first value that it allows."""
    form = body.get("response_format")
    return json.dumps(allowed(form["json_schema"]["schema"])) if form else "It is sunny."


def allowed(schema: dict[str, Any]) -> Any:
    """The simplest value that holds a schema, as a guided decoder could choose it."""
    if "anyOf" in schema:
        return allowed(schema["anyOf"][0])
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    made = {
        "object": lambda: {name: allowed(one) for name, one in schema["properties"].items()},
        "array": lambda: [allowed(schema["items"])] * schema["minItems"],
        "string": lambda: text(schema),
        "boolean": lambda: True,
        "null": lambda: None,
    }
    return made.get(schema["type"], lambda: schema["minimum"])()


def text(schema: dict[str, Any]) -> str:
    """Of the patterns that the doctor uses, or any."""
    pattern = schema.get("pattern", "")
    if pattern.startswith("^#W"):
        return "#W17"
    return f"#{'A' * int(pattern[8])}1234" if pattern else "a" * max(1, schema.get("minLength", 1))


def probable(piece: str) -> dict[str, Any]:
    """A token with its alternatives, one of which begins no option."""
    one = {"token": piece, "logprob": math.log(0.6), "bytes": list(piece.encode())}
    other = {"token": "Sure", "logprob": math.log(0.3), "bytes": list(b"Sure")}
    return {**one, "top_logprobs": [one, other]}


@pytest.fixture
def server() -> Iterator[Recorded]:
    opened = Recorded()
    yield opened
    opened.close()


@pytest.fixture
def settings(server: Recorded, tmp_path: Path) -> Settings:
    """As docs/vllm.md says."""
    return Settings(home=tmp_path, model=server.url, model_name="askfirst-5m", model_key=KEY)


def test_an_adapter_is_asked_by_its_own_name_with_its_own_prompts(settings: Settings, server: Recorded) -> None:
    with open_model(settings) as model:
        reply = model.choose("route", ROUTES, question="Where is my order?")
    (body,) = server.bodies
    prompts = prompts_of(SHIPPED / "askfirst-5m" / "adapters" / "decisions") or {}
    assert reply.value == "documents"
    assert model.adapter == "decisions"
    assert body["model"] == "decisions"
    assert body["messages"][0]["content"] == prompts["route"]["system"]
    assert body["response_format"]["json_schema"]["schema"]["enum"] == [f" {route}" for route in ROUTES]


def test_a_choice_has_its_probability_among_the_options(settings: Settings) -> None:
    with open_model(settings) as model:
        reply = model.choose("route", ROUTES, question="Where is my order?")
    assert reply.probability == pytest.approx(1.0)  # the other alternative begins no option, so it cannot be said
    assert (reply.prompt_tokens, reply.completion_tokens) == (31, 5)


def test_without_the_adapter_the_base_is_asked_by_its_name(settings: Settings, server: Recorded) -> None:
    server.models["data"].pop()
    with open_model(settings) as model:
        assert model.write([{"role": "user", "content": "How is the weather?"}]).text == "It is sunny."
    assert model.adapter is None
    assert server.bodies[0]["model"] == "askfirst-5m"


def test_every_request_has_documented_fields_only(settings: Settings, server: Recorded) -> None:
    asked = [{"role": "system", "content": "Act."}, {"role": "user", "content": "Where is #W17?"}]
    with open_model(settings) as model:
        model.yes("evidence", question="When is it open?", sentence="At nine.")
        model.lines("decompose", limit=2, question="How do Oslo and Rome differ?")
        assert model.act(asked, [decoding.LOOK_UP]).value == {"name": "look_up", "arguments": {"order": "#W17"}}
        assert "".join(model.stream(asked)) == "It is sunny."
    assert server.bodies[-1]["stream_options"] == {"include_usage": True}
    for body in server.bodies:
        assert body.keys() - DOCUMENTED <= {"n"}


@pytest.mark.parametrize("form", ["too long", "too long, before 0.10"])
def test_a_prompt_that_is_too_long_is_a_refused_request_and_no_dead_server(
    settings: Settings, server: Recorded, form: str
) -> None:
    server.broken = form
    with open_model(settings) as model, pytest.raises(ModelReplyInvalid, match="maximum context length"):
        model.choose("route", ROUTES, question="word " * 50_000)


def test_an_unknown_model_and_a_wrong_key_are_named(settings: Settings) -> None:
    unknown = settings.model_copy(update={"model_name": "llama-70b", "adapter": "none"})
    with open_model(unknown) as model, pytest.raises(ModelDown, match="`llama-70b` does not exist"):
        model.write([{"role": "user", "content": "hi"}])
    with pytest.raises(ModelDown, match="HTTP 401"):
        open_model(settings.model_copy(update={"model_key": "wrong"}))


def test_the_doctor_proves_such_a_server(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "QUICK", 600)
    findings = {found.name: found for found in doctor.model_findings(settings)}
    assert [found.name for found in findings.values() if not found.ok] == []
    assert findings["model server"].detail.endswith("offers askfirst-5m and its adapter decisions")
    assert findings["schemas"].detail == "50 of 50 replies under random schemas hold"
    assert findings["round trip"].ok


def test_an_adapter_over_another_base_is_found_out(settings: Settings, server: Recorded) -> None:
    server.models["data"][1]["parent"] = "llama-70b"
    found = doctor.finding("model server", partial(_offers, settings))
    assert not found.ok
    assert "decisions is an adapter of llama-70b" in found.detail


def _offers(settings: Settings) -> str:
    from askfirst.agent import probes
    from askfirst.agent.serve import serve

    with serve(settings) as served:
        return probes.offers(settings, served)


def test_the_page_about_it_names_what_is_sent(server: Recorded) -> None:
    page = (SHIPPED.parent / "docs" / "vllm.md").read_text("utf-8")
    needed: Callable[[str], bool] = page.__contains__
    assert all(map(needed, ("--enable-lora", "--lora-modules decisions=", "ASKFIRST_MODEL=http", "ASKFIRST_MODEL_NAME=")))
