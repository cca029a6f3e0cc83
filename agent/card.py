"""An adapter's card: what it was shown to decide well, signed over the very files that were measured.

The signature is a SHA-256 digest over the digests of the adapter's files and of its base, the results, and the gates. It shows
that the numbers belong to these weights, these prompts and this base, and that nobody changed either by accident or alone. It
does not show who measured, nor that they were honest: no secret is in it, and whoever writes a false card can sign it as well.
A secret shipped with the product would prove no more. What proves the numbers is that anyone can run `askfirst tune compare`
again, whose command, seed and samples the card holds.
"""

import hashlib
import json
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import AdapterUnproved, ModelUnreadable
from .download import sha256_of

MEASURED = ("adapter_config.json", "adapter_model.safetensors", "prompts.toml")
SIGNED = ("decisions", "gates", "passed", "report")


def read_card(adapter: Path) -> dict[str, Any]:
    """An adapter's card; with empty `decisions` where it has none, for then it has proved nothing."""
    path = adapter / "card.json"
    try:
        return {"decisions": {}} | (json.loads(path.read_text("utf-8")) if path.exists() else {})
    except (ValueError, TypeError) as error:
        raise ModelUnreadable(path, str(error)) from None


def signed(card: Mapping[str, Any], adapter: Path, base: Path) -> dict[str, Any]:
    """The card with the digests of what was measured, and its signature over all that matters."""
    bound = {**card, "files": digests(adapter), "base": base_digest(base)}
    return {**bound, "signature": _signature(bound)}


def check(adapter: Path, base: Path) -> None:
    """Raises `AdapterUnproved`, naming what is wrong, unless the adapter has a card of its own files that passed every gate."""
    card = read_card(adapter)
    if problem := fault(card, adapter, base):
        raise AdapterUnproved(adapter.name, model=base.stem if base.is_file() else base.name, problem=problem)


def fault(card: Mapping[str, Any], adapter: Path, base: Path) -> str | None:
    """Why a card does not prove its adapter; None when it does."""
    if not card.get("signature"):
        return "it has no signed card"
    if card["signature"] != _signature(card):
        return "its card was changed after it was signed"
    if changed := [name for name, digest in digests(adapter).items() if (card.get("files") or {}).get(name) != digest]:
        return f"its card is of other files ({', '.join(changed)} changed)"
    if card.get("base") != base_digest(base):
        return "its card is of another base"
    failed = [
        f"{gate['name']} is {gate['value']}, wanted {gate['wanted']}" for gate in card.get("gates", ()) if not gate["passed"]
    ]
    if failed or not card.get("passed"):
        return f"it did not pass: {'; '.join(failed) or 'no gate was measured'}"
    return None


def digests(adapter: Path) -> dict[str, str]:
    """SHA-256 of each file that decides what the adapter replies."""
    return {name: _sha256(adapter / name) for name in MEASURED if (adapter / name).exists()}


def base_digest(base: Path) -> str:
    """SHA-256 of the base's weights: of the file itself, or as its folder's `source.toml` states it where they are published."""
    if base.is_file():
        return _sha256(base)
    if (base / "source.toml").exists():
        return str(tomllib.loads((base / "source.toml").read_text("utf-8"))["sha256"])
    return _sha256(base / "model.safetensors")


def short(digests: Iterable[str]) -> str:
    """One short name for all of them together."""
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()[:16]


def _signature(card: Mapping[str, Any]) -> str:
    """Over the parts that matter in one fixed form of writing."""
    parts = {name: card.get(name) for name in (*SIGNED, "files", "base")}
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()


def _sha256(path: Path) -> str:
    try:
        return sha256_of(path)
    except OSError as error:
        raise ModelUnreadable(path, error.strerror or str(error)) from None
