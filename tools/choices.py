"""Which existing value a caller means: arguments are matched against what is really there, never guessed."""

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ToolRetry
from ..retrieval.database import Connection

LISTED = 12  # values named in a refusal; more would bury the ones that are near


@dataclass(frozen=True)
class Choices:
    """The values an argument may take right now: `function(connection, arguments)`, `arguments` being those before it.

    Stands in an annotation: `Annotated[str, Choices(product_names)]`, or in a list's element.
    """

    function: Callable[[Connection, Mapping[str, Any]], list[str]]


@dataclass(frozen=True)
class Reads:
    """How an argument's value is read out of a person's words: `function(text, connection, arguments)`, None when not there.

    Stands in an annotation: `Annotated[str, Reads(expression_in)]`. With it the argument is filled without a model;
    `arguments` are those before it, as for `Choices`.
    """

    function: Callable[[str, Connection, Mapping[str, Any]], Any]


def chosen(name: str, value: Any, existing: list[str]) -> Any:
    """The existing value meant by `value`, or a list of them: the same words, or the only one that holds all its words."""
    if isinstance(value, list):
        return [chosen(name, each, existing) for each in value]
    same = [each for each in existing if _words(each) == _words(value)]
    meant = same or [each for each in existing if _words(value) and set(_words(value)) <= set(_words(each))]
    if len(meant) != 1:
        raise ToolRetry(_nearest(name, str(value), meant or existing))
    return meant[0]


def _words(text: Any) -> list[str]:
    """Lower case, without punctuation and plural s."""
    return [re.sub(r"(?<=[a-z]{3})s$", "", word) for word in re.findall(r"[^\W_]+", str(text).casefold())]


def _nearest(name: str, value: str, existing: list[str]) -> str:
    listed = existing
    if len(existing) > LISTED:
        listed = difflib.get_close_matches(value, existing, n=LISTED, cutoff=0.3) or existing[:LISTED]
    rest = f" and {len(existing) - len(listed)} others" if len(listed) < len(existing) else ""
    return f"{name} cannot be '{value}'. It must be one of: {'; '.join(listed) or 'nothing exists'}{rest}."
