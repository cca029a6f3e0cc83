"""A function known by its schema alone: what arguments are filled for, and whether a person is asked before it is called.

Nothing is registered and nothing can be run. So a dialogue with any functions can be decided as a run would decide it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from .words import plain, words

# Verbs that only look, and verbs that change something; a function with neither is taken for one that may change something.
READS = frozenset(
    "get find search list show check look lookup fetch read view query retrieve calculate compute count compare convert "
    "estimate predict determine solve describe explain is has see track generate analyze analyse evaluate identify recommend "
    "translate summarize validate verify forecast simulate filter sort detect classify measure know tell info status".split()
)
CHANGES = frozenset(
    "book reserve buy purchase order pay transfer send cancel create add delete remove update change set make schedule rent "
    "return exchange modify post submit share apply refund register subscribe play start stop turn move edit rename".split()
)
OTHER_NAMES = {"dict": "object", "float": "number", "double": "number", "tuple": "array", "list": "array", "int": "integer"}
OTHER_NAMES |= {"str": "string", "bool": "boolean", "any": "string", "long": "integer", "char": "string"}
COUNTS = {name: str(number) for number, name in enumerate("zero one two three four five six seven eight nine ten".split())}


@dataclass(frozen=True)
class Offered:
    """A function as `Decisions` take a tool. `parameters` is a JSON Schema in which types have their standard names."""

    name: str
    description: str
    parameters: dict[str, Any]
    annotations: Mapping[str, Any]
    returns: None = None

    @classmethod
    def of(cls, function: Mapping[str, Any]) -> "Offered":
        """From an OpenAI-style function; `dict`, `float` and the like are read as the types they mean."""
        parameters = {"required": [], **_standard(function["parameters"]), "type": "object"}
        described = (str(function.get("description") or "")).strip() or plain(function["name"])
        return cls(function["name"], described, parameters, function.get("annotations") or {})

    @cached_property
    def writes(self) -> bool:
        """Whether it surely changes something, by MCP's annotations or its verb: then a person's wish must speak for it."""
        if "readOnlyHint" in self.annotations:
            return not self.annotations["readOnlyHint"]
        return not self._says(READS) and self._says(CHANGES)

    @property
    def asks_first(self) -> bool:
        """Whether a person is asked before a call: always, unless annotations or verb say that it only looks."""
        if "readOnlyHint" in self.annotations:
            return not self.annotations["readOnlyHint"]
        return not self._says(READS)

    def _says(self, verbs: frozenset[str]) -> bool:
        """Whether one of the verbs is in the name, or begins the description where the name holds no verb at all."""
        named = set(words(re.sub(r"[.:/]", " ", plain(self.name))))
        if named & (READS | CHANGES):
            return next(word for word in words(re.sub(r"[.:/]", " ", plain(self.name))) if word in READS | CHANGES) in verbs
        first = words(self.description)[:1]
        return bool(first) and (first[0] in verbs or first[0].removesuffix("s") in verbs)

    def choices(self, argument: str, connection: Any, arguments: Mapping[str, Any]) -> Sequence[str] | None:
        """None: which values exist is not known."""
        return None

    def read(self, argument: str, text: str, connection: Any, arguments: Mapping[str, Any]) -> Any | None:
        """None: it brings no reader of its own."""
        return None

    def canonical(self, argument: str, value: Any) -> Any | None:
        """The value in the type of the schema, one of its `enum` where it has one; None when it is none."""
        return typed(value, self.parameters["properties"][argument])


def typed(value: Any, schema: Mapping[str, Any]) -> Any | None:
    """A value as the schema's type; None where it cannot be one."""
    schema = next((branch for branch in schema.get("anyOf", ()) if branch.get("type") != "null"), schema)
    if "enum" in schema:
        said = str(value).casefold().strip()
        return next((option for option in schema["enum"] if str(option).casefold() == said), None)
    kind = schema.get("type", "string")
    if kind == "array":
        items = value if isinstance(value, list) else [value]
        read = [typed(item, schema.get("items", {})) for item in items]
        return None if None in read else read
    if kind in ("integer", "number"):
        return _number(value, whole=kind == "integer")
    if kind == "boolean":
        return {"true": True, "yes": True, "false": False, "no": False}.get(str(value).casefold())
    return value if kind != "string" or isinstance(value, str) else str(value)


def _number(value: Any, *, whole: bool) -> int | float | None:
    said = COUNTS.get(str(value).casefold(), str(value)).replace(",", "").lstrip("$€£").rstrip("%")
    try:
        number = float(said)
    except ValueError:
        return None
    if whole:
        return int(number) if number == int(number) else None
    return number


def _standard(schema: Any) -> Any:
    """The schema with the standard names of types, at every depth."""
    if isinstance(schema, dict):
        named = {key: _standard(value) for key, value in schema.items()}
        kind = named.get("type")
        if isinstance(kind, list):
            kind = next((each for each in kind if each != "null"), "string")
        return {**named, "type": OTHER_NAMES.get(kind, kind)} if isinstance(kind, str) else named
    return [_standard(value) for value in schema] if isinstance(schema, list) else schema
