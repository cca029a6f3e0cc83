"""The write ledger: a proposal, a person's decision on it, and its one execution.

Every decision is one transaction that holds the proposal's row; the write is made inside it, so it is there once or not
at all, wherever the process dies. This file does not know how a person is asked, nor who may approve.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import psycopg
from psycopg.types.json import Json

from ..errors import (
    LedgerFault,
    ProposalChanged,
    ProposalDecided,
    ProposalInvalid,
    ProposalMissing,
    ToolFailed,
    ToolRetry,
    UsageError,
)
from ..retrieval.database import Connection, Database
from .audit import append, proposal_digest
from .change import Change, moved
from .registry import Registry, Tool, perform
from .rows import Row, row, rows

PATIENCE = "10s"
TOLD = ("digest", "tool", "arguments", "preview", "requester")
State = Literal["waiting", "executed", "rejected", "expired", "failed"]
INSERT = """
INSERT INTO askfirst.proposals (id, key, tool, arguments, schema_version, requester, thread, run, preview, basis, digest, expires)
VALUES (%(id)s, %(key)s, %(tool)s, %(arguments)s, %(schema_version)s, %(requester)s, %(thread)s, %(run)s, %(preview)s,
    %(basis)s, %(digest)s, %(expires)s)
ON CONFLICT DO NOTHING RETURNING *
"""
LIST = "SELECT * FROM askfirst.proposals WHERE %(state)s::text IS NULL OR state = %(state)s ORDER BY created"
LATE = """
SELECT * FROM askfirst.proposals WHERE state = 'waiting' AND expires <= clock_timestamp()
ORDER BY id FOR UPDATE SKIP LOCKED
"""
HOLD = """
SELECT *, CASE WHEN state = 'waiting' AND expires <= clock_timestamp() THEN 'expired' ELSE state END AS state_now
FROM askfirst.proposals WHERE id = %s FOR UPDATE
"""
RESIGN = """
UPDATE askfirst.proposals SET arguments = %(arguments)s, preview = %(preview)s, basis = %(basis)s,
    digest = %(digest)s, why = %(why)s WHERE id = %(id)s
"""
CLOSE = """
UPDATE askfirst.proposals SET state = %(state)s, decided_by = %(by)s, decided = clock_timestamp(),
    why = %(why)s, result = %(result)s WHERE id = %(id)s RETURNING *
