"""Values of the house as pictures for a terminal: answers with their sources, steps, proposals, findings.

Each function returns something that rich can print. It asks nothing of the assistant and decides nothing. Text from
documents, tools and models goes through `text`, so that it cannot steer the terminal.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ..agent.state import Answer, Citation, ProposalView, Step, SubQuestion, Usage

if TYPE_CHECKING:
    from ..agent.doctor import Finding
    from ..retrieval.documents import Evidence, IngestReport
    from ..tools.proposals import Proposal
    from ..tools.registry import Tool

STATUS = {"answered": "green", "refused": "yellow", "waiting": "magenta", "limited": "yellow", "failed": "red"}
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")  # with those that turn the reading direction
LONGEST = 300  # characters of a passage or of a step's result that are shown


def answer(value: Answer, *, heading: Callable[[Citation], str] = lambda citation: "", steps: bool = False) -> RenderableType:
    """An answer: its text, its sub-questions, its numbered sources; with its steps, and the proposals while they wait."""
    parts: list[RenderableType] = [text(value.text or "No answer.")]
    if value.sub_questions:
        parts.append(sub_questions(value.sub_questions))
    if value.citations:
        parts.append(sources(value.citations, heading))
    if steps and value.steps:
        parts.append(step_lines(value.steps))
    if value.status == "waiting":
        parts += [proposal(waiting) for waiting in value.proposals]
    return Group(*spaced(parts), last_line(value))


def text(value: object, style: str = "") -> Text:
    """Foreign text with its control characters made visible."""
    return Text(CONTROLS.sub("\N{REPLACEMENT CHARACTER}", str(value)), style)


def spaced(parts: Iterable[RenderableType]) -> list[RenderableType]:
    """The parts with an empty line after each."""
    return [piece for part in parts for piece in (part, Text(""))]


def sources(citations: Sequence[Citation], heading: Callable[[Citation], str]) -> RenderableType:
    """The numbered sources: `[1] document, heading: "quote"`."""
    grid = Table.grid(padding=(0, 1))
    for number, citation in enumerate(citations, 1):
        place = ", ".join(filter(None, (citation.document, heading(citation))))
        quote = " ".join(citation.quote.split())
        grid.add_row(Text(f"[{number}]", "cyan"), text(place, "bold") + text(f': "{quote}"', "not bold"))
    return grid


def heading_above(document: str, position: int) -> str:
    """The last Markdown heading before `position`, without its marks; empty when there is none."""
    lines = document[:position].splitlines()
    return next((line.lstrip("#").strip() for line in reversed(lines) if line.startswith("#")), "")


def sub_questions(parts: Sequence[SubQuestion]) -> RenderableType:
    """The sub-questions with their status; one that was not answered says why."""
    grid = Table.grid(padding=(0, 2))
    for part in parts:
        why = "" if part.status == "answered" else part.text
        grid.add_row(Text(part.status, STATUS[part.status]), text(part.question), text(why, "dim"))
    return grid


def step_lines(steps: Sequence[Step]) -> RenderableType:
    """The steps of a run: what was called, what came back, who decided, how long it took."""
    grid = Table.grid(padding=(0, 1))
    for step in steps:
        result = text(_short(step.error), "red") if step.error else text(_short(step.result or ""), "dim")
        foot = text(f"{deciders(step)} · {step.milliseconds} ms", "dim")
        grid.add_row(Text(f"{step.number}.", "dim"), Group(text(call(step.tool, step.arguments)), result, foot))
    return grid


def deciders(step: Step) -> str:
    """Who decided what in a step: `signal: route, tool; llama: arguments`."""
    whose: dict[str, list[str]] = {}
    for what, who in step.decided_by.items():
        whose.setdefault(who, []).append(what)
    return "; ".join(f"{who}: {', '.join(what)}" for who, what in whose.items())


def call(tool: str, arguments: dict[str, Any]) -> str:
    """A call as a person writes it: `tool(name='value')`."""
    return f"{tool}({', '.join(f'{name}={value!r}' for name, value in arguments.items())})"


def last_line(value: Answer) -> RenderableType:
    """Status, routes and cost, in one dim line."""
    return Text.assemble((value.status, STATUS[value.status]), (" · " + " · ".join((*value.routes, *cost(value.usage))), "dim"))


def cost(usage: Usage) -> list[str]:
    """What a run cost, in words; tokens only where a Llama was asked."""
    tokens = usage.prompt_tokens + usage.completion_tokens
    steps = "1 step" if usage.steps == 1 else f"{usage.steps} steps"
    return [steps, *([f"{tokens:,} tokens"] if tokens else []), f"{usage.seconds:.1f} s"]


def proposal(value: "Proposal | ProposalView") -> RenderableType:
    """A proposal as a card: what would be done, what would change, and how it is decided."""
    state = "waiting" if isinstance(value, ProposalView) else value.state
    done = "" if isinstance(value, ProposalView) else decision(value)
    foot = f"askfirst proposals approve {value.id}      (until {until(value.expires)})" if state == "waiting" else done
    inside = (text(call(value.tool, value.arguments), "bold"), Text(""), preview(value.preview), Text(""), text(foot, "dim"))
    title = text(f"proposal {value.id} · {state}")
    return Panel(Group(*inside), title=title, title_align="left", border_style="magenta", padding=(1, 2))


def preview(shown: str) -> Text:
    """What would change, with `column: before -> after` coloured."""
    return Text("\n").join(_change_line(line) for line in shown.splitlines())


def _change_line(line: str) -> Text:
    change = column_change(line)
    if change is None:
        return text(line)
    name, before, after = change
    return text(name) + text(before, "red") + text(" -> ") + text(after, "green")


def column_change(line: str) -> tuple[str, str, str] | None:
    """A preview's line `  column: before -> after` in its three parts; None for any other line."""
    name, colon, values = line.partition(": ")
    before, arrow, after = values.partition(" -> ")
    return (name + colon, before, after) if line.startswith("  ") and arrow else None


