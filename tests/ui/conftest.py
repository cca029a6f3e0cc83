"""What the doors' tests share: the shop behind an assistant whose every decision is a signal's, on the real database."""

from collections.abc import Callable, Iterator

import pytest

from askfirst.agent.assistant import Assistant
from askfirst.agent.model import ScriptedModel
from askfirst.examples import shop
from askfirst.settings import Settings
from askfirst.ui import cli
from askfirst.ui.door import Door

Run = Callable[..., tuple[int, str, str]]


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


@pytest.fixture
def run(assistant: Assistant, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line on the shop; gives back exit code, stdout and stderr."""

    class Opened:
        """The shared assistant, which no command closes."""

        def __enter__(self) -> Assistant:
            return assistant

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(Door, "open", lambda self: Opened())
    monkeypatch.setattr(Door, "settings", property(lambda self: assistant.settings))

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            cli.main(list(words))
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return run
