"""Fetching from the hub, against a hub on this machine: digest, interruption, refusal, no hub at all."""

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from askfirst.agent.store import models, pull
from askfirst.errors import ModelMissing, ModelPullFailed
from askfirst.settings import Settings

WEIGHTS = bytes(range(256)) * 20_000


class Hub:
    """Redirects like the real one, with the digest beside the redirect; `ranges` holds what was asked of the file."""

    def __init__(self, *, digest: str = hashlib.sha256(WEIGHTS).hexdigest(), takes_ranges: bool = True):
        self.digest, self.takes_ranges = digest, takes_ranges
        self.ranges: list[str | None] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            known = self.path.startswith("/bartowski/")
            self.send_response(302 if known else 404)
            self.send_header("X-Linked-Etag", f'"{hub.digest}"')
            self.send_header("Location", "/file")
            self.end_headers()

        def do_GET(self) -> None:
            asked = self.headers["Range"]
            hub.ranges.append(asked)
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and hub.takes_ranges else 0
            if start >= len(WEIGHTS):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(WEIGHTS) - start))
            self.end_headers()
            self.wfile.write(WEIGHTS[start:])

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    return Handler


@pytest.fixture
def hub() -> Iterator[Hub]:
    opened = Hub()
    yield opened
    opened.close()


def partial(home: Path, size: int) -> Path:
    """What an interrupted fetch left behind."""
    path = home / "models" / "llama-3.2-1b.partial"
    path.parent.mkdir(parents=True)
    path.write_bytes(WEIGHTS[:size])
    return path


def test_a_preset_is_fetched_and_then_listed_as_here(hub: Hub, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    settings = Settings(home=tmp_path)
    path = pull("llama-3.2-1b", settings, hub=hub.url, progress=lambda done, total: seen.append((done, total)))
    assert path.read_bytes() == WEIGHTS
    assert seen[-1] == (len(WEIGHTS), len(WEIGHTS))
    assert {"name": "llama-3.2-1b", "where": str(path), "adapters": ""} in models(settings)


@pytest.mark.parametrize("size", [1_000_000, len(WEIGHTS)])
def test_an_interrupted_fetch_goes_on_where_it_stopped(hub: Hub, tmp_path: Path, size: int) -> None:
    partial(tmp_path, size)
    assert pull("llama-3.2-1b", Settings(home=tmp_path), hub=hub.url).read_bytes() == WEIGHTS
    assert hub.ranges == [f"bytes={size}-"]


def test_a_server_that_takes_no_ranges_is_read_from_the_start(hub: Hub, tmp_path: Path) -> None:
    hub.takes_ranges = False
    partial(tmp_path, 1000)
    assert pull("llama-3.2-1b", Settings(home=tmp_path), hub=hub.url).read_bytes() == WEIGHTS


def test_a_file_with_another_digest_is_not_kept(hub: Hub, tmp_path: Path) -> None:
    hub.digest = "0" * 64
    with pytest.raises(ModelPullFailed, match="digest"):
        pull("llama-3.2-1b", Settings(home=tmp_path), hub=hub.url)
    assert list((tmp_path / "models").iterdir()) == []


def test_a_hub_that_cannot_be_reached_is_named_with_the_next_act(tmp_path: Path) -> None:
    with pytest.raises(ModelPullFailed, match=r"127\.0\.0\.1:9 cannot be reached.*ASKFIRST_MODEL=askfirst-5m"):
        pull("llama-3.2-1b", Settings(home=tmp_path), hub="http://127.0.0.1:9")


def test_a_name_that_is_no_preset_is_answered_with_the_presets(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match=r"Known: smollm2-135m, llama-3\.2-1b, llama-3\.2-3b, llama-3\.1-8b"):
        pull("llama-9", Settings(home=tmp_path))
