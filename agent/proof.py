"""Does each statement of an answer stand in its evidence? Mechanical, no judge model: quotes, numbers and names."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .state import Citation

FACT = re.compile(r"\d[\d,.:/-]*\d|\d|(?<=[a-z,;] )[A-Z][\w'\u2019-]+(?: [A-Z][\w'\u2019-]+)*")
MARK = re.compile(r"\s*\[\d+\]")


@dataclass(frozen=True)
class Unproved:
    """A sentence that fails, and the number, date or name in it that no source holds."""

    sentence: str
    fact: str


def quotes_stand(citations: Sequence[Citation], text_of: Callable[[str], str]) -> bool:
    """Law 4, first half: `text_of(document)[start:end] == quote` for every citation."""
    return all(text_of(c.document)[c.start : c.end] == c.quote for c in citations)


def unproved(text: str, sources: Sequence[str]) -> list[Unproved]:
    """Law 4, second half: the sentences with a number, date or name that stands in none of the sources."""
    known = " ".join(sources).casefold()
    numbers = {_number(found) for found in FACT.findall(known)}
    failed = []
    for sentence in re.split(r"(?<=[.!?])\s+|\n", MARK.sub("", text)):
        for fact in FACT.findall(sentence):
            held = _number(fact) in numbers if fact[0].isdigit() else fact.casefold() in known
            if not held:
                failed.append(Unproved(sentence, fact))
                break
    return failed


def proved(text: str, sources: Sequence[str]) -> str:
    """The text without the sentences that fail."""
    return "".join(part for part in re.split(r"(?<=[.!?])(?=\s)|(?<=\n)", text) if not unproved(part, sources)).strip()


def _number(text: str) -> str:
    """A number without thousands separators and trailing zeros, so that 1,299.50 equals 1299.5."""
    digits = text.replace(",", "").strip(".:/-")
    return digits.rstrip("0").rstrip(".") if digits.count(".") == 1 else digits
