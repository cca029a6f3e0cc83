"""The commands about models: list, fetch and serve them; measure what one is worth."""

from pathlib import Path
from typing import Any

import click

from .door import Door

KINDS = ("retrieval", "routing", "tools", "answers", "refusal")


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
    from rich.text import Text

    from ..agent import serve

    path = serve.pull(name, door.settings)
    door.say({"name": name, "path": path}, Text(f"{name} is at {path}; use it with ASKFIRST_MODEL={name}"))


@model.command("serve")
@click.pass_obj
def serve_model(door: Door) -> None:
    """Serve the model on 127.0.0.1 until Ctrl-C, for other programs."""
    from ..agent import serve

    serve.serve(door.settings)


@click.command("eval")
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--adapter", metavar="NAME", help="With this adapter; 'none' asks the base model.")
@click.option("--limit", type=int, help="Only the first so many cases.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Keep one line per case here.")
@click.pass_obj
def evaluate(door: Door, kind: str, path: Path, **choices: Any) -> None:
    """Measure on your own cases, with 95 % intervals."""
    from ..agent.evaluate import evaluate
    from . import show
    from .progress import bar

    with bar(door.margin, "Evaluating") as progress:
        report = evaluate(kind, path, settings=door.settings, progress=progress, **choices)
    door.say(report, show.facts(report))
