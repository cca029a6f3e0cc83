"""Several adapters over one base in one real server: each request gets its own, alone, interleaved and at once."""

import os
import shutil
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from safetensors.numpy import load_file, save_file

from askfirst.agent import starting
from askfirst.agent.endpoint import Endpoint, fetch
from askfirst.agent.llamacpp import read_state
from askfirst.agent.serve import Served, open_model, serve
from askfirst.agent.store import SHIPPED
from askfirst.errors import ModelServerFailed
from askfirst.settings import Settings

ADAPTERS = ("decisions", "other", "none")
PREFIX = "The shop is open from Monday to Friday. " * 20  # long enough to be worth reusing
TEXTS = [f"{PREFIX}Tell me about number {number}." for number in range(4)]
Asked = Callable[[str, str], list[int]]


def add_adapter(model: Path, name: str, *, seed: int) -> None:
    """A copy of the shipped adapter whose second half is shuffled: another adapter of the same size."""
    folder = model / "adapters" / name
    shutil.copytree(model / "adapters" / "decisions", folder)
    tensors = load_file(folder / "adapter_model.safetensors")
    order = np.random.default_rng(seed)
    changed = {key: order.permutation(value) if "lora_B" in key else value for key, value in tensors.items()}
    save_file({key: np.ascontiguousarray(value) for key, value in changed.items()}, folder / "adapter_model.safetensors")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with a model that has two adapters."""
    home = tmp_path_factory.mktemp("adapters")
    shutil.copytree(SHIPPED / "askfirst-5m", home / "models" / "mine")
    add_adapter(home / "models" / "mine", "other", seed=1)
    yield home
    for note in (home / "run").glob("*.json"):
        note.unlink()  # its server sees that and ends


def settings_of(home: Path, adapter: str) -> Settings:
    return Settings(home=home, model="mine", adapter=adapter)


def asked(endpoint: Endpoint, text: str, **told: Any) -> dict[str, Any]:
    """The answer to a prompt, twelve tokens by the adapter of the endpoint."""
    lora = [{"id": number, "scale": scale} for number, scale in enumerate(endpoint.scales or ())]
    body = {"prompt": text, "n_predict": 12, "temperature": 0, "return_tokens": True, "ignore_eos": True, "lora": lora, **told}
    return fetch(f"{endpoint.url.removesuffix('/v1')}/completion", endpoint.key, body=body, timeout=60)


@pytest.fixture(scope="module")
def alone(home: Path) -> dict[tuple[str, str], list[int]]:
    """What each adapter says where nothing else was ever asked: each on a server of its own, each prompt read anew."""
    said = {}
    for adapter in ADAPTERS:
        with serve(settings_of(home, adapter)) as served:
            endpoint = served.endpoint()
            said |= {(adapter, text): asked(endpoint, text, cache_prompt=False)["tokens"] for text in TEXTS}
        assert served.stop()
    assert len({tuple(said[adapter, TEXTS[0]]) for adapter in ADAPTERS}) == 3
    return said


@pytest.fixture
def endpoints(home: Path) -> Iterator[dict[str, Endpoint]]:
    """The one server, as each adapter's requests go to it."""
    uses = {adapter: serve(settings_of(home, adapter)) for adapter in ADAPTERS}
    yield {adapter: use.endpoint() for adapter, use in uses.items()}
    for use in uses.values():
        use.close()


def test_all_adapters_are_asked_of_one_server(endpoints: dict[str, Endpoint]) -> None:
    assert len({endpoint.url for endpoint in endpoints.values()}) == 1
    assert [endpoints[adapter].scales for adapter in ADAPTERS] == [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0)]


def test_interleaved_requests_get_what_each_adapter_says_alone(endpoints: dict[str, Endpoint], alone: dict) -> None:
    for text in [*TEXTS, *reversed(TEXTS)]:
        for adapter in ADAPTERS:
            assert asked(endpoints[adapter], text)["tokens"] == alone[adapter, text], (adapter, text[-20:])


def test_requests_at_once_get_what_each_adapter_says_alone(endpoints: dict[str, Endpoint], alone: dict) -> None:
    wanted = [(adapter, text) for text in TEXTS for adapter in ADAPTERS] * 2
    with ThreadPoolExecutor(6) as pool:
        said = list(pool.map(lambda pair: asked(endpoints[pair[0]], pair[1])["tokens"], wanted))
    assert said == [alone[pair] for pair in wanted]


