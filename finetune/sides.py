"""Who is compared: the signals, the base and its adapters, all asked on one running server with the same prompts."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

from ..agent import card as cards
from ..agent.decisions import Decisions
from ..agent.endpoint import Endpoint, fetch
from ..agent.model import Model
from ..agent.remember import RememberingEmbed
from ..agent.serve import Served
from ..agent.store import StoredModel, prompts_of
from ..retrieval.embed import Embedder
from ..settings import Decision, Settings
from .forgetting import GENERAL

SIGNAL, BASE = "signal", "base"
PATIENCE = 600.0  # seconds for one reply; a busy machine is slow


@dataclass(frozen=True)
class Side:
    """One that is compared. The signals have no model; the base is the server with every adapter's scale at zero.

    `key` is the name with a digest of the weights and prompts: what other weights answered is not taken for its answers.
    """

    name: str
    key: str
    embed: RememberingEmbed
    model: Model | None = None
    served: Served | None = None
    scales: tuple[float, ...] = ()

    def llama(self) -> Model:
        """The model of a side that has one."""
        assert self.model
        return self.model

    def endpoint(self) -> Endpoint:
        """Where it answers now, with its adapter's scale."""
        assert self.served
        return replace(self.served.endpoint(), scales=self.scales)

    def decisions(self, llama: Sequence[str]) -> Decisions:
        """A run's decisions in which the Llama makes those named, and signals the others."""
        who: dict[Decision, Any] = {name: "llama" if name in llama and self.model else "signal" for name in get_args(Decision)}
        return Decisions(who, self.embed, self.llama)


@dataclass(frozen=True)
class Sides:
    """All of them in the order of the report; `tuned` is the adapter that the report is about."""

    all: tuple[Side, ...]
    parameters: int

    def __getitem__(self, name: str) -> Side:
        return next(side for side in self.all if side.name == name)

    @property
    def llamas(self) -> tuple[Side, ...]:
        """Those with a model."""
        return tuple(side for side in self.all if side.model)


@contextmanager
def sides(settings: Settings, stored: StoredModel, names: Sequence[str]) -> Iterator[Sides]:
    """The signals, the base and the named adapters while the block runs. The server is the one that users have."""
    embedder = Embedder.open(settings.home)
    embed = RememberingEmbed(embedder.embed)
    folders = {name: _folder(stored, name) for name in names}
    with Served(settings, stored, idle=PATIENCE) as served:
        made = [Side(SIGNAL, SIGNAL, embed), _asked(BASE, None, folders[names[0]], served, stored, embed)]
        made += [_asked(name, folder, folder, served, stored, embed) for name, folder in folders.items()]
        try:
            yield Sides(tuple(made), _parameters(served))
        finally:
            for side in made:
                if side.model:
                    side.model.close()
            embedder.close()


def _folder(stored: StoredModel, name: str) -> Path:
    folder = stored.adapter(name)
    assert folder, "an adapter is named"
    return folder


def _asked(name: str, adapter: Path | None, prompts: Path, served: Served, stored: StoredModel, embed: RememberingEmbed) -> Side:
    """A side that is asked: the same prompts for the base as for the adapter that the report is about."""
    scales = tuple(float(folder == adapter) for folder in stored.adapters)
    known: Mapping[str, Mapping[str, Any]] = {**(prompts_of(prompts) or {}), **GENERAL}
    model = Model(
        lambda: replace(served.endpoint(), scales=scales),
        adapter=adapter.name if adapter else None,
        prompts=known,
        timeout=PATIENCE,
    )
    return Side(name, f"{name}-{_digest(adapter, prompts, stored)}", embed, model, served, scales)


def _digest(adapter: Path | None, prompts: Path, stored: StoredModel) -> str:
    """Of the base and of the adapter's files, or of the prompts that the base is asked with."""
    files = cards.digests(adapter).values() if adapter else [cards.digests(prompts).get("prompts.toml", "")]
    return cards.short([cards.base_digest(stored.source), *files])


def _parameters(served: Served) -> int:
    """How many the served base has, as the server counts them."""
    [told] = fetch(f"{served.url}/models", served.key)["data"]
    return int((told.get("meta") or {}).get("n_params", 0))
