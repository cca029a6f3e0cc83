"""The audit of the write ledger: rows that only grow, each holding the SHA-256 of itself and of the one before.

An altered, removed or reordered row breaks the chain; `audit_head` shows when rows are gone from its end.
"""

import hashlib
from collections.abc import Iterable
from datetime import UTC
from typing import Any

from ..retrieval.database import Connection, Database
from .change import canonical_json
from .rows import Row, row, rows

SIGNED = ("id", "tool", "arguments", "schema_version", "requester", "thread", "preview", "basis", "expires")
STATE_AFTER = {"proposed": "waiting", "previewed again": "waiting", "approved": "executed"}  # other events name the state
HASHED = ("number", "event", "proposal", "facts", "previous")


def verify_audit(database: Database) -> tuple[int, str | None]:
    """Rows of the audit checked, and the first fault: an altered, removed or reordered row, or a ledger that tells otherwise.

    Whoever can rewrite the whole database can rewrite the whole chain: keep the last hash elsewhere to notice that too.
    """
    with database.watched(), database.transaction() as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        links = rows(connection, "SELECT * FROM askfirst.audit ORDER BY number")
        head = row(connection, "SELECT number, hash FROM askfirst.audit_head")
        ledger = rows(
            connection,
            """SELECT p.*, e.digest AS executed_digest FROM askfirst.proposals p
                                     LEFT JOIN askfirst.executions e ON e.proposal = p.id""",
        )
    return len(links), chain_fault(links, head) or ledger_fault(links, ledger)


def append(connection: Connection, event: str, proposal: str, facts: dict[str, Any]) -> None:
    """Adds one row and holds the chain's end until the transaction ends: call it last, after every other lock is taken."""
    head = row(connection, "SELECT number, hash, clock_timestamp() AS at FROM askfirst.audit_head FOR UPDATE")
    assert head, "the migration made this row"
    link = {
        "number": head["number"] + 1,
        "at": head["at"],
        "event": event,
        "proposal": proposal,
        "facts": facts,
        "previous": head["hash"],
    }
    values = link | {"facts": canonical_json(facts), "hash": hash_of(link)}
    connection.execute(
        """INSERT INTO askfirst.audit (number, at, event, proposal, facts, previous, hash)
        VALUES (%(number)s, %(at)s, %(event)s, %(proposal)s, %(facts)s, %(previous)s, %(hash)s)""",
        values,
    )
    connection.execute("UPDATE askfirst.audit_head SET number = %(number)s, hash = %(hash)s", values)


def proposal_digest(held: Row) -> str:
    """What an approval names: SHA-256 over the call, its tool's schema, who asked, what was previewed, and until when."""
    covered = {name: held[name] for name in SIGNED} | {"expires": held["expires"].astimezone(UTC).isoformat()}
    return hashlib.sha256(canonical_json(covered).encode()).hexdigest()


def hash_of(link: Row) -> str:
    """The SHA-256 of one row over everything in it but the hash itself."""
    covered = {name: link[name] for name in HASHED} | {"at": link["at"].astimezone(UTC).isoformat()}
    return hashlib.sha256(canonical_json(covered).encode()).hexdigest()


def chain_fault(links: Iterable[Row], head: Row | None) -> str | None:
    """The first fault of the chain, given all its rows by number and the recorded end; None when it is whole."""
    number, last = 0, ""
    for link in links:
        number += 1
        if link["number"] != number:
            return f"row {number} is missing"
        if link["previous"] != last:
            return f"row {number} does not follow row {number - 1}"
        if hash_of(link) != link["hash"]:
            return f"row {number} was altered"
        last = link["hash"]
    if head is None or (head["number"], head["hash"]) != (number, last):
        return f"rows after number {number} are missing"
    return None


def ledger_fault(links: list[Row], ledger: list[Row]) -> str | None:
    """The first proposal whose row or execution is not what the audit last said of it."""
    last = {link["proposal"]: link for link in links if link["event"] != "refused"}
    for held in ledger:
        link = last.pop(held["id"], None)
        told = (STATE_AFTER.get(link["event"], link["event"]), link["facts"]["digest"]) if link else None
        executed = (held["executed_digest"] is not None, held["executed_digest"] or held["digest"])
        if told != (held["state"], proposal_digest(held)) or executed != (held["state"] == "executed", proposal_digest(held)):
            return f"proposal {held['id']} is not as the audit tells"
    return f"proposal {next(iter(last))} is missing from the ledger" if last else None
