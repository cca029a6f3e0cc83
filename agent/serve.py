"""Starts and watches the local model server: one for each model and home, shared by all processes that use that home.

The server is llama.cpp in a process of its own (agent/llamacpp.py), on a free port of 127.0.0.1, behind a random key, closed
to pages of other origins. A state file that only its owner can read tells URL and key. Each user holds a shared lock, which
ends with the user's process however that ends; a server without users for `IDLE` seconds ends itself. So no process has to
be the one that cleans up, and the next command finds the model warm.
"""

import contextlib
import fcntl
import json
import secrets
import socket
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import psutil

from ..errors import ModelDown, ModelServerFailed
from ..settings import Settings
from . import openmp
from .derive import Files, derive, locked
from .endpoint import Endpoint, offered
from .llamacpp import Job, State, alone, end, process_of, read_state
from .model import Model
from .store import StoredModel, card_of, find, is_url, models, prompts_of, pull, read_card, stored

__all__ = ["Served", "card_of", "models", "open_model", "pull", "serve"]

IDLE = 300.0  # seconds without a user after which a server ends
PATIENCE = 10.0  # seconds in which a living server must answer; on a busy machine it is slow, not dead


def open_model(settings: Settings) -> Model:
    """The model that the settings name, with its adapter's prompts and card. A local server starts at the first question."""
    if is_url(settings.model):
        return at_url(settings)
    adapter, served = find(settings).adapter(settings.adapter), serve(settings)
    return Model(
        served.endpoint,
        adapter=adapter.name if adapter else None,
        card=card_of(settings),
        prompts=prompts_of(adapter),
        release=served.close,
    )


def serve(settings: Settings, *, idle: float = IDLE) -> "Served":
    """The server of the settings' model, which starts when it is first asked where it is. At a URL nothing is ever started."""
    return Served(settings, None if is_url(settings.model) else find(settings), idle=idle)


class Served:
    """One process's use of a model server. Leaving the context gives the use back; the server stays for the next one."""

    def __init__(self, settings: Settings, model: StoredModel | None, *, idle: float):
        self._settings, self._model, self._idle = settings, model, idle
        self._adapter = model.adapter(settings.adapter) if model else None
        self._lock = threading.RLock()
        self._place: Place | None = None
        self._use: IO[str] | None = None

    def __enter__(self) -> "Served":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Of the OpenAI-compatible API, ending in /v1."""
        return self.endpoint().url

    @property
    def key(self) -> str:
        """What a request must bring as `Authorization: Bearer KEY`."""
        return self.endpoint().key

    def endpoint(self) -> Endpoint:
        """Where the model answers now, started if it is not up; one that died gets its old port and key again, so that what
        other users know stays true. Raises `ModelServerFailed`, `ModelUnreadable`."""
        if self._model is None:
            return Endpoint(self._settings.model, self._settings.model_key, self._settings.model_name)
        with self._lock:
            self._place = self._place or Place.of(self._settings, self._model)
            if self._use is None:
                self._use = self._place.users.open("a")
                fcntl.flock(self._use, fcntl.LOCK_SH)
            try:
                state = running(self._place, self._settings.threads, idle=self._idle)
            except ModelServerFailed:
                self.close()
                raise
        return Endpoint(state.url, state.key, "local", tuple(float(folder == self._adapter) for folder in self._model.adapters))

    def close(self) -> None:
        """Gives this use back. The server ends by itself when nobody has used it for a while."""
        with self._lock:
            if self._use:
                self._use.close()
            self._use = None

    def stop(self) -> bool:
        """Gives this use back and ends the server, unless others use it; tells whether it is gone."""
        self.close()
        if self._place is None:
            return True
        with locked(self._place.lock), self._place.users.open("a") as users:
            if not alone(users):
                return False
            if state := read_state(self._place.state):
                end(state)
            self._place.state.unlink(missing_ok=True)
        return True

    def wait(self) -> None:
        """Keeps the server up until this process is interrupted; one that dies is started again."""
        while True:
            self.endpoint()
            time.sleep(2)


@dataclass(frozen=True)
class Place:
    """What is served, and the files over which the processes of a home meet about it."""

    files: Files
    context: int
    state: Path
    lock: Path
    users: Path
    log: Path

    @classmethod
    def of(cls, settings: Settings, model: StoredModel) -> "Place":
        """In a folder that only the owner can enter; named by what is served, so that two models do not meet."""
        files = derive(model, settings.home)
        folder = settings.home / "run"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        named = (folder / f"model-{files.digest}-{settings.threads}.{suffix}" for suffix in ("json", "lock", "users", "log"))
        return cls(files, model.context, *named)


def running(place: Place, threads: int, *, idle: float) -> State:
    """The server's state; started when it is not up, after what is left of the one before was ended."""
    with locked(place.lock):
        before = read_state(place.state)
        if before and answers(before):
            return before
        if before:
            end(before)
        place.state.unlink(missing_ok=True)
        check_memory(place.files)
        key, port = (before.key, free_port(before)) if before else (secrets.token_urlsafe(32), 0)
        adapters = tuple(map(str, place.files.adapters))
        return started(
            place,
            Job(str(place.files.model), adapters, threads, place.context, key, port, str(place.state), str(place.users), idle),
        )


