"""The door: everything that the command line, the page and an app do goes through an `Assistant`."""

import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from ..errors import CollectionMissing, ProposalDecided, ProposalInvalid, QuestionEmpty, QuestionTooLong, ToolRetry
from ..retrieval.database import Database
from ..retrieval.documents import Collection, Document, Evidence, IngestReport
from ..retrieval.embed import Embedder
from ..retrieval.ingest import ingest
from ..retrieval.search import collections, document, search
from ..settings import Settings
from ..tools import proposals as ledger
from ..tools.extract import Extraction, extract
from ..tools.proposals import Proposal
from ..tools.query import sql_tool
from ..tools.registry import Registry
from . import runs
from .batch import BatchReport, run_batch
from .decisions import Decisions, deciders
from .means import Means
from .model import LanguageModel
from .remember import RememberingEmbed
from .state import Answer, Route, Step, read_answer
from .words import storable

if TYPE_CHECKING:
    from .runner import Runner

Form = TypeVar("Form", bound=BaseModel)
ALWAYS = ("askfirst.tools.arithmetic", "askfirst.tools.clock")  # tools that need no data of anybody
Progress = Callable[[int, int, str], None]


class Assistant:
    """Answers questions from documents and tools, and proposes changes for a person to approve.

    Use it as a context manager, or `close()` it. It may be used by several threads; the model server, the embedder and
    the graph are opened when they are first needed.
    """

    def __init__(self, settings: Settings, database: Database, registry: Registry, model: LanguageModel | None = None):
        self.settings, self.database, self.registry = settings, database, registry
        self._given_model, self._lock = model, RLock()
        self._parts: dict[str, Any] = {}
        self._closers: list[Callable[[], None]] = [database.close]

    @classmethod
    def open(
        cls,
        *,
        settings: Settings | None = None,
        database: str | None = None,
        model: LanguageModel | str | None = None,
        tools: Iterable[str] | None = None,
        **overrides: Any,
    ) -> "Assistant":
        """An assistant on the embedded PostgreSQL and the shipped Llama, or on what is named.

        `database` is a PostgreSQL URL; `model` a shipped model's name, the URL of an OpenAI-compatible server, or an object
        with the methods of `LanguageModel`; `tools` are names of modules; other keywords are fields of `Settings`.
        """
        named = model if isinstance(model, str) else None
        given = {"database_url": database, "model": named, "tools": tuple(tools) if tools is not None else None, **overrides}
        given = {key: value for key, value in given.items() if value is not None}
        if settings is None:
            settings = Settings.load(**given)
        elif given:
            settings = Settings(**(settings.model_dump() | given))
        loaded = Registry.load([*ALWAYS, *settings.tools])
        opened = Database.open(settings)
        try:
            found = sql_tool(settings, opened)
            registry = Registry([*loaded, found]) if found else loaded
        except BaseException:
            opened.close()
            raise
        return cls(settings, opened, registry, None if isinstance(model, str) else model)

    def __enter__(self) -> "Assistant":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives back connections, the model server and the database server, each to others that still use it."""
        while self._closers:
            self._closers.pop()()

    def ingest(
        self, *paths: str | Path, collection: str | None = None, prune: bool = False, progress: Progress | None = None
    ) -> IngestReport:
        """Reads files and folders into a collection; unchanged files cost nothing. See retrieval/ingest.py."""
        return ingest(
            self.database,
            self.embedder,
            [Path(path) for path in paths],
            collection=collection or self.settings.collection,
            progress=progress,
            prune=prune,
        )

    def search(self, question: str, *, collection: str | None = None, limit: int = 8) -> list[Evidence]:
        """The best passages, best first."""
        return search(self.database, self.embedder, question, collection=collection or self.settings.collection, limit=limit)

    def document(self, name: str, *, collection: str | None = None) -> Document:
        """A stored document, against whose text citations are checked."""
        return document(self.database, name, collection=collection or self.settings.collection)

    def collections(self) -> list[Collection]:
        """The collections that exist, by name."""
        return collections(self.database)

    def ask(
        self,
        question: str,
        *,
        collection: str | None = None,
        route: Route | None = None,
        thread: str | None = None,
        by: str | None = None,
        run: str | None = None,
    ) -> Answer:
        """Answers a question. A write is only proposed: the answer is then `waiting` and holds the proposal.

        `run` is an id of the caller's own: asked again with the same one, after a crash say, the run goes on where it
        stopped, and an answer that is there already is given again.
        """
        *_, answer = self.stream(question, collection=collection, route=route, thread=thread, by=by, run=run)
        assert isinstance(answer, Answer)
        return answer

    def stream(
        self,
        question: str,
        *,
        collection: str | None = None,
        route: Route | None = None,
        thread: str | None = None,
        by: str | None = None,
        run: str | None = None,
    ) -> Iterator[Step | str | Answer]:
        """The steps as they end, then the text, then the `Answer`, which is always the last piece."""
        collection, question = self._checked(question, collection), storable(question.strip())
        if run and (stored := runs.answer(self.database, run)):
            yield read_answer(stored)
            return
        run, thread = run or uuid.uuid4().hex, thread or uuid.uuid4().hex
        history = runs.history(self.database, thread)
        runs.begin(self.database, run=run, thread=thread, question=question, collection=collection)
        yield from self._runner.start(
            question=question,
            run=run,
            thread=thread,
            collection=collection,
            history=history,
            forced_route=route,
            requester=by or self.settings.user,
        )

    def proposals(self, state: ledger.State | None = "waiting") -> list[Proposal]:
        """Proposals in a state, oldest first; all of them for None."""
        return ledger.proposals(self.database, state=state)

    def proposal(self, id: str) -> Proposal:
        """One proposal. Raises `ProposalMissing`."""
        return ledger.proposal(self.database, id)

    def propose(self, tool: str, arguments: Mapping[str, Any], *, by: str | None = None) -> Proposal:
        """Proposes a write without the model. Raises `ProposalInvalid` when the tool refuses the call."""
        try:
            return ledger.propose(
                self.database,
                self.registry.get(tool),
                dict(arguments),
                key=uuid.uuid4().hex,
                requester=by or self.settings.user,
                thread="",
                run="",
                hours=self.settings.proposal_hours,
            )
        except ToolRetry as refusal:
            raise ProposalInvalid(tool, str(refusal)) from None

    def approve(self, id: str, *, by: str, edits: Mapping[str, Any] | None = None, digest: str | None = None) -> Answer:
        """Executes a proposal, once, and ends the run that waits for it. Raises `ProposalDecided` when another was first.

        With `digest` only exactly that proposal is approved: what the person saw is what is done.
        """
        try:
            decided = ledger.approve(self.database, self.registry, id, by=by, edits=dict(edits) if edits else None, digest=digest)
        except ProposalDecided:
            self._runner.resume(ledger.proposal(self.database, id))  # a crash may have come between decision and answer
            raise
        return self._runner.resume(decided)

    def reject(self, id: str, *, by: str, why: str) -> Answer:
        """Ends a proposal without doing it."""
        return self._runner.resume(ledger.reject(self.database, id, by=by, why=why))

    def extract(self, text: str, form: type[Form]) -> Extraction[Form]:
        """The text's facts in a pydantic model of the caller's own; what does not stand in the text is named, not hidden."""
        return extract(text, form, complete=self._complete)

    def batch(
        self, questions: Iterable[Mapping[str, Any]], out: Path, *, concurrency: int = 1, progress: Progress | None = None
    ) -> BatchReport:
        """Answers many questions into a JSONL file; run again after a crash, it goes on where it stopped."""
        return run_batch(self.ask, questions, out, concurrency=concurrency, progress=progress)

    @property
    def embedder(self) -> Embedder:
        """The open embedding model."""
        return self._opened("embedder", lambda: Embedder.open(self.settings.home))

    @property
    def decisions(self) -> Decisions:
        """Who decides what, from the card of the model and adapter in the settings."""
        return self._opened("decisions", self._decisions)

    def model(self) -> LanguageModel:
        """The served Llama; its server starts at the first question it is asked."""
        return self._given_model or self._opened("model", self._model)

    def means(self) -> Means:
        """What the nodes of a run may use; for evaluations, which decide as a run does."""
        return Means(self.settings, self.database, self.embedder, self.registry, self.decisions, self.model)

    @property
    def _runner(self) -> "Runner":
        return self._opened("runner", self._new_runner)

    def _opened(self, name: str, open_it: Callable[[], Any]) -> Any:
        """What was opened under this name, or is now: once, whichever thread is first, and closed with the assistant."""
        with self._lock:
            if name not in self._parts:
                self._parts[name] = open_it()
                if hasattr(self._parts[name], "close"):
                    self._closers.append(self._parts[name].close)
            return self._parts[name]

    def _decisions(self) -> Decisions:
        from .serve import card_of

        card = self._given_model.card if self._given_model else card_of(self.settings)
        return Decisions(deciders(card, self.settings), RememberingEmbed(self.embedder.embed), self.model, free=card is None)

    def _model(self) -> LanguageModel:
        from .serve import open_model

        return open_model(self.settings)

    def _new_runner(self) -> "Runner":
        from .runner import Runner

        return Runner(self.means())

    def _complete(self, prompt: str, schema: dict[str, Any]) -> dict[str, Any]:
        """One JSON object of the schema, by the model."""
        messages = [{"role": "system", "content": "Fill in the form from the text."}, {"role": "user", "content": prompt}]
        return self.model().act(messages, [{"name": "fill_form", "parameters": schema}]).value["arguments"]

    def _checked(self, question: str, collection: str | None) -> str:
        """The collection to search, once question and collection are known to be usable."""
        if not question.strip():
            raise QuestionEmpty()
        if len(question) > self.settings.max_question:
            raise QuestionTooLong(len(question), limit=self.settings.max_question)
        known = [each.name for each in self.collections()]
        if collection and collection not in known:
            raise CollectionMissing(collection, known=known)
        return collection or self.settings.collection
