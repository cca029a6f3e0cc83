"""The database opens, migrates once, gives connections that survive crashes, and refuses what it cannot use."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from askfirst.errors import DatabaseDown, DatabaseUnfit
from askfirst.retrieval import migrate
from askfirst.retrieval.database import Database
from askfirst.settings import Settings


@pytest.fixture(scope="module")
def own_home() -> Iterator[Path]:
    """A home apart, whose server these tests may kill."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="askfirst-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
def mortal(own_home: Path) -> Iterator[Database]:
    opened = Database.open(Settings(home=own_home))
    yield opened
    opened.close()


@pytest.fixture
def empty(database: Database) -> Iterator[str]:
    """The URL of a new database on the shared server."""
    with database.connection() as connection:
        connection.execute("CREATE DATABASE empty")
    yield database.url.replace("/postgres?", "/empty?")
    with database.connection() as connection:
        connection.execute("DROP DATABASE empty WITH (FORCE)")


def one(database: Database, query: str) -> object:
    with database.connection() as connection:
        row = connection.execute(query.encode()).fetchone()
    return row and row[0]


def test_every_table_of_ours_lies_in_the_schema_askfirst(database: Database):
    assert one(database, "SELECT count(*) FROM pg_tables WHERE schemaname = 'askfirst'")
    assert one(database, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0


def test_a_connection_knows_vectors(database: Database):
    assert one(database, "SELECT '[1,2]'::halfvec(2)").to_list() == [1.0, 2.0]


def test_a_transaction_is_undone_by_an_error(database: Database):
    def write_and_fail() -> None:
        with database.transaction() as connection:
            connection.execute("INSERT INTO askfirst.collections (name, embedder, dimension) VALUES ('gone', '', 0)")
            raise LookupError

    with pytest.raises(LookupError):
        write_and_fail()
    assert one(database, "SELECT count(*) FROM askfirst.collections WHERE name = 'gone'") == 0


def test_a_killed_server_is_revived_for_the_next_caller(mortal: Database, own_home: Path):
    before = one(mortal, "SELECT count(*) FROM askfirst.migrations")
    process = psutil.Process(int((own_home / "postgres/data/postmaster.pid").read_text().split()[0]))
    process.kill()
    psutil.wait_procs([process], timeout=10)
    assert one(mortal, "SELECT count(*) FROM askfirst.migrations") == before


def test_a_killed_backend_is_not_noticed_by_the_next_caller(mortal: Database):
    with mortal.connection() as connection:
        backend = psutil.Process(connection.info.backend_pid)
    backend.send_signal(signal.SIGKILL)
    psutil.wait_procs([backend], timeout=10)
    assert one(mortal, "SELECT 1") == 1


def test_a_connection_that_breaks_inside_the_block_is_a_database_that_is_down(mortal: Database):
    def kill_and_ask() -> None:
        with mortal.connection() as connection:
            os.kill(connection.info.backend_pid, signal.SIGKILL)
            connection.execute("SELECT pg_sleep(5)")

    with pytest.raises(DatabaseDown) as raised:
        kill_and_ask()
    assert "\n" not in str(raised.value)
    assert one(mortal, "SELECT 1") == 1


def test_an_error_in_a_statement_is_not_a_database_that_is_down(database: Database):
    with pytest.raises(psycopg.errors.QueryCanceled), database.connection() as connection:
        connection.execute("SET statement_timeout = '1ms'; SELECT pg_sleep(1)")
    with database.connection() as connection:
        connection.execute("RESET statement_timeout")


def test_a_server_that_is_away_is_one_clear_line(home: Path):
    with pytest.raises(DatabaseDown) as raised:
        Database.open(Settings(home=home, database_url="postgresql://nobody@127.0.0.1:1/none"))
    assert "does not answer" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_named_server_is_migrated_like_the_embedded_one(home: Path, empty: str):
    opened = Database.open(Settings(home=home, database_url=empty))
    try:
        assert one(opened, "SELECT count(*) FROM askfirst.chunks") == 0
    finally:
        opened.close()


def test_processes_that_open_at_once_migrate_once(home: Path, empty: str):
    failures: list[Exception] = []

    def open_and_close() -> None:
        try:
            Database.open(Settings(home=home, database_url=empty)).close()
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=open_and_close) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_migration_that_was_edited_after_it_ran_is_refused(home: Path, empty: str):
    Database.open(Settings(home=home, database_url=empty)).close()
    with psycopg.connect(empty) as connection:
        connection.execute("UPDATE askfirst.migrations SET digest = 'another' WHERE number = 1")
    with pytest.raises(DatabaseUnfit, match="made by another text of 001_documents"):
        Database.open(Settings(home=home, database_url=empty))


def test_a_database_of_a_newer_askfirst_is_refused(home: Path, empty: str):
    Database.open(Settings(home=home, database_url=empty)).close()
    with psycopg.connect(empty) as connection:
        connection.execute("INSERT INTO askfirst.migrations (number, name, digest) VALUES (999, '999_later.sql', '')")
    with pytest.raises(DatabaseUnfit, match="newer askfirst made its migration 999; upgrade askfirst"):
        Database.open(Settings(home=home, database_url=empty))


def test_a_user_who_may_not_make_tables_is_told_what_to_ask_for(home: Path, empty: str, database: Database):
    with psycopg.connect(empty) as connection:
        connection.execute("CREATE EXTENSION vector")
        connection.execute("CREATE ROLE guest LOGIN")
    try:
        with pytest.raises(DatabaseUnfit, match=r"may not make tables in it .*grant it CREATE"):
            Database.open(Settings(home=home, database_url=empty.replace("postgres@", "guest@")))
    finally:
        with database.connection() as connection:
            connection.execute("DROP ROLE guest")


def test_a_failed_migration_leaves_nothing_behind(empty: str, monkeypatch: pytest.MonkeyPatch):
    broken = migrate.Migration(1, "001_broken.sql", b"CREATE TABLE askfirst.half (n int); SELECT 1 / 0;")
    monkeypatch.setattr(migrate, "_migrations", lambda: iter([broken]))
    with psycopg.connect(empty, autocommit=True) as connection:
        with pytest.raises(psycopg.errors.DivisionByZero):
            migrate.migrate(connection)
        row = connection.execute("SELECT to_regclass('askfirst.half'), (SELECT count(*) FROM askfirst.migrations)").fetchone()
    assert row == (None, 0)


@pytest.mark.parametrize(
    ("name", "least", "message"),
    [("OLDEST_POSTGRES", 99, "use PostgreSQL 99 or later"), ("OLDEST_PGVECTOR", (99, 0), "install pgvector 0.8 or later")],
)
def test_an_old_server_is_refused(empty: str, monkeypatch: pytest.MonkeyPatch, name: str, least: object, message: str):
    monkeypatch.setattr(migrate, name, least)
    with psycopg.connect(empty, autocommit=True) as connection, pytest.raises(DatabaseUnfit, match=message):
        migrate.check_versions(connection)