def answers(state: State) -> bool:
    """Whether the server answers with its key; one whose process is alive is given `PATIENCE` for it."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with contextlib.suppress(ModelDown):
            return bool(offered(state.url, state.key, timeout=2))
        if process_of(state) is None:
            break
        time.sleep(0.1)
    return False


def check_memory(files: Files) -> None:
    """Weights are mapped and read whole; caches and the process take about a third more."""
    needed = 1.3 * sum(path.stat().st_size for path in (files.model, *files.adapters)) + 100e6
    free = psutil.virtual_memory().available
    if free < needed:
        raise ModelServerFailed(f"it needs about {needed / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free", log="none yet")


def started(place: Place, job: Job) -> State:
    """The state that the new process writes once it answers; its last words as an error when it ends before."""
    with place.log.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", f"{__package__}.llamacpp"],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            start_new_session=True,
            text=True,
            env=openmp.variables(place.log.parent),
        )
    # The thread collects the process's exit, whenever that comes: no zombie, and no warning about it.
    threading.Thread(target=process.wait, daemon=True).start()
    with contextlib.suppress(BrokenPipeError), process.stdin:  # type: ignore[union-attr]  # it is a pipe
        json.dump(asdict(job), process.stdin)  # type: ignore[arg-type]
    deadline = time.monotonic() + 30 + place.files.model.stat().st_size / 20e6
    while time.monotonic() < deadline:
        state = read_state(place.state)
        if state and state.pid == process.pid:
            return state
        if process.poll() is not None:
            raise ModelServerFailed(last_line(place.log) or f"exit code {process.returncode}", log=place.log)
        time.sleep(0.01)
    process.kill()
    raise ModelServerFailed("it did not come up in time", log=place.log)


def at_url(settings: Settings) -> Model:
    """A server of the user's own. The adapter is asked for only where that server lists a model of its name.

    Its prompts and card come from the model folder here that is named as the model is there, if there is one.
    """
    adapter = settings.adapter if settings.adapter in offered(settings.model, settings.model_key) else None
    here = [folder for model in stored(settings) if model.name == settings.model_name for folder in model.adapters]
    folder = next((folder for folder in here if folder.name == adapter), None)
    return Model.connect(
        settings.model,
        name=settings.model_name,
        key=settings.model_key,
        adapter=adapter,
        prompts=prompts_of(folder),
        card=read_card(folder) if folder else None,
    )


def free_port(before: State) -> int:
    """The port that the server had before, which its last threads may hold for a moment; 0, any port, where others took it."""
    port = urlsplit(before.url).port or 0
    for _ in range(20):
        with socket.socket() as tried, contextlib.suppress(OSError):
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(("127.0.0.1", port))
            return port
        time.sleep(0.05)
    return 0


def last_line(log: Path) -> str:
    """What a server said last, which is mostly why it ended."""
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1] if lines else ""
