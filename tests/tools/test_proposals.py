"""The write ledger: nothing is written without an approval, and what is approved is written once."""

import ast
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

from askfirst.errors import (
    DatabaseDown,
    LedgerFault,
    ProposalChanged,
    ProposalDecided,
    ProposalInvalid,
    ProposalMissing,
    ToolFailed,
    ToolInvalid,
    ToolMissing,
    ToolRetry,
)
from askfirst.retrieval.database import Database
from askfirst.tools import proposals as ledger_module
from askfirst.tools.audit import verify_audit
from askfirst.tools.proposals import Proposal, approve, expire, proposal, proposals, propose, reject
from askfirst.tools.registry import Change, Registry, tool

Proposed = Callable[..., Proposal]
ROOT = Path(__file__).parents[2]


def balance(ledger: Database, name: str = "Bob Stone") -> int:
    with ledger.connection() as connection:
        return connection.execute("SELECT balance FROM accounts WHERE name = %s", [name]).fetchone()[0]


def run(ledger: Database, statement: str) -> list[tuple]:
    with ledger.connection() as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def events(ledger: Database) -> list[str]:
    return [event for (event,) in run(ledger, "SELECT event FROM askfirst.audit ORDER BY number")]


def test_a_proposal_writes_nothing_and_shows_what_would_change(ledger: Database, proposed: Proposed):
    made = proposed(name="bob", amount="5")
    assert made.arguments == {"name": "Bob Stone", "amount": 5}
    assert made.preview == "Pay 5 into the account of Bob Stone.\nname Bob Stone\n  balance: 20 -> 25"
    assert (made.state, made.requested_by, made.thread, made.run) == ("waiting", "agent", "t", "run")
    assert balance(ledger) == 20
    assert proposals(ledger) == [made] == [proposal(ledger, made.id)]


def test_proposing_again_under_one_key_gives_the_same_proposal(ledger: Database, proposed: Proposed):
    assert proposed() == proposed(name="Ann", amount=7)
    assert proposed(key="run:2").id != proposed().id
    assert len(proposals(ledger)) == 2


def test_twenty_proposers_under_one_key_make_one_proposal(ledger: Database, proposed: Proposed):
    with ThreadPoolExecutor(20) as pool:
        made = list(pool.map(lambda _: proposed().id, range(20)))
    assert len(set(made)) == 1
    assert events(ledger) == ["proposed"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"name": "Bob Stone"},
        {"name": "Bob Stone", "amount": 0},
        {"name": "Cleo", "amount": 5},
        {"name": "Bob Stone", "amount": 5, "all": True},
    ],
)
def test_a_wrong_call_is_not_proposed(ledger: Database, proposed: Proposed, arguments: dict):
    with pytest.raises(ToolRetry):
        proposed(**arguments)
    assert proposals(ledger, state=None) == []


def test_a_write_that_the_database_refuses_is_not_proposed(ledger: Database, proposed: Proposed):
    with pytest.raises(ToolFailed, match="accounts_balance_check"):
        proposed(name="Bob Stone", amount=990)
    with pytest.raises(ToolFailed, match="promises_name_key"):
        proposed("promise", name="rent")
    with pytest.raises(ToolFailed, match="commit"):
        proposed("impatient", name="rush")
    assert proposals(ledger, state=None) == []


def test_a_reading_tool_is_not_proposed(proposed: Proposed):
    with pytest.raises(ProposalInvalid, match="only reads"):
        proposed("balance", name="Bob Stone")


def test_an_approved_proposal_is_executed_once_and_says_what_it_wrote(ledger: Database, proposed: Proposed, bank: ModuleType):
    made = proposed()
    done = approve(ledger, bank.BANK, made.id, by="maria", digest=made.digest)
    assert (done.state, done.decided_by, done.result, done.digest) == ("executed", "maria", made.preview, made.digest)
    assert balance(ledger) == 25
    assert run(ledger, "SELECT digest, approved_by FROM askfirst.executions") == [(made.digest, "maria")]
    with pytest.raises(ProposalDecided, match=r"already executed \(by maria\)"):
        approve(ledger, bank.BANK, made.id, by="maria")
    assert balance(ledger) == 25
    assert events(ledger) == ["proposed", "approved", "executed", "refused"]


def test_twenty_approvers_at_once_lead_to_one_execution(ledger: Database, proposed: Proposed, bank: ModuleType):
    made = proposed()

    def decide(number: int) -> str:
        try:
            return approve(ledger, bank.BANK, made.id, by=f"person {number}").state
        except ProposalDecided as late:
            return type(late).__name__

    with ThreadPoolExecutor(20) as pool:
        assert Counter(pool.map(decide, range(20))) == {"executed": 1, "ProposalDecided": 19}
    assert balance(ledger) == 25
    assert verify_audit(ledger) == (22, None)


