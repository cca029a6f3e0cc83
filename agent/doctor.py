"""Looks at everything that Askfirst needs, proves it by using it, and tells each thing in one line. It repairs nothing.

Whatever is broken becomes a finding, never an exception: this is what is run when nothing else does.
"""

import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any, get_args

from ..errors import AskfirstError
from ..settings import Decision, Settings
from . import decoding, probes
from .probes import Unfit
from .serve import serve
from .store import card_of, is_url, unproved

PACKAGES = ("langgraph", "langchain-openai", "llama-index-core", "psycopg", "pgvector", "xllamacpp", "onnxruntime", "streamlit")

HERE = {
    "model server": probes.server,
    "template": probes.template,
    "context": probes.context,
    "schemas": decoding.schemas,
    "round trip": decoding.round_trip,
    "adapter": probes.adapter,
}
AT_URL = {
    "model server": probes.offers,
    "schemas": decoding.schemas,
    "round trip": decoding.round_trip,
    "tool calls": decoding.tool_calls,
}
THOROUGH = {"context": probes.filled_context, "schemas": decoding.all_schemas}  # instead of the quick ones


@dataclass(frozen=True)
class Finding:
    """One line of the examination; `next_act` says what to do where `ok` is false."""

    name: str
    ok: bool
    detail: str
    next_act: str | None = None


def examine(settings: Settings, *, thorough: bool = False) -> list[Finding]:
    """Every finding, the base of the house first. The model server is started for it; takes ten to thirty seconds, and some
    minutes where it is to be thorough."""
    machine = {"python": python, "home folder": home, "database": database, "embeddings": embeddings}
    findings = [finding(name, partial(check, settings)) for name, check in machine.items()]
    return [*findings, *model_findings(settings, thorough=thorough), *decisions(settings)]


def model_findings(settings: Settings, *, thorough: bool = False) -> Iterator[Finding]:
    """Those about the model, in order. Without model or server that finding is the last: the others would only repeat it."""
    if not is_url(settings.model):
        found = finding("model", partial(probes.model_files, settings))
        yield found
        if not found.ok:
            return
    checks = AT_URL if is_url(settings.model) else HERE
    instead = {name: check for name, check in THOROUGH.items() if thorough and name in checks}
    with serve(settings) as served:
        for name, check in {**checks, **instead}.items():
            found = finding(name, partial(check, settings, served))
            yield found
            if not found.ok and name == "model server":
                return


def finding(name: str, check: Callable[[], str]) -> Finding:
    """What the check says, or how it failed: any failure at all is what a doctor is there to report."""
    try:
        return Finding(name, True, check())
    except Unfit as unfit:
        return Finding(name, False, str(unfit), unfit.next_act)
    except AskfirstError as error:
        return Finding(name, False, str(error))
    except Exception as error:
        told = " ".join(str(error).split())[:200]
        return Finding(name, False, f"{type(error).__name__}: {told}", "Install Askfirst again, or report this line.")


def python(_: Settings) -> str:
    """Versions; a package that is missing is named."""
    known: dict[str, str] = {}
    for package in PACKAGES:
        try:
            known[package] = version(package)
        except PackageNotFoundError:
            raise Unfit(f"the package {package} is not installed", "Run `pip install askfirst` again.") from None
    packages = ", ".join(f"{package} {number}" for package, number in known.items())
    return f"Python {platform.python_version()} on {platform.system()} {platform.machine()}; {packages}"


def home(settings: Settings) -> str:
    """That files can be made in the home folder, and how much room there is."""
    settings.home.mkdir(parents=True, exist_ok=True)
    if not os.access(settings.home, os.W_OK | os.X_OK):
        raise Unfit(f"{settings.home} is not writable", "Name another folder: ASKFIRST_HOME=FOLDER.")
    free = shutil.disk_usage(settings.home).free
    if free < 1e9:
        raise Unfit(f"{settings.home} has {free / 1e9:.1f} GB left", "Free some, or name another folder: ASKFIRST_HOME=FOLDER.")
    return f"{settings.home}, {free / 1e9:.0f} GB free"


def database(settings: Settings) -> str:
    """Opening it also brings its schema up to date."""
    from ..retrieval.database import Database

    opened = Database.open(settings)
    try:
        with opened.connection() as connection:
            row = connection.execute("""
                SELECT current_setting('server_version'), extversion, (SELECT count(*) FROM askfirst.chunks)
                FROM pg_extension WHERE extname = 'vector'
            """).fetchone()
        kind = "yours" if settings.database_url else "embedded"
        return f"PostgreSQL {row[0]} ({kind}), pgvector {row[1]}, {row[2]} chunks" if row else f"PostgreSQL ({kind})"
    finally:
        opened.close()


def embeddings(settings: Settings) -> str:
    """Opened by digest, and used once."""
    from ..retrieval.embed import Embedder

    embedder = Embedder.open(settings.home)
    started = time.monotonic()
    shape = embedder.embed(["How long do customers have to return an item?"]).shape
    embedder.close()
    return f"all-MiniLM-L6-v2, {shape[1]} dimensions, a question in {1000 * (time.monotonic() - started):.0f} ms"


def decisions(settings: Settings) -> Iterator[Finding]:
    """Who makes each decision, with the scores on the card that decide it."""
    try:
        from .decisions import deciders

        card = card_of(settings)
        who = deciders(card, settings)
    except AskfirstError as error:
        yield Finding("decisions", False, str(error))
        return
    if skipped := unproved(settings):
        yield Finding("adapter", False, f"forced, although {skipped}", "Measure it: `askfirst tune compare`.")
    for decision in get_args(Decision):
        why = "your setting" if decision in settings.decide else scores(card, decision)
        yield Finding(f"decides {decision}", True, f"{who[decision]} ({why})")


def scores(card: Mapping[str, Any] | None, decision: str) -> str:
    """The Llama's score with its interval beside the signal's, as the card has them."""
    if card is None:
        return "a model without a card decides everything"
    told = card["decisions"].get(decision) or {}
    llama, signal = told.get("llama"), told.get("signal")
    if not llama or not signal:
        return "not measured for this model"
    return f"llama {llama['score']:.2f} [{llama['low']:.2f} to {llama['high']:.2f}], signal {signal['score']:.2f}"
