"""Databases of their own for the tools' tests: a ledger is tampered with here, which no other test may see."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from psycopg.conninfo import make_conninfo

from askfirst.retrieval.database import Database
from askfirst.settings import Settings
from askfirst.tools.proposals import Proposal, propose

MIGRATION = Path(__file__).parents[2] / "retrieval/migrations/002_proposals.sql"
EMPTY = """
    DROP TABLE askfirst.audit, askfirst.audit_head, askfirst.executions, askfirst.proposals;
    DROP FUNCTION askfirst.refuse_change;
    DROP TABLE IF EXISTS accounts, promises;
"""


@pytest.fixture(scope="session")
def bank() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bank", Path(__file__).parent / "bank.py")
    assert spec
    assert spec.loader
    module = sys.modules["bank"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def bank_database(database: Database, settings: Settings) -> Iterator[Database]:
    with database.connection() as connection:
        connection.execute("CREATE DATABASE bank")
    opened = Database.open(Settings(home=settings.home, database_url=make_conninfo(database.url, dbname="bank")))
    yield opened
    opened.close()


@pytest.fixture
def ledger(bank_database: Database, bank: ModuleType) -> Database:
    """A database with an empty ledger and the bank's tables, all made anew."""
    with bank_database.connection() as connection:
        connection.execute((EMPTY + MIGRATION.read_text("utf-8") + bank.TABLES).encode())
    return bank_database


@pytest.fixture
def proposed(ledger: Database, bank: ModuleType) -> Callable[..., Proposal]:
    """Proposes a deposit of 5 to Bob, or whatever is named."""

    def make(tool: str = "deposit", *, key: str = "run:1", hours: float = 1, **arguments: object) -> Proposal:
        arguments = arguments or {"name": "Bob Stone", "amount": 5}
        return propose(ledger, bank.BANK.get(tool), arguments, key=key, requester="agent", thread="t", run="run", hours=hours)

    return make
