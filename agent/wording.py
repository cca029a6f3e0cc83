"""Words for what was found: sentences quoted as they stand, results of tools as plain lines, proposals, refusals.

Nothing here adds a fact: every number, name and date in the text comes from the evidence, a result or the proposal.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from . import signals
from .arguments import Embed
from .evidence import Sentence
from .state import Citation, ProposalView, SubQuestion
from .words import plain

MARK = re.compile(r"\[(\d+)\]")
LIST_MARK = re.compile(r"^(?:#+|>|[-*+\u2022]|\d+[.)])\s+")
LINK = re.compile(r"!?\[([^\]]+)\]\([^)\s]*\)")
DIRECT = (
    "I answer from the documents and data you give me, and I ask first before I change anything. "
    "Ask me about your documents, a look-up, a calculation, or a change you want made."
)


def quoted(chosen: Sequence[Sentence]) -> tuple[str, tuple[Citation, ...]]:
    """The sentences in the order given, each followed by the number of its citation."""
    citations = tuple(Citation(s.document, s.start, s.end, s.text, round(s.score, 3)) for s in chosen)
    text = " ".join(f"{_sentence(s.text)} [{number}]" for number, s in enumerate(chosen, 1))
    return text, citations


def _sentence(text: str) -> str:
    """One line of running text: line breaks folded; marks of lists, headings, emphasis and links left out."""
    line = LIST_MARK.sub("", " ".join(text.split()))
    return LINK.sub(r"\1", line).replace("**", "").strip()


def told(question: str, arguments: Mapping[str, Any], result: Any, embed: Embed) -> str:
    """A tool's result in plain lines, what the question asks for first."""
    if not isinstance(result, Mapping):
        return _lines(result)
    fields = {key: value for key, value in result.items() if value not in (None, "", [], {})}
    named = [key for key, value in fields.items() if value in arguments.values() and not isinstance(value, bool)]
    keys = signals.relevant(question, arguments, fields, embed)
    return "\n".join(_field(key, fields[key]) for key in dict.fromkeys([*named, *keys]))


def _field(key: str, value: Any) -> str:
    shown = _lines(value)
    return f"{plain(key)}:\n{shown}" if "\n" in shown or shown.startswith("- ") else f"{plain(key)}: {shown}"


def _lines(value: Any) -> str:
    """A JSON value as text: scalars as they are, lists of records one record a line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{plain(str(key))} {_lines(inner)}" for key, inner in value.items() if inner not in (None, "", [], {}))
    if isinstance(value, list | tuple):
        return (
            "\n".join(f"- {_lines(item)}" for item in value)
            if any(isinstance(i, Mapping) for i in value)
            else ", ".join(map(_lines, value))
        )
    return ("yes" if value else "no") if isinstance(value, bool) else f"{value}"


def parts(answered: Sequence[SubQuestion]) -> str:
    """The sub-questions with their answers, failed ones included; citation numbers run on through all of them."""
    lines, before = [], 0
    for part in answered:
        text = MARK.sub(lambda mark, shift=before: f"[{int(mark[1]) + shift}]", part.text)
        lines.append(f"{part.question}\n{text}")
        before += len(part.citations)
    return "\n\n".join(lines)


def refused(support: float, *, searched: str) -> str:
    """That nothing supports an answer, where was looked, and how far the best find was."""
    return (
        f"I found nothing in {searched} that answers this (best support {support:.2f}). "
        "Ask it in other words, or ingest a document that holds the answer."
    )


def limited(cap: str, partial: str) -> str:
    """The best supported partial answer and what ended the run."""
    begun = f"{partial}\n\n" if partial else ""
    return f"{begun}This is incomplete: the run ended at its limit of {cap}. Raise the limit or ask a smaller question."


def waiting(proposals: Sequence[ProposalView], *, after_documents: bool) -> str:
    """What is proposed and that nothing has been changed; and whether documents were read before, which may have suggested it."""
    lines = [
        f"Proposed, not done: {plain(proposal.tool)} ({_lines(_given(proposal.arguments))}). "
        f"Nothing changes until a person approves it: `askfirst proposals approve {proposal.id}`."
        for proposal in proposals
    ]
    if after_documents:
        lines.append("The model read documents before it proposed this: check that it is what you asked for.")
    return "\n".join(lines)


def _given(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value != ""}


def decided(tool: str, decision: Mapping[str, Any]) -> str:
    """What became of a proposal after a person decided."""
    by = decision.get("by") or "nobody"
    if decision["state"] == "executed":
        return f"Done, approved by {by}: {plain(tool)}. {_lines(decision.get('result'))}".strip()
    reason = f" ({decision['why']})" if decision.get("why") else ""
    return f"Not done: {plain(tool)} was {decision['state']} by {by}{reason}. Nothing was changed."
