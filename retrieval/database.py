"""The one database: its pool of connections, its transactions and its numbered migrations.

It opens the embedded PostgreSQL or the server of `settings.database_url`, and knows nothing of what the tables hold.
"""

import hashlib
import importlib.resources
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from pgvector.psycopg import register_vector
from psycopg_pool import ConnectionPool, PoolTimeout

from ..errors import DatabaseDown, DatabaseUnfit
from ..settings import Settings
from .postgres import EmbeddedPostgres

Connection = psycopg.Connection[Any]

MOST_CONNECTIONS = 16
PATIENCE = 10  # seconds; a server that lost one process refuses connections for about one
MIGRATION_LOCK = 0x61736B66  # "askf": any number, the same for every process
OLDEST_POSTGRES = 15
OLDEST_PGVECTOR = (0, 8)


class Database:
    """An open database. Safe to share between threads; close it, or the embedded server is left running."""

    def __init__(self, url: str, server: EmbeddedPostgres | None):
        self.url = url
        self._server = server
        logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # it reports every lost connection; we raise once
        self._pool = self.pool(most=MOST_CONNECTIONS, configure=register_vector)

    @classmethod
    def open(cls, settings: Settings) -> "Database":
        """Start or reach the server, check its versions, bring its schema up to date.

        Raises `DatabaseDown` when it does not answer and `DatabaseUnfit` when it is too old, lacks pgvector, or was
        migrated by a newer or another askfirst.
        """
        server = None if settings.database_url else EmbeddedPostgres(settings.home / "postgres", user=settings.postgres_user)
        url = settings.database_url or (server.start() if server else "")
        try:
            with _connect(url) as connection:
                _check_versions(connection)
                _migrate(connection)
            return cls(url, server)
        except BaseException:
            if server:
                server.leave()
            raise

    def close(self) -> None:
        """Close the connections and, as the last user of an embedded server, stop it."""
        self._pool.close()
        if self._server:
            self._server.leave()

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        """A connection that commits each statement, with pgvector's types. One broken by a server's crash is replaced
        before it is handed out; a crash inside the block raises `DatabaseDown`."""
        connection = self._borrow()
        try:
            yield connection
        except psycopg.OperationalError as error:
            if connection.closed:
                raise DatabaseDown(_one_line(error)) from error
            raise
        finally:
            self._pool.putconn(connection)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection inside a transaction: committed at the end of the block, rolled back by any error."""
        with self.connection() as connection, connection.transaction():
            yield connection

    def pool(self, *, most: int = 4, configure: Callable[[Connection], None] | None = None, options: str = "") -> ConnectionPool[Any]:
        """A pool for a library that keeps connections of its own; the caller closes it.

        `options` are libpq's, for instance a search path for tables that the library creates.
        """
        return ConnectionPool(
            lambda: self.url,
            kwargs={"autocommit": True, "connect_timeout": 5, "options": options},
            min_size=1,
            max_size=most,
            configure=configure,
            check=ConnectionPool.check_connection,
            reconnect_timeout=2,
            open=True,
        )

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Raises `DatabaseDown` when a library loses its connection inside the block."""
        try:
            yield
        except (psycopg.OperationalError, PoolTimeout) as error:
            raise DatabaseDown(_one_line(error)) from error

    def _borrow(self) -> Connection:
        if self._server and not self._server.running():
            self.url = self._server.start()
        try:
            return self._pool.getconn(timeout=PATIENCE)
        except PoolTimeout:
            with _connect(self.url):
                problem = f"all {MOST_CONNECTIONS} connections have been busy for {PATIENCE} seconds"
            raise DatabaseDown(problem) from None


def _connect(url: str) -> Connection:
    try:
        return psycopg.connect(url, autocommit=True, connect_timeout=5)
    except psycopg.Error as error:
        raise DatabaseDown(_one_line(error)) from None


def _one_line(error: psycopg.Error) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _check_versions(connection: Connection) -> None:
    major = connection.info.server_version // 10_000
    if major < OLDEST_POSTGRES:
        raise DatabaseUnfit(f"it is PostgreSQL {major}", act=f"use PostgreSQL {OLDEST_POSTGRES} or later")
    version = _pgvector_version(connection)
    if tuple(int(part) for part in version.split(".")[:2]) < OLDEST_PGVECTOR:
        raise DatabaseUnfit(f"its pgvector is {version}", act="install pgvector 0.8 or later and run `ALTER EXTENSION vector UPDATE`")


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
        raise DatabaseUnfit("this user may not create the extension", act="have its owner run `CREATE EXTENSION vector`") from None


@dataclass(frozen=True)
class Migration:
    number: int
    name: str
    sql: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.sql).hexdigest()


def _migrate(connection: Connection) -> None:
    """Run what this database has not seen, in order, each in its own transaction; processes take turns."""
    known = {migration.number: migration for migration in _migrations()}
    connection.execute("SELECT pg_catalog.pg_advisory_lock(%s)", [MIGRATION_LOCK])
    done = _recorded(connection)
    for number, digest in done.items():
        _check_recorded(number, digest, known.get(number))
    for number in sorted(known.keys() - done.keys()):
        _run(connection, known[number])
    connection.execute("SELECT pg_catalog.pg_advisory_unlock(%s)", [MIGRATION_LOCK])


def _migrations() -> Iterator[Migration]:
    for file in (importlib.resources.files(__package__) / "migrations").iterdir():
        if file.name.endswith(".sql"):
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
        raise DatabaseUnfit(f"it was made by another text of {migration.name}", act="use the askfirst that made it, or a new ASKFIRST_HOME")


def _run(connection: Connection, migration: Migration) -> None:
    with connection.transaction():
        connection.execute(migration.sql)
        connection.execute(
            "INSERT INTO askfirst.migrations (number, name, digest) VALUES (%s, %s, %s)",
            [migration.number, migration.name, migration.digest],
        )