def test_a_prefix_is_read_again_under_another_adapter_and_reused_under_its_own(endpoints: dict[str, Endpoint]) -> None:
    told = {"id_slot": 0}
    whole = asked(endpoints["decisions"], TEXTS[0], cache_prompt=False, **told)["timings"]["prompt_n"]
    reused = asked(endpoints["decisions"], TEXTS[1], **told)["timings"]
    assert reused["prompt_n"] < whole / 4
    assert asked(endpoints["other"], TEXTS[1], **told)["timings"]["prompt_n"] >= whole
    assert asked(endpoints["none"], TEXTS[1], **told)["timings"]["prompt_n"] >= whole
    assert asked(endpoints["none"], TEXTS[2], **told)["timings"]["prompt_n"] < whole / 4
    assert asked(endpoints["decisions"], TEXTS[1], **told)["timings"]["prompt_n"] >= whole


def test_an_adapter_added_later_gets_a_server_of_its_own_and_the_first_serves_on(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED / "askfirst-5m", tmp_path / "models" / "mine")
    with serve(settings_of(tmp_path, "decisions")) as before:
        first = before.endpoint()
        said = asked(first, TEXTS[0])["tokens"]
        add_adapter(tmp_path / "models" / "mine", "late", seed=2)
        with serve(settings_of(tmp_path, "late")) as after:
            assert after.endpoint().url != first.url
            assert asked(after.endpoint(), TEXTS[0])["tokens"] != said
            assert before.endpoint() == first
            assert asked(first, TEXTS[0])["tokens"] == said
    assert before.stop()
    assert after.stop()


def test_an_adapter_trained_anew_is_asked_by_new_requests_while_a_running_one_ends_under_the_old(tmp_path: Path) -> None:
    shutil.copytree(SHIPPED / "askfirst-5m", tmp_path / "models" / "mine")
    adapters = tmp_path / "models" / "mine" / "adapters"
    with serve(settings_of(tmp_path, "decisions")) as use, ThreadPoolExecutor(1) as pool:
        old = use.endpoint()
        expected = asked(old, TEXTS[0], n_predict=600)["tokens"]
        running = pool.submit(asked, old, TEXTS[0], n_predict=600)
        add_adapter(tmp_path / "models" / "mine", "better", seed=3)
        shutil.rmtree(adapters / "decisions")
        (adapters / "better").rename(adapters / "decisions")
        with serve(settings_of(tmp_path, "decisions")) as another:
            new = another.endpoint()
        assert use.endpoint().url == new.url != old.url
        assert running.result()["tokens"] == expected
        assert asked(use.endpoint(), TEXTS[0])["tokens"] != expected[:12]
    assert another.stop()


def processing(endpoint: Endpoint) -> bool:
    """Whether the server works on a request."""
    return any(slot["is_processing"] for slot in fetch(f"{endpoint.url.removesuffix('/v1')}/slots", endpoint.key))


def kill_in_mid_request(use: Served, home: Path) -> None:
    """SIGKILL as soon as the server is seen to work."""
    endpoint, deadline = use.endpoint(), time.monotonic() + 30
    while not processing(endpoint) and time.monotonic() < deadline:
        time.sleep(0.01)
    (note,) = (home / "run").glob("*.json")
    told = read_state(note)
    assert told
    os.kill(told.pid, signal.SIGKILL)


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[Settings]:
    """A home with the small model alone, whose server may be killed."""
    yield Settings(home=tmp_path, model="askfirst-5m")
    for note in (tmp_path / "run").glob("*.json"):
        note.unlink()


LONG = {
    "name": "tell",
    "description": "Tells a story.",
    "parameters": {
        "type": "object",
        "properties": {"text": {"type": "string", "minLength": 1500, "maxLength": 1500}},
        "required": ["text"],
    },
}


def test_a_request_that_sigkill_met_is_answered_by_the_next_server(lone: Settings) -> None:
    asked_for = [{"role": "system", "content": "Act."}, {"role": "user", "content": "Tell me about the weather."}]
    with open_model(lone) as model, serve(lone) as use:
        use.endpoint()
        killer = threading.Thread(target=kill_in_mid_request, args=(use, lone.home))
        killer.start()
        said = model.act(asked_for, [LONG], max_tokens=1900).value
        killer.join()
        assert said == model.act(asked_for, [LONG], max_tokens=1900).value
        assert len(said["arguments"]["text"]) == 1500


def test_a_port_that_was_taken_meanwhile_is_said_in_one_line(lone: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(lone) as use:
        port = int(use.endpoint().url.rsplit(":", 1)[1].removesuffix("/v1"))
        (note,) = (lone.home / "run").glob("*.json")
        told = read_state(note)
        assert told
        psutil.Process(told.pid).kill()
        time.sleep(0.5)
        with socket.create_server(("127.0.0.1", port)):
            monkeypatch.setattr(starting, "free_port", lambda _: port)
            with pytest.raises(ModelServerFailed) as failed:
                use.endpoint()
    assert "\n" not in str(failed.value)
    assert f"port {port} is taken" in str(failed.value)
