"""Search finds by meaning and by words, loses nothing to its filter, and scores so that questions can be compared."""

from collections.abc import Iterator

import numpy as np
import psycopg
import pytest
from pgvector import HalfVector

from askfirst.errors import CollectionMissing, DocumentMissing
from askfirst.retrieval import search as searching
from askfirst.retrieval.database import Database
from askfirst.retrieval.embed import Embedder
from askfirst.retrieval.ingest import COPY_CHUNKS, ingest
from askfirst.retrieval.search import collections, document, search, vocabulary_weights

PAGES = {
    "returns.md": "# Returns\n\nCustomers may send an item back within thirty days.\n\n# Fees\n\nSending back is free of charge.",
    "shipping.md": "# Shipping\n\nParcels arrive after two days. Express parcels arrive on the next day.",
    "error.md": "# Errors\n\nThe code E4711 means that the printer has no paper.",
    "garden.md": "# Garden\n\nTomatoes want sun, water and a warm place.",
}
CROWD = 3_000
BAD_WALK = """
SELECT set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),
    set_config('hnsw.iterative_scan', 'off', true), set_config('hnsw.ef_search', '1', true)
"""


@pytest.fixture(scope="module", autouse=True)
def shop(database: Database, embedder: Embedder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    folder = tmp_path_factory.mktemp("parcels")
    for name, text in PAGES.items():
        (folder / name).write_text(text)
    ingest(database, embedder, [folder], collection="parcels")
    yield
    with database.connection() as connection:
        connection.execute("DELETE FROM askfirst.collections WHERE name = 'shop'")


@pytest.fixture(scope="module")
def crowd(database: Database, embedder: Embedder) -> Iterator[np.ndarray]:
    """3,000 random vectors, of which 1 % belong to the collection `rare` and the rest to `crowd`; those of `rare`."""
    vectors = np.random.default_rng(0).normal(size=(CROWD, embedder.dimension)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rare = np.arange(0, CROWD, 100)
    fill(database, embedder, "rare", vectors[rare])
    fill(database, embedder, "crowd", np.delete(vectors, rare, axis=0))
    yield vectors[rare]
    with database.connection() as connection:
        connection.execute("DELETE FROM askfirst.collections WHERE name IN ('rare', 'crowd')")


def fill(database: Database, embedder: Embedder, name: str, vectors: np.ndarray) -> None:
    with database.transaction() as connection:
        row = connection.execute(
            """
            WITH made AS (INSERT INTO askfirst.collections (name, embedder, dimension) VALUES (%s, %s, %s) RETURNING id)
            INSERT INTO askfirst.documents (collection, name, title, text, digest, chunks)
            SELECT id, 'all', 'all', '', '', %s FROM made RETURNING collection, id
            """,
            [name, embedder.fingerprint, embedder.dimension, len(vectors)],
        ).fetchone()
        with connection.cursor() as cursor, cursor.copy(COPY_CHUNKS) as copy:
            copy.set_types(["int8", "int8", "int4", "int4", "text", "text", "halfvec"])
            for at, vector in enumerate(vectors):
                copy.write_row((*(row or ()), at, at, "", f"row {at}", HalfVector(vector)))


def asked(database: Database, vector: np.ndarray, collection: str, limit: int) -> list[int]:
    """The `start` of each chunk found for a vector, with no word to help."""
    with database.transaction() as connection:
        sized = searching._sized(connection, collection)
        found = searching._ranked(connection, sized, "", HalfVector(vector), limit)
    return [evidence.start for evidence in found]


def test_a_paraphrase_finds_its_page(database: Database, embedder: Embedder):
    best = search(database, embedder, "How long do I have to give a purchase back?", collection="parcels")[0]
    assert (best.document, best.heading) == ("returns.md", "Returns")
    assert PAGES["returns.md"][best.start : best.end] == best.text


def test_a_rare_word_finds_its_page(database: Database, embedder: Embedder):
    assert search(database, embedder, "E4711", collection="parcels")[0].document == "error.md"


def test_scores_fall_and_lie_between_nothing_and_certainty(database: Database, embedder: Embedder):
    scores = [evidence.score for evidence in search(database, embedder, "When do parcels arrive?", collection="parcels")]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


def test_a_question_about_something_else_scores_below_one_that_is_answered(database: Database, embedder: Embedder):
    answered = search(database, embedder, "When do express parcels arrive?", collection="parcels")[0].score
    foreign = search(database, embedder, "Who was the second king of Norway?", collection="parcels")[0].score
    assert answered > 0.6
    assert foreign < 0.2


@pytest.mark.parametrize("limit", [1, 3, 5, 50])
def test_there_are_as_many_as_asked_for_or_all(database: Database, embedder: Embedder, limit: int):
    assert len(search(database, embedder, "parcels", collection="parcels", limit=limit)) == min(limit, 5)


@pytest.mark.parametrize(
    "question", ["", "the of and", "it's \\ a 'quoted' | & ! :* <-> (thing", "nul \x00 byte", "word " * 20_000, "日本"]
)
def test_any_question_is_searched(database: Database, embedder: Embedder, question: str):
    assert len(search(database, embedder, question, collection="parcels")) == 5


@pytest.mark.parametrize("exact_below", [0, 20_000])
def test_a_rare_collection_loses_no_row_to_the_filter(
    database: Database, crowd: np.ndarray, monkeypatch: pytest.MonkeyPatch, exact_below: int
):
    """Law 6, by the index and without it: ten rows each time, and the ten nearest."""
    monkeypatch.setattr(searching, "EXACT_BELOW", exact_below)
    questions = np.random.default_rng(1).normal(size=(10, crowd.shape[1])).astype(np.float32)
    hits = 0
    for question in questions:
        found = asked(database, question, "rare", 10)
        assert len(found) == 10
        hits += len({*found} & {*np.argsort(-(crowd @ question))[:10].tolist()})
    assert hits >= 95


def test_the_index_walk_and_the_exact_search_agree(database: Database, crowd: np.ndarray, monkeypatch: pytest.MonkeyPatch):
    question = np.random.default_rng(2).normal(size=crowd.shape[1]).astype(np.float32)
    exact = asked(database, question, "crowd", 10)
    monkeypatch.setattr(searching, "EXACT_BELOW", 0)
    assert len({*exact} & {*asked(database, question, "crowd", 10)}) >= 9


def test_a_walk_that_finds_too_few_is_followed_by_the_exact_search(
    database: Database, crowd: np.ndarray, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(searching, "EXACT_BELOW", 0)
    monkeypatch.setattr(searching, "WALK", BAD_WALK)
    assert len(asked(database, crowd[0], "rare", 30)) == 30


def test_an_unknown_collection_is_refused_with_the_known_ones(database: Database, embedder: Embedder):
    with pytest.raises(CollectionMissing, match=r"No collection 'shopp'\. Known: .*parcels"):
        search(database, embedder, "anything", collection="shopp")
    with pytest.raises(CollectionMissing):
        document(database, "returns.md", collection="shopp")


def test_collections_are_listed_with_their_embedder(database: Database, embedder: Embedder):
    (parcels,) = [each for each in collections(database) if each.name == "parcels"]
    assert (parcels.embedder, parcels.dimension) == (embedder.fingerprint, 384)


def test_a_document_is_given_whole(database: Database):
    found = document(database, "returns.md", collection="parcels")
    assert (found.title, found.text) == ("Returns", PAGES["returns.md"])


def test_an_unknown_document_is_refused(database: Database):
    with pytest.raises(DocumentMissing, match=r"No document 'gone\.md' in collection 'parcels'"):
        document(database, "gone.md", collection="parcels")


def test_rare_words_weigh_more_and_stop_words_nothing(database: Database):
    weights = vocabulary_weights(database, ["the", "parcel", "send", "printer", "zeppelin", ""], collection="parcels")
    assert weights["the"] == weights[""] == 0
    assert 0 < weights["send"] < weights["parcel"] <= weights["printer"] < weights["zeppelin"]


def test_searching_reads_only(database: Database, embedder: Embedder):
    url = database.url + "&options=-c%20default_transaction_read_only%3Don"
    with psycopg.connect(url) as connection:
        from pgvector.psycopg import register_vector

        register_vector(connection)
        sized = searching._sized(connection, "parcels")
        vector = HalfVector(embedder.embed(["parcels"])[0])
        assert searching._ranked(connection, sized, "parcels", vector, 2)
