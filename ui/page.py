"""The chat page: questions with their steps and sources, and the cards on which a person approves or rejects a write.

Every right is checked behind the page, in the ledger; the page only shows and asks. Text from documents and tools is
shown as text: it can load nothing and run nothing in the browser.
"""

from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import streamlit as st

from ..agent.state import Answer, Citation, Step, SubQuestion
from ..errors import AskfirstError, UsageError
from . import show

if TYPE_CHECKING:
    from ..agent.assistant import Assistant

AROUND = 700  # characters of the document shown before and after a quote
COLOURS = {"answered": "green", "refused": "orange", "waiting": "violet", "limited": "orange"}
STYLE = """<style>
.passage {white-space: pre-wrap; font-size: .85rem; max-height: 24rem; overflow-y: auto; opacity: .85}
.passage mark {padding: .1em .2em; border-radius: .2em; background: #ffe58a; color: #222; opacity: 1}
.change {font-family: monospace; font-size: .85rem; white-space: pre-wrap}
.change del {color: #c0392b} .change ins {color: #1e8449; text-decoration: none}
</style>"""


def main() -> None:
    """Draw the page from the session's state; what the buttons do has been done before."""
    st.set_page_config(page_title="Askfirst", page_icon="✋", layout="centered")
    st.html(STYLE)
    st.session_state.setdefault("turns", [])
    st.session_state.setdefault("thread", str(uuid4()))
    try:
        assistant = open_assistant()
        draw(assistant)
    except AskfirstError as error:
        st.error(str(error))


@st.cache_resource(show_spinner="Opening the database and the model")
def open_assistant() -> "Assistant":
    """The one assistant of this server, shared by all its windows."""
    from ..agent.assistant import Assistant
    from ..settings import Settings

    return Assistant.open(settings=Settings.load())


def draw(assistant: "Assistant") -> None:
    """Sidebar, the conversation so far, and the next question."""
    with st.sidebar:
        collection = side_panel(assistant)
    st.header("Askfirst", anchor=False)
    st.caption("Answers from your documents and data, and asks first before it changes anything.")
    for place, (question, answer) in enumerate(st.session_state.turns):
        draw_turn(assistant, question, answer, place=f"turn{place}", collection=collection)
    if question := st.chat_input("Ask about your documents or your data"):
        ask(assistant, question, collection=collection)


def side_panel(assistant: "Assistant") -> str | None:
    """Collection, name and inbox; gives the collection's name back."""
    names = [collection.name for collection in assistant.collections()]
    chosen = assistant.settings.collection
    index = names.index(chosen) if chosen in names else 0
    collection = st.selectbox("Collection", names, index=index, placeholder="No documents yet")
    st.text_input("Your name", value=assistant.settings.user, key="who", help="Recorded with each question and each decision.")
    st.button("New conversation", icon=":material/add_comment:", on_click=start_anew, width="stretch")
    inbox(assistant)
    return collection


def start_anew() -> None:
    """Begin a new thread; what was asked stays in the database."""
    st.session_state.turns = []
    st.session_state.thread = str(uuid4())


@st.fragment(run_every=15)
def inbox(assistant: "Assistant") -> None:
    """The proposals that wait for anybody, from this page and from elsewhere."""
    waiting = assistant.proposals()
    st.subheader(f"Waiting for a person: {len(waiting)}", anchor=False)
    if notice := st.session_state.pop("notice", None):
        st.error(notice)
    for proposal in waiting:
        with st.expander(harmless(proposal.preview.partition("\n")[0])):
            draw_card(assistant, proposal, place="inbox")


def ask(assistant: "Assistant", question: str, *, collection: str | None) -> None:
    """Stream the answer to a new question and keep it in the conversation."""
    with st.chat_message("user"):
        st.markdown(harmless(question))
    with st.chat_message("assistant"), st.status("Thinking") as status:
        pieces = assistant.stream(question, collection=collection, thread=st.session_state.thread, by=st.session_state.who)
        st.write_stream(words(pieces, status, question))
    st.rerun()


def words(pieces: Iterator[Any], status: Any, question: str) -> Iterator[str]:
    """The words of a stream; its steps go to `status`, the answer that ends it into the conversation."""
    for piece in pieces:
        if isinstance(piece, Answer):
            st.session_state.turns.append((question, piece))
        elif isinstance(piece, Step):
            status.update(label=f"{piece.number}. {piece.tool}")
        else:
            yield harmless(piece)


def draw_turn(assistant: "Assistant", question: str | None, answer: Answer, *, place: str, collection: str | None) -> None:
    """A question (none after a decision) and its answer, with all that supports it."""
    if question:
        with st.chat_message("user"):
            st.markdown(harmless(question))
    with st.chat_message("assistant"):
        st.markdown(harmless(answer.text or "No answer."))
        for number, citation in enumerate(answer.citations, 1):
            draw_citation(assistant, citation, number, collection=collection)
        for proposal in answer.proposals if answer.status == "waiting" else ():
            with st.container(border=True):
                draw_card(assistant, assistant.proposal(proposal.id), place=place)
        draw_making(answer)