def decision(value: "Proposal") -> str:
    """Who decided a proposal and how, in a sentence."""
    why = f": {value.why}" if value.why else ""
    return f"{value.state} by {value.decided_by or 'nobody'}{why}"


def until(expires: datetime | str) -> str:
    """A time as people here read it."""
    moment = datetime.fromisoformat(expires) if isinstance(expires, str) else expires
    return f"{moment.astimezone():%d %b %Y, %H:%M}"


def proposals(values: Sequence["Proposal"]) -> RenderableType:
    """The proposals in a table, or a sentence when there are none."""
    if not values:
        return Text("No proposal waits.")
    table = _table("id", "tool", "would change", "asked by", "state", "until")
    for value in values:
        asked = text(value.requested_by)
        does = text(value.preview.partition("\n")[0])
        table.add_row(value.id, text(value.tool), does, asked, value.state, until(value.expires))
    return table


def evidence(values: Sequence["Evidence"]) -> RenderableType:
    """Search results, best first, with their scores."""
    if not values:
        return Text("Nothing found.")
    grid = Table.grid(padding=(0, 2))
    for value in values:
        place = text(value.document, "bold") + text(f", {value.heading}" if value.heading else "", "not bold")
        grid.add_row(Text(f"{value.score:.2f}", "cyan"), Group(place, text(_short(value.text)), Text("")))
    return grid


def ingest_report(report: "IngestReport") -> RenderableType:
    """What an ingest did, and which files it left out and why."""
    counts = ", ".join(f"{len(getattr(report, kind))} {kind}" for kind in ("added", "changed", "unchanged", "removed"))
    lines: list[RenderableType] = [Text(f"{counts}; {report.chunks} chunks written")]
    lines += [text(f"left out {skipped.path}: {skipped.reason}", "yellow") for skipped in report.skipped]
    return Group(*lines)


def findings(values: Sequence["Finding"]) -> RenderableType:
    """The doctor's findings; each failed one with its next act."""
    grid = Table.grid(padding=(0, 2))
    for value in values:
        mark = Text("ok", "green") if value.ok else Text("--", "red")
        grid.add_row(mark, text(value.name, "bold"), text(value.detail if value.ok else f"{value.detail} {value.next_act or ''}"))
    return grid


def tools(values: Iterable["Tool"]) -> RenderableType:
    """The tools: what each does, its parameters, and whether it writes (then it asks first)."""
    table = _table("tool", "writes", "does", "parameters")
    for value in values:
        parameters, does = ", ".join(value.parameters.get("properties", {})), value.description.splitlines()[0]
        table.add_row(text(value.name), "asks first" if value.writes else "", text(does), text(parameters))
    return table


def decisions(table: Mapping[str, Any]) -> RenderableType:
    """Who decides best: for each decision signal, Llama and its gain, with their intervals, and the one who gets it."""
    shown = _table("decision", "metric", "n", "signal", "llama", "gain", "decides")
    for name, row in table.items():
        scores = (_score(row[whose]) for whose in ("signal", "llama", "gain"))
        winner = "llama" if row["gain"] and row["gain"]["low"] >= 0 else "signal"
        shown.add_row(text(name), text(row["metric"]), str(row["n"]), *scores, winner)
    return shown


def _score(score: Mapping[str, float] | None) -> Text:
    return Text(f"{score['score']:.2f} [{score['low']:.2f}, {score['high']:.2f}]" if score else "not measured")


def rows(values: Sequence[dict[str, Any]]) -> RenderableType:
    """Plain rows that share their keys, as a table."""
    if not values:
        return Text("None.")
    table = _table(*values[0])
    for value in values:
        table.add_row(*(_cell(cell) for cell in value.values()))
    return table


def facts(value: Any) -> RenderableType:
    """A report's fields, one a line."""
    grid = Table.grid(padding=(0, 2))
    for name, cell in (vars(value) if not isinstance(value, dict) else value).items():
        grid.add_row(text(name.replace("_", " "), "dim"), _cell(cell))
    return grid


def _table(*columns: str) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _cell(value: object) -> Text:
    return text(f"{value:.3f}" if isinstance(value, float) else value)


def _short(long: str) -> str:
    long = " ".join(long.split())
    return long if len(long) <= LONGEST else long[:LONGEST] + " ..."
