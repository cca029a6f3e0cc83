"""Whether a database is fit for us, and the numbered migrations that make it so, without knowing what they hold."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from ..errors import DatabaseUnfit

OLDEST_POSTGRES = 15
OLDEST_PGVECTOR = (0, 8)
MIGRATION_LOCK = 0x61736B66  # "askf": any number, the same for every process

Connection = psycopg.Connection[Any]


def check_versions(connection: Connection) -> None:
    """Raises `DatabaseUnfit` for a server that is too old or lacks pgvector; creates the extension where it may."""
    major = connection.info.server_version // 10_000
    if major < OLDEST_POSTGRES:
        raise DatabaseUnfit(f"it is PostgreSQL {major}", act=f"use PostgreSQL {OLDEST_POSTGRES} or later")
    version = _pgvector_version(connection)
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_PGVECTOR:
        act = "install pgvector 0.8 or later and run `ALTER EXTENSION vector UPDATE`"
        raise DatabaseUnfit(f"its pgvector is {version}", act=act)


def _pgvector_version(connection: Connection) -> str:
    """The version of the extension in this database, which is created here when it is only available."""
    found = connection.execute(
        "SELECT installed_version, default_version FROM pg_catalog.pg_available_extensions WHERE name = 'vector'"
    ).fetchone()
    if found is None:
        raise DatabaseUnfit("pgvector is not installed on its server", act="install pgvector 0.8 or later there")
    installed, available = found
    if installed is None:
        _create_extension(connection)
    return installed or available


def _create_extension(connection: Connection) -> None:
    try:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    except psycopg.errors.UniqueViolation:
        return  # another process created it at the same moment
    except psycopg.errors.InsufficientPrivilege:
        act = "have its owner run `CREATE EXTENSION vector`"
        raise DatabaseUnfit("this user may not create the extension", act=act) from None


@dataclass(frozen=True)
class Migration:
    """One file of migrations/. A file that was run anywhere is never edited: its digest is recorded."""

    number: int
    name: str
    sql: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.sql).hexdigest()


def migrate(connection: Connection) -> None:
    """Run what this database has not seen, in order, each in its own transaction; processes take turns."""
    known = {migration.number: migration for migration in _migrations()}
    connection.execute("SELECT pg_catalog.pg_advisory_lock(%s)", [MIGRATION_LOCK])
    try:
        done = _recorded(connection)
        for number, digest in done.items():
            _check_recorded(number, digest, known.get(number))
        for number in sorted(known.keys() - done.keys()):
            _run(connection, known[number])
    except psycopg.errors.InsufficientPrivilege as error:
        problem = f"this user may not make tables in it ({error.diag.message_primary})"
        raise DatabaseUnfit(problem, act="have its owner grant it CREATE on the database") from None
    finally:
        connection.execute("SELECT pg_catalog.pg_advisory_unlock(%s)", [MIGRATION_LOCK])


def _migrations() -> Iterator[Migration]:
    for file in (Path(__file__).parent / "migrations").iterdir():
        yield Migration(int(file.name[:3]), file.name, file.read_bytes())


def _recorded(connection: Connection) -> dict[int, str]:
    """Number and digest of each migration that this database has seen."""
    connection.execute("CREATE SCHEMA IF NOT EXISTS askfirst")
    connection.execute(
        """
        CREATE TABLE IF NOT EXISTS askfirst.migrations (
            number   integer PRIMARY KEY,
            name     text NOT NULL,
            digest   text NOT NULL,
            applied  timestamptz NOT NULL DEFAULT now()
        )
        """
    )
    return dict(connection.execute("SELECT number, digest FROM askfirst.migrations").fetchall())


def _check_recorded(number: int, digest: str, migration: Migration | None) -> None:
    if migration is None:
        raise DatabaseUnfit(f"a newer askfirst made its migration {number}", act="upgrade askfirst")
    if migration.digest != digest:
        act = "use the askfirst that made it, or set ASKFIRST_HOME to a new folder"
        raise DatabaseUnfit(f"it was made by another text of {migration.name}", act=act)


def _run(connection: Connection, migration: Migration) -> None:
    with connection.transaction():
        connection.execute(migration.sql)
        connection.execute(
            "INSERT INTO askfirst.migrations (number, name, digest) VALUES (%s, %s, %s)",
            [migration.number, migration.name, migration.digest],
        )
