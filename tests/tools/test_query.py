"""The SQL tool reads what the user named, no more, no longer and no further, even where the guard is left out."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from askfirst.errors import SettingInvalid, ToolRetry
from askfirst.retrieval.database import Database
from askfirst.settings import Settings
from askfirst.tools import query
from askfirst.tools.query import sql_tool

TABLES = ("accounts", "public.promises")


@pytest.fixture
def role(ledger: Database) -> Iterator[str]:
    with ledger.connection() as connection:
        yield query._reader(connection, ["public.accounts"]) or ""


def configured(settings: Settings, **changes: object) -> Settings:
    return settings.model_copy(update={"sql_tables": TABLES} | changes)


def test_the_tool_tells_its_tables_and_answers(ledger: Database, settings: Settings):
    tool = sql_tool(configured(settings), ledger)
    assert tool.description.endswith("Tables: public.accounts(name, balance); public.promises(name).")
    assert tool.call({"statement": "SELECT name, balance::numeric / 4 FROM accounts ORDER BY 1"}) == {
        "columns": ["name", "?column?"],
        "rows": [["Ann", 2.5], ["Bob Stone", 5.0]],
        "note": None,
    }


def test_rows_beyond_the_limit_are_cut_and_it_says_so(ledger: Database, settings: Settings):
    with ledger.connection() as connection:
        connection.execute("INSERT INTO promises SELECT 'p' || n FROM generate_series(1, 300) n")
    answer = sql_tool(configured(settings), ledger).call({"statement": "SELECT * FROM promises"})
    assert (len(answer["rows"]), answer["note"]) == (200, "Only the first 200 rows are shown.")


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("SELECT nothing FROM accounts", 'column "nothing" does not exist'),
        ("SELECT 1 / 0", "division by zero"),
        ("SELECT 'a%s' + 1", "invalid input syntax"),
        ("DELETE FROM accounts", "Only one SELECT"),
        ("SELECT * FROM askfirst.proposals", "is not allowed"),
    ],
)
def test_a_mistake_in_the_statement_is_told(ledger: Database, settings: Settings, statement: str, sentence: str):
    with pytest.raises(ToolRetry, match=sentence):
        sql_tool(configured(settings), ledger).call({"statement": statement})


def test_a_slow_statement_is_stopped(ledger: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(query, "SECONDS", 0.1)
    with ledger.connection() as connection:
        connection.execute("INSERT INTO promises SELECT 'p' || n FROM generate_series(1, 5000) n")
    with pytest.raises(ToolRetry, match="took longer"):
        sql_tool(configured(settings), ledger).call({"statement": "SELECT count(*) FROM promises a, promises b, promises c"})


@pytest.mark.parametrize(
    ("statement", "sentence"),
    [
        ("SELECT * FROM promises", "permission denied"),
        ("SELECT pg_read_file('/etc/passwd')", "permission denied"),
        ("SELECT * FROM askfirst.audit", "permission denied"),
        ("UPDATE accounts SET balance = 0", "syntax error"),
        ("WITH a AS (DELETE FROM public.accounts RETURNING 1) SELECT * FROM a", "data-modifying"),
    ],
)
def test_role_and_cursor_stop_what_a_hole_in_the_guard_would_let_through(
    ledger: Database, role: str, statement: str, sentence: str
):
    with pytest.raises(Exception, match=rf"{sentence}|does not exist"):
        query._answered(ledger.connection, statement, role)


def test_the_role_ends_with_the_statement(ledger: Database, role: str):
    with ledger.connection() as connection:
        assert role.startswith("askfirst_reader_")
        assert connection.execute("SELECT current_user").fetchone() == ("postgres",)


def test_a_database_of_its_own_is_reached_by_url_and_a_missing_role_is_said(ledger: Database, settings: Settings):
    with ledger.connection() as connection:
        connection.execute("DROP ROLE IF EXISTS poor; CREATE ROLE poor LOGIN; GRANT SELECT ON accounts TO poor")
    url = make_conninfo(ledger.url, user="poor")
    tool = sql_tool(configured(settings, sql_url=url, sql_tables=("accounts",)), ledger)
    assert tool.call({"statement": "SELECT count(*) FROM accounts"}) == {
        "columns": ["count"],
        "rows": [[2]],
        "note": "No reader role could be created: only the guard and the read-only transaction protect this.",
    }


def test_there_is_no_tool_without_tables_and_an_unknown_table_is_refused(ledger: Database, settings: Settings):
    assert sql_tool(settings, ledger) is None
    with pytest.raises(SettingInvalid, match="names no table"):
        sql_tool(settings.model_copy(update={"sql_url": ledger.url}), ledger)
    with pytest.raises(SettingInvalid, match=r"there is no table 'public\.nothing'"):
        sql_tool(settings.model_copy(update={"sql_tables": ("nothing",)}), ledger)


def test_a_database_that_is_gone_is_no_mistake_of_the_statement(ledger: Database):
    with pytest.raises(psycopg.OperationalError):
        query._answered(lambda: psycopg.connect(make_conninfo(ledger.url, dbname="gone"), autocommit=True), "SELECT 1", None)