def test_many_proposals_approved_at_once_are_each_executed_once(ledger: Database, proposed: Proposed, bank: ModuleType):
    made = [proposed("promise", key=f"run:{number}", name=f"p{number}") for number in range(12)]
    with ThreadPoolExecutor(6) as pool:
        states = list(pool.map(lambda each: approve(ledger, bank.BANK, each.id, by="maria").state, made))
    assert states == ["executed"] * 12
    assert run(ledger, "SELECT count(*), count(DISTINCT name) FROM promises") == [(13, 13)]
    assert verify_audit(ledger) == (36, None)


def test_a_rejected_proposal_writes_nothing_ever(ledger: Database, proposed: Proposed, bank: ModuleType):
    made = proposed()
    assert reject(ledger, made.id, by="maria", why="too much").why == "too much"
    with pytest.raises(ProposalDecided, match="already rejected"):
        approve(ledger, bank.BANK, made.id, by="paul")
    with pytest.raises(ProposalDecided):
        reject(ledger, made.id, by="paul", why="again")
    assert proposed().state == "rejected"
    assert balance(ledger) == 20


def test_an_expired_proposal_is_never_executed(ledger: Database, proposed: Proposed, bank: ModuleType):
    made = proposed(hours=0)
    with pytest.raises(ProposalDecided, match="already expired"):
        approve(ledger, bank.BANK, made.id, by="maria")
    assert proposal(ledger, made.id).state == "expired"
    assert expire(ledger) == 0
    assert balance(ledger) == 20
    assert events(ledger) == ["proposed", "expired", "refused"]


def test_an_unknown_proposal_is_named(ledger: Database, bank: ModuleType):
    for look in (
        lambda: proposal(ledger, "nope"),
        lambda: approve(ledger, bank.BANK, "nope", by="maria"),
        lambda: reject(ledger, "nope", by="maria", why=""),
    ):
        with pytest.raises(ProposalMissing, match="'nope'"):
            look()


@pytest.mark.parametrize(
    "column",
    [
        'arguments = \'{"name": "Bob Stone", "amount": 500}\'',
        "requester = 'someone else'",
        "preview = 'harmless'",
        "basis = '{}'",
        "expires = expires + interval '1 day'",
        "tool = 'promise'",
        "thread = 'x'",
        "digest = repeat('0', 64)",
        "schema_version = 'x'",
    ],
)
def test_an_altered_proposal_is_refused(ledger: Database, proposed: Proposed, bank: ModuleType, column: str):
    made = proposed()
    run(ledger, f"UPDATE askfirst.proposals SET {column}")
    with pytest.raises(LedgerFault, match="altered"):
        approve(ledger, bank.BANK, made.id, by="maria")
    assert balance(ledger) == 20
    assert events(ledger) == ["proposed", "refused"]


def test_a_digest_that_was_not_looked_at_is_refused(ledger: Database, proposed: Proposed, bank: ModuleType):
    made = proposed()
    with pytest.raises(ProposalChanged, match="digest"):
        approve(ledger, bank.BANK, made.id, by="maria", digest="0" * 64)
    assert proposal(ledger, made.id).state == "waiting"


def test_a_changed_tool_is_refused(ledger: Database, proposed: Proposed, bank: ModuleType):
    made = proposed()

    def deposit(name: str, amount: int, connection: bank.Connection) -> Change:
        """Pays money in, and does more."""
        raise AssertionError

    with pytest.raises(ProposalChanged, match="the tool deposit itself has changed"):
        approve(ledger, Registry([tool(writes=True)(deposit)]), made.id, by="maria")
    with pytest.raises(ToolMissing):
        approve(ledger, Registry([]), made.id, by="maria")


def test_what_moved_meanwhile_is_shown_and_asked_again(ledger: Database, proposed: Proposed, bank: ModuleType):
    made = proposed()
    run(ledger, "UPDATE accounts SET balance = 100 WHERE name = 'Bob Stone'")
    with pytest.raises(ProposalChanged, match="balance: 20 -> 100"):
        approve(ledger, bank.BANK, made.id, by="maria", digest=made.digest)
    assert balance(ledger) == 100
    renewed = proposal(ledger, made.id)
    assert (renewed.state, renewed.digest != made.digest) == ("waiting", True)
    assert "balance: 100 -> 105" in renewed.preview
    with pytest.raises(ProposalChanged, match="digest"):
        approve(ledger, bank.BANK, made.id, by="maria", digest=made.digest)
    assert approve(ledger, bank.BANK, made.id, by="maria", digest=renewed.digest).state == "executed"
    assert balance(ledger) == 105
    assert verify_audit(ledger)[1] is None


def test_columns_that_always_vary_do_not_ask_again(ledger: Database, proposed: Proposed, bank: ModuleType):
    made = proposed("promise", name="lunch")
    assert "at:" in made.preview
    assert approve(ledger, bank.BANK, made.id, by="maria", digest=made.digest).state == "executed"


