"""Fetches known Llamas as GGUF files from the hub. The models that come with Askfirst need none of this."""

import os
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from ..errors import ModelPullFailed
from .download import Progress, fetch_file, sha256_of

HUB = "https://huggingface.co"


@dataclass(frozen=True)
class Preset:
    """A Llama that is known to work; `repository` holds `file`, its weights quantized to about four bits."""

    name: str
    repository: str
    file: str
    gigabytes: float


PRESETS = (
    Preset("llama-3.2-1b", "bartowski/Llama-3.2-1B-Instruct-GGUF", "Llama-3.2-1B-Instruct-Q4_K_M.gguf", 0.8),
    Preset("llama-3.2-3b", "bartowski/Llama-3.2-3B-Instruct-GGUF", "Llama-3.2-3B-Instruct-Q4_K_M.gguf", 2.0),
    Preset("llama-3.1-8b", "bartowski/Meta-Llama-3.1-8B-Instruct-GGUF", "Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf", 4.9),
)


class _Stay(urllib.request.HTTPRedirectHandler):
    """Redirects are answers here: the hub tells the file's digest before it sends the caller elsewhere."""

    def redirect_request(self, req, fp, code, msg, headers, newurl) -> None:
        return None


def pull_preset(preset: Preset, home: Path, *, hub: str = HUB, progress: Progress = lambda done, total: None) -> Path:
    """Fetches a preset into the home's `models/`; an interrupted one goes on where it stopped.

    The file is kept only when its SHA-256 is the one that the hub tells. Raises `ModelPullFailed`.
    """
    target = home / "models" / f"{preset.name}.gguf"
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    try:
        address, digest = _located(f"{hub}/{preset.repository}/resolve/main/{preset.file}")
        fetch_file(address, partial, progress)
    except (OSError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        where = urllib.parse.urlsplit(hub).netloc
        raise ModelPullFailed(preset.name, f"{where} cannot be reached or does not have it ({reason})") from None
    if sha256_of(partial) != digest:
        partial.unlink()
        raise ModelPullFailed(preset.name, "what arrived does not have the digest that the hub tells")
    os.replace(partial, target)
    return target


def _located(address: str) -> tuple[str, str]:
    """Where the file really lies, and its SHA-256 (`X-Linked-Etag`, which the hub sends with its redirect)."""
    opener = urllib.request.build_opener(_Stay)
    try:
        with opener.open(urllib.request.Request(address, method="HEAD"), timeout=30) as answer:
            headers = answer.headers
    except urllib.error.HTTPError as redirect:
        if redirect.code not in (301, 302, 303, 307, 308):
            raise
        headers = redirect.headers
        redirect.close()
    digest = (headers.get("X-Linked-Etag") or headers.get("ETag") or "").strip('"')
    return urllib.parse.urljoin(address, headers.get("Location") or address), digest
