"""One function per node of the graph: each takes the state, does one thing, and returns what it changes.

Nodes before the pause have no side effect but a ledger row that is keyed by run and step, so that running one twice
after a crash changes nothing. Only here does a `ToolRetry` become an observation.
"""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import wraps
from typing import Any

from langgraph.runtime import Runtime
from langgraph.types import interrupt

from ..errors import ProposalInvalid, ToolRetry
from ..tools.proposals import propose as enter_proposal
from .arguments import Sources
from .compose import PARTS, SEARCH, compose, in_context, view_of
from .means import Means, State
from .model import metered
from .parts import answer_parts
from .react import next_action
from .state import Budget, Step, Usage
from .words import storable

Node = Callable[[State, Runtime[Means]], State]
RESULT_SHOWN = 2_000  # characters of a result that a step shows and a prompt holds


def counted(node: Node) -> Node:
    """The node with the tokens that it spent on the model added to what it changes."""

    @wraps(node)
    def counting(state: State, runtime: Runtime[Means]) -> State:
        with metered() as spent:
            changed = node(state, runtime)
        tokens = {"prompt_tokens": spent.prompt, "completion_tokens": spent.completion}
        return {**changed, **{name: number for name, number in tokens.items() if number}}

    return counting


@counted
def choose(state: State, runtime: Runtime[Means]) -> State:
    """The next action: a call, a proposal, or the answer. At a cap, or when nothing new would come, the answer."""
    means = runtime.context
    if stopped := budget(means).exceeded(usage(state)):
        return {"action": {"kind": "answer"}, "stopped": stopped}
    if means.decisions.free:
        chosen = next_action(state, means)
    else:
        chosen = _first(state, means) if not state["steps"] else _following(state, means)
    action = chosen["action"]
    if action["kind"] != "answer" and _repeats(action, state["steps"]):
        return {**chosen, "action": {"kind": "answer"}}
    return chosen


def _first(state: State, means: Means) -> State:
    """Route the question and make its first call."""
    question, who = in_context(state), means.decisions.who
    evidence = means.search(question, state["collection"])
    best = evidence[0].score if evidence else 0.0
    with means.database.connection() as connection:
        sources = replace(_sources(state, means), connection=connection)
        plan = means.decisions.plan(state["question"], list(means.registry), sources, best, forced=state.get("forced_route"))
    known = {"routes": [plan.route], "parts": list(plan.parts)}
    if plan.route == "direct":
        return {**known, "action": {"kind": "answer"}}
    if plan.route == "tools" and plan.goal:
        return {**known, "goal": plan.goal.tool.name, "action": _toward(plan.goal.tool, state, means, plan.decided_by)}
    route = {"route": plan.decided_by["route"]}
    if plan.route == "sub-questions":
        return {**known, "action": _call(PARTS, {"questions": list(plan.parts)}, {**route, "decompose": who["decompose"]})}
    found = {"evidence": [asdict(item) for item in evidence]}
    return {**known, **found, "action": _call(SEARCH, {"question": question}, {**route, "evidence": who["evidence"]})}


def _following(state: State, means: Means) -> State:
    """After an observation: the goal's next call, or the answer once the goal was called or cannot be mended."""
    last, goal = state["steps"][-1], state.get("goal")
    if goal is None or last["tool"] == goal or last["error"]:
        return {"action": {"kind": "answer"}}
    return {"action": _toward(means.registry.get(goal), state, means, {})}


def _toward(goal: Any, state: State, means: Means, by: dict[str, str]) -> State:
    """The call that brings the goal nearer; a write tool is proposed, never called."""
    called = [step["tool"] for step in state["steps"]]
    with means.database.connection() as connection:
        sources = replace(_sources(state, means), connection=connection)
        found = means.decisions.next_call(goal, list(means.registry), sources, called)
    if found.filled.missing and called and not goal.writes:
        return {"kind": "answer"}  # what the look-ups so far brought is the best there is
    kind = "propose" if found.tool.writes else "act"
    decided = {"tool": by.get("tool", "signal"), "arguments": "llama" if "llama" in found.filled.by.values() else "signal"}
    return {"kind": kind, "tool": found.tool.name, "arguments": found.filled.arguments, "decided_by": {**by, **decided}}


@counted
def act(state: State, runtime: Runtime[Means]) -> State:
    """Make the chosen call and record what came back, an error included."""
    means, action, began = runtime.context, state["action"], time.monotonic()
    found: State = {}
    value, error = None, None
    try:
        if action["tool"] == SEARCH:
            found = {"evidence": _searched(state, means)}
            value = [
                {"document": item["document"], "score": round(item["score"], 3), "text": item["text"]}
                for item in found["evidence"]
            ]
        elif action["tool"] == PARTS:
            answered = answer_parts(action["arguments"]["questions"], state["collection"], means)
            found = {"sub_questions": [asdict(part) for part in answered]}
            value = [{"question": part.question, "status": part.status} for part in answered]
        else:
            value = means.look_up(means.registry.get(action["tool"]), action["arguments"])
    except ToolRetry as retry:
        error = str(retry)
    step = _step(state, action, value, error, began)
    runtime.stream_writer({"step": step})
    return {"steps": [step], **found}


