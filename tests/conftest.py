"""What several parts' tests share: one embedded PostgreSQL and one embedder for the whole session, stopped at its end."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from askfirst.retrieval.database import Database
from askfirst.retrieval.embed import Embedder
from askfirst.settings import Settings


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
