"""Brings a model server up: where the processes of a home meet about it, what it needs, and what it says when it cannot.

agent/serve.py asks for it, agent/llamacpp.py is the process that is started.
"""

import contextlib
import json
import secrets
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from ..errors import ModelDown, ModelServerFailed
from ..settings import Settings
from . import openmp
from .derive import Files, derive, locked
from .endpoint import offered
from .llamacpp import SLOTS, Job, State, end, is_free, process_of, read_state
from .store import StoredModel

PATIENCE = 10.0  # seconds in which a living server must answer; on a busy machine it is slow, not dead
OWN = 150e6  # bytes that a server needs beside weights and caches


@dataclass(frozen=True)
class Place:
    """What is served, and the files over which the processes of a home meet about it."""

    files: Files
    context: int
    memory: float
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
        memory = sum(path.stat().st_size for path in (files.model, *files.adapters)) + model.cache * model.context * SLOTS + OWN
        return cls(files, model.context, memory, *named)


def running(place: Place, threads: int, *, idle: float) -> State:
    """The server's state; started when it is not up, after what is left of the one before was ended."""
    with locked(place.lock):
        before = read_state(place.state)
        if before and answers(before):
            return before
        if before:
            end(before)
        place.state.unlink(missing_ok=True)
        check_memory(place.memory)
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


def check_memory(needed: float) -> None:
    """Said before llama.cpp is stopped for it without a word."""
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


def free_port(before: State) -> int:
    """The port that the server had before, which its last threads may hold for a moment; 0, any port, where others took it."""
    port = urlsplit(before.url).port or 0
    for _ in range(20):
        if is_free(port):
            return port
        time.sleep(0.05)
    return 0


def last_line(log: Path) -> str:
    """What a server said last, which is mostly why it ended."""
    lines = [line.strip() for line in log.read_text("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else ""
