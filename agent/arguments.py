"""Fills a tool's arguments from what the person wrote and what earlier tools returned, without a language model.

Sources in the order of trust: a reader that the tool itself brings, a pattern in its schema, a value that exists in the
database (`Choices`), one of the values its schema allows, a well-known kind of text (e-mail, address, name, number), a
value of the same name in an earlier result. What none of them finds may be asked of the Llama; the rest stays missing.
Text of documents is never a source: it is data, and must not steer a call.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from .words import content, plain, similar, stem, words

NAME = re.compile(r"\b([A-Z][a-z]+(?:[-'][A-Z]?[a-z]+)?)\s+([A-Z][a-z]+(?:[-'][A-Z]?[a-z]+)?)\b")
EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
NUMBER = re.compile(r"(?<![\w#.])-?\d+(?:,\d{3})*(?:\.\d+)?(?![\w])")
ZIP = re.compile(r"(?<![\d#\w])\d{5}(?:-\d{4})?(?!\d)")
MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
DATE = re.compile(
    rf"\b(?:\d{{4}}-\d{{2}}-\d{{2}}|\d{{1,2}}(?:st|nd|rd|th)?\s(?:of\s)?{MONTH},?\s\d{{4}}|{MONTH}\s\d{{1,2}}(?:st|nd|rd|th)?,?\s\d{{4}}|"
    rf"\d{{1,2}}[./]\d{{1,2}}[./]\d{{4}}|today|tomorrow|yesterday)\b",
    re.IGNORECASE,
)
ADDRESS = re.compile(
    r"(?<![#\w])(?P<street>\d{1,6}\s+(?:[\w.']+\s+){1,4}?(?:street|st|avenue|ave|road|rd|lane|ln|drive|dr|boulevard|blvd|court|ct|"
    r"way|place|pl|circle|highway|square|terrace|row|close)\b\.?)"
    r"(?:,?\s*(?P<street2>(?:suite|ste|apt|apartment|unit|floor)\.?\s*#?\w+))?"
    r"(?:,?\s*(?:in\s+)?(?P<city>[A-Za-z][A-Za-z.' -]*?)(?:,\s*|\s+)(?P<state>[A-Za-z]{2}(?=,?\s*\d{5}|\W*$|,|\.)|"
    r"(?-i:[A-Z][a-z]+(?: [A-Z][a-z]+)?)(?=,?\s*\d{5}))\b,?\s*(?P<zip>\d{5}(?:-\d{4})?)?)?"
    r"(?:,?\s*(?P<country>USA|United States|Canada|UK)\b)?",
    re.IGNORECASE,
)
BACK = re.compile(
    r"^\s*(?:and|also|but|so|then)\b|\b(?:it|its|that one|this one|the same|them|their|what about|how about)\b", re.I
)
EVERYTHING = re.compile(
    r"\b(everything|all (?:of )?(?:the |my )?(?:items|products|it|them)|whole order|entire order|both)\b", re.I
)
# Words by which arguments of these kinds are usually called, and how their values are found in a text.
KINDS: dict[str, Callable[[str], list[str]]] = {
    "email": lambda text: _all(EMAIL, text),
    "first name": lambda text: _all(NAME, ADDRESS.sub(" ", text), 1),
    "last name": lambda text: _all(NAME, ADDRESS.sub(" ", text), 2),
    "name": lambda text: _all(NAME, ADDRESS.sub(" ", text)),
    "street": lambda text: _all(ADDRESS, text, "street"),
    "street2": lambda text: _all(ADDRESS, text, "street2"),
    "city": lambda text: _all(ADDRESS, text, "city"),
    "state": lambda text: [state.upper() if len(state) == 2 else state for state in _all(ADDRESS, text, "state")],
    "zip": lambda text: _all(ZIP, text),
    "country": lambda text: _all(ADDRESS, text, "country"),
    "date": lambda text: _all(DATE, text),
}


class Fillable(Protocol):
    """What is needed of a tool: its schema, the values that exist, and its own reader for an argument."""

    name: str
    description: str
    parameters: dict[str, Any]

    def choices(self, argument: str, connection: Any, arguments: Mapping[str, Any]) -> Sequence[str] | None:
        """The values that exist for an argument; None when anything may stand there."""
        ...

    def canonical(self, argument: str, value: Any) -> Any | None:
        """A value in the form that the tool works with; None when it is none."""
        ...

    def read(self, argument: str, text: str, connection: Any, arguments: Mapping[str, Any]) -> Any | None:
        """What the tool's own reader finds in a text."""
        ...


MARGIN = 0.05  # by which the nearest allowed value must lead
Ask = Callable[[Fillable, str, dict[str, Any], Sequence[str] | None, Mapping[str, Any]], Any]
Embed = Callable[[Sequence[str]], np.ndarray]


