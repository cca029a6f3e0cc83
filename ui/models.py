"""The commands about models: list, fetch and serve them; measure what one is worth."""

import sys
from dataclasses import replace
from pathlib import Path

import click

from .door import Door

KINDS = ("decisions",)


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


@click.command("eval")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("path", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--adapter", metavar="NAME", help="With this adapter; 'none' asks the base model.")
@click.option("--limit", type=int, help="Only the first so many cases of each file.")
@click.option("--card", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Enter the scores into this card.")
@click.pass_obj
def evaluate(door: Door, kind: str, path: Path, adapter: str | None, limit: int | None, card: Path | None) -> None:
    """Measure who decides best, on a folder of cases.

    One JSONL file for each decision (route, tool, arguments, evidence, decompose); Llama and signal answer the same cases,
    each score with its 95 % interval. The card then says what the Llama may decide.
    """
    from ..agent.evaluate import measure, write_card
    from . import show
    from .progress import bar

    with replace(door, adapter=adapter).open() as assistant, bar(door.margin, "Measuring") as progress:
        table = measure(path, embed=assistant.embedder.embed, model=assistant.model(), limit=limit, progress=progress)
    if card:
        write_card(card, table)
    door.say({"kind": kind, "decisions": table}, show.decisions(table))
