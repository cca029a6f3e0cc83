"""The commands about writes: make a proposal without the model, look at it, decide it, verify the record of decisions."""

import json
import sys
from typing import TYPE_CHECKING, Any

import click

from .door import Door

if TYPE_CHECKING:
    from ..tools.registry import Tool

STATES = ("waiting", "executed", "rejected", "expired", "failed", "all")


def add(app: click.Group) -> None:
    """Put these commands under the command line."""
    app.add_command(proposals)
    app.add_command(audit)


@click.group()
def proposals() -> None:
    """Writes that wait for a person, and those decided."""


@proposals.command("list")
@click.option("--state", type=click.Choice(STATES), default="waiting", show_default=True, help="Only those in this state.")
@click.pass_obj
def list_proposals(door: Door, state: Any) -> None:
    """The proposals in a state."""
    from . import show

    with door.open() as assistant:
        found = assistant.proposals(None if state == "all" else state)
    door.say({"proposals": [each.json() for each in found]}, show.proposals(found))


@proposals.command("show")
@click.argument("id")
@click.pass_obj
def show_proposal(door: Door, id: str) -> None:
    """One proposal: what it would change, or who decided it."""
    from . import show

    with door.open() as assistant:
        found = assistant.proposal(id)
    door.say(found.json(), show.proposal(found))


@proposals.command("new")
@click.argument("tool")
@click.option("--set", "pairs", metavar="NAME=VALUE", multiple=True, help="An argument of the call; lists and objects as JSON.")
@click.pass_obj
def new(door: Door, tool: str, pairs: tuple[str, ...]) -> None:
    """Propose a write yourself, without the model."""
    from . import show

    with door.open() as assistant:
        made = assistant.propose(tool, arguments(pairs, assistant.registry.get(tool)), by=door.who)
    door.say(made.json(), show.proposal(made))


@proposals.command()
@click.argument("id")
@click.option("--set", "pairs", metavar="NAME=VALUE", multiple=True, help="Approve with this argument changed.")
@click.option("--digest", help="Approve only what has this digest: exactly what you were shown.")
@click.pass_obj
def approve(door: Door, id: str, pairs: tuple[str, ...], digest: str | None) -> None:
    """Let a proposal be carried out, once."""
    from . import talk

    with door.open() as assistant:
        edits = arguments(pairs, assistant.registry.get(assistant.proposal(id).tool)) if pairs else None
        answer = assistant.approve(id, by=door.who, edits=edits, digest=digest)
        door.say(answer.json(), talk.picture(answer, assistant))


@proposals.command()
@click.argument("id")
@click.option("--why", required=True, help="The reason; the one who asked reads it.")
@click.pass_obj
def reject(door: Door, id: str, why: str) -> None:
    """Decline a proposal; nothing is written."""
    from . import talk

    with door.open() as assistant:
        answer = assistant.reject(id, by=door.who, why=why)
        door.say(answer.json(), talk.picture(answer, assistant))


@click.group()
def audit() -> None:
    """The chained record of every decision and execution."""


@audit.command()
@click.pass_obj
def verify(door: Door) -> None:
    """Check the whole chain, and that the ledger tells the same."""
    from rich.text import Text

    from ..tools.audit import verify_audit

    with door.open() as assistant:
        rows, fault = verify_audit(assistant.database)
    outcome = Text(fault, "red") if fault else Text(f"{rows} rows, unbroken.", "green")
    door.say({"ok": fault is None, "rows": rows, "fault": fault}, outcome)
    if fault:
        sys.exit(1)


def arguments(pairs: tuple[str, ...], tool: "Tool") -> dict[str, Any]:
    """`name=value` words as a call's arguments: text where the tool wants text, else JSON where it is JSON."""
    found = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise click.BadParameter(f"'{pair}' is not NAME=VALUE")
        schema = tool.parameters["properties"].get(name, {})
        found[name] = text if schema.get("type") == "string" else _value(text)
    return found


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
