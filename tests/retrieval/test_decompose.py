"""Sub-questions are proposed through LlamaIndex, and every one keeps its result."""

from pathlib import Path

import pytest
from llama_index.core.question_gen.types import BaseQuestionGenerator

from askfirst.errors import AskfirstError, RunError
from askfirst.retrieval.database import Database
from askfirst.retrieval.decompose import ProposedQuestions, SearchRetriever, answer_each, decompose
from askfirst.retrieval.embed import Embedder
from askfirst.retrieval.ingest import ingest


def halves(question: str) -> list[str]:
    return question.split(" and ")


def failed(question: str, error: AskfirstError) -> str:
    return f"{question} failed: {error}"


def test_parts_come_in_order_without_blanks_and_repetition():
    assert decompose("q", propose=lambda question: [" a?", "", "A?", "b\n?"]) == ["a?", "b ?"]


def test_at_most_the_limit_is_taken():
    assert decompose("a and b and c", propose=halves, limit=2) == ["a", "b"]


def test_a_question_without_parts_stays_itself():
    assert decompose("q", propose=lambda question: []) == ["q"]


def test_it_is_a_generator_of_llama_index():
    assert isinstance(ProposedQuestions(halves), BaseQuestionGenerator)


def test_a_part_that_fails_is_kept_and_stops_no_other():
    def answer(question: str) -> str:
        if question == "b":
            raise RunError("no luck")
        return question.upper()

    assert answer_each(["a", "b", "c"], answer, failed=failed) == ["A", "b failed: no luck", "C"]


def test_a_defect_is_not_hidden_as_a_failed_part():
    with pytest.raises(ZeroDivisionError):
        answer_each(["a"], lambda question: str(1 // 0), failed=failed)


def test_our_search_is_a_retriever_of_llama_index(database: Database, embedder: Embedder, tmp_path: Path):
    (tmp_path / "page.md").write_text("# Page\n\nParcels take two days.")
    ingest(database, embedder, [tmp_path], collection="llama-index")
    retriever = SearchRetriever(database, embedder, collection="llama-index", limit=1)
    (source,) = retriever.retrieve("How long do parcels take?")
    assert source.text == "Parcels take two days."
    assert source.metadata == {"document": "page.md", "title": "Page", "heading": "Page", "start": 8, "end": 30}
    assert 0.5 < source.get_score() <= 1
