"""The audit chain: rows that only grow, and no tampering that goes unnoticed."""

from collections.abc import Callable
from types import ModuleType

import psycopg
import pytest

from askfirst.errors import ProposalDecided
from askfirst.retrieval.database import Database
from askfirst.tools.audit import verify_audit
from askfirst.tools.proposals import Proposal, approve, reject

Proposed = Callable[..., Proposal]
UNLOCKED = "ALTER TABLE askfirst.audit DISABLE TRIGGER ALL; ALTER TABLE askfirst.executions DISABLE TRIGGER ALL; "


@pytest.fixture
def busy(ledger: Database, proposed: Proposed, bank: ModuleType) -> Database:
    """A ledger with one executed, one rejected and one waiting proposal, and one refusal: seven rows."""
    approve(ledger, bank.BANK, proposed(key="a").id, by="maria")
    second = proposed(key="b")
    reject(ledger, second.id, by="paul", why="no")
    proposed(key="c")
    with pytest.raises(ProposalDecided):
        approve(ledger, bank.BANK, second.id, by="maria")
    return ledger


def run(ledger: Database, statement: str) -> None:
    with ledger.connection() as connection:
        connection.execute(statement.encode())


def test_an_untouched_audit_verifies(busy: Database):
    assert verify_audit(busy) == (7, None)


@pytest.mark.parametrize(
    ("tampering", "fault"),
    [
        ('UPDATE askfirst.audit SET facts = \'{"by": "nobody"}\' WHERE number = 2', "row 2 was altered"),
        ("UPDATE askfirst.audit SET event = 'approved' WHERE number = 5", "row 5 was altered"),
        ("UPDATE askfirst.audit SET at = at + interval '1 second' WHERE number = 1", "row 1 was altered"),
        ("UPDATE askfirst.audit SET proposal = 'x' WHERE number = 7", "row 7 was altered"),
        ("DELETE FROM askfirst.audit WHERE number = 3", "row 3 is missing"),
        ("DELETE FROM askfirst.audit WHERE number = 7", "rows after number 6 are missing"),
        ("DELETE FROM askfirst.audit", "rows after number 0 are missing"),
        (
            "DELETE FROM askfirst.audit WHERE number = 3; UPDATE askfirst.audit SET number = number - 1 WHERE number > 3",
            "row 3 does not follow row 2",
        ),
        (
            "UPDATE askfirst.audit SET number = -number WHERE number IN (2, 3); "
            "UPDATE askfirst.audit SET number = CASE number WHEN -2 THEN 3 ELSE 2 END WHERE number < 0",
            "row 2 does not follow row 1",
        ),
        ("UPDATE askfirst.proposals SET state = 'rejected' WHERE key = 'a'", "is not as the audit tells"),
        ("UPDATE askfirst.proposals SET state = 'waiting', decided = NULL WHERE key = 'b'", "is not as the audit tells"),
        ("UPDATE askfirst.proposals SET arguments = '{}' WHERE key = 'c'", "is not as the audit tells"),
        ("DELETE FROM askfirst.proposals WHERE key = 'c'", "is missing from the ledger"),
        ("DELETE FROM askfirst.executions", "is not as the audit tells"),
        (
            "INSERT INTO askfirst.executions SELECT id, digest, 'x', now(), '[]' FROM askfirst.proposals WHERE key = 'c'",
            "is not as the audit tells",
        ),
    ],
)
def test_tampering_is_found(busy: Database, tampering: str, fault: str):
    run(busy, UNLOCKED + tampering)
    assert fault in (verify_audit(busy)[1] or "nothing found")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE askfirst.audit SET event = 'failed'",
        "DELETE FROM askfirst.audit",
        "TRUNCATE askfirst.audit",
        "DELETE FROM askfirst.executions",
    ],
)
def test_the_audit_only_grows(busy: Database, statement: str):
    with pytest.raises(psycopg.errors.RaiseException, match="only grows"):
        run(busy, statement)
