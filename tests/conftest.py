"""What several parts' tests share: one embedded PostgreSQL and one embedder for the whole session, the shop on them."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from askfirst.agent.assistant import Assistant
from askfirst.agent.model import ScriptedModel
from askfirst.examples import shop
from askfirst.retrieval.database import Database
from askfirst.retrieval.embed import Embedder
from askfirst.settings import Settings

SIGNALS_ONLY = {"decisions": {}}  # a card that proves nothing: every decision is a signal's


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """A home below the system's temporary folder: pytest's own is closed to the user that PostgreSQL runs as."""
    with tempfile.TemporaryDirectory(prefix="askfirst-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
def settings(home: Path) -> Settings:
    return Settings(home=home)


@pytest.fixture(scope="session")
def database(settings: Settings) -> Iterator[Database]:
    opened = Database.open(settings)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def embedder(home: Path) -> Iterator[Embedder]:
    opened = Embedder.open(home)
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def assistant(settings: Settings) -> Iterator[Assistant]:
    with Assistant.open(
        settings=settings, collection="shop", tools=["askfirst.examples.shop"], model=ScriptedModel(card=SIGNALS_ONLY)
    ) as opened:
        with opened.database.connection() as connection:
            shop.reset(connection)
        opened.ingest(shop.DOCUMENTS)
        yield opened


@pytest.fixture
def pending(assistant: Assistant) -> str:
    """The number of an order that can still be cancelled."""
    with assistant.database.connection() as connection:
        row = connection.execute("SELECT min(order_id) FROM shop.orders WHERE status = 'pending'").fetchone()
    assert row
    return row[0]
