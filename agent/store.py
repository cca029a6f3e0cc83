"""The models on this machine and those that can be fetched, their adapters and cards, and the GGUF files derived from them.

A model is a folder (shipped in `models/`, or a user's own in the home's `models/`) or a GGUF file fetched from the hub.
Nothing here starts a server.
"""

import fcntl
import hashlib
import json
import os
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import AdapterMissing, ModelMissing, ModelUnreadable
from ..settings import Settings
from .hub import PRESETS

SHIPPED = Path(__file__).parents[1] / "models"
# Of f32, f16 and q8_0 (5M parameters, one thread, adapter on: 738, 1,694 and 1,647 tokens/s) the fastest that decides as the
# trained weights do: of 500 held-out decisions f16 made none otherwise than f32, q8_0 made 1 to 4 % of each kind otherwise.
KIND = "f16"
SOURCES = ("config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja")
ADAPTER_SOURCES = ("adapter_config.json", "adapter_model.safetensors")
LARGE_CONTEXT = 8192  # tokens of one request to a fetched Llama, whose own 131,072 would take gigabytes


@dataclass(frozen=True)
class StoredModel:
    """`source` is a model's folder or its GGUF file; `adapters` are folders, in the order in which the server numbers them."""

    name: str
    source: Path
    adapters: tuple[Path, ...]
    context: int

    def adapter(self, name: str | None) -> Path | None:
        """The adapter's folder; None for 'none', and for the default adapter of a model that has none at all."""
        if name in (None, "none") or (not self.adapters and name == Settings.model_fields["adapter"].default):
            return None
        known = {folder.name: folder for folder in self.adapters}
        if name not in known:
            raise AdapterMissing(str(name), model=self.name, known=known)
        return known[name]


@dataclass(frozen=True)
class Files:
    """What llama.cpp loads, and a digest of all it was made from."""

    model: Path
    adapters: tuple[Path, ...]
    digest: str


def is_url(model: str) -> bool:
    """Whether the setting names a server rather than a model here."""
    return model.startswith(("http://", "https://"))


def models(settings: Settings) -> list[dict[str, Any]]:
    """One row for each model that is here or can be fetched: name, where it is, its adapters."""
    here = {model.name: model for model in stored(settings)}
    rows = [
        {"name": model.name, "where": str(model.source), "adapters": ", ".join(folder.name for folder in model.adapters)}
        for model in here.values()
    ]
    fetchable = [
        {"name": preset.name, "where": f"askfirst model pull {preset.name} ({preset.gigabytes} GB)", "adapters": ""}
        for preset in PRESETS
        if preset.name not in here
    ]
    return rows + fetchable


def stored(settings: Settings) -> list[StoredModel]:
    """The models that are here, the shipped ones first, by name."""
    folders = [path.parent for root in (SHIPPED, settings.home / "models") for path in sorted(root.glob("*/config.json"))]
    files = sorted((settings.home / "models").glob("*.gguf"))
    return [*(_from_folder(folder) for folder in folders), *(StoredModel(file.stem, file, (), LARGE_CONTEXT) for file in files)]


def find(settings: Settings) -> StoredModel:
    """The model that the settings name; "askfirst" is whichever "askfirst-..." is shipped. Raises `ModelMissing`."""
    known = stored(settings)
    exact = [model for model in known if model.name == settings.model]
    family = [model for model in known if model.name.startswith(f"{settings.model}-") and model.source.parent == SHIPPED]
    if not exact and not family:
        raise ModelMissing(settings.model, known=[model.name for model in known])
    return (exact or family)[-1]


def card_of(settings: Settings) -> dict[str, Any] | None:
    """What the model with its adapter was shown to decide well; None where nothing limits it (a large Llama, any URL).

    A model folder asked without an adapter has proved nothing: then the `decisions` are empty.
    """
    if is_url(settings.model):
        return None
    model = find(settings)
    adapter = model.adapter(settings.adapter)
    if not model.source.is_dir():
        return None
    return read_card(adapter) if adapter else {"decisions": {}}


def read_card(adapter: Path) -> dict[str, Any]:
    """An adapter's card; with empty `decisions` where it has none, for then it has proved nothing."""
    path = adapter / "card.json"
    try:
        return {"decisions": {}} | (json.loads(path.read_text("utf-8")) if path.exists() else {})
    except (ValueError, TypeError) as error:
        raise ModelUnreadable(path, str(error)) from None


def prompts_of(adapter: Path | None) -> dict[str, Any] | None:
    """The prompts that the adapter was tuned on, each with `system` and `user`; None where it brings none."""
    path = adapter / "prompts.toml" if adapter else None
    if path is None or not path.exists():
        return None
    try:
        prompts = tomllib.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ModelUnreadable(path, str(error)) from None
    for decision, prompt in prompts.items():
        if not {"system", "user"} <= set(prompt):
            raise ModelUnreadable(path, f"[{decision}] needs `system` and `user`")
    return prompts


def derive(model: StoredModel, home: Path) -> Files:
    """The GGUF files of a model, written once under a lock and named by the digest of their sources and of the writer.

    Older files of the same model are removed. Raises `ModelUnreadable` when the folder holds no usable model.
    """
    if model.source.is_file():
        told = model.source.stat()
        return Files(model.source, (), _short(f"{model.source} {told.st_size} {told.st_mtime_ns}".encode()))
    from safetensors import SafetensorError

    folder = home / "gguf"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        digests = [_digest(model.source, SOURCES), *(_digest(adapter, ADAPTER_SOURCES) for adapter in model.adapters)]
        paths = [folder / f"{model.name}.{name}.{digest}.gguf" for name, digest in zip(_parts(model), digests, strict=True)]
        with locked(folder / "lock"):
            _write(model, paths)
    except (OSError, KeyError, ValueError, TypeError, SafetensorError) as error:
        raise ModelUnreadable(model.source, f"{type(error).__name__}, {error}") from error
    return Files(paths[0], tuple(paths[1:]), _short(" ".join(digests).encode()))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the machine-wide lock of a file; it ends with the process, however that ends."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _from_folder(folder: Path) -> StoredModel:
    adapters = tuple(path.parent for path in sorted(folder.glob("adapters/*/adapter_config.json")))
    try:
        trained = int(json.loads((folder / "config.json").read_text("utf-8"))["max_position_embeddings"])
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise ModelUnreadable(folder, f"config.json, {type(error).__name__}, {error}") from None
    return StoredModel(folder.name, folder, adapters, min(trained, LARGE_CONTEXT))


def _parts(model: StoredModel) -> list[str]:
    return [KIND, *(adapter.name for adapter in model.adapters)]


def _write(model: StoredModel, paths: list[Path]) -> None:
    """Writes what is missing under another name first, so that a file with its final name is whole."""
    from .gguf import write_adapter, write_model

    for number, path in enumerate(paths):
        if path.exists():
            continue
        partial = path.with_suffix(".partial")
        if number == 0:
            write_model(model.source, partial, kind=KIND)
        else:
            write_adapter(model.adapters[number - 1], model.source, partial)
        os.replace(partial, path)
    for old in set(paths[0].parent.glob(f"{model.name}.*.gguf")) - set(paths):
        old.unlink()


def _digest(folder: Path, names: tuple[str, ...]) -> str:
    """Of the files and of the code that converts them."""
    parts = [Path(__file__).with_name("gguf.py"), *(folder / name for name in names)]
    return _short(b"".join(hashlib.sha256(part.read_bytes()).digest() for part in parts))


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
