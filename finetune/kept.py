"""What was asked and came of it, one JSON line for each case: so a comparison that was stopped goes on where it was."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

Record = dict[str, Any]


class Kept:
    """The lines of one comparison. A line cut off by a crash is dropped, and its case asked again."""

    def __init__(self, path: Path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._known: dict[tuple[str, str, str], Record] = {}
        whole = 0
        if path.exists():
            for line in path.read_bytes().splitlines(keepends=True):
                if not line.endswith(b"\n"):
                    break
                record = json.loads(line)
                self._known[record["measure"], record["side"], record["id"]] = record
                whole += len(line)
        self._file = path.open("ab")
        self._file.truncate(whole)

    def __enter__(self) -> "Kept":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def get(self, measure: str, side: str, id: str) -> Record | None:
        """What came of the case; None when it was not asked yet."""
        return self._known.get((measure, side, id))

    def add(self, measure: str, side: str, id: str, came: Record) -> None:
        """Keeps what came of a case, at once."""
        record = {"measure": measure, "side": side, "id": id, **came}
        self._file.write(json.dumps(record, ensure_ascii=False, default=str).encode() + b"\n")
        self._file.flush()
        self._known[measure, side, id] = record

    def of(self, measure: str, side: str, ids: list[str]) -> Iterator[Record]:
        """What came of these cases, in their order; those not asked are left out."""
        found = (self.get(measure, side, id) for id in ids)
        yield from (record for record in found if record is not None)
