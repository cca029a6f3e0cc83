"""Many questions into one JSONL file: each answered once, however often the batch is killed and run again."""

import codecs
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from ..errors import AskfirstError, LineInvalid
from .state import Answer

Ask = Callable[..., Answer]


@dataclass(frozen=True)
class BatchReport:
    """How many questions were answered now, how many before, how many failed, and how often each status occurs."""

    done: int
    before: int
    failed: int
    statuses: Mapping[str, int]


def questions_in(path: Path) -> Iterator[dict[str, Any]]:
    """The questions of a JSONL file. Raises `LineInvalid` naming the first line that is no object with "id" and "question"."""
    for number, record in _records(path, path.read_bytes().removeprefix(codecs.BOM_UTF8)):
        if not isinstance(record, dict) or not isinstance(record.get("question"), str) or "id" not in record:
            raise LineInvalid(str(path), number, 'it needs an object with "id" and "question"')
        yield record


def _records(path: Path, content: bytes) -> Iterator[tuple[int, Any]]:
    """The values in JSON lines, with their numbers. Only a newline ends a line: a text may hold other separators."""
    for number, line in enumerate(content.split(b"\n"), 1):
        if line.strip():
            try:
                yield number, json.loads(line.decode("utf-8"))
            except ValueError as error:
                raise LineInvalid(str(path), number, str(error)) from None


def run_batch(
    ask: Ask,
    questions: Iterable[Mapping[str, Any]],
    out: Path,
    *,
    concurrency: int = 1,
    progress: Callable[[int, int, str], None] | None = None,
) -> BatchReport:
    """One line for each question: its "id" and the answer, or an "error". A line is on disk before the next question ends.

    Questions whose id stands in `out` with an answer are passed over; those with an error are asked again.
    """
    finished = _finished(out)
    wanted = {str(record["id"]): record for record in questions}
    todo = [record for id, record in wanted.items() if id not in finished]
    lock, statuses, failed = Lock(), {}, 0
    with out.open("a", encoding="utf-8") as file, ThreadPoolExecutor(max_workers=concurrency) as pool:
        pending: dict[Future[dict[str, Any]], str] = {
            pool.submit(_line, ask, record, _run_id(out, record)): str(record["id"]) for record in todo
        }
        for done, future in enumerate(as_completed(pending), 1):
            line = future.result()
            with lock:
                file.write(json.dumps(line, ensure_ascii=False, default=str) + "\n")
                file.flush()
                os.fsync(file.fileno())
            failed += "error" in line
            status = line.get("status", "error")
            statuses[status] = statuses.get(status, 0) + 1
            if progress:
                progress(done, len(todo), pending[future])
    return BatchReport(len(todo) - failed, len(wanted) - len(todo), failed, statuses)


def _line(ask: Ask, record: Mapping[str, Any], run: str) -> dict[str, Any]:
    """The output line of one question; a failure of this one does not end the others."""
    try:
        answer = ask(record["question"], collection=record.get("collection"), thread=record.get("thread"), run=run)
    except AskfirstError as error:
        return {"id": record["id"], "question": record["question"], "error": str(error)}
    return {"id": record["id"], **answer.json()}


def _run_id(out: Path, record: Mapping[str, Any]) -> str:
    """The same run for the same question of the same batch, so that what a crash cut off is not answered a second time."""
    return hashlib.sha256(f"{out.absolute()}\0{record['id']}\0{record['question']}".encode()).hexdigest()[:32]


def _finished(out: Path) -> set[str]:
    """Ids answered in an earlier run. What a crash left half-written at the end is cut off."""
    if not out.exists():
        return set()
    data = out.read_bytes()
    whole = data[: data.rfind(b"\n") + 1]
    if len(whole) < len(data):
        with out.open("r+b") as file:
            file.truncate(len(whole))
    found = set()
    for number, line in _records(out, whole):
        if not isinstance(line, dict) or "id" not in line:
            raise LineInvalid(str(out), number, "it is no answer of a batch; name another file with --out")
        if "error" not in line:
            found.add(str(line["id"]))
    return found
