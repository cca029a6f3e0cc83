"""From what a run has observed to its `Answer`: which observation answers, in which words, and when to refuse."""

from collections.abc import Sequence
from typing import Any

from ..retrieval.documents import Evidence
from ..tools.proposals import Proposal
from . import wording
from .arguments import refers_back
from .means import Means, State
from .prompts import word_answer
from .proof import proved
from .state import Answer, Citation, ProposalView, Status, Usage, read_step, read_sub_question

SEARCH, PARTS = "search_documents", "ask_sub_questions"
Found = tuple[str, Status, tuple[Citation, ...]]


def compose(state: State, means: Means, usage: Usage) -> Answer:
    """The `Answer` of a run in which nothing more will be called."""
    if state.get("decision"):
        return _answer(state, usage, (wording.decided(state["proposals"][0]["tool"], state["decision"]), "answered", ()))
    text, status, citations = _found(state, means)
    if state.get("stopped"):
        partial = text if status == "answered" and state["steps"] else ""
        return _answer(state, usage, (wording.limited(state["stopped"], partial), "limited", citations if partial else ()))
    return _answer(state, usage, (text, status, citations))


def waiting(state: State, usage: Usage) -> Answer:
    """The `Answer` of a run that pauses for a person."""
    views = [ProposalView(**view) for view in state["proposals"]]
    read = any(step["tool"] in (SEARCH, PARTS) for step in state["steps"])
    return _answer(state, usage, (wording.waiting(views, after_documents=read), "waiting", ()))


def view_of(proposal: Proposal) -> ProposalView:
    """A proposal of the ledger as an answer shows it."""
    return ProposalView(proposal.id, proposal.tool, proposal.arguments, proposal.preview, proposal.digest, str(proposal.expires))


def in_context(state: State) -> str:
    """The question as it can be searched for: one that refers back stands behind the question before it in the thread."""
    history = state.get("history")
    return f"{history[-1]['question']} {state['question']}" if history and refers_back(state["question"]) else state["question"]


def from_documents(question: str, evidence: Sequence[Evidence], collection: str, means: Means) -> Found:
    """The sentences that answer, each with its citation; a refusal when the evidence supports none."""
    weights = means.weights(question, collection) if evidence else {}
    chosen, sure = means.decisions.sentences(question, evidence, weights, floor=means.settings.refuse_below)
    if not chosen:
        return wording.refused(sure, searched=f"the collection '{collection}'"), "refused", ()
    text, citations = wording.quoted(chosen)
    return text, "answered", citations


def from_result(question: str, arguments: dict[str, Any], value: Any, means: Means) -> str:
    """A look-up's result in words: the Llama's, where it decides the wording and each of its sentences is proved."""
    plain = wording.told(question, arguments, value, means.decisions.embed)
    if means.decisions.who["wording"] != "llama":
        return plain
    reply = means.model().write(word_answer(question, [plain]), max_tokens=200)
    return proved(reply.text, [question, plain]) or plain


def _found(state: State, means: Means) -> Found:
    """Text, status and citations from the last useful observation."""
    if "said" in state:
        return _said(state["said"], state, means)
    if state.get("routes") == ["direct"] and not state["steps"]:
        return wording.DIRECT, "answered", ()
    if state.get("sub_questions"):
        parts = [read_sub_question(part) for part in state["sub_questions"]]
        status: Status = "answered" if any(part.status == "answered" for part in parts) else "refused"
        return wording.parts(parts), status, tuple(c for part in parts for c in part.citations)
    last = state["steps"][-1] if state["steps"] else None
    if last and last["error"]:
        return last["error"], "refused", ()
    if last and last["tool"] not in (SEARCH, PARTS):
        return from_result(state["question"], last["arguments"], last["value"], means), "answered", ()
    evidence = [Evidence(**item) for item in state.get("evidence") or []]
    return from_documents(in_context(state), evidence, state["collection"], means)


def _said(text: str, state: State, means: Means) -> Found:
    """The words of a model that decides freely, less every sentence that its observations do not prove."""
    sources = [step["result"] or "" for step in state["steps"]] + [state["question"]]
    evidence = [Evidence(**item) for item in state.get("evidence") or []]
    kept = proved(text, sources + [item.text for item in evidence])
    if not kept:
        return wording.refused(0.0, searched="what was observed"), "refused", ()
    _, _, citations = from_documents(kept, evidence, state["collection"], means) if evidence else ("", "", ())
    return kept, "answered", citations


def _answer(state: State, usage: Usage, found: Found) -> Answer:
    """The contract's one value, from the state and what was found."""
    text, status, citations = found
    return Answer(
        question=state["question"],
        text=text,
        status=status,
        routes=tuple(state.get("routes") or ()),
        citations=citations,
        sub_questions=tuple(read_sub_question(part) for part in state.get("sub_questions") or ()),
        steps=tuple(read_step(step) for step in state["steps"]),
        proposals=tuple(ProposalView(**view) for view in state.get("proposals") or ()),
        usage=usage,
        thread=state["thread"],
        run=state["run"],
    )