"""


@dataclass(frozen=True)
class Proposal:
    """A write that a person decides on. `preview` is what they see, `digest` (SHA-256) what they approve.

    `why` holds the reason of a rejection or failure, or what moved since the first preview; `result` what was written.
    """

    id: str
    tool: str
    arguments: dict[str, Any]
    preview: str
    digest: str
    expires: datetime
    state: State
    requested_by: str
    decided_by: str | None
    why: str | None
    result: str | None
    thread: str
    run: str
    created: datetime

    def json(self) -> dict[str, Any]:
        """A plain dictionary; times as ISO 8601 in UTC."""
        return asdict(self) | {name: getattr(self, name).astimezone(UTC).isoformat() for name in ("expires", "created")}


def propose(
    database: Database, tool: Tool, arguments: Mapping[str, Any], *, key: str, requester: str, thread: str, run: str, hours: float
) -> Proposal:
    """The proposal of this call, previewed by making the write and rolling it back.

    `key` is the run's id and the step's number: the same key always gives the first proposal made under it, whatever
    has become of it. Raises `ToolRetry` where the arguments or the tool's own rules refuse.
    """
    if not tool.writes:
        raise ProposalInvalid(tool.name, "it only reads, so it needs no approval; call it")
    with database.watched(), database.transaction() as connection:
        known = row(connection, "SELECT * FROM askfirst.proposals WHERE key = %s", [key])
        if known is None:
            values = tool.validate(arguments, connection)
            with connection.transaction(force_rollback=True):
                change = _written(connection, tool, values)
            signed = _signed(tool, values, change, key=key, requester=requester, thread=thread, hours=hours)
            known = _inserted(connection, signed, key=key, run=run)
        return _proposal(known)


def approve(
    database: Database, registry: Registry, id: str, *, by: str, edits: Mapping[str, Any] | None = None, digest: str | None = None
) -> Proposal:
    """Executes a proposal in the transaction that records the decision; the result's state is `executed` or `failed`.

    `digest` names what the person saw. `edits` replace arguments: they are validated and previewed, and what is then
    executed carries a digest of its own. Raises `ProposalChanged` when what the preview rests on has moved (there is a
    new preview then), `ProposalDecided` when someone was first; every refusal is kept in the audit.
    """
    expire(database)
    with _refusals_kept(database, id, by):
        with database.transaction() as connection:
            held = _held(connection, id)
            tool = _intact(held, registry, digest)
            decided = _decided(connection, tool, held, edits or {}, by)
        if decided.state == "waiting":
            raise ProposalChanged(id, f"what it rests on has changed meanwhile ({decided.why})")
    return decided


def reject(database: Database, id: str, *, by: str, why: str) -> Proposal:
    """Ends a waiting proposal for good: nothing executes it afterwards."""
    expire(database)
    with _refusals_kept(database, id, by), database.transaction() as connection:
        return _closed(connection, _held(connection, id), "rejected", by=by, why=why)


def proposals(database: Database, *, state: State | None = "waiting") -> list[Proposal]:
    """Proposals in this state, oldest first; all of them for None."""
    expire(database)
    with database.watched(), database.connection() as connection:
        found = rows(connection, LIST, {"state": state})
        return [_proposal(each) for each in found]


def proposal(database: Database, id: str) -> Proposal:
    """One proposal, whatever its state. Raises `ProposalMissing`."""
    expire(database)
    with database.watched(), database.connection() as connection:
        found = row(connection, "SELECT * FROM askfirst.proposals WHERE id = %s", [id])
        if found is None:
            raise ProposalMissing(id)
        return _proposal(found)


def expire(database: Database) -> int:
    """Closes the proposals whose time has run out, and says how many. Called before every look and decision."""
    with database.watched(), database.transaction() as connection:
        late = rows(connection, LATE)
        for each in late:
            _closed(connection, each, "expired", by=None, why="nobody decided in time")
        return len(late)


def _written(connection: Connection, tool: Tool, arguments: Mapping[str, Any]) -> Change:
    """The write, waiting for no lock longer than `PATIENCE`, with every constraint checked now rather than at commit."""
    connection.execute("SELECT set_config('lock_timeout', %s, true)", [PATIENCE])
    change = perform(tool, arguments, connection)
    try:
        connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
    except psycopg.Error as error:
        raise ToolFailed(tool.name, str(error)) from error
    return change


def _signed(tool: Tool, arguments: dict[str, Any], change: Change, *, key: str, requester: str, thread: str, hours: float) -> Row:
    """All that the digest covers, and the digest. The id follows from the key."""
    row = {
        "id": hashlib.sha256(key.encode()).hexdigest()[:12],
        "tool": tool.name,
        "arguments": arguments,
        "schema_version": tool.digest,
        "requester": requester,
        "thread": thread,
        "preview": change.preview(),
        "basis": change.basis(),
        "expires": datetime.now(UTC) + timedelta(hours=hours),
    }
    return row | {"digest": proposal_digest(row)}


def _inserted(connection: Connection, signed: Row, *, key: str, run: str) -> Row:
    """The new row, or the one that another process made under the same key, and so the same id, in this moment."""
    made = row(connection, INSERT, _stored(signed) | {"key": key, "run": run})
    if made is None:
        return row(connection, "SELECT * FROM askfirst.proposals WHERE key = %s", [key]) or signed
    append(connection, "proposed", made["id"], {name: made[name] for name in TOLD})
    return made


def _held(connection: Connection, id: str) -> Row:
    """The proposal's row, locked and still waiting."""
    held = row(connection, HOLD, [id])
    if held is None:
        raise ProposalMissing(id)
    if held["state_now"] != "waiting":
        raise ProposalDecided(id, state=held["state_now"], by=held["decided_by"])
    return held


