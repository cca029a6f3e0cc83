"""What a write does, as rows before and after, and how a person reads it. Knows no tool and no database."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic_core import to_jsonable_python

Row = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """What a write did: one sentence, and the rows it touched before and after; the first column of a row names it.

    An approval holds for exactly these rows. Columns that differ from one moment to the next without meaning (a
    generated number, a time) are named in `varying`: they are shown but not compared.
    """

    summary: str
    before: list[Row]
    after: list[Row]
    varying: tuple[str, ...] = ()

    def preview(self) -> str:
        """The summary, then each row with its changed columns, `column: before -> after`."""
        return "\n".join([self.summary, *_lines(self.before, self.after)])

    def basis(self) -> dict[str, list[Row]]:
        """The rows as an approval compares them, JSON-able."""
        kept = {
            side: [{key: value for key, value in row.items() if key not in self.varying} for row in rows]
            for side, rows in (("before", self.before), ("after", self.after))
        }
        return to_jsonable_python(kept)


def moved(seen: dict[str, list[Row]], now: dict[str, list[Row]]) -> str | None:
    """How two bases differ, in one line; None when they are equal."""
    if canonical_json(seen) == canonical_json(now):
        return None
    lines = _lines(seen["before"], now["before"]) or _lines(seen["after"], now["after"])
    return "; ".join(line.strip() for line in lines) or "its rows stand in another order"


def canonical_json(value: Any) -> str:
    """One text for one value: sorted keys, no spaces, ASCII; what digests are taken over."""
    return json.dumps(to_jsonable_python(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def _lines(before: list[Row], after: list[Row]) -> list[str]:
    old, new = dict(_named(before)), dict(_named(after))
    lines = []
    for name in dict.fromkeys([*old, *new]):
        columns = _columns(old.get(name), new.get(name))
        mark = "" if name in old and name in new else " (new)" if name in new else " (removed)"
        lines += [f"{name}{mark}", *(f"  {column}" for column in columns)] if columns or mark else []
    return lines


def _named(rows: list[Row]) -> Iterable[tuple[str, Row]]:
    """Each row with its name; a name that comes twice is numbered."""
    seen: Counter[str] = Counter()
    for row in rows:
        name = " ".join(str(part) for part in next(iter(row.items()), ("row",)))
        seen[name] += 1
        yield (name if seen[name] == 1 else f"{name} ({seen[name]})"), row


def _columns(old: Row | None, new: Row | None) -> list[str]:
    """The changed columns of a row that stays; all columns of one that comes or goes."""
    if old is None or new is None:
        return [f"{column}: {_shown(value)}" for column, value in list((old or new or {}).items())[1:]]
    both = list(dict.fromkeys([*old, *new]))
    return [
        f"{column}: {_shown(old.get(column))} -> {_shown(new.get(column))}"
        for column in both
        if old.get(column) != new.get(column)
    ]


def _shown(value: Any) -> str:
    return "(empty)" if value is None or value == "" else str(value)
