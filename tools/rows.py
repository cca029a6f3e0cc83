"""Rows of a query as dictionaries, whatever row form the connection was opened with. Knows no table."""

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString

from ..retrieval.database import Connection

Row = dict[str, Any]


def rows(connection: Connection, query: LiteralString, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[Row]:
    """All rows; empty for a statement that returns none."""
    cursor = connection.execute(query, parameters)
    names = [column.name for column in cursor.description or ()]
    found: list[Any] = cursor.fetchall() if names else []
    return [row if isinstance(row, dict) else dict(zip(names, row, strict=True)) for row in found]


def row(connection: Connection, query: LiteralString, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> Row | None:
    """The first row, or None."""
    return next(iter(rows(connection, query, parameters)), None)
