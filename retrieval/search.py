"""A question to ranked evidence: one hybrid query by meaning and by words, which never loses rows to its filter.

It reads what ingest.py wrote, and knows nothing of what is done with the evidence.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pgvector import HalfVector

from ..errors import CollectionMissing, DocumentMissing, EmbedderMismatch
from .database import Connection, Database
from .documents import Collection, Document, Evidence
from .embed import Embedder

CANDIDATES = 60  # from each side, before both scores are computed for all of them
EXACT_BELOW = 20_000  # chunks; a smaller collection is searched whole
MOST_HITS = 4_000  # a word in more chunks than this finds no candidates, it only weighs among them
MOST_WORDS = 64  # of one question
LONGEST_QUESTION = 20_000  # characters read for words; the embedder reads 256 tokens

# The walk through the HNSW index goes on past rows of other collections until it has enough of this one.
WALK = """
SELECT set_config('hnsw.iterative_scan', 'relaxed_order', true), set_config('hnsw.ef_search', '100', true),
    set_config('hnsw.max_scan_tuples', '1000000', true), set_config('hnsw.scan_mem_multiplier', '4', true)
"""

# Why one statement: each side's candidates are scored by both, so that a chunk found by words alone still has its cosine.
#
# meaning   the cosine stretched from what unrelated texts have (0.05) to what a paraphrase has (0.85)
# words     the share of the question's words, weighted by idf, that stand in the chunk; a word of the question that the
#           whole collection lacks counts as missed, so a question about something else scores low
# score     their mean. Both have fixed ends, so scores of two questions can be compared, which neither the ranks of
#           RRF nor scores stretched between each question's own best and worst allow.
#
# Measured on 600 questions of SQuAD over 3,139 paragraphs, MRR@10: meaning alone .719, words alone .831, their mean .895
# (.892 and .879 at 30 and 70 % meaning); counting repetitions of a word made it .887.
#
# Adding 0 to the distance hides it from the HNSW index, whose walk ends before a rare collection's rows are found.
SEARCH = """
WITH terms AS MATERIALIZED (
    SELECT lexeme, to_tsquery('simple', quote_literal(lexeme)) AS query
    FROM unnest(to_tsvector('english', %(question)s))
    ORDER BY positions[1]
    LIMIT %(most_words)s
), hits AS MATERIALIZED (
    SELECT terms.lexeme, hit.id
    FROM terms CROSS JOIN LATERAL (
        SELECT id FROM askfirst.chunks
        WHERE collection = %(collection)s AND lexemes @@ terms.query
        LIMIT %(most_hits)s
    ) AS hit
), weights AS MATERIALIZED (
    SELECT lexeme, count(id) AS frequency, ln((1 + (%(chunks)s - count(id) + 0.5) / (count(id) + 0.5))::float8) AS weight
    FROM terms LEFT JOIN hits USING (lexeme)
    GROUP BY lexeme
), held AS MATERIALIZED (
    SELECT id, sum(weight) AS weight
    FROM hits JOIN weights USING (lexeme)
    WHERE frequency < %(most_hits)s
    GROUP BY id
), wordy AS (
    SELECT id FROM held
    ORDER BY weight DESC, id
    LIMIT %(candidates)s
), near AS (
    (
        SELECT id FROM askfirst.chunks
        WHERE collection = %(collection)s AND %(exact)s
        ORDER BY (embedding <=> %(vector)s) + 0
        LIMIT %(candidates)s
    ) UNION ALL (
        SELECT id FROM askfirst.chunks
        WHERE collection = %(collection)s AND NOT %(exact)s
        ORDER BY embedding <=> %(vector)s
        LIMIT %(candidates)s
    )
), sides AS (
    SELECT chunks.*,
        chunks.embedding <=> %(vector)s AS distance,
        greatest(0, least(1, (1 - (chunks.embedding <=> %(vector)s) - 0.05) / 0.80)) AS meaning,
        (coalesce(held.weight, 0) + (
            SELECT coalesce(sum(weights.weight), 0)
            FROM weights JOIN terms USING (lexeme)
            WHERE frequency >= %(most_hits)s AND chunks.lexemes @@ terms.query
        )) / (SELECT nullif(sum(weight), 0) FROM weights) AS words
    FROM askfirst.chunks LEFT JOIN held USING (id)
    WHERE id IN (SELECT id FROM near UNION SELECT id FROM wordy)
)
SELECT documents.name, documents.title, sides.heading, sides."start", sides."end", sides.text,
    ((meaning + coalesce(words, meaning)) / 2)::float8 AS score
