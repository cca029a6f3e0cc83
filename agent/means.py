"""What the nodes of a run may use, opened once by the assistant and handed in as LangGraph's run-time context."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import CollectionMissing
from ..retrieval.database import Database
from ..retrieval.documents import Evidence
from ..retrieval.embed import Embedder
from ..retrieval.search import search, vocabulary_weights
from ..settings import Settings
from ..tools.registry import Registry
from .decisions import Decisions
from .model import LanguageModel
from .words import content, stem

State = dict[str, Any]


@dataclass(frozen=True)
class Means:
    """`model` opens the served Llama when it is first needed; `decisions` knows who decides what."""

    settings: Settings
    database: Database
    embedder: Embedder
    registry: Registry
    decisions: Decisions
    model: Callable[[], LanguageModel]

    def search(self, question: str, collection: str) -> list[Evidence]:
        """The best passages for a question, best first; none where nothing was ever ingested."""
        try:
            return search(self.database, self.embedder, question, collection=collection)
        except CollectionMissing:
            return []

    def weights(self, question: str, collection: str) -> dict[str, float]:
        """How much each word of the question weighs in the collection, by its stem: rare words weigh most."""
        known = vocabulary_weights(self.database, content(question), collection=collection)
        return {stem(word): weight for word, weight in known.items()}

    def look_up(self, tool: Any, arguments: dict[str, Any]) -> Any:
        """A read tool's result. Raises `ToolRetry` when the call is wrong."""
        with self.database.connection() as connection:
            return tool.call(arguments, connection=connection)
