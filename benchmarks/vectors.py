"""Loading vectors and querying them: ours beside LlamaIndex's PGVectorStore and beside raw SQL, on one embedded PostgreSQL.

    python benchmarks/vectors.py [--size 100000] [--queries 200]

Every side stores the same text and vectors as halfvec under HNSW with pgvector's defaults and searches with ef_search 100.
Ours and LlamaIndex's load into a table whose indexes are in place, in documents of 100 chunks; raw SQL copies first and
indexes then. Queries are asked by vector alone (ours then gets a question of stop words), and by vector and words
together, where LlamaIndex answers in its hybrid mode. Recall is that of the first.
The peer needs `pip install llama-index-vector-stores-postgres`; without it only raw SQL is the peer.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
from pgvector import HalfVector
from pgvector.psycopg import register_vector

from askfirst.retrieval.database import Database
from askfirst.retrieval.documents import Chunk
from askfirst.retrieval.embed import Embedder
from askfirst.retrieval.ingest import _collection_id, store
from askfirst.retrieval.readers import FileText
from askfirst.retrieval.search import search
from askfirst.settings import Settings

DIMENSION = 384
PER_DOCUMENT = 100
NEAREST = 10
EF_SEARCH = 100
VOCABULARY = 20_000  # words, as often as in English: few are common, most are rare
STOPPED = 20  # of the commonest are left out, as stop words are


@dataclass(frozen=True)
class Data:
    """Texts and vectors to load, questions with their vectors, and the true nearest rows of each question."""

    texts: list[str]
    vectors: np.ndarray
    questions: list[str]
    asked: np.ndarray
    truth: list[set[int]]


@dataclass(frozen=True)
class Side:
    """What one way of storing took: seconds to load, median milliseconds of a query, share of the true nearest found."""

    load: float
    query: float
    recall: float
    hybrid: float | None = None


class Given:
    """Stands in for the embedder, so that no side's figures hold the time of embedding."""

    fingerprint = "benchmark"
    dimension = DIMENSION

    def __init__(self, data: Data):
        wordless = map(without_words, range(len(data.asked)))
        self._vectors = dict(zip([*data.questions, *wordless], [*data.asked, *data.asked], strict=True))

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """The vector that the question was made with."""
        return np.stack([self._vectors[text] for text in texts])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=200)
    options = parser.parse_args()
    data = make_data(options.size, options.queries)
    with tempfile.TemporaryDirectory(prefix="askfirst-bench-") as home:
        Path(home).chmod(0o755)
        database = Database.open(Settings(home=Path(home)))
        try:
            peers = {"raw SQL": measure_raw(database, data), "LlamaIndex": measure_llama_index(database, data)}
            print_table(options.size, peers, measure_ours(database, data))
        finally:
            database.close()


