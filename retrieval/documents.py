"""The nouns of retrieval: values only, without a database and without a model."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Collection:
    """A named set of documents embedded by one model. `embedder` is that model's fingerprint (see embed.py)."""

    id: int
    name: str
    embedder: str
    dimension: int


@dataclass(frozen=True)
class Document:
    """One file's text as stored. `name` is unique in its collection; `digest` is the SHA-256 of the file's bytes."""

    id: int
    collection: str
    name: str
    title: str
    text: str
    digest: str


@dataclass(frozen=True)
class Chunk:
    """A stretch of a document: `document.text[start:end] == text`. `heading` is the path of headings above it."""

    start: int
    end: int
    text: str
    heading: str = ""


@dataclass(frozen=True)
class Evidence:
    """A chunk found for a question. `score` is in 0..1, comparable between questions; 1 is certain."""

    document: str
    title: str
    heading: str
    start: int
    end: int
    text: str
    score: float


@dataclass(frozen=True)
class Skipped:
    """A file that was not read, and why, in one sentence for a person."""

    path: str
    reason: str


@dataclass(frozen=True)
class IngestReport:
    """What one `ingest` did: names of documents, files left out, and the number of chunks written."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    chunks: int = 0
