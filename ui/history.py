"""The command about what people decided: write it to a file that `askfirst tune prepare` learns from."""

import json
from collections import Counter
from pathlib import Path

import click

from .door import Door


def add(app: click.Group) -> None:
    """Put these commands under the command line."""
    app.add_command(history)


@click.group()
def history() -> None:
    """What was approved, edited, rejected and answered."""


@history.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.pass_obj
def export(door: Door, file: Path) -> None:
    """Write decided proposals and answers to FILE, one JSON object a line.

    `askfirst tune prepare --own FILE` makes training examples and preference pairs of it. An answer is learned from once its
    "rating" is "good" or "bad"; "better" holds what should have been said.
    """
    from ..agent.history import history as decided
    from . import show

    with door.open() as assistant:
        lines = list(decided(assistant.database, assistant.registry))
    try:
        file.write_text("".join(json.dumps(line, ensure_ascii=False, default=str) + "\n" for line in lines), "utf-8")
    except OSError as error:
        raise click.BadParameter(f"'{file}' cannot be written: {error.strerror}.") from None
    counts = Counter(line["kind"] if line["kind"] == "answer" else line["state"] for line in lines)
    facts = {"file": str(file), "executed": counts["executed"], "rejected": counts["rejected"], "answers": counts["answer"]}
    door.say(facts, show.facts(facts))