def make_data(size: int, queries: int) -> Data:
    """Vectors in clusters, as those of real texts are: on plain noise no index finds anything."""
    random = np.random.default_rng(0)
    centres = random.normal(size=(max(10, size // 200), DIMENSION))
    made = centres[random.integers(0, len(centres), size + queries)] + 0.7 * random.normal(size=(size + queries, DIMENSION))
    made = (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)
    vectors, asked = made[:size], made[size:]
    texts = [f"{row} {_words(random, 100)}" for row in range(size)]
    questions = [f"{number} {_words(random, 6)}" for number in range(queries)]
    truth = [set(np.argpartition(-(vectors @ vector), NEAREST)[:NEAREST].tolist()) for vector in asked]
    return Data(texts, vectors, questions, asked, truth)


def _words(random: np.random.Generator, count: int) -> str:
    ranks = random.zipf(1.2, 10 * count)
    return " ".join(f"word{rank}" for rank in ranks[(ranks > STOPPED) & (ranks <= VOCABULARY)][:count])


def without_words(number: int) -> str:
    """A question of its own that holds stop words only."""
    return "the " * (number + 1)


def measure_raw(database: Database, data: Data) -> Side:
    """One table, COPY in binary form, the index afterwards; nearest by vector alone."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        register_vector(connection)
        connection.execute(f"CREATE TABLE raw (id int, text text, embedding halfvec({DIMENSION}))".encode())
        load = seconds(lambda: _load_raw(connection, data))
        connection.execute(f"SET hnsw.ef_search = {EF_SEARCH}".encode())
        nearest = f"SELECT id, text FROM raw ORDER BY embedding <=> %s LIMIT {NEAREST}".encode()
        query, recall = ask_all(
            data, lambda number: [row[0] for row in connection.execute(nearest, [HalfVector(data.asked[number])])]
        )
    return Side(load, query, recall)


def _load_raw(connection: psycopg.Connection[Any], data: Data) -> None:
    with connection.cursor() as cursor, cursor.copy("COPY raw FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(["int4", "text", "halfvec"])
        for row, (text, vector) in enumerate(zip(data.texts, data.vectors, strict=True)):
            copy.write_row((row, text, HalfVector(vector)))
    connection.execute("CREATE INDEX ON raw USING hnsw (embedding halfvec_cosine_ops)")


def measure_ours(database: Database, data: Data) -> Side:
    """The store of `ingest` and the whole of `search`, but for the embedding."""
    given: Embedder = Given(data)  # type: ignore[assignment]
    collection = _collection_id(database, "bench", given)
    load = seconds(lambda: _load_ours(database, collection, data))
    with database.connection() as connection:
        connection.execute("ANALYZE askfirst.chunks")
    query, recall = ask_all(data, lambda number: _ours(database, given, without_words(number)))
    hybrid, _ = ask_all(data, lambda number: _ours(database, given, data.questions[number]))
    return Side(load, query, recall, hybrid)


def _load_ours(database: Database, collection: int, data: Data) -> None:
    for first in range(0, len(data.texts), PER_DOCUMENT):
        cut = [Chunk(row, row, data.texts[row]) for row in range(first, min(first + PER_DOCUMENT, len(data.texts)))]
        vectors = [HalfVector(vector) for vector in data.vectors[first : first + PER_DOCUMENT]]
        store(database, collection, str(first), FileText("", ""), str(first), cut, vectors)


def _ours(database: Database, given: Embedder, question: str) -> list[int]:
    return [found.start for found in search(database, given, question, collection="bench", limit=NEAREST)]


def measure_llama_index(database: Database, data: Data) -> Side | None:
    """PGVectorStore with halfvec, HNSW and its text search; `add` and hybrid `query`. None when it is not installed."""
    try:
        from llama_index.core.vector_stores.types import VectorStoreQuery, VectorStoreQueryMode
        from llama_index.vector_stores.postgres import PGVectorStore
    except ImportError:
        return None
    local = database.url.replace("postgresql://", "postgresql+psycopg2://")
    peer = PGVectorStore.from_params(
        connection_string=local, async_connection_string=database.url.replace("postgresql://", "postgresql+asyncpg://"),
        table_name="peer", embed_dim=DIMENSION, hybrid_search=True, text_search_config="english", use_halfvec=True,
        hnsw_kwargs={"hnsw_m": 16, "hnsw_ef_construction": 64, "hnsw_ef_search": EF_SEARCH},
    )  # fmt: skip
    load = seconds(lambda: _load_llama_index(peer, data))

    def ask(number: int, **mode: Any) -> list[int]:
        query = VectorStoreQuery(query_embedding=data.asked[number].tolist(), similarity_top_k=NEAREST, **mode)
        return [int(id) for id in peer.query(query).ids or []]

    query, recall = ask_all(data, ask)
    words = {"mode": VectorStoreQueryMode.HYBRID, "sparse_top_k": NEAREST}
    hybrid, _ = ask_all(data, lambda number: ask(number, query_str=data.questions[number], **words))
    return Side(load, query, recall, hybrid)


def _load_llama_index(peer: Any, data: Data) -> None:
    from llama_index.core.schema import TextNode

    for first in range(0, len(data.texts), PER_DOCUMENT):
        rows = range(first, min(first + PER_DOCUMENT, len(data.texts)))
        peer.add([TextNode(id_=str(row), text=data.texts[row], embedding=data.vectors[row].tolist()) for row in rows])


def seconds(work: Callable[[], None]) -> float:
    """How long it took."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def ask_all(data: Data, ask: Callable[[int], list[int]]) -> tuple[float, float]:
    """Median milliseconds of a query, and the share of the true nearest rows among those found."""
    ask(0)
    times, hits = [], 0
    for number, truth in enumerate(data.truth):
        began = time.perf_counter()
        found = ask(number)
        times.append(time.perf_counter() - began)
        hits += len(truth & set(found))
    return 1000 * float(np.median(times)), hits / (NEAREST * len(data.truth))


def print_table(size: int, peers: dict[str, Side | None], ours: Side) -> None:
    """The peer's figure, ours, and how many times the peer's ours is."""
    print(f"{'':<50}{'peer':>10}{'Askfirst':>10}{'ratio':>8}")
    for name, peer in peers.items():
        if peer is None:
            print(f"{name}: not measured; `pip install llama-index-vector-stores-postgres` to have it beside ours")
            continue
        for what, theirs, own in [
            (f"load {size:,} vectors, s", peer.load, ours.load),
            ("query by vector, median ms", peer.query, ours.query),
            (f"recall@{NEAREST} of the true nearest", peer.recall, ours.recall),
            ("query by vector and words, median ms", peer.hybrid, ours.hybrid),
        ]:
            if theirs and own:
                print(f"{name + ': ' + what:<50}{theirs:>10.3g}{own:>10.3g}{own / theirs:>8.2f}")


if __name__ == "__main__":
    main()
