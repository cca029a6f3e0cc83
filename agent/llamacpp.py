"""The model server's own process: llama.cpp with one model and its adapters, until nobody uses it any more.

    python -m askfirst.agent.llamacpp < job.json

It imports nothing of the assistant, so that it is up at once. agent/serve.py starts it and shares it.
"""

import contextlib
import fcntl
import json
import os
import socket
import sys
import time
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import IO, Any

import psutil

SLOTS = 4  # requests decoded at once; each has the model's whole context


@dataclass(frozen=True)
class Job:
    """What a server is told on its standard input: so the key is in no command line and in no environment."""

    model: str
    adapters: tuple[str, ...]
    threads: int
    context: int
    key: str
    port: int
    state: str
    users: str
    idle: float


@dataclass(frozen=True)
class State:
    """A server that is up, as its state file tells it. `created` guards against a process number used again."""

    url: str
    key: str
    pid: int
    created: float


def main() -> None:
    job = Job(**json.load(sys.stdin))
    if not is_free(job.port):
        sys.exit(f"port {job.port} is taken by another program; try again, then another is chosen")
    server = listening(job)
    me = State(f"{server.listening_address}/v1", job.key, os.getpid(), psutil.Process().create_time())
    write_state(Path(job.state), me)
    watch(job, me)
    os._exit(0)  # llama.cpp's threads are not waited for: nobody asks any more


def listening(job: Job) -> Any:
    """The server, answering. Raises what llama.cpp raises when the model does not load or the port is taken."""
    llama: Any = import_module("xllamacpp")  # compiled, without types
    told = llama.CommonParams()
    told.model.path, told.model_alias, told.n_gpu_layers = job.model, {"local"}, 0
    told.hostnames, told.port, told.api_keys = ["127.0.0.1"], job.port, [job.key]
    told.cors_origins, told.cors_credentials = "http://127.0.0.1", False  # the default lets every page of the web read replies
    told.ui, told.endpoint_props, told.verbosity = False, True, 2
    told.cache_ram_mib = 0  # its cache beyond the slots forgets under which LoRA a prompt was read, and mixes them
    told.n_parallel, told.n_ctx = SLOTS, SLOTS * job.context
    told.cpuparams.n_threads = told.cpuparams_batch.n_threads = job.threads
    told.lora_adapters = [_lora(llama, path) for path in job.adapters]
    return llama.Server(told)


def is_free(port: int) -> bool:
    """Whether the server may listen there; 0 is any port. llama.cpp itself would only say that it failed."""
    with socket.socket() as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def watch(job: Job, me: State) -> None:
    """Returns when nobody held the users' lock for `idle` seconds, or when the state file is gone or tells another server."""
    unused = time.monotonic()
    while read_state(Path(job.state)) == me:
        time.sleep(0.5)
        with contextlib.suppress(OSError), Path(job.users).open("a") as users:
            if not alone(users):
                unused = time.monotonic()
        if time.monotonic() - unused > job.idle:
            Path(job.state).unlink(missing_ok=True)
            return


def alone(users: IO[str]) -> bool:
    """Whether no process holds the users' lock; when none does, `users` holds it alone until it is closed."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def read_state(path: Path) -> State | None:
    """None when there is no server, or an unreadable note of one."""
    try:
        return State(**json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write_state(path: Path, state: State) -> None:
    """At once and whole; readable by its owner only, because it holds the key."""
    partial = path.with_suffix(f".{os.getpid()}")
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        json.dump(asdict(state), file)
    os.replace(partial, path)


def process_of(state: State) -> psutil.Process | None:
    """The server's process, unless it is gone or its number belongs to another by now."""
    with contextlib.suppress(psutil.Error):
        process = psutil.Process(state.pid)
        if process.create_time() == state.created and process.status() != psutil.STATUS_ZOMBIE:
            return process
    return None


def end(state: State) -> None:
    """Ends a server's process: politely, then by force."""
    with contextlib.suppress(psutil.Error):
        if process := process_of(state):
            process.terminate()
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(2)
                return
            process.kill()
            process.wait(5)


def _lora(llama: Any, path: str) -> Any:
    """An adapter that is loaded but asks for nothing by default: each request says its scale."""
    adapter = llama.CommonAdapterLoraInfo()
    adapter.path, adapter.scale = path, 0.0
    return adapter


if __name__ == "__main__":
    main()
