"""What the doors' tests share: the shop behind an assistant whose every decision is a signal's, on the real database."""

from collections.abc import Iterator

import pytest

from askfirst.agent.assistant import Assistant
from askfirst.agent.model import ScriptedModel
from askfirst.examples import shop
from askfirst.settings import Settings


@pytest.fixture(scope="module")
def assistant(settings: Settings) -> Iterator[Assistant]:
    model = ScriptedModel(card={"decisions": {}})
    with Assistant.open(settings=settings, collection="shop", tools=["askfirst.examples.shop"], model=model) as opened:
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
