"""Runs the graph: starts a run, streams what it does, and resumes it from its checkpoint once a person has decided."""

import time
from collections.abc import Iterator, Mapping
from typing import Any

from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.types import Command

from ..tools.proposals import Proposal
from . import compose, runs, wording
from .graph import build
from .means import Means
from .nodes import usage
from .state import Answer, Step, read_answer, read_step


class Runner:
    """One compiled graph with its checkpointer. Any process that opens the same database can resume any run."""

    def __init__(self, means: Means):
        self.means = means
        self._pool = means.database.pool(options="-c search_path=askfirst,public")
        self._saver = PostgresSaver(self._pool)
        self._saver.setup()
        self._graph = build(self._saver)

    def close(self) -> None:
        """Gives back the checkpointer's connections."""
        self._pool.close()

    def start(self, *, question: str, run: str, **known: Any) -> Iterator[Step | str | Answer]:
        """Runs a question to its answer or to its pause, yielding steps and text as they come, the `Answer` last."""
        begun = self._graph.get_state(_thread(run)).next  # a run that a crash cut off goes on from its checkpoint
        state = None if begun else {"question": question, "run": run, "started": time.time(), "steps": [], **known}
        yield from self._stream(state, run)
        answer = self._answer(run)
        runs.end(self.means.database, answer.json())
        yield answer

    def resume(self, proposal: Proposal) -> Answer:
        """Ends the run that waits for a proposal, with what the ledger says of it; the stored answer when it has ended.

        A proposal that no run made (`proposals new`) gets an answer of its own.
        """
        decision = {"state": proposal.state, "by": proposal.decided_by, "why": proposal.why, "result": proposal.result}
        if not proposal.run:
            return _decided(proposal, decision)
        if self._graph.get_state(_thread(proposal.run)).next:
            for _ in self._stream(Command(resume=decision), proposal.run):
                pass
        answer = self._answer(proposal.run)
        runs.end(self.means.database, answer.json())
        return answer

    def _stream(self, given: Any, run: str) -> Iterator[Step | str]:
        """What the nodes write while they work: each step as it ends, and the text."""
        limit = 4 * self.means.settings.max_steps + 10  # nodes a run can pass at most; its own caps end it long before
        config: Any = {**_thread(run), "recursion_limit": limit}
        with self.means.database.watched():
            for piece in self._graph.stream(given, config, context=self.means, stream_mode="custom", durability="sync"):
                if "step" in piece:
                    yield read_step(piece["step"])
                elif piece.get("text"):
                    yield piece["text"]

    def _answer(self, run: str) -> Answer:
        """The answer in the run's last checkpoint; a pausing run's says what waits."""
        state = self._graph.get_state(_thread(run)).values
        return read_answer(state["answer"]) if "answer" in state else compose.waiting(state, usage(state))


def _decided(proposal: Proposal, decision: Mapping[str, Any]) -> Answer:
    return Answer(
        question=f"{proposal.tool} {proposal.arguments}",
        text=wording.decided(proposal.tool, decision),
        status="answered",
        proposals=(compose.view_of(proposal),),
        thread=proposal.thread,
        run=proposal.run,
    )


def _thread(run: str) -> Any:
    return {"configurable": {"thread_id": run}}
