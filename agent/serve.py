"""Starts and watches the local model server: one for each model and home, shared by all processes that use that home.

The server is llama.cpp in a process of its own (agent/llamacpp.py), on a free port of 127.0.0.1, behind a random key, closed
to pages of other origins. A state file that only its owner can read tells URL and key. Each user holds a shared lock, which
ends with the user's process however that ends; a server without users for `IDLE` seconds ends itself. So no process has to
be the one that cleans up, and the next command finds the model warm.
"""

import fcntl
import threading
import time
from dataclasses import replace
from typing import IO

from ..errors import ModelServerFailed
from ..settings import Settings
from .derive import Files, locked
from .endpoint import Endpoint, offered
from .llamacpp import alone, end, read_state
from .model import Model
from .starting import Place, running
from .store import StoredModel, card_of, find, is_url, models, prompts_of, pull, read_card, stored, unproved

__all__ = ["Served", "card_of", "models", "open_model", "pull", "serve", "unproved"]

IDLE = 300.0  # seconds without a user after which a server ends


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

    @property
    def files(self) -> Files:
        """What the server loads, made of the model if that was not done yet."""
        return self._placed().files

    def endpoint(self) -> Endpoint:
        """Where the model answers now, started if it is not up; one that died gets its old port and key again, so that what
        other users know stays true. Raises `ModelServerFailed`, `ModelUnreadable`."""
        if self._model is None:
            return Endpoint(self._settings.model, self._settings.model_key, self._settings.model_name)
        with self._lock:
            place = self._placed()
            if self._use is None:
                self._use = place.users.open("a")
                fcntl.flock(self._use, fcntl.LOCK_SH)
            try:
                state = running(place, self._settings.threads, idle=self._idle)
            except ModelServerFailed:
                self.close()
                raise
        return Endpoint(state.url, state.key, "local", tuple(float(folder == self._adapter) for folder in self._model.adapters))

    def _placed(self) -> "Place":
        """What is served and where its processes meet: told once, so that this use stays with the adapters that it found.

        Files that are gone were made anew from a changed model or adapter, by another process: then this use moves on to the
        server of the new ones, and requests that still run end on the old one.
        """
        if self._model is None:
            raise ModelServerFailed("at a URL nothing is started", log="none")
        with self._lock:
            if self._place and not self._place.files.here():
                self.close()
                self._model, self._place = replace(find(self._settings), kind=self._model.kind), None
                self._adapter = self._model.adapter(self._settings.adapter)
            self._place = self._place or Place.of(self._settings, self._model)
            return self._place

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
