"""Sub-questions through LlamaIndex: a question is split by a `BaseQuestionGenerator`, every part is answered and kept.

It does not know who proposes the parts or what an answer is. LlamaIndex's own SubQuestionQueryEngine is not used: it
drops a sub-question that failed without a word and flattens the sources of all into one list. Importing this module costs
about two seconds, most of it LlamaIndex.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.question_gen.types import BaseQuestionGenerator, SubQuestion
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.core.tools.types import ToolMetadata

from ..errors import AskfirstError
from .database import Database
from .embed import Embedder
from .search import search

Result = TypeVar("Result")
Propose = Callable[[str], Sequence[str]]

ASKFIRST = ToolMetadata(name="askfirst", description="Answers one question from documents and data.")


def decompose(question: str, *, propose: Propose, limit: int = 4) -> list[str]:
    """At most `limit` sub-questions that `propose` makes of the question, in its order; the question alone when it makes
    none or only repeats it."""
    parts = ProposedQuestions(propose, limit=limit).generate([ASKFIRST], QueryBundle(question))
    return [part.sub_question for part in parts]


def answer_each(
    questions: Sequence[str], answer: Callable[[str], Result], *, failed: Callable[[str, AskfirstError], Result]
) -> list[Result]:
    """One result for each question, in order. What goes wrong with one is that one's result, made by `failed`, and stops
    no other; a defect (any error that is not ours) is raised."""
    results: list[Result] = []
    for question in questions:
        try:
            results.append(answer(question))
        except AskfirstError as error:
            results.append(failed(question, error))
    return results


class ProposedQuestions(BaseQuestionGenerator):
    """LlamaIndex's question generator over any function from a question to its parts. Every part goes to the first tool:
    the agent chooses the route of each by itself."""

    def __init__(self, propose: Propose, *, limit: int = 4):
        self._propose = propose
        self._limit = limit

    def generate(self, tools: Sequence[ToolMetadata], query: QueryBundle) -> list[SubQuestion]:
        """Parts without repetition, blank ones left out."""
        first: dict[str, str] = {}
        for part in (" ".join(part.split()) for part in self._propose(query.query_str)):
            first.setdefault(part.casefold(), part)
        parts = [part for part in first.values() if part][: self._limit]
        return [SubQuestion(sub_question=part, tool_name=tools[0].get_name()) for part in parts or [query.query_str]]

    async def agenerate(self, tools: Sequence[ToolMetadata], query: QueryBundle) -> list[SubQuestion]:
        return self.generate(tools, query)

    def _get_prompts(self) -> dict:
        return {}

    def _update_prompts(self, prompts_dict: dict) -> None:
        """There is no prompt here: `propose` has its own."""


class SearchRetriever(BaseRetriever):
    """Our search as LlamaIndex's retriever, for engines of LlamaIndex that a user builds. Each node carries its
    document's name, title, heading and span as metadata."""

    def __init__(self, database: Database, embedder: Embedder, *, collection: str, limit: int = 8):
        super().__init__()
        self._search = lambda question: search(database, embedder, question, collection=collection, limit=limit)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return [
            NodeWithScore(
                node=TextNode(
                    text=evidence.text,
                    id_=f"{evidence.document}:{evidence.start}-{evidence.end}",
                    metadata={"document": evidence.document, "title": evidence.title, "heading": evidence.heading,
                              "start": evidence.start, "end": evidence.end},
                ),
                score=evidence.score,
            )
            for evidence in self._search(query_bundle.query_str)
        ]  # fmt: skip
