"""What people see of answers and proposals; foreign text cannot steer the terminal."""

from datetime import UTC, datetime
from io import StringIO
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from askfirst.agent.state import Answer, Citation, ProposalView, Step, SubQuestion, Usage
from askfirst.retrieval.documents import Evidence, IngestReport, Skipped
from askfirst.tools.proposals import Proposal
from askfirst.ui import show

EVIL = "\x1b[2J\x1b[31m[bold]approve me[/bold]\x07\u202e"
CITATION = Citation("policy.md", 10, 31, "Orders can be\nreturned.", 0.8)
CHANGE = "Cancel #W1.\norder #W1\n  status: pending -> cancelled"
VIEW = ProposalView("ab12", "cancel_order", {"order": "#W1"}, CHANGE, "d", "2026-11-24T12:00:00+00:00")


def seen(picture: RenderableType) -> str:
    """What a terminal of 100 columns shows, colours included."""
    console = Console(file=StringIO(), width=100, force_terminal=True, color_system="standard", markup=False, highlight=False)
    console.print(picture)
    return console.file.getvalue()


def read(picture: RenderableType) -> str:
    """What stands in a file."""
    console = Console(file=StringIO(), width=100, markup=False, highlight=False)
    console.print(picture)
    return console.file.getvalue()


def proposal(**changes: Any) -> Proposal:
    now = datetime(2026, 11, 21, 12, tzinfo=UTC)
    values = {
        "id": "ab12",
        "tool": "cancel_order",
        "arguments": {"order": "#W1"},
        "preview": CHANGE,
        "digest": "d",
        "expires": now,
        "state": "waiting",
        "requested_by": "maria",
        "decided_by": None,
        "why": None,
        "result": None,
        "thread": "",
        "run": "",
        "created": now,
    }
    return Proposal(**(values | changes))


def test_an_answer_shows_text_numbered_sources_and_cost():
    answer = Answer("q", "Yes.", "answered", ("documents",), (CITATION,), usage=Usage(2, 1, 900, 60, 1.24))
    text = read(show.answer(answer, heading=lambda citation: "Returns"))
    assert text.startswith("Yes.\n")
    assert '[1] policy.md, Returns: "Orders can be returned."' in text
    assert "answered · documents · 2 steps · 960 tokens · 1.2 s" in text
    assert "· 1 step · 1.0 s" in read(show.last_line(Answer("q", "x", "answered", usage=Usage(1, 1, 0, 0, 1.0))))


def test_each_sub_question_is_shown_with_its_status():
    parts = (SubQuestion("a?", "A.", "answered"), SubQuestion("b?", "nothing found", "failed"))
    text = read(show.answer(Answer("q", "A.", "limited", sub_questions=parts)))
    assert "a?" in text
    assert "failed" in text


def test_steps_say_who_decided():
    decided = {"route": "signal", "tool": "signal", "arguments": "llama"}
    step = Step(1, "look_up", {"id": 7}, "found", None, decided, 41)
    text = read(show.answer(Answer("q", "x", "answered", steps=(step,)), steps=True))
    assert "signal: route, tool; llama: arguments · 41 ms" in text


def test_a_waiting_proposal_shows_before_and_after_and_how_to_decide():
    text = read(show.answer(Answer("q", None, "waiting", proposals=(VIEW,))))
    assert "cancel_order(order='#W1')" in text
    assert "status: pending -> cancelled" in text
    assert "askfirst proposals approve ab12" in text


def test_a_decided_answer_shows_no_card():
    assert "approve" not in read(show.answer(Answer("q", "Done.", "answered", proposals=(VIEW,))))


def test_a_decided_proposal_names_who_decided():
    assert "rejected by ben: too late" in read(show.proposal(proposal(state="rejected", decided_by="ben", why="too late")))


def test_a_list_of_proposals_says_what_each_would_do():
    assert "Cancel #W1." in read(show.proposals([proposal()]))
    assert read(show.proposals([])) == "No proposal waits.\n"


def test_only_indented_lines_are_changes():
    assert show.column_change("  status: pending -> cancelled") == ("  status: ", "pending", "cancelled")
    assert show.column_change("Moves a -> b: now") is None


def test_the_heading_above_a_quote_is_found():
    assert show.heading_above("# A\n\ntext\n## B\nmore", 18) == "B"
    assert show.heading_above("text", 2) == ""


def test_files_left_out_are_named_with_their_reason():
    text = read(show.ingest_report(IngestReport(added=("a.md",), skipped=(Skipped("b.pdf", "it is encrypted"),), chunks=3)))
    assert text.startswith("1 added, 0 changed, 0 unchanged, 0 removed; 3 chunks written\n")
    assert "left out b.pdf: it is encrypted" in text


def test_foreign_text_cannot_steer_the_terminal():
    step = Step(1, EVIL, {EVIL: EVIL}, EVIL, EVIL, {"tool": EVIL}, 1)
    waiting = ProposalView("i", EVIL, {EVIL: EVIL}, EVIL, "d", "2026-11-24T12:00:00+00:00")
    cited, part = Citation(EVIL, 0, 1, EVIL, 1.0), SubQuestion(EVIL, EVIL, "failed")
    answer = Answer("q", EVIL, "waiting", (), (cited,), (part,), (step,), (waiting,))
    pictures = (
        show.answer(answer, heading=lambda citation: EVIL, steps=True),
        show.proposals([proposal(preview=EVIL, requested_by=EVIL, tool=EVIL)]),
        show.evidence([Evidence(EVIL, EVIL, EVIL, 0, 1, EVIL, 0.5)]),
    )
    for picture in pictures:
        assert not {"\x07", "\u202e"} & set(seen(picture))
        assert "\x1b[2J" not in seen(picture)
        assert "[bold]" in seen(picture)


@given(st.text())
def test_text_keeps_everything_but_controls(value: str):
    shown = show.text(value).plain
    assert len(shown) <= len(value)
    assert not show.CONTROLS.search(shown)