def draw_citation(assistant: "Assistant", citation: Citation, number: int, *, collection: str | None) -> None:
    """A source that opens on its quote, highlighted where it stands in the document."""
    try:
        text = assistant.document(citation.document, collection=collection).text
    except UsageError:
        text = citation.quote
    start = citation.start if text[citation.start : citation.end] == citation.quote else 0
    heading = show.heading_above(text, start)
    with st.expander(f"[{number}] {citation.document}{f' · {heading}' if heading else ''}"):
        st.html(passage(text, start, start + len(citation.quote)))


def passage(text: str, start: int, end: int) -> str:
    """HTML of the text around a span, the span marked."""
    before, after = text[max(0, start - AROUND) : start], text[end : end + AROUND]
    lead, trail = "… " if start > AROUND else "", " …" if end + AROUND < len(text) else ""
    return f'<div class="passage">{lead}{escape(before)}<mark>{escape(text[start:end])}</mark>{escape(after)}{trail}</div>'


def draw_making(answer: Answer) -> None:
    """How an answer came about: status, routes, cost; sub-questions and steps on demand."""
    label = " · ".join((*answer.routes, *show.cost(answer.usage)))
    with st.expander(f":{COLOURS[answer.status]}[{answer.status}] · {label}"):
        if answer.sub_questions:
            st.dataframe([sub_question_row(part) for part in answer.sub_questions], hide_index=True)
        st.dataframe([step_row(step) for step in answer.steps], hide_index=True)


def sub_question_row(part: SubQuestion) -> dict[str, str]:
    """A sub-question as a row of the table."""
    return {"sub-question": part.question, "answer": part.text, "status": part.status}


def step_row(step: Step) -> dict[str, Any]:
    """A step as a row of the table."""
    outcome = step.error or step.result or ""
    return {
        "step": step.number,
        "call": show.call(step.tool, step.arguments),
        "result": outcome,
        "decided by": show.deciders(step),
        "ms": step.milliseconds,
    }


def draw_card(assistant: "Assistant", proposal: Any, *, place: str) -> None:
    """A proposal: what would change, and the two buttons while it waits, else who decided it."""
    st.code(show.call(proposal.tool, proposal.arguments), language=None, wrap_lines=True)
    st.html(change(proposal.preview))
    if proposal.state != "waiting":
        st.caption(harmless(show.decision(proposal)))
        return
    asked, who = harmless(proposal.requested_by), harmless(st.session_state.who)
    st.caption(f"Asked by {asked}. You decide as **{who}**, until {show.until(proposal.expires)}.")
    approving, rejecting = st.columns(2)
    key = f"{place}-{proposal.id}"
    pressed = {"on_click": approve, "args": (assistant, proposal)}
    approving.button("Approve", key=f"approve-{key}", type="primary", width="stretch", **pressed)
    with rejecting.popover("Reject", width="stretch"):
        why = st.text_input("Reason", key=f"why-{key}")
        st.button("Reject", key=f"reject-{key}", disabled=not why, on_click=reject, args=(assistant, proposal, f"why-{key}"))


def change(preview: str) -> str:
    """HTML of what would change, `before -> after` as deletion and insertion."""
    return '<div class="change">' + "\n".join(change_line(line) for line in preview.splitlines()) + "</div>"


def change_line(line: str) -> str:
    """HTML of one line of a preview."""
    parts = show.column_change(line)
    if parts is None:
        return escape(line)
    name, before, after = map(escape, parts)
    return f"{name}<del>{before}</del> → <ins>{after}</ins>"


def approve(assistant: "Assistant", proposal: Any) -> None:
    """Approve exactly what the card showed."""
    decide(proposal, lambda: assistant.approve(proposal.id, by=st.session_state.who, digest=proposal.digest))


def reject(assistant: "Assistant", proposal: Any, why: str) -> None:
    """Reject with the reason in the text field named `why`."""
    reason = st.session_state[why]
    decide(proposal, lambda: assistant.reject(proposal.id, by=st.session_state.who, why=reason))


def decide(proposal: Any, act: Any) -> None:
    """Make the decision; what follows from it joins the conversation, a refusal becomes the inbox's notice."""
    try:
        answer = act()
    except AskfirstError as error:
        st.session_state.notice = str(error)
        return
    if any(proposal.id in {each.id for each in earlier.proposals} for _, earlier in st.session_state.turns):
        st.session_state.turns.append((None, answer))


def harmless(text: str) -> str:
    """Markdown that keeps its lines, lists and code, but draws no formula from a price and fetches no picture."""
    return text.replace("$", "\\$").replace("![", "!\\[").replace("\n", "  \n")