def _searched(state: State, means: Means) -> list[dict[str, Any]]:
    """The evidence for the chosen search; what routing has already found for it is not searched again."""
    if not state["steps"] and state.get("evidence"):
        return state["evidence"]
    return [asdict(item) for item in means.search(state["action"]["arguments"]["question"], state["collection"])]


def propose(state: State, runtime: Runtime[Means]) -> State:
    """Enter the write in the ledger as a proposal; a call that the tool refuses goes back as an observation."""
    means, action, began = runtime.context, state["action"], time.monotonic()
    tool = means.registry.get(action["tool"])
    try:
        entered = enter_proposal(
            means.database,
            tool,
            action["arguments"],
            key=f"{state['run']}:{len(state['steps']) + 1}",
            requester=state["requester"],
            thread=state["thread"],
            run=state["run"],
            hours=means.settings.proposal_hours,
        )
    except (ToolRetry, ProposalInvalid) as refusal:
        step = _step(state, action, None, str(refusal), began)
        runtime.stream_writer({"step": step})
        return {"steps": [step], "action": {"kind": "choose"}}
    step = _step(state, action, f"proposed as {entered.id}", None, began)
    runtime.stream_writer({"step": step})
    return {"steps": [step], "proposals": [asdict(view_of(entered))], "elapsed": usage(state).seconds, "action": {"kind": "wait"}}


def wait(state: State, runtime: Runtime[Means]) -> State:
    """The pause. Resumed with what the ledger says of the proposal, never with an order to execute it."""
    decision = interrupt({"proposals": [proposal["id"] for proposal in state["proposals"]]})
    return {"decision": decision, "started": time.time() - state["elapsed"]}


def answer(state: State, runtime: Runtime[Means]) -> State:
    """The answer, from what was observed."""
    with metered() as spent:
        made = compose(state, runtime.context, usage(state))
    cost = replace(
        usage(state),
        prompt_tokens=made.usage.prompt_tokens + spent.prompt,
        completion_tokens=made.usage.completion_tokens + spent.completion,
    )
    made = replace(made, usage=cost)
    runtime.stream_writer({"text": made.text})
    return {"answer": made.json()}


def budget(means: Means) -> Budget:
    """The caps of one run."""
    settings = means.settings
    return Budget(settings.max_steps, settings.max_tool_calls, settings.max_tokens, settings.max_seconds)


def usage(state: State) -> Usage:
    """What the run has cost so far; sub-questions count as the calls they made. Time in a pause does not count."""
    steps = state["steps"]
    calls = sum(len(step["arguments"].get("questions", ())) if step["tool"] == PARTS else 1 for step in steps)
    return Usage(
        len(steps), calls, state.get("prompt_tokens", 0), state.get("completion_tokens", 0), time.time() - state["started"]
    )


def _repeats(action: Mapping[str, Any], steps: list[dict[str, Any]]) -> bool:
    """Whether this very call was made before: doing it again would bring nothing new."""
    return any(step["tool"] == action["tool"] and step["arguments"] == action["arguments"] for step in steps)


def _call(tool: str, arguments: dict[str, Any], decided_by: dict[str, str]) -> dict[str, Any]:
    return {"kind": "act", "tool": tool, "arguments": arguments, "decided_by": decided_by}


def _step(state: State, action: Mapping[str, Any], value: Any, error: str | None, began: float) -> dict[str, Any]:
    """The record of one turn: `value` as the tool gave it, `result` as text that fits a page and a prompt."""
    value, error = storable(value), storable(error)
    shown = value if isinstance(value, str) or value is None else json.dumps(value, ensure_ascii=False, default=str)
    step = Step(
        len(state["steps"]) + 1,
        action["tool"],
        action["arguments"],
        shown and shown[:RESULT_SHOWN],
        error,
        action["decided_by"],
        round(1000 * (time.monotonic() - began)),
    )
    return {**asdict(step), "value": value}


def _sources(state: State, means: Means) -> Sources:
    """What the person wrote, in this question and before it in the thread, and what the look-ups of this run returned."""
    results = [step["value"] for step in reversed(state["steps"]) if step["tool"] not in (SEARCH, PARTS) and not step["error"]]
    before = tuple(turn["question"] for turn in reversed(state.get("history") or []))
    return Sources(state["question"], results=results, before=before, embed=means.decisions.embed)