@dataclass(frozen=True)
class Filled:
    """Arguments found, required ones that are missing, and who found each (signal, llama or result).

    `firm` counts those that a pattern, a reader or an existing value fixed: they speak for the tool itself.
    """

    arguments: dict[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    by: dict[str, str] = field(default_factory=dict)
    firm: int = 0


@dataclass(frozen=True)
class Sources:
    """Where values may come from: the person's text, their earlier questions and the results of look-ups (both newest
    first), the values that exist in the database, the embedder, the Llama."""

    text: str
    before: Sequence[str] = ()
    results: Sequence[Any] = ()
    connection: Any = None
    embed: Embed | None = None
    ask: Ask | None = None


def fill(tool: Fillable, sources: Sources) -> Filled:
    """Every argument of `tool` that the sources hold. Two arguments of one kind take two values, in the order of the text."""
    found: dict[str, Any] = {}
    by: dict[str, str] = {}
    firm = 0
    required = tool.parameters.get("required", [])
    for name, schema in tool.parameters.get("properties", {}).items():
        choices = tool.choices(name, sources.connection, found)
        value, certain = _spoken(tool, name, schema, choices, sources, found)
        if value is not None:
            found[name], by[name] = value, "signal"
            firm += certain
        elif name in required and (earlier := _from_results(name, schema, choices, sources.results)) is not None:
            found[name], by[name] = earlier, "result"
        elif name in required and (told := _asked(tool, name, schema, choices, found, sources.ask)) is not None:
            found[name], by[name] = told, "llama"
    return Filled(found, tuple(name for name in required if name not in found), by, firm)


def _asked(
    tool: Fillable, name: str, schema: dict[str, Any], choices: Sequence[str] | None, found: Mapping[str, Any], ask: Ask | None
) -> Any | None:
    """The Llama's value, where the tool takes it. What has a pattern stands in the text or nowhere: nobody is asked for it."""
    if ask is None or "pattern" in _inner(schema):
        return None
    told = ask(tool, name, schema, choices, found)
    return None if told is None else tool.canonical(name, told)


def _spoken(
    tool: Fillable, name: str, schema: dict[str, Any], choices: Sequence[str] | None, sources: Sources, found: Mapping[str, Any]
) -> tuple[Any | None, int]:
    """What the person said for one argument, and how firmly: 2 where the tool's own reader found it, 1 where its form or
    an existing value fixes it. Earlier turns only complete what is missing, firmly where the question refers back to them.
    """
    for text in (sources.text, *sources.before):
        meant = text == sources.text or refers_back(sources.text)
        value = tool.read(name, text, sources.connection, found)
        if value is not None:
            return value, 2 * meant
        values = _usable(tool, name, from_text(name, schema, choices, text, sources.embed, about=plain(tool.name)), found)
        if values:
            kinds = _kind(name, _inner(schema)) is not None and any(map(str.isdigit, str(values[0])))
            certain = choices is not None or "pattern" in _inner(schema) or kinds
            return (values if schema.get("type") == "array" else values[0]), int(certain and meant)
    return None, 0


def refers_back(question: str) -> bool:
    """Whether a question leans on what was said before: "And its total?", "What about that one?"."""
    return BACK.search(question) is not None


def _usable(tool: Fillable, name: str, values: Sequence[Any], found: Mapping[str, Any]) -> list[Any]:
    """The values in the form that the tool works with, without those it refuses and those that another argument has."""
    if tool.parameters["properties"][name].get("type") == "array":
        return list(values) if values and tool.canonical(name, list(values)) is not None else []
    forms = (tool.canonical(name, value) for value in values)
    return [form for form in forms if form is not None and form not in found.values()]


def from_text(
    name: str, schema: dict[str, Any], choices: Sequence[str] | None, text: str, embed: Embed | None, *, about: str = ""
) -> list[Any]:
    """The values that a text holds for one argument, likeliest first; for a list all of them."""
    inner = _inner(schema)
    pattern = _open(inner["pattern"]) if "pattern" in inner else None
    if choices is not None:
        return named(choices, text) or (list(choices) if schema.get("type") == "array" and EVERYTHING.search(text) else [])
    if kind := _kind(name, inner):
        return [value for value in kind(text) if pattern is None or re.fullmatch(pattern, value)]
    if pattern:
        return list(dict.fromkeys(match.group() for match in re.finditer(pattern, text)))
    if "enum" in inner:
        value = closest(inner["enum"], text, embed, about=f"{about} {plain(name)}")
        return [] if value is None else [value]
    if inner.get("type") in ("integer", "number"):
        return list(_numbers(name, text, whole=inner["type"] == "integer"))
    return []


def _kind(name: str, schema: Mapping[str, Any]) -> Callable[[str], list[str]] | None:
    """How values of a well-known kind are found, by the argument's name or the schema's format."""
    spoken = set(plain(name).split())
    if "id" in spoken or schema.get("type") not in ("string", None):
        return None
    return next((read for words, read in KINDS.items() if set(words.split()) <= spoken), KINDS.get(schema.get("format", "")))


def named(choices: Sequence[str], text: str) -> list[str]:
    """The choices that the text names, longest first; one that lies inside another named one is left out.

    All content words of a choice must stand in the text, in any inflection and with at most one typing slip each.
    """
    spoken = content(text)
    hits = [choice for choice in choices if _says(spoken, content(choice))]
    hits.sort(key=lambda choice: -len(content(choice)))
    return [hit for i, hit in enumerate(hits) if not any(set(content(hit)) < set(content(longer)) for longer in hits[:i])]


def _says(spoken: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether all parts are spoken, each as a word of its own or all written as one ("tshirt" for "T-Shirt")."""
    together = "".join(parts)
    return bool(parts) and (all(any(similar(p, w) for w in spoken) for p in parts) or any(similar(together, w) for w in spoken))


def closest(options: Sequence[Any], text: str, embed: Embed | None, *, about: str = "", least: float = 0.28) -> Any | None:
    """The allowed value that the text says: literally, else the nearest one by the embedding of the text's clauses.

    Words of `about` (the tool's and the argument's names) are left out on both sides: they say what is wanted, not how. The
    nearest value must have a cosine of at least `least` and lie clearly before the second.
    """
    literal = named([str(option) for option in options], text)
    if literal:
        return next(option for option in options if str(option) == literal[0])
    clauses = [clause for each in re.split(r"[,.;!?]|\bbecause\b|\bsince\b", text) if content(clause := _without(each, about))]
    if embed is None or not clauses or len(options) < 2:
        return None
    cosines = (embed([_without(plain(str(option)), about) for option in options]) @ embed(clauses).T).max(axis=1)
    second, best = np.sort(cosines)[-2:]
    return options[int(cosines.argmax())] if best >= least and best - second >= MARGIN else None


def _without(text: str, about: str) -> str:
    """The text without the words of `about` in any inflection, and without anything that holds a digit."""
    left_out = {stem(word) for word in words(about)}
    return " ".join(word for word in text.split() if not any(stem(part) in left_out or _has_digit(part) for part in words(word)))


def _has_digit(word: str) -> bool:
    return any(letter.isdigit() for letter in word)


def _from_results(name: str, schema: dict[str, Any], choices: Sequence[str] | None, results: Sequence[Any]) -> Any | None:
    """A value of the same name in an earlier result, newest first; it must be the only one there and fit the schema."""
    pattern = _inner(schema).get("pattern")
    for result in results:
        values = list(dict.fromkeys(str(value) for value in values_named(name, result)))
        values = [v for v in values if (pattern is None or re.fullmatch(_open(pattern), v)) and (choices is None or v in choices)]
        if len(values) == 1:
            return values if schema.get("type") == "array" else values[0]
    return None


def values_named(name: str, result: Any) -> Iterator[Any]:
    """Every scalar under a key `name` (or its plural, for lists) anywhere in a JSON value."""
    wanted = {stem(part) for part in plain(name).split()}
    if isinstance(result, dict):
        for key, value in result.items():
            scalars = value if isinstance(value, list) else [value]
            if {stem(part) for part in plain(key).split()} in (wanted, wanted - {"id"}):
                yield from (scalar for scalar in scalars if isinstance(scalar, str | int | float))
            yield from values_named(name, value)
    elif isinstance(result, list):
        for value in result:
            yield from values_named(name, value)


def _numbers(name: str, text: str, *, whole: bool) -> list[int | float]:
    """The numbers of a text, nearest to a word of the argument's name first."""
    said = DATE.sub(lambda date: " " * len(date.group()), text)
    found = [(match.start(), match.group().replace(",", "")) for match in NUMBER.finditer(said)]
    places = [match.start() for part in plain(name).split() for match in re.finditer(re.escape(part), text, re.I)]
    found.sort(key=lambda pair: min((abs(pair[0] - place) for place in places), default=pair[0]))
    return [int(digits) if whole else float(digits) for _, digits in found if not whole or "." not in digits]


def _inner(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of one value: of a list's items, or of the branch that is not null."""
    if schema.get("type") == "array":
        return schema.get("items", {})
    return next((branch for branch in schema.get("anyOf", []) if branch.get("type") != "null"), schema)


def _open(pattern: str) -> str:
    """A schema's anchored pattern as one that is searched in running text, at word boundaries."""
    body = pattern.removeprefix("^").removesuffix("$")
    return rf"(?<!\w){_no_groups(body)}(?!\w)"


def _no_groups(pattern: str) -> str:
    """Capturing groups turned into plain ones, so that `findall` gives whole matches."""
    return re.sub(r"(?<!\\)\((?!\?)", "(?:", pattern)


def _all(pattern: re.Pattern[str], text: str, group: int | str = 0) -> list[str]:
    """What a group of the pattern matched, each value once, in the order of the text."""
    return list(dict.fromkeys(match[group].strip(" ,.") for match in pattern.finditer(text) if match[group]))
