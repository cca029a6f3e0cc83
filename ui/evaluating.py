"""The command `eval`: measures who decides best, and how well the product as used does on a file of cases."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .door import Door

KINDS = ("decisions", "routing", "tools", "answers", "refusal")
LATER = ("retrieval",)  # a kind of docs/design.md that this version does not measure


def add(app: click.Group) -> None:
    """Put this command under the command line."""
    app.add_command(evaluate)


def measurable(_context: click.Context, _parameter: click.Parameter, kind: str) -> str:
    """The kind, or what there is instead."""
    if kind not in KINDS:
        later = " yet" if kind in LATER else ""
        raise click.BadParameter(f"'{kind}' cannot be measured{later}; what can be: {', '.join(KINDS)}.")
    return kind


@click.command("eval")
@click.argument("kind", callback=measurable)
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--adapter", metavar="NAME", help="With this adapter; 'none' asks the base model.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many cases of a file.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Keep one JSON line for each case.")
@click.option("--card", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Enter who decides into this card.")
@click.pass_obj
def evaluate(
    door: Door, kind: str, path: Path, adapter: str | None, limit: int | None, out: Path | None, card: Path | None
) -> None:
    """Measure the assistant on a file of cases, or who decides best.

    KIND `routing`, `tools`, `answers` or `refusal` measures the assistant as it is used, signals and Llama deciding as
    the card says. PATH is a JSONL file; a line holds:

    \b
      routing   id, question, route (documents, sub-questions, tools or direct)
      tools     id, messages [{role, content}], tools [function schemas], calls [{name, arguments, confirm}]
                (no calls: none is right; confirm: a person must be asked first)
      answers   id, question, passages [{id, text}], answers [...] (none: refusing is right); without passages
      refusal   the collection is searched

    KIND `decisions` measures signal and Llama on the same cases. Where the Llama's gain is not below zero at the lower
    end of its 95 % interval, the Llama decides. PATH is a folder of JSONL files; a line holds:

    \b
      route.jsonl      question, expected (documents, sub-questions, tools or direct)
      tool.jsonl       question, tools [{name, description}], expected (a name or "none")
      arguments.jsonl  question, tool, argument, description, schema, expected (null: not given)
      evidence.jsonl   question, sentences [...], expected (the place of the right one, from 0)
      answer.jsonl     question, sentences [...], near (the place of the nearest), expected (words of it; null: none)
      decompose.jsonl  question, expected [sub-questions]
    """
    if path.is_dir() != (kind == "decisions"):
        raise click.BadParameter(f"'{path}' is {'a folder, not a file' if path.is_dir() else 'a file, not a folder'} of cases.")
    door = replace(door, adapter=adapter)
    if kind == "decisions":
        _who_decides(door, path, limit, card)
    else:
        _as_used(door, kind, path, limit, out)


def _as_used(door: Door, kind: str, path: Path, limit: int | None, out: Path | None) -> None:
    from ..agent.evaluate import evaluate
    from .progress import bar

    with door.open() as assistant, bar(door.margin, "Measuring") as progress:
        collection, means = door.settings.collection, assistant.means()
        report = evaluate(kind, path, means, collection=collection, limit=limit, out=out, progress=progress)
    door.say(report, picture(report))


def _who_decides(door: Door, folder: Path, limit: int | None, card: Path | None) -> None:
    from ..agent.delegation import measure, write_card
    from . import show
    from .progress import bar

    began = time.monotonic()
    with door.open() as assistant, bar(door.margin, "Measuring") as progress:
        table = measure(folder, embed=assistant.embedder.embed, model=assistant.model(), limit=limit, progress=progress)
    if card:
        write_card(card, table)
    facts = {"kind": "decisions", "n": sum(row["n"] for row in table.values()), "decisions": table}
    door.say({**facts, "seconds": round(time.monotonic() - began, 1)}, show.decisions(table))


def picture(report: Mapping[str, Any]) -> RenderableType:
    """Each measure with its interval and number of cases, the confusion matrix, who decided, how long it took."""
    shown = _table("measure", "score", "95 % interval", "cases")
    for name, score in report.items():
        if isinstance(score, dict) and "low" in score:
            shown.add_row(name, f"{score['score']:.3f}", f"{score['low']:.3f} to {score['high']:.3f}", str(score["n"]))
        elif score is None:
            shown.add_row(name, "-", "no case that it applies to", "0")
    who = ", ".join(f"{decision} {decider}" for decision, decider in report["decided_by"].items())
    foot = Text(f"{report['n']} cases in {report['seconds']} s. Decided by: {who}", "dim")
    return Group(shown, *_matrix(report.get("confusion") or {}), foot)


def _matrix(counted: Mapping[str, Mapping[str, int]]) -> list[RenderableType]:
    """Rows are what is right, columns what was decided."""
    if not counted:
        return []
    shown = _table("right \\ decided", *counted)
    for expected, row in counted.items():
        shown.add_row(expected, *(str(number) for number in row.values()))
    return [Text(""), shown, Text("")]


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column)
    return table
