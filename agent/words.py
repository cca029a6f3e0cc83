"""Words, stems and how far two texts share them: what the signals are built on. Knows no tool and no document."""

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import snowballstemmer

_STEMMER = snowballstemmer.stemmer("english")
_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*", re.UNICODE)

# Words that carry no subject: articles, pronouns, auxiliaries, question words and the small talk of a request.
STOP = frozenset(
    """a an the this that these those some any each every all both i me my we us our you your he him his she her it its they
    them their who whom whose which what when where why how is are was were be been being am do does did done doing have
    has had having can could will would shall should may might must of in on at to for from by with about into over under
    between through during and or nor but if then than as so not no yes there here up down out off just only also very too
    much many more most other own same such please tell give show want need like know let get got would'd i'd i'm it's
    what's hi hello hey thanks thank ok okay exactly actually currently possible anyone someone something anything one
    long does take happen happens mean means""".split()
)


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """The Snowball English stem, the same algorithm as PostgreSQL's `english` configuration."""
    return _STEMMER.stemWord(word.lower())


def words(text: str) -> list[str]:
    """Lower-case words in order, numbers included, punctuation left out."""
    return [match.group().lower() for match in _WORD.finditer(text)]


def content(text: str) -> list[str]:
    """The words that carry the subject, in order."""
    return [word for word in words(text) if word not in STOP]


def stems(text: str) -> frozenset[str]:
    """The set of stems of the content words."""
    return frozenset(stem(word) for word in content(text))


def plain(name: str) -> str:
    """A programming name in plain words: `get_order` and `getOrder` are both "get order"."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name).replace("_", " ").replace("-", " ").strip().lower()


def coverage(wanted: Iterable[str], found: Iterable[str], weights: Mapping[str, float] | None = None) -> float:
    """The share of `wanted` stems that `found` holds, 0..1, each weighed (1 where no weight is known). 0 for no wanted ones."""
    wanted, found = set(wanted), set(found)
    weigh = (weights or {}).get
    total = sum(weigh(word, 1.0) for word in wanted)
    return sum(weigh(word, 1.0) for word in wanted & found) / total if total else 0.0


def similar(left: str, right: str) -> bool:
    """Whether two words are the same but for one typing slip: equal stems, or one edit in a word of five letters or more."""
    if stem(left) == stem(right):
        return True
    return min(len(left), len(right)) >= 5 and abs(len(left) - len(right)) <= 1 and _one_edit(left.lower(), right.lower())


def _one_edit(left: str, right: str) -> bool:
    """True when one letter inserted, deleted, replaced or two neighbours swapped turns `left` into `right`."""
    start = next((i for i, (a, b) in enumerate(zip(left, right, strict=False)) if a != b), min(len(left), len(right)))
    a, b = left[start:], right[start:]
    swapped = len(a) > 1 and len(b) > 1 and a[0] == b[1] and a[1] == b[0] and a[2:] == b[2:]
    return swapped or a[1:] == b[1:] or a[1:] == b or a == b[1:]


def storable(value: Any) -> Any:
    """A JSON value whose strings PostgreSQL can store: NUL and lone surrogates become the replacement character."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, Mapping):
        return {storable(key): storable(inner) for key, inner in value.items()}
    return [storable(inner) for inner in value] if isinstance(value, list | tuple) else value
