"""The tool that answers by SQL from a database the user names.

Besides the guard (`sql.py`) stand a read-only transaction, a role that may read the named tables only, a time limit and a
limit on rows.
"""

import hashlib
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Annotated, Any

from pydantic import Field

from ..errors import SettingInvalid, ToolRetry
from ..retrieval.database import Connection, Database
from ..settings import Settings
from .registry import Reads, Tool, tool
from .rows import rows
from .sql import LONGEST, check_read_only

MOST_ROWS = 200
SECONDS = 5


@dataclass(frozen=True)
class QueryResult:
    """Rows in the columns' order; `note` says when rows were cut or a safeguard is missing."""

    columns: list[str]
    rows: list[list[Any]]
    note: str | None


def sql_tool(settings: Settings, database: Database) -> Tool | None:
    """`query_database` over `settings.sql_tables` of `settings.sql_url`, or of the assistant's own database without a URL.

    None where no table is named. The tables' columns are read once, here, for the model to know them.
    """
    if not settings.sql_tables:
        if settings.sql_url:
            raise SettingInvalid("sql_tables", "names no table that the SQL tool may read", known=["sql_url", "sql_tables"])
        return None
    tables = [name if "." in name else f"public.{name}" for name in settings.sql_tables]
    connect = partial(Connection.connect, settings.sql_url, autocommit=True) if settings.sql_url else database.connection
    with connect() as connection:
        described = _described(connection, tables)
        role = _reader(connection, tables)

    def query_database(
        statement: Annotated[
            str, Field(max_length=LONGEST, description="one SELECT statement of PostgreSQL"), Reads(statement_in)
        ],
    ) -> QueryResult:
        return _answered(connect, check_read_only(statement, tables=tables), role)

    query_database.__doc__ = f"Answers from the database by one SELECT statement.\nTables: {described}."
    return tool(query_database)


def statement_in(text: str, connection: Connection, arguments: Mapping[str, Any]) -> str | None:
    """The SELECT statement that a person wrote out, to the end of the text."""
    found = re.search(r"\bSELECT\b.+?\bFROM\b.+", text, re.DOTALL)
    return found.group() if found else None


def _described(connection: Connection, tables: list[str]) -> str:
    """`schema.table(column, ...)` for each table. `SettingInvalid` for one that does not exist."""
    texts = []
    for name in tables:
        schema, _, table = name.partition(".")
        columns = rows(
            connection,
            """SELECT column_name AS name FROM information_schema.columns
                                      WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position""",
            [schema, table],
        )
        if not columns:
            raise SettingInvalid("sql_tables", f"there is no table '{name}' in that database", known=["sql_url", "sql_tables"])
        texts.append(f"{name}({', '.join(column['name'] for column in columns)})")
    return "; ".join(texts)


def _reader(connection: Connection, tables: list[str]) -> str | None:
    """A role that may do nothing but read these tables; None where this user may not make one."""
    role = f"askfirst_reader_{hashlib.sha256(' '.join(sorted(tables)).encode()).hexdigest()[:8]}"
    try:
        with connection.transaction():
            if not rows(connection, "SELECT rolname FROM pg_catalog.pg_roles WHERE rolname = %s", [role]):
                _run(connection, "CREATE ROLE %I NOLOGIN", role)
            for name in tables:
                schema, _, table = name.partition(".")
                _run(connection, "GRANT USAGE ON SCHEMA %I TO %I", schema, role)
                _run(connection, "GRANT SELECT ON %I.%I TO %I", schema, table, role)
            connection.execute("SELECT set_config('role', %s, true)", [role])
        return role
    except Exception as error:  # the driver's own errors are not named outside retrieval/
        if _sqlstate(error) == "42501":
            return None
        raise


def _run(connection: Connection, form: str, *names: str) -> None:
    """A statement whose names the server itself has quoted."""
    (text,) = rows(connection, "SELECT format(%s, VARIADIC %s::text[]) AS text", [form, list(names)])
    connection.execute(text["text"].encode())


def _answered(connect: Callable[[], AbstractContextManager[Connection]], statement: str, role: str | None) -> QueryResult:
    try:
        with connect() as connection, connection.transaction():
            connection.execute("SET TRANSACTION READ ONLY")
            connection.execute(
                "SELECT set_config('statement_timeout', %s, true), set_config('search_path', 'pg_catalog', true)", [f"{SECONDS}s"]
            )
            if role:
                connection.execute("SELECT set_config('role', %s, true)", [role])
            with connection.cursor(name="answer") as cursor:
                found = cursor.execute(statement.encode()).fetchmany(MOST_ROWS + 1)
                columns = [column.name for column in cursor.description or ()]
    except Exception as error:  # the driver's own errors are not named outside retrieval/
        raise _mendable(error) or error from None
    cut = f"Only the first {MOST_ROWS} rows are shown." if len(found) > MOST_ROWS else ""
    missing = "" if role else "No reader role could be created: only the guard and the read-only transaction protect this."
    shown = [[_plain(value) for value in row] for row in found[:MOST_ROWS]]
    return QueryResult(columns, shown, f"{cut} {missing}".strip() or None)


def _plain(value: Any) -> Any:
    """A value as JSON has it: amounts are numbers."""
    return float(value) if isinstance(value, Decimal) else value


def _mendable(error: Exception) -> ToolRetry | None:
    """A mistake in the statement, told to the model; None for a failure of the database."""
    state, text = _sqlstate(error), str(error).strip().splitlines()
    if state == "57014":
        return ToolRetry(f"The statement took longer than {SECONDS} seconds. Ask for less.")
    return ToolRetry(f"The database refuses the statement: {text[0]}.") if state[:2] in ("22", "42") else None


def _sqlstate(error: Exception) -> str:
    return getattr(error, "sqlstate", None) or ""