def _intact(held: Row, registry: Registry, digest: str | None) -> Tool:
    """The tool of a proposal that is, to the letter, what was proposed and what the person saw."""
    if proposal_digest(held) != held["digest"]:
        raise LedgerFault(held["id"], "its row was altered after it was proposed")
    if digest not in (None, held["digest"]):
        raise ProposalChanged(held["id"], "its digest is another than the one named")
    tool = registry.get(held["tool"])
    if tool.digest != held["schema_version"]:
        raise ProposalChanged(held["id"], f"the tool {tool.name} itself has changed; reject it and propose it anew")
    return tool


def _decided(connection: Connection, tool: Tool, held: Row, edits: Mapping[str, Any], by: str) -> Proposal:
    """Makes the write and keeps it, or undoes it and records why: it failed, or it is not what was previewed."""
    try:
        arguments = tool.validate(held["arguments"] | edits, connection)
        with connection.transaction() as attempt:
            change = _written(connection, tool, arguments)
            difference = None if edits else moved(held["basis"], change.basis())
            if difference:
                raise psycopg.Rollback(attempt)
    except (ToolRetry, ToolFailed) as error:
        return _failed(connection, held, error, edits, by)
    if difference:
        return _previewed_again(connection, held, change, difference)
    approved = _resigned(connection, held | {"arguments": arguments}, change, why=None) if edits else held
    return _executed(connection, approved, change, edits, by)


def _failed(connection: Connection, held: Row, error: ToolRetry | ToolFailed, edits: Mapping[str, Any], by: str) -> Proposal:
    """Closes a proposal whose write was refused. An interruption says nothing about the write: the proposal waits on."""
    if isinstance(error.__cause__, psycopg.OperationalError):
        raise error.__cause__
    if edits:
        raise ProposalInvalid(held["tool"], str(error)) from None
    return _closed(connection, held, "failed", by=by, why=str(error))


def _previewed_again(connection: Connection, held: Row, change: Change, difference: str) -> Proposal:
    renewed = _resigned(connection, held, change, why=difference)
    append(connection, "previewed again", held["id"], {"digest": renewed["digest"], "why": difference})
    return _proposal(renewed)


def _resigned(connection: Connection, held: Row, change: Change, *, why: str | None) -> Row:
    """The proposal with a new preview and digest, still waiting."""
    renewed = held | {"preview": change.preview(), "basis": change.basis(), "why": why}
    renewed["digest"] = proposal_digest(renewed)
    connection.execute(RESIGN, _stored(renewed))
    return renewed


def _executed(connection: Connection, approved: Row, change: Change, edits: Mapping[str, Any], by: str) -> Proposal:
    """Records decision and execution in the transaction that made the write."""
    connection.execute(
        "INSERT INTO askfirst.executions (proposal, digest, approved_by, rows) VALUES (%s, %s, %s, %s)",
        (approved["id"], approved["digest"], by, Json(change.basis())),
    )
    append(connection, "approved", approved["id"], {"digest": approved["digest"], "by": by, "edits": dict(edits)})
    return _closed(connection, approved, "executed", by=by, why=None, result=change.preview())


def _closed(
    connection: Connection, held: Row, state: State, *, by: str | None, why: str | None, result: str | None = None
) -> Proposal:
    """Ends a proposal in this state and says so in the audit, which carries the state's name as its event."""
    closed = row(connection, CLOSE, {"id": held["id"], "state": state, "by": by, "why": why, "result": result})
    append(connection, state, held["id"], {"digest": held["digest"], "by": by, "why": why, "result": result})
    return _proposal(closed or held)


def _stored(row: Row) -> Row:
    return row | {"arguments": Json(row["arguments"]), "basis": Json(row["basis"])}


def _proposal(row: Row) -> Proposal:
    values = row | {"requested_by": row["requester"]}
    return Proposal(**{field.name: values[field.name] for field in fields(Proposal)})


@contextmanager
def _refusals_kept(database: Database, id: str, by: str) -> Iterator[None]:
    """Writes a refused decision into the audit, in a transaction of its own because the decision's is undone."""
    try:
        with database.watched():
            yield
    except ProposalMissing:
        raise
    except (UsageError, LedgerFault) as refusal:
        with database.watched(), database.transaction() as connection:
            append(connection, "refused", id, {"by": by, "why": str(refusal)})
        raise
