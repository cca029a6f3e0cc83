"""Talking at a terminal: an answer as it comes, a person's decision on what waits, and the chat.

It knows the keyboard and the screen; what is asked and decided goes through the assistant's door.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING
from uuid import uuid4

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from ..agent.state import Answer, Citation, ProposalView, Step
from ..errors import AskfirstError, UsageError
from . import show

if TYPE_CHECKING:
    from ..agent.assistant import Assistant
    from .door import Door


def follow(pieces: Iterator[Step | str | Answer], console: Console) -> Answer:
    """The answer that ends the stream; until it comes, its steps and words are shown and then wiped."""
    words = ""
    with Live(Text("Thinking", "dim"), console=console, transient=True, refresh_per_second=8) as live:
        for piece in pieces:
            if isinstance(piece, Answer):
                return piece
            if isinstance(piece, Step):
                live.update(show.text(doing(piece), "dim"))
            else:
                words += piece
                live.update(show.text(words))
    raise AssertionError("a stream ends with its answer")


def doing(step: Step) -> str:
    """A step in one line, as it passes by."""
    return f"{step.number}. {show.call(step.tool, step.arguments)}  {step.milliseconds} ms"


def picture(answer: Answer, assistant: "Assistant", *, collection: str | None = None, steps: bool = False) -> RenderableType:
    """An answer for a terminal; each source with the heading it stands under."""
    return show.answer(answer, heading=lambda citation: heading(citation, assistant, collection=collection), steps=steps)


def heading(citation: Citation, assistant: "Assistant", *, collection: str | None = None) -> str:
    """The heading above a citation in its document; empty when the document has been removed since."""
    try:
        return show.heading_above(assistant.document(citation.document, collection=collection).text, citation.start)
    except UsageError:
        return ""


def decide(proposal: ProposalView, assistant: "Assistant", console: Console, *, by: str) -> Answer:
    """Ask the person at the keyboard about a proposal that was shown; the answer of the run that waited for it."""
    if console.input(Text("Approve? [y/N] ", "bold magenta")).strip().lower() in ("y", "yes"):
        return assistant.approve(proposal.id, by=by, digest=proposal.digest)
    return assistant.reject(proposal.id, by=by, why=console.input("Why not? ").strip() or "no reason given")


def chat(assistant: "Assistant", door: "Door") -> None:
    """One thread of questions until the input ends. A question that fails says so; the chat goes on."""
    thread = str(uuid4())
    door.margin.print(Text("Ask; an empty line or Ctrl-D ends the chat.", "dim"))
    while question := _line(door.console):
        try:
            _turn(question, thread, assistant, door)
        except AskfirstError as error:
            door.console.print(show.text(f"askfirst: {error}", "red"))


def _turn(question: str, thread: str, assistant: "Assistant", door: "Door") -> None:
    answer = follow(assistant.stream(question, collection=door.collection, thread=thread, by=door.who), door.margin)
    door.console.print(picture(answer, assistant))
    for proposal in answer.proposals:
        door.console.print(picture(decide(proposal, assistant, door.console, by=door.who), assistant))


def _line(console: Console) -> str:
    try:
        return console.input(Text("\n> ", "bold cyan")).strip()
    except EOFError:
        return ""