def test_an_edit_is_validated_and_executed_under_its_own_digest(ledger: Database, proposed: Proposed, bank: ModuleType):
    made = proposed()
    done = approve(ledger, bank.BANK, made.id, by="maria", digest=made.digest, edits={"amount": "7"})
    assert (done.state, done.arguments["amount"], done.digest != made.digest) == ("executed", 7, True)
    assert "20 -> 27" in done.preview
    assert balance(ledger) == 27
    assert run(ledger, "SELECT digest FROM askfirst.executions") == [(done.digest,)]
    assert verify_audit(ledger)[1] is None


@pytest.mark.parametrize("edits", [{"amount": -1}, {"amount": 990}, {"name": "Cleo"}, {"tool": "promise"}])
def test_a_wrong_edit_is_refused_and_the_proposal_waits(ledger: Database, proposed: Proposed, bank: ModuleType, edits: dict):
    made = proposed()
    with pytest.raises(ProposalInvalid):
        approve(ledger, bank.BANK, made.id, by="maria", edits=edits)
    assert proposal(ledger, made.id) == made
    assert balance(ledger) == 20


@pytest.mark.parametrize(
    ("tool", "arguments", "meanwhile", "why"),
    [
        (
            "deposit",
            {"name": "Bob Stone", "amount": 5},
            "ALTER TABLE accounts ADD CHECK (balance < 22)",
            "accounts_balance_check1",
        ),
        ("deposit", {"name": "Bob Stone", "amount": 5}, "DELETE FROM accounts WHERE name = 'Bob Stone'", "cannot be 'Bob Stone'"),
        ("promise", {"name": "tea"}, "INSERT INTO promises VALUES ('tea')", "promises_name_key"),
    ],
)
def test_a_write_that_fails_is_told_and_leaves_nothing_half_done(
    ledger: Database, proposed: Proposed, bank: ModuleType, tool: str, arguments: dict, meanwhile: str, why: str
):
    made = proposed(tool, **arguments)
    run(ledger, meanwhile)
    before = run(ledger, "SELECT (SELECT sum(balance) FROM accounts), (SELECT count(*) FROM promises)")
    done = approve(ledger, bank.BANK, made.id, by="maria")
    assert done.state == "failed"
    assert why in done.why
    assert run(ledger, "SELECT (SELECT sum(balance) FROM accounts), (SELECT count(*) FROM promises)") == before
    with pytest.raises(ProposalDecided, match="already failed"):
        approve(ledger, bank.BANK, made.id, by="maria")
    assert verify_audit(ledger)[1] is None


def test_an_interruption_is_no_failure_and_the_proposal_waits(
    ledger: Database, proposed: Proposed, bank: ModuleType, monkeypatch: pytest.MonkeyPatch
):
    made = proposed()
    monkeypatch.setattr(ledger_module, "PATIENCE", "100ms")
    with ledger.transaction() as connection:
        connection.execute("SELECT FROM accounts FOR UPDATE")
        with pytest.raises(DatabaseDown, match="lock timeout"):
            approve(ledger, bank.BANK, made.id, by="maria")
    assert approve(ledger, bank.BANK, made.id, by="maria").state == "executed"


@pytest.mark.parametrize(
    ("point", "written"), [("written", False), ("approved", False), ("executed", False), ("committed", True)]
)
def test_a_process_killed_while_approving_has_written_all_or_nothing(
    ledger: Database, proposed: Proposed, bank: ModuleType, point: str, written: bool
):
    made = proposed()
    command = [sys.executable, bank.__file__, ledger.url, made.id, point]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().strip() == point
        process.send_signal(signal.SIGKILL)
    assert balance(ledger) == (25 if written else 20)
    assert proposal(ledger, made.id).state == ("executed" if written else "waiting")
    if not written:
        assert approve(ledger, bank.BANK, made.id, by="maria").state == "executed"
    assert balance(ledger) == 25
    assert run(ledger, "SELECT count(*) FROM askfirst.executions") == [(1,)]
    assert verify_audit(ledger)[1] is None


def test_a_write_tool_cannot_be_called(bank: ModuleType, ledger: Database):
    with ledger.connection() as connection:
        for call in (
            lambda: bank.deposit("Ann", 5, connection),
            lambda: bank.deposit.call({"name": "Ann", "amount": 5}, connection=connection),
        ):
            with pytest.raises(ToolInvalid, match="can only be proposed"):
                call()
    assert balance(ledger, "Ann") == 10


def test_only_the_ledger_names_the_function_that_performs():
    named = {
        path.relative_to(ROOT).as_posix()
        for part in ("agent", "tools", "retrieval", "ui", "examples")
        for path in (ROOT / part).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ImportFrom) and any(each.name == "perform" for each in node.names)
    }
    assert named == {"tools/proposals.py"}


def test_a_proposal_is_json(proposed: Proposed):
    made = proposed()
    told = made.json()
    assert told["id"] == made.id
    assert told["expires"].endswith("+00:00")
    assert propose.__doc__
