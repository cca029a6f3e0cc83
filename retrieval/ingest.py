"""Files into a collection: read, cut, embed, store. One document at a time is replaced in one transaction.

It decides which files are taken and under which names, and leaves their forms to readers.py.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pgvector import HalfVector

from ..errors import EmbedderMismatch, NothingToIngest
from .chunk import chunks
from .database import Database
from .documents import Chunk, IngestReport, Skipped
from .embed import Embedder
from .readers import FORMS, FileText, Unreadable, bytes_of, read

COPY_CHUNKS = """
COPY askfirst.chunks (collection, document, "start", "end", heading, text, embedding) FROM STDIN (FORMAT BINARY)
"""

Progress = Callable[[int, int, str], None]


def ingest(
    database: Database,
    embedder: Embedder,
    paths: Iterable[str | Path],
    *,
    collection: str,
    progress: Progress | None = None,
    prune: bool = False,
) -> IngestReport:
    """Bring the collection, made if need be, up to the files in `paths`. A file that cannot be read is reported and the
    rest go on; unchanged files, told by their SHA-256, are neither parsed nor embedded (about 30 chunks/s on one core).

    A document is named by its path below the folder given, or by the file's own name. `progress` is called after each
    file with (done, total, name). `prune` removes every document of the collection that is not among `paths`.
    Raises `NothingToIngest` for a path that does not exist and when no file of a known form is there.
    """
    files, tally = _files([Path(path) for path in paths])
    target = _collection_id(database, collection, embedder)
    stored = _digests(database, target)
    for done, (name, path) in enumerate(files.items(), start=1):
        try:
            _take(database, embedder, target, name, path, stored.get(name), tally)
        except Unreadable as error:
            tally.skipped.append(Skipped(name, error.reason))
        if progress:
            progress(done, len(files), name)
    if prune:
        tally.removed = _remove(database, target, [name for name in stored if name not in files])
    return tally.report()


@dataclass
class Tally:
    """An `IngestReport` in the making."""

    added: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    chunks: int = 0

    def report(self) -> IngestReport:
        """What it came to."""
        names = (tuple(group) for group in (self.added, self.changed, self.unchanged, self.removed))
        return IngestReport(*names, skipped=tuple(self.skipped), chunks=self.chunks)


def _files(paths: Sequence[Path]) -> tuple[dict[str, Path], Tally]:
    """The files to read by their documents' names; those that cannot be among them are in the tally already."""
    files: dict[str, Path] = {}
    tally = Tally()
    for given in paths:
        for name, path in _below(given):
            if path.suffix.lower() not in FORMS:
                tally.skipped.append(Skipped(name, f"Only {', '.join(sorted(FORMS))} files are read."))
            elif not files.get(name, path).samefile(path):
                tally.skipped.append(Skipped(str(path), f"Another file given is named {name} too. Ingest the folder above both."))
            else:
                files[name] = path
    if not files and not tally.skipped:
        raise NothingToIngest(", ".join(map(str, paths)), "holds no file of a known form")
    return files, tally


def _below(given: Path) -> Iterator[tuple[str, Path]]:
    """Name and path of the file, or of each readable file in the folder. Links to folders are not followed (they can
    loop); what begins with a dot is left alone."""
    if given.is_file():
        yield given.name, given
    elif not given.is_dir():
        raise NothingToIngest(str(given), "does not exist")
    for folder, subfolders, names in os.walk(given):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for path in (Path(folder, name) for name in sorted(names) if not name.startswith(".")):
            if path.suffix.lower() in FORMS and path.is_file():
                yield path.relative_to(given).as_posix(), path


def _collection_id(database: Database, name: str, embedder: Embedder) -> int:
    with database.connection() as connection:
        connection.execute(
            """
            INSERT INTO askfirst.collections (name, embedder, dimension) VALUES (%s, %s, %s)
            ON CONFLICT (name) DO NOTHING
            """,
            [name, embedder.fingerprint, embedder.dimension],
        )
        rows = connection.execute("SELECT id, embedder FROM askfirst.collections WHERE name = %s", [name])
        ((id, stored),) = rows.fetchall()
    if stored != embedder.fingerprint:
        raise EmbedderMismatch(name, stored=stored, present=embedder.fingerprint)
    return id


def _digests(database: Database, collection: int) -> dict[str, str]:
    with database.connection() as connection:
        return dict(
            connection.execute("SELECT name, digest FROM askfirst.documents WHERE collection = %s", [collection]).fetchall()
        )


def _take(
    database: Database, embedder: Embedder, collection: int, name: str, path: Path, stored: str | None, tally: Tally
) -> None:
    """Bring one document up to its file."""
    content = bytes_of(path)
    digest = hashlib.sha256(content).hexdigest()
    if digest == stored:
        tally.unchanged.append(name)
        return
    document = read(path, content)
    cut = chunks(document.text, count_tokens=embedder.count_tokens)
    vectors = [HalfVector(vector) for vector in embedder.embed([_embedded(chunk) for chunk in cut])]
    if store(database, collection, name, document, digest, cut, vectors):
        (tally.added if stored is None else tally.changed).append(name)
        tally.chunks += len(cut)
    else:
        tally.unchanged.append(name)


def _embedded(chunk: Chunk) -> str:
    """What is embedded: a chunk is understood under its headings."""
    return f"{chunk.heading}\n{chunk.text}" if chunk.heading else chunk.text


def store(
    database: Database,
    collection: int,
    name: str,
    document: FileText,
    digest: str,
    cut: Sequence[Chunk],
    vectors: Sequence[HalfVector],
) -> bool:
    """Replace the document and its chunks in one transaction; False when another process has stored this very file.
    The vectors go over in COPY's binary form; most of the time is the HNSW index's (see benchmarks/vectors.py)."""
    with database.transaction() as connection:
        row = connection.execute(
            """
            INSERT INTO askfirst.documents AS stored (collection, name, title, text, digest, chunks)
            VALUES (%s, %s, %s, %s, %s, %s)
            ON CONFLICT (collection, name) DO UPDATE
            SET title = excluded.title, text = excluded.text, digest = excluded.digest, chunks = excluded.chunks, ingested = now()
            WHERE stored.digest <> excluded.digest
            RETURNING id
            """,
            [collection, name, document.title, document.text, digest, len(cut)],
        ).fetchone()
        if row is None:
            return False
        connection.execute("DELETE FROM askfirst.chunks WHERE document = %s", [row[0]])
        with connection.cursor() as cursor, cursor.copy(COPY_CHUNKS) as copy:
            copy.set_types(["int8", "int8", "int4", "int4", "text", "text", "halfvec"])
            for chunk, vector in zip(cut, vectors, strict=True):
                copy.write_row((collection, row[0], chunk.start, chunk.end, chunk.heading, chunk.text, vector))
    return True


def _remove(database: Database, collection: int, names: list[str]) -> list[str]:
    with database.connection() as connection:
        connection.execute("DELETE FROM askfirst.documents WHERE collection = %s AND name = ANY(%s)", [collection, names])
    return names