FROM sides JOIN askfirst.documents ON documents.id = sides.document
ORDER BY score DESC, distance, sides.id
LIMIT %(limit)s
"""


def search(database: Database, embedder: Embedder, question: str, *, collection: str, limit: int = 8) -> list[Evidence]:
    """The best chunks for the question, best first: `limit` of them, or all when the collection has fewer.

    Raises `CollectionMissing`, and `EmbedderMismatch` when another model embedded the collection.
    """
    vector = HalfVector(embedder.embed([question])[0])
    with database.connection() as connection:
        sized = _sized(connection, collection)
        if sized.collection.embedder != embedder.fingerprint:
            raise EmbedderMismatch(collection, stored=sized.collection.embedder, present=embedder.fingerprint)
        return _ranked(connection, sized, question.replace("\x00", "")[:LONGEST_QUESTION], vector, limit)


def _ranked(connection: Connection, sized: "Sized", question: str, vector: HalfVector, limit: int) -> list[Evidence]:
    """By the index where the collection is large, but whole when that found too few."""
    asked = {
        "question": question, "vector": vector, "collection": sized.collection.id, "chunks": sized.chunks, "limit": limit,
        "candidates": max(CANDIDATES, limit), "most_words": MOST_WORDS, "most_hits": MOST_HITS,
    }  # fmt: skip
    if sized.chunks >= EXACT_BELOW:
        with connection.transaction():
            connection.execute(WALK)
            found = _run(connection, asked | {"exact": False})
        if len(found) >= limit:
            return found
    return _run(connection, asked | {"exact": True})


def _run(connection: Connection, asked: Mapping[str, object]) -> list[Evidence]:
    # Never prepared: a plan made for one collection's size is wrong for another's.
    return [Evidence(*row) for row in connection.execute(SEARCH, asked, prepare=False)]


@dataclass(frozen=True)
class Sized:
    """A collection and the number of its chunks."""

    collection: Collection
    chunks: int


def _sized(connection: Connection, name: str) -> Sized:
    row = connection.execute(
        """
        SELECT id, name, embedder, dimension,
            (SELECT coalesce(sum(chunks), 0) FROM askfirst.documents WHERE collection = collections.id)
        FROM askfirst.collections
        WHERE name = %s
        """,
        [name],
    ).fetchone()
    if row is None:
        raise CollectionMissing(name, known=[known.name for known in _collections(connection)])
    return Sized(Collection(*row[:4]), int(row[4]))


def collections(database: Database) -> list[Collection]:
    """All of them, by name."""
    with database.connection() as connection:
        return _collections(connection)


def _collections(connection: Connection) -> list[Collection]:
    rows = connection.execute("SELECT id, name, embedder, dimension FROM askfirst.collections ORDER BY name")
    return [Collection(*row) for row in rows]


def document(database: Database, name: str, *, collection: str) -> Document:
    """The stored document, whose text the spans of chunks and citations count in. Raises `DocumentMissing`."""
    with database.connection() as connection:
        sized = _sized(connection, collection)
        row = connection.execute(
            "SELECT id, name, title, text, digest FROM askfirst.documents WHERE collection = %s AND name = %s",
            [sized.collection.id, name],
        ).fetchone()
    if row is None:
        raise DocumentMissing(name, collection=collection)
    return Document(row[0], collection, *row[1:])


def vocabulary_weights(database: Database, words: Iterable[str], *, collection: str) -> dict[str, float]:
    """How much each word tells in this collection: its idf, 0 for stop words, highest for a word that stands nowhere.

    A word counts as standing in a chunk by its English stem. One GIN look-up a word, well under a millisecond each.
    """
    with database.connection() as connection:
        sized = _sized(connection, collection)
        rows = connection.execute(
            """
            SELECT word, CASE WHEN numnode(query) = 0 THEN 0
                ELSE ln(1 + (%(chunks)s - frequency + 0.5) / (frequency + 0.5)) END::float8
            FROM unnest(%(words)s::text[]) AS word
            CROSS JOIN LATERAL plainto_tsquery('english', word) AS query
            CROSS JOIN LATERAL (
                SELECT count(*) AS frequency FROM (
                    SELECT FROM askfirst.chunks
                    WHERE collection = %(collection)s AND lexemes @@ query
                    LIMIT %(most_hits)s
                ) AS hits
            ) AS counted
            """,
            {"words": list(set(words)), "collection": sized.collection.id, "chunks": sized.chunks, "most_hits": MOST_HITS},
        )
        return dict(rows.fetchall())
