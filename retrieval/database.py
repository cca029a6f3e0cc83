"""The one database: its pool of connections and its transactions.

It opens the embedded PostgreSQL or the server of `settings.database_url`, and knows nothing of what the tables hold.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from pgvector.psycopg import register_vector
from psycopg_pool import ConnectionPool, PoolTimeout

from ..errors import DatabaseDown
from ..settings import Settings
from .migrate import Connection as Connection
from .migrate import check_versions, migrate
from .postgres import EmbeddedPostgres

MOST_CONNECTIONS = 16
PATIENCE = 20  # seconds; a server that lost one process refuses connections for about one, more on a busy machine


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
                check_versions(connection)
                migrate(connection)
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
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            if connection.closed:
                self._pool.drain()  # one process that dies takes every connection with it, a moment later
                raise DatabaseDown(_one_line(error)) from error
            raise
        finally:
            self._pool.putconn(connection)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """A connection inside a transaction: committed at the end of the block, rolled back by any error."""
        with self.connection() as connection, connection.transaction():
            yield connection

    def pool(
        self, *, most: int = 4, configure: Callable[[Connection], None] | None = None, options: str = ""
    ) -> ConnectionPool[Any]:
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
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            self._revive()
            # In short turns: the pool makes a new attempt to connect only for a new request.
            with suppress(PoolTimeout):
                connection = self._pool.getconn(timeout=1)
                if not self._server or self._server.running():
                    return connection
                self._pool.putconn(connection)  # the server died while this one was handed out
        with _connect(self.url):
            raise DatabaseDown(f"all {MOST_CONNECTIONS} connections have been busy for {PATIENCE} seconds")

    def _revive(self) -> None:
        if self._server and not self._server.running():
            self.url = self._server.start()


def _connect(url: str) -> Connection:
    try:
        return psycopg.connect(url, autocommit=True, connect_timeout=5)
    except psycopg.Error as error:
        raise DatabaseDown(_one_line(error)) from None


def _one_line(error: psycopg.Error) -> str:
    return " ".join(str(error).split()).rstrip(".")
