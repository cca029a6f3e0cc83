"""Which options of a product a customer's words mean: "black, leather" is color black and material leather."""

import re
from collections.abc import Iterable, Mapping

from askfirst.errors import ToolRetry

from .shelves import Item

FILLERS = frozenset(
    "a an and any available but cheapest color colour except for in instead it kind lowest made model new "
    "of one ones option options please price same size the to type variant version want with".split()
)
UNITS = r"gb|tb|ml|l|mah|mp|mm|ft|inch|inches|cups|hours|bar|x"

EVERYDAY = re.compile(r"\d+|[a-z]|yes|no|none|high|low|full|half|art|men|women|fresh|custom|auto")


def options_of(items: Iterable[Item]) -> dict[str, list[str]]:
    """Option names with all their values, in the order of the items."""
    known: dict[str, dict[str, None]] = {}
    for item in items:
        for name, value in item.options.items():
            known.setdefault(name, {})[value] = None
    return {name: list(values) for name, values in known.items()}


def meant_options(text: str, known: Mapping[str, list[str]], *, product: str) -> dict[str, str]:
    """The options named in `text`, longest wording first. `ToolRetry` for words that are none, or could be two."""
    words: list[str | None] = [*_words(text)]
    meant: dict[str, str] = {}
    for form in sorted(_forms(known), key=len, reverse=True):
        place = _place(words, form)
        if place is None:
            continue
        name, value = _the_one(_forms(known)[form], meant, form, product)
        meant[name] = value
        words[place : place + len(form)] = [None] * len(form)
    said_anyway = FILLERS | {*_words(product)} | {word for name in known for word in _words(name)}
    left = [word for word in words if word and word not in said_anyway]
    if left:
        raise ToolRetry(f"'{' '.join(left)}' is not an option of {product}. Its options are: {listed(known)}.")
    return meant


def said_options(text: str, known: Mapping[str, list[str]]) -> str | None:
    """The options that stand in a person's sentence among other words, for `meant_options` to judge; None without any.

    Values that are everyday words or bare numbers count only beside the option's name, as in "size 9".
    """
    words: list[str | None] = [*_words(without_what_is_replaced(text))]
    found: list[tuple[int, str]] = []
    for form, candidates in sorted(_forms(known).items(), key=lambda each: -len(each[0])):
        place = None if len(form) == 1 and EVERYDAY.fullmatch(form[0]) else _place(words, form)
        if place is not None:
            words[place : place + len(form)] = [None] * len(form)
            found.append((place, " ".join(candidates[0]) if len(candidates) == 1 else " ".join(form)))
    return ", ".join(wording for _, wording in sorted(found)) or None


def without_what_is_replaced(text: str) -> str:
    """A sentence without its "rather than ..." and "from ... to": only what is wanted is left."""
    return re.sub(r"\b(?:rather than|instead of|in place of)\b[^,.;:!?]*|\bfrom\b[^.;!?]*?\bto\b", " ", text, flags=re.I)


def listed(known: Mapping[str, list[str]]) -> str:
    """All options in one line."""
    return "; ".join(f"{name}: {', '.join(values)}" for name, values in known.items())


def _words(text: str) -> list[str]:
    """Lower-case words, hyphens closed up and units joined to their number, so that 16 GB and 16GB are one."""
    plain = re.sub(r"[-/]", "", text.casefold())
    plain = re.sub(rf"(\d)\s+(?=(?:{UNITS})\b)", r"\1", plain)
    return [word.strip(".") for word in re.findall(r"[^\s,;:()+'\"?!]+", plain) if word.strip(".")]


def _forms(known: Mapping[str, list[str]]) -> dict[tuple[str, ...], list[tuple[str, str]]]:
    """Each wording of an option with what it may mean; a value that is also another option's needs the option's name."""
    forms: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for name, values in known.items():
        for value in values:
            for form in ([*_words(name), *_words(value)], [*_words(value), *_words(name)], _words(value)):
                forms.setdefault(tuple(form), []).append((name, value))
    return forms


def _place(words: list[str | None], form: tuple[str, ...]) -> int | None:
    return next((at for at in range(len(words)) if tuple(words[at : at + len(form)]) == form), None)


def _the_one(candidates: list[tuple[str, str]], meant: Mapping[str, str], form: tuple[str, ...], product: str) -> tuple[str, str]:
    open_ones = [each for each in candidates if each[0] not in meant]
    if len(open_ones) != 1:
        ways = " or ".join(f"{name} {value}" for name, value in open_ones or candidates)
        raise ToolRetry(f"'{' '.join(form)}' is not clear for {product}. Write {ways}{'' if open_ones else ', once'}.")
    return open_ones[0]
