"""What the nodes of a run may use, opened once by the assistant and handed in as LangGraph's run-time context."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..retrieval.database import Database
from ..retrieval.documents import Evidence
from ..retrieval.embed import Embedder
from ..retrieval.search import search, vocabulary_weights
from ..settings import Settings
from ..tools.registry import Registry
from .decisions import Decisions
from .model import LanguageModel
from .words import content, stem


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
        """The best passages for a question, best first."""
        return search(self.database, self.embedder, question, collection=collection)

    def weights(self, question: str, collection: str) -> dict[str, float]:
        """How much each word of the question weighs in the collection, by its stem: rare words weigh most."""
        known = vocabulary_weights(self.database, content(question), collection=collection)
        return {stem(word): weight for word, weight in known.items()}

    def look_up(self, tool: Any, arguments: dict[str, Any]) -> Any:
        """A read tool's result, from a transaction in which PostgreSQL itself refuses every write."""
        with self.database.transaction() as connection:
            connection.execute("SET TRANSACTION READ ONLY")
            return tool.call(tool.validate(arguments, connection), connection=connection)
