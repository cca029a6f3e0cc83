"""Makes examples and preference pairs of what people decided in the product, one line of its exported history at a time.

What a person approved is right. What they edited is right as they left it, and wrong as it was proposed. What they rejected
was wrong, and right is the call they let through instead, or none.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from .cases import Case, Tool, exchanges, messages, plain, reply_text, spans
from .example import Example

RATINGS = ("good", "bad", None)


def decided(line: Mapping[str, Any], source: str, prompts: dict) -> Iterator[Example]:
    """The examples of one line; none where nothing can be learned from it. Raises `ValueError` or `KeyError` where it is
    not of the form that `askfirst history export` writes."""
    cases = _rated(line, source) if line["kind"] == "answer" else _proposed(line, source)
    for case, wrong in cases:
        for asked in exchanges(case, prompts):
            rejected = None if wrong is None else reply_text(wrong)
            if rejected != asked.reply:
                kind = case.decision if wrong is None else "own"
                yield Example(kind, source, case.question, tuple(messages(asked, prompts)), rejected=rejected)


def _proposed(line: Mapping[str, Any], source: str) -> Iterator[tuple[Case, str | None]]:
    """Cases of a decided proposal, each with the reply that was worse, if one was."""
    if line["state"] == "executed":
        yield _choice(line, line["tool"], source), None
        yield from _filled(line, line["arguments"], line["proposed"] or line["arguments"], source)
    elif line["state"] != "rejected":
        raise ValueError(f"'{line['state']}' is no decision; known: executed, rejected")
    elif (instead := line.get("instead")) and instead["tool"] == line["tool"]:
        yield from _filled(line, instead["arguments"], line["proposed"] or line["arguments"], source)
    else:
        yield _choice(line, instead["tool"] if instead else "none", source), plain(line["tool"])


def _choice(line: Mapping[str, Any], right: str, source: str) -> Case:
    return Case("tool", source, line["question"], right, tools=tuple(Tool(**tool) for tool in line["tools"]))


def _filled(line: Mapping[str, Any], right: dict, proposed: dict, source: str) -> Iterator[tuple[Case, str | None]]:
    """Each argument that can be copied from the question, or that nobody stated; beside an edited one what it was before.

    A value that stands nowhere in the question cannot be copied from it: that it was wrong to put it there is learned, what
    the person had in mind is not.
    """
    said = set(spans(line["question"]))
    for name, schema in line["parameters"].get("properties", {}).items():
        if right.get(name) is not None and _word(right[name]) is None:
            continue  # a list or a yes is not copied
        now, before = _word(right.get(name)), _word(proposed.get(name))
        about = {"tool": line["tool"], "argument": name, "description": schema.get("description") or plain(name)}
        case = Case("arguments", source, line["question"], now, **about)
        if now in said or now is None:
            yield case, None
            if now != before:
                yield case, before or "none"
        elif now != before and before and before not in said:
            yield replace(case, expected=None), before


def _rated(line: Mapping[str, Any], source: str) -> Iterator[tuple[Case, str | None]]:
    """Of a good answer its route, and that its quotes answer. Of a bad one the better words where they stand in a quote,
    else that the quotes do not answer. Of one that nobody rated nothing."""
    rating, question, text = line.get("rating"), line["question"], line["text"]
    if rating not in RATINGS:
        raise ValueError(f"the rating is {rating!r}, neither 'good' nor 'bad'")
    quotes, better = line.get("quotes") or [], _word(line.get("better"))
    if rating == "good" and len(line.get("routes") or []) == 1:
        yield Case("route", source, question, line["routes"][0]), None
    holding = [quote for quote in quotes if better and better in spans(quote)]
    for quote in holding[:1] if rating == "bad" else []:
        case = Case("answer", source, question, better, sentences=(quote,))
        yield case, None
        yield case, text if text in spans(quote) else "none"
    for quote in quotes if rating and not holding else []:
        case = Case("evidence", source, question, 0 if rating == "good" else -1, sentences=(quote,))
        yield case, None
        if rating == "bad":
            yield case, "yes"


def _word(value: Any) -> str | None:
    """A value as it would stand in a sentence; nothing for what is no single word or number."""
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) and str(value).strip() else None
