"""The example shop in a database of its own; each test's changes are rolled back."""

from collections.abc import Iterator

import pytest
from psycopg.conninfo import make_conninfo

from askfirst.examples.shop import install
from askfirst.retrieval.database import Connection, Database
from askfirst.settings import Settings


@pytest.fixture(scope="session")
def shop(database: Database, settings: Settings) -> Iterator[Database]:
    with database.connection() as connection:
        connection.execute("CREATE DATABASE shop")
    opened = Database.open(Settings(home=settings.home, database_url=make_conninfo(database.url, dbname="shop")))
    with opened.connection() as connection:
        install(connection)
    yield opened
    opened.close()


@pytest.fixture
def connection(shop: Database) -> Iterator[Connection]:
    with shop.connection() as opened, opened.transaction(force_rollback=True):
        yield opened
