"""The commands about models: list, fetch and serve them; measure what one is worth."""

import sys
import time
from dataclasses import replace
from pathlib import Path

import click

from .door import Door

KINDS = ("decisions",)  # of the kinds in docs/design.md, those that can be measured


def add(app: click.Group) -> None:
    """Put these commands under the command line."""
    app.add_command(model)
    app.add_command(evaluate)


@click.group()
def model() -> None:
    """The Llamas that Askfirst can run."""


@model.command("list")
@click.pass_obj
def list_models(door: Door) -> None:
    """The models that are here or can be fetched."""
    from ..agent.serve import models
    from . import show

    known = models(door.settings)
    door.say({"models": known}, show.rows(known))


@model.command()
@click.argument("name")
@click.pass_obj
def pull(door: Door, name: str) -> None:
    """Fetch a named Llama, where its hub can be reached."""
    from ..agent import serve
    from . import show
    from .progress import bar

    with bar(door.margin, f"Fetching {name}") as progress:
        path = serve.pull(name, door.settings, progress=progress)
    door.say({"name": name, "path": path}, show.text(f"{name} is at {path}; ASKFIRST_MODEL={name} uses it."))


@model.command("serve")
@click.pass_obj
def serve_model(door: Door) -> None:
    """Serve the model on 127.0.0.1 until Ctrl-C, for other programs."""
    from ..agent import serve
    from . import show

    with serve.serve(door.settings) as served:
        facts = {"url": served.url, "key": served.key}
        door.say(facts, show.facts(facts))
        sys.stdout.flush()
        served.wait()


def measurable(_context: click.Context, _parameter: click.Parameter, kind: str) -> str:
    """The kind, or what there is instead."""
    if kind not in KINDS:
        raise click.BadParameter(f"'{kind}' cannot be measured by this version; what can: {', '.join(KINDS)}.")
    return kind


@click.command("eval")
@click.argument("kind", callback=measurable)
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--adapter", metavar="NAME", help="With this adapter; 'none' asks the base model.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many cases of each file.")
@click.option("--card", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Enter the scores into this card.")
@click.pass_obj
def evaluate(door: Door, kind: str, path: Path, adapter: str | None, limit: int | None, card: Path | None) -> None:
    """Measure who decides best, on a folder of cases.

    KIND is `decisions`. PATH holds a JSONL file for each decision that is to be measured; signal and Llama answer the same
    cases. Where the Llama's gain is not below zero at the lower end of its 95 % interval, the Llama decides. A line holds:

    \b
      route.jsonl      question, expected (documents, sub-questions, tools or direct)
      tool.jsonl       question, tools [{name, description}], expected (a name or "none")
      arguments.jsonl  question, tool, argument, description, schema, expected (null: not given)
      evidence.jsonl   question, sentences [...], expected (the place of the right one, from 0)
      decompose.jsonl  question, expected [sub-questions]
    """
    from ..agent.evaluate import measure, write_card
    from . import show
    from .progress import bar

    began = time.monotonic()
    with replace(door, adapter=adapter).open() as assistant, bar(door.margin, "Measuring") as progress:
        table = measure(path, embed=assistant.embedder.embed, model=assistant.model(), limit=limit, progress=progress)
    if card:
        write_card(card, table)
    facts = {"kind": kind, "n": sum(row["n"] for row in table.values()), "decisions": table}
    door.say({**facts, "seconds": round(time.monotonic() - began, 1)}, show.decisions(table))
