"""The model server as it really runs: shared, closed to others, started again after SIGKILL, gone when nobody uses it."""

import http.client
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from askfirst.agent import starting
from askfirst.agent.derive import derive
from askfirst.agent.llamacpp import State, read_state
from askfirst.agent.serve import Served, card_of, open_model, serve
from askfirst.agent.store import SHIPPED, find, models, prompts_of
from askfirst.errors import AdapterMissing, ModelDown, ModelMissing, ModelServerFailed, ModelUnreadable
from askfirst.settings import Settings

USER = """
import sys, time
from askfirst.agent.serve import serve
from askfirst.settings import Settings
with serve(Settings(home=sys.argv[1])) as served:
    print(served.url, flush=True)
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def lone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A home of this file's own, because its server is killed."""
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    yield settings
    for note in (settings.home / "run").glob("*.json"):
        note.unlink()  # its server sees that and ends


@pytest.fixture
def served(lone: Settings) -> Iterator[Served]:
    with serve(lone) as opened:
        opened.endpoint()
        yield opened


def state(settings: Settings) -> State:
    (note,) = (settings.home / "run").glob("*.json")
    told = read_state(note)
    assert told
    return told


def gone(pid: int, *, within: float = 8) -> bool:
    """Whether a process ends in time; what is left of it may be a zombie."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


def asked(url: str, path: str, **headers: str) -> http.client.HTTPResponse:
    there = urlsplit(url)
    connection = http.client.HTTPConnection(there.hostname or "", there.port, timeout=10)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def another(settings: Settings) -> tuple["subprocess.Popen[str]", str]:
    """Another process that uses the server, and the URL that it got."""
    process = subprocess.Popen([sys.executable, "-c", USER, str(settings.home)], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    url = process.stdout.readline().strip()
    process.stdout.close()
    return process, url


def test_nothing_starts_before_the_model_is_asked(tmp_path: Path) -> None:
    with open_model(Settings(home=tmp_path)) as model:
        assert model.adapter == "decisions"
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("key", ["", "Bearer wrong"])
def test_a_request_without_the_key_is_refused(served: Served, key: str) -> None:
    assert asked(served.url, "/v1/models", Authorization=key).status == 401
    assert asked(served.url, "/props", Authorization=key).status == 401
    assert asked(served.url, "/v1/models", Authorization=f"Bearer {served.key}").status == 200


def test_a_page_of_another_origin_may_not_read_replies(served: Served) -> None:
    for path in ("/health", "/v1/models"):
        answer = asked(served.url, path, Origin="https://elsewhere.example", Authorization=f"Bearer {served.key}")
        assert answer.status == 200
        assert answer.headers["Access-Control-Allow-Origin"] not in ("*", "https://elsewhere.example")
        assert answer.headers["Access-Control-Allow-Credentials"] != "true"


def test_the_server_listens_on_this_machine_only(served: Served, lone: Settings) -> None:
    listening = [c for c in psutil.Process(state(lone).pid).net_connections() if c.status == psutil.CONN_LISTEN]
    assert {c.laddr.ip for c in listening} == {"127.0.0.1"}


def test_the_key_is_in_no_command_line_and_no_environment_and_its_file_is_the_owners(served: Served, lone: Settings) -> None:
    process = psutil.Process(state(lone).pid)
    assert served.key not in " ".join(process.cmdline())
    assert served.key not in " ".join(process.environ().values())
    run = lone.home / "run"
    (note,) = run.glob("*.json")
    assert stat.S_IMODE(note.stat().st_mode) == 0o600
    assert stat.S_IMODE(run.stat().st_mode) == 0o700


def test_after_sigkill_the_next_question_is_answered_at_the_old_address(lone: Settings, served: Served) -> None:
    before, old = served.endpoint(), state(lone).pid
    with open_model(lone) as model:
        model.choose("route", ("documents", "tools"), question="Before?")
        os.kill(old, signal.SIGKILL)
        assert model.choose("route", ("documents", "tools"), question="After?").value in ("documents", "tools")
    assert served.endpoint() == before
    assert state(lone).pid != old


def test_after_sigkill_a_taken_port_is_left_to_who_took_it(lone: Settings, served: Served) -> None:
    before = served.endpoint()
    os.kill(state(lone).pid, signal.SIGKILL)
    assert gone(state(lone).pid)
    time.sleep(0.5)  # its last threads still hold the port
    with socket.create_server(("127.0.0.1", urlsplit(before.url).port or 0)):
        after = served.endpoint()
    assert after.url != before.url
    assert after.key == before.key


def test_a_server_that_hangs_is_replaced(lone: Settings, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "PATIENCE", 1)
    hanging = state(lone).pid
    os.kill(hanging, signal.SIGSTOP)
    served.endpoint()
    assert state(lone).pid != hanging
    assert gone(hanging)


def test_two_processes_share_one_server_and_the_first_to_stop_leaves_it(lone: Settings, served: Served) -> None:
    pid = state(lone).pid
    other, url = another(lone)
    try:
        assert url == served.url
        assert not served.stop()
        assert psutil.pid_exists(pid)
    finally:
        other.kill()
        other.wait()


def test_the_last_user_may_stop_the_server(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    served = serve(settings)
    served.endpoint()
    pid = state(settings).pid
    assert served.stop()
    assert gone(pid)
    assert served.stop()


def test_a_server_ends_itself_when_its_users_are_gone_even_by_sigkill(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with serve(settings, idle=1) as served:
        served.endpoint()
        pid = state(settings).pid
        other, _ = another(settings)
    time.sleep(2)
    assert psutil.pid_exists(pid)
    other.kill()
    other.wait()
    assert gone(pid)
    assert not list((tmp_path / "run").glob("*.json"))


def test_a_server_whose_home_is_deleted_ends_itself(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with serve(settings) as served:
        served.endpoint()
        pid = state(settings).pid
        (tmp_path / "run").rename(tmp_path / "elsewhere")
        assert gone(pid)


def test_files_are_derived_once_and_again_when_the_model_changes(tmp_path: Path) -> None:
    settings = Settings(home=copied(tmp_path), model="mine")
    first = derive(find(settings), settings.home)
    written = first.model.stat().st_mtime_ns
    assert derive(find(settings), settings.home).model.stat().st_mtime_ns == written
    template = settings.home / "models" / "mine" / "chat_template.jinja"
    template.write_text(template.read_text() + " ")
    second = derive(find(settings), settings.home)
    assert second.digest != first.digest
    assert second.model.exists()
    assert not first.model.exists()


def test_a_model_with_missing_or_broken_files_is_named(tmp_path: Path) -> None:
    settings = Settings(home=copied(tmp_path), model="mine")
    folder = settings.home / "models" / "mine"
    (folder / "model.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ModelUnreadable, match="mine"):
        serve(settings).endpoint()
    (folder / "tokenizer.json").unlink()
    with pytest.raises(ModelUnreadable, match=r"tokenizer\.json"):
        serve(settings).endpoint()


def test_prompts_that_lack_a_part_are_named(tmp_path: Path) -> None:
    (tmp_path / "prompts.toml").write_text('[route]\nuser = "?"\n')
    with pytest.raises(ModelUnreadable, match="route"):
        prompts_of(tmp_path)


def test_a_server_that_cannot_load_its_model_says_why_and_leaves_no_process(tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "garbage.gguf").write_bytes(b"GGUF" + bytes(1000))
    with pytest.raises(ModelServerFailed, match="log"):
        serve(Settings(home=tmp_path, model="garbage")).endpoint()
    assert not list((tmp_path / "run").glob("*.json"))


def test_too_little_memory_is_said_before_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting.psutil, "virtual_memory", lambda: SimpleNamespace(available=1e6))
    with pytest.raises(ModelServerFailed, match=r"needs about 0\.\d GB"):
        serve(Settings(home=tmp_path)).endpoint()


def test_an_unknown_model_or_adapter_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="Known: askfirst-"):
        serve(Settings(home=tmp_path, model="gpt"))
    with pytest.raises(AdapterMissing, match="Known: decisions"):
        serve(Settings(home=tmp_path, adapter="poems"))


def test_the_list_of_models_holds_the_shipped_ones_and_those_to_fetch(tmp_path: Path) -> None:
    names = [row["name"] for row in models(Settings(home=tmp_path))]
    assert names[0].startswith("askfirst-")
    assert {"llama-3.2-1b", "llama-3.2-3b", "llama-3.1-8b"} <= set(names)


def test_a_card_limits_what_a_model_decides_and_only_a_model_of_ones_own_has_none(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert "decisions" in (card_of(settings) or {})
    assert card_of(settings.model_copy(update={"adapter": "none"})) == {"decisions": {}}
    assert card_of(settings.model_copy(update={"model": "http://127.0.0.1:9/v1"})) is None


def test_at_a_url_nothing_is_started(tmp_path: Path, stub: Callable[..., Any]) -> None:
    server = stub("hello")
    settings = Settings(home=tmp_path, model=server.url)
    with serve(settings) as served, open_model(settings) as model:
        assert served.url == server.url
        assert model.write([{"role": "user", "content": "hi"}]).text == "hello"
    assert list(tmp_path.iterdir()) == []


def test_a_url_where_nothing_answers_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelDown, match="refused"):
        open_model(Settings(home=tmp_path, model="http://127.0.0.1:9/v1"))


def copied(home: Path) -> Path:
    """A home that holds the shipped model under the name `mine`, by copies."""
    shutil.copytree(next(SHIPPED.glob("askfirst-*")), home / "models" / "mine")
    return home


def test_a_model_of_ones_own_is_served_from_the_home(tmp_path: Path) -> None:
    settings = Settings(home=copied(tmp_path), model="mine")
    with serve(settings) as served, open_model(settings) as model:
        assert model.choose("route", ("documents", "tools"), question="?").value in ("documents", "tools")
        assert served.key
    assert json.dumps(models(settings))
    assert served.stop()


def test_processes_that_start_at_the_same_moment_get_one_server(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    command = [sys.executable, "-c", USER, str(tmp_path)]
    starting = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    try:
        urls = {process.stdout.readline().strip() for process in starting if process.stdout}
        served = serve(settings)
        assert urls == {served.url}
    finally:
        for process in starting:
            process.kill()
            process.communicate()
    assert served.stop()
