"""The tour: a real shop and real manuals, five questions, one write with its approval.

Each act is an ordinary question to the assistant; nothing here knows an answer.
"""

import sys
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from rich.rule import Rule
from rich.text import Text

from ..agent.state import Answer, ProposalView
from . import show, talk
from .door import Door
from .progress import bar

if TYPE_CHECKING:
    from ..agent.assistant import Assistant

SHOP = "askfirst.examples.shop"
NEXT = """Go on with any of these (in a clone after `source .venv/bin/activate`):
  askfirst chat --tools askfirst.examples.shop --collection shop
  askfirst ui   --tools askfirst.examples.shop --collection shop
  askfirst ingest YOUR-FOLDER --collection mine     then     askfirst ask "..." --collection mine
  askfirst audit verify                             askfirst doctor"""


@dataclass(frozen=True)
class Stage:
    """What each act plays on, and the answers so far."""

    assistant: "Assistant"
    door: Door
    answers: list[Answer] = field(default_factory=list)

    def tell(self, line: str) -> None:
        """One sentence to the audience."""
        self.door.console.print(Text(line, "italic"))


def tour(door: Door) -> None:
    """Set the stage, play the five acts, say what to try next."""
    began = time.monotonic()
    door = replace(door, tools=(*door.tools, SHOP))
    with door.open() as assistant:
        stage = Stage(assistant, door)
        prepare(stage)
        for number, act in enumerate((documents, comparison, calculation, look_up, write), 1):
            door.console.print(Rule(f"{number}. {(act.__doc__ or '').splitlines()[0]}", align="left", style="cyan"))
            act(stage)
    end = Rule(f"{time.monotonic() - began:.0f} seconds in all", align="left", style="cyan")
    door.say({"answers": [answer.json() for answer in stage.answers]}, end)
    door.console.print(Text(NEXT))


def prepare(stage: Stage) -> None:
    """Install the shop's tables, and read its policy and the manuals; a second time this costs nothing."""
    from ..examples.shop.install import DOCUMENTS, install

    stage.tell("Setting up a shop with its customers and orders, and reading its policy and some 250 pages of manuals.")
    with stage.assistant.database.transaction() as connection:
        install(connection)
    for collection, folder in (("shop", DOCUMENTS), ("manuals", DOCUMENTS.parents[1] / "manuals")):
        with bar(stage.door.margin, f"Reading {collection}") as progress:
            report = stage.assistant.ingest(folder, collection=collection, progress=progress)
        stage.tell(f"{collection}: {len(report.added)} documents read, {len(report.unchanged)} known, {report.chunks} chunks.")


def documents(stage: Stage) -> None:
    """A question to the manuals: the answer shows where it stands"""
    ask(stage, "Which lock does VACUUM FULL need while it works on a table?", collection="manuals")


def comparison(stage: Stage) -> None:
    """A comparison: it is taken apart, and each part is answered from its own sources"""
    ask(stage, "What is the difference between horizontal scaling and vertical scaling?", collection="manuals")


def calculation(stage: Stage) -> None:
    """A calculation: done by a tool, exactly"""
    ask(stage, "What do 14 lamps at 153.23 dollars each cost after a discount of 12 percent?", collection="shop")


def look_up(stage: Stage) -> None:
    """A look-up: read from the shop's database"""
    ask(stage, f"What is in order {pending_order(stage)}?", collection="shop")


def write(stage: Stage) -> None:
    """A write: it stops, shows what would change, and waits for a person"""
    order = pending_order(stage)
    answer = ask(stage, f"Please cancel order {order}, it was ordered by mistake.", collection="shop")
    for proposal in answer.proposals:
        decide(stage, proposal)
    stage.tell("And what does the database say now?")
    ask(stage, f"What is the status of order {order}?", collection="shop")


def pending_order(stage: Stage) -> str:
    """The number of an order that can still be cancelled; a later tour takes another one."""
    with stage.assistant.database.transaction() as connection:
        row = connection.execute("SELECT min(order_id) FROM shop.orders WHERE status = 'pending'").fetchone()
    return row[0] if row else "#W0000000"


def ask(stage: Stage, question: str, *, collection: str) -> Answer:
    """Put a question as any user would, and show all of its answer."""
    stage.door.console.print(Text.assemble(("> ", "cyan"), (question, "bold"), "\n"))
    answer = talk.follow(stage.assistant.stream(question, collection=collection, by=stage.door.who), stage.door.margin)
    stage.answers.append(answer)
    stage.door.console.print(talk.picture(answer, stage.assistant, collection=collection, steps=True), "")
    return answer


def decide(stage: Stage, proposal: ProposalView) -> None:
    """Let the person at the keyboard decide; where there is none the demo approves, and says so."""
    if sys.stdin.isatty() and not stage.door.as_json:
        answer = talk.decide(proposal, stage.assistant, stage.door.console, by=stage.door.who)
    else:
        stage.tell("Nobody sits at a keyboard: the demo gives the approval itself, in its own name.")
        answer = stage.assistant.approve(proposal.id, by="demo", digest=proposal.digest)
    stage.answers.append(answer)
    stage.door.console.print(show.answer(answer), "")
