"""Runs as rows: which question belongs to which thread, and how it ended. Checkpoints are LangGraph's, not kept here."""

import json
from typing import Any

from ..retrieval.database import Database

REMEMBERED = 4  # turns of a thread that a new question can refer to


def begin(database: Database, *, run: str, thread: str, question: str, collection: str) -> None:
    """Enters a run before its first step; one that is there already stays as it is."""
    with database.connection() as connection:
        connection.execute(
            "INSERT INTO askfirst.runs (id, thread, question, collection) VALUES (%s, %s, %s, %s) ON CONFLICT (id) DO NOTHING",
            (run, thread, question, collection),
        )


def end(database: Database, answered: dict[str, Any]) -> None:
    """Stores the answer of a run; a waiting one is stored again once a person has decided."""
    with database.connection() as connection:
        connection.execute(
            "UPDATE askfirst.runs SET status = %s, answer = %s, ended = now() WHERE id = %s",
            (answered["status"], json.dumps(answered, default=str), answered["run"]),
        )


def answer(database: Database, run: str) -> dict[str, Any] | None:
    """The stored answer of a run, None while it has none."""
    with database.connection() as connection:
        row = connection.execute("SELECT answer FROM askfirst.runs WHERE id = %s", (run,)).fetchone()
    return row[0] if row else None


def history(database: Database, thread: str) -> list[dict[str, str]]:
    """The last turns of a thread, oldest first, as `{"question", "text"}`."""
    with database.connection() as connection:
        rows = connection.execute(
            "SELECT question, answer ->> 'text' FROM askfirst.runs WHERE thread = %s AND answer IS NOT NULL "
            "ORDER BY started DESC LIMIT %s",
            (thread, REMEMBERED),
        ).fetchall()
    return [{"question": question, "text": text or ""} for question, text in reversed(rows)]
