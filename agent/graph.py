"""The graph of a run: choose, act, propose, wait, answer. The only place where LangGraph is wired.

    START ─> choose ──┬─> act ───────────> choose
                      ├─> propose ─> wait ─> answer ─> END
                      └─> answer ─> END

A run is one LangGraph thread, its id the run's id, checkpointed in PostgreSQL before every step (`durability="sync"`).
The interrupt in `wait` is only the pause: decision and execution live in the ledger (tools/proposals.py).
"""

import operator
from typing import Annotated, Any, TypedDict

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from . import nodes
from .means import Means


class RunState(TypedDict, total=False):
    """What a run knows, as plain JSON values. `steps` only grows; everything else is replaced."""

    question: str
    run: str
    thread: str
    collection: str
    requester: str
    history: list[dict[str, str]]
    forced_route: str | None
    started: float
    elapsed: float
    routes: list[str]
    goal: str | None
    parts: list[str]
    action: dict[str, Any]
    steps: Annotated[list[dict[str, Any]], operator.add]
    evidence: list[dict[str, Any]]
    sub_questions: list[dict[str, Any]]
    proposals: list[dict[str, Any]]
    decision: dict[str, Any]
    said: str
    prompt_tokens: Annotated[int, operator.add]
    completion_tokens: Annotated[int, operator.add]
    stopped: str | None
    answer: dict[str, Any]


def build(checkpointer: BaseCheckpointSaver | None) -> CompiledStateGraph[Any, Means, Any, Any]:
    """The compiled graph. Invoke with `context=Means(...)`, `durability="sync"` and the run's id as `thread_id`."""
    graph: Any = StateGraph(RunState, context_schema=Means)  # its types know no node that returns a part of the state
    graph.add_node("choose", nodes.choose)
    graph.add_node("act", nodes.act)
    graph.add_node("propose", nodes.propose)
    graph.add_node("wait", nodes.wait)
    graph.add_node("answer", nodes.answer)
    graph.add_edge(START, "choose")
    graph.add_conditional_edges("choose", lambda state: state["action"]["kind"], ["act", "propose", "answer"])
    graph.add_edge("act", "choose")
    graph.add_conditional_edges("propose", lambda state: state["action"]["kind"], ["wait", "choose"])
    graph.add_edge("wait", "answer")
    graph.add_edge("answer", END)
    return graph.compile(checkpointer=checkpointer)
