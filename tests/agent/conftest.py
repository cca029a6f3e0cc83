"""What the agent's tests share: a model server that misbehaves by script, where a real one would not."""

import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest


class Stub:
    """A server that speaks the OpenAI-compatible protocol from a script: for what a well-behaved one never does.

    It replies with `contents` in turn, the last one again and again; `bodies` holds what it was asked. `url` ends in /v1.
    """

    def __init__(self, *contents: str, offers: tuple[str, ...] = ("local",), delay: float = 0):
        self.contents, self.offers, self.delay = list(contents), offers, delay
        self.bodies: list[dict[str, Any]] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def completion(self, body: dict[str, Any]) -> dict[str, Any]:
        time.sleep(self.delay)
        self.bodies.append(body)
        content = self.contents.pop(0) if len(self.contents) > 1 else self.contents[0]
        message = {"role": "assistant", "content": content}
        usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
        return {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": "local",
            "usage": usage,
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        }

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def _handler(stub: Stub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._tell({"object": "list", "data": [{"id": name, "object": "model"} for name in stub.offers]})

        def do_POST(self) -> None:
            self._tell(stub.completion(json.loads(self.rfile.read(int(self.headers["Content-Length"])))))

        def log_message(self, *_: object) -> None:
            """Says nothing."""

        def _tell(self, value: Any) -> None:
            content = json.dumps(value).encode()
            with contextlib.suppress(BrokenPipeError):  # the caller did not wait
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

    return Handler


@pytest.fixture
def stub() -> Iterator[Callable[..., Stub]]:
    """Makes stub servers that are closed after the test."""
    made: list[Stub] = []

    def make(*contents: str, **choices: Any) -> Stub:
        made.append(Stub(*contents, **choices))
        return made[-1]

    yield make
    for one in made:
        one.close()
