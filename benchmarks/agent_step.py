"""One agent step, a tool call and then the answer: our graph beside langchain's `create_agent`, on one embedded PostgreSQL.

    python -m askfirst.benchmarks.agent_step [--runs 100]      (or: python benchmarks/agent_step.py)

Both sides call the same read tool, say the same scripted words, keep their checkpoints with the same PostgresSaver behind
the same kind of pool, and write each checkpoint before the next node (durability="sync"). The peer is also measured as
its documentation sets it up: one connection, checkpoints written while the next node works. The peer embeds nothing, so
ours is also measured with the embedding of its tool shortlist taken out. Rounds are interleaved, every other one in
reverse, so that what else the machine does meets all alike. The peer needs `pip install langchain==1.4.7`; without it
ours is measured alone.
"""

import argparse
import itertools
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langgraph.checkpoint.postgres import PostgresSaver
from psycopg.conninfo import make_conninfo

from askfirst.agent.assistant import ALWAYS, Assistant
from askfirst.agent.means import Means
from askfirst.agent.model import ScriptedModel
from askfirst.agent.remember import RememberingEmbed
from askfirst.agent.runner import Runner
from askfirst.agent.signals import shortlist
from askfirst.agent.state import Answer
from askfirst.retrieval.database import Database
from askfirst.retrieval.embed import Embedder
from askfirst.settings import Settings
from askfirst.tools.registry import Registry, tool

QUESTION, CALLED_WITH, SAID = "How many lamps are in stock?", {"article": "lamp"}, "There are 7 lamps in stock."
TABLES = "-c search_path=askfirst,public"
ROWS = b"""
SELECT (SELECT count(*) FROM askfirst.checkpoints WHERE thread_id = %(run)s)
     + (SELECT count(*) FROM askfirst.checkpoint_blobs WHERE thread_id = %(run)s)
     + (SELECT count(*) FROM askfirst.checkpoint_writes WHERE thread_id = %(run)s)
     + (SELECT count(*) FROM askfirst.runs WHERE id = %(run)s)
"""


def stock(article: str) -> str:
    """How many pieces of an article are in stock."""
    return f"7 pieces of {article} in stock"


@dataclass
class Side:
    """One way to take the step: it is given a run's id and returns the answer's text. `milliseconds` holds one figure a run."""

    take: Callable[[str], str | None]
    rows: int = 0
    milliseconds: list[float] = field(default_factory=list)


class NoEmbedding:
    """Stands in for the embedder, so that the graph's own time can be seen."""

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors that were not computed."""
        return np.zeros((len(texts), Embedder.dimension), np.float32)


class TimedEmbedding:
    """The real embedder, with the time that it took."""

    def __init__(self, embedder: Embedder):
        self._embedder, self.seconds = embedder, 0.0

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """The embedder's vectors."""
        began = time.perf_counter()
        vectors = self._embedder.embed(texts)
        self.seconds += time.perf_counter() - began
        return vectors


class ScriptedChat(GenericFakeChatModel):
    """The peer's model: calls the tool, answers, and so on for ever."""

    def bind_tools(self, tools: Any, **_: Any) -> "ScriptedChat":
        """Knows what it will say, whatever the tools."""
        return self


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    options = parser.parse_args()
    with ExitStack() as opened:
        # 1. An assistant with one tool, and its database, in a home that goes with it.
        home = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="askfirst-bench-")))
        home.chmod(0o755)
        settings, model = Settings(home=home), ScriptedModel()
        assistant = Assistant(settings, Database.open(settings), Registry([tool(stock)]), model)
        opened.enter_context(assistant)
        # 2. The sides: ours from the bare graph to the whole door, the peer as ours and by its own defaults.
        embedding = TimedEmbedding(assistant.embedder)
        sides = {
            "graph": Side(our_graph(opened, assistant, model, NoEmbedding())),
            "embedding": Side(our_graph(opened, assistant, model, embedding)),
            "door": Side(our_door(assistant, model)),
            **peers(opened, assistant.database),
        }
        # 3. Each once, to warm up, to see that it answers, and to count what it wrote.
        for side in sides.values():
            side.rows = rows_written(side, assistant.database)
        # 4. The rounds.
        embedding.seconds = 0.0
        measure(list(sides.values()), options.runs)
        print_table(options.runs, sides)
        # 5. What of ours is embedding: it grows with the tools, and the peer has none.
        print_embedding(sides, embedded=1000 * embedding.seconds / options.runs)
        print_shortlist(assistant.embedder)


def our_graph(opened: ExitStack, assistant: Assistant, model: ScriptedModel, embedder: Any) -> Callable[[str], str | None]:
    """The graph with its runner, checkpointed as ever: no entry in the table of runs, no history."""
    decisions = replace(assistant.decisions, embed=RememberingEmbed(embedder.embed))
    means = Means(assistant.settings, assistant.database, embedder, assistant.registry, decisions, lambda: model)
    runner = Runner(means)
    opened.callback(runner.close)
    known = {"thread": "bench", "collection": "default", "history": [], "forced_route": None, "requester": "bench"}

    def take(run: str) -> str | None:
        script(model)
        *_, answer = runner.start(question=question(run), run=run, **known)
        assert isinstance(answer, Answer)
        return answer.text

    return take


def our_door(assistant: Assistant, model: ScriptedModel) -> Callable[[str], str | None]:
    """All that a caller waits for: checks, history, the run's row, the embedding, the graph."""

    def take(run: str) -> str | None:
        script(model)
        return assistant.ask(question(run), run=run).text

    return take


def question(run: str) -> str:
    """Another one for each run, so that its vector is not remembered from the one before."""
    return f"{QUESTION} ({run[:6]})"


def script(model: ScriptedModel) -> None:
    """Enqueues one step: the call, then the answer."""
    model.enqueue({"name": "stock", "arguments": CALLED_WITH}, {"name": "answer", "arguments": {"text": SAID}})


def peers(opened: ExitStack, database: Database) -> dict[str, Side]:
    """`create_agent` with our kind of pool and durability, and as its documentation sets it up; none when not installed."""
    try:
        from langchain.agents import create_agent
    except ImportError:
        return {}
    pool = opened.enter_context(database.pool(options=TABLES))
    alone = opened.enter_context(PostgresSaver.from_conn_string(make_conninfo(database.url, options=TABLES)))
    pooled = create_agent(ScriptedChat(messages=replies()), tools=[stock], checkpointer=PostgresSaver(pool))
    plain = create_agent(ScriptedChat(messages=replies()), tools=[stock], checkpointer=alone)
    return {"peer": Side(their_step(pooled, durability="sync")), "peer by default": Side(their_step(plain))}


def their_step(agent: Any, **choices: Any) -> Callable[[str], str | None]:
    """One question to the peer, each run a thread of its own."""

    def take(run: str) -> str | None:
        asked = {"messages": [{"role": "user", "content": question(run)}]}
        return agent.invoke(asked, {"configurable": {"thread_id": run}}, **choices)["messages"][-1].text

    return take


def replies() -> Iterator[AIMessage]:
    """What the scripted model says, step after step; each message new, because the peer gives it an id."""
    for number in itertools.count():
        yield AIMessage("", tool_calls=[{"name": "stock", "args": CALLED_WITH, "id": f"call-{number}"}])
        yield AIMessage(SAID)


def rows_written(side: Side, database: Database) -> int:
    """The rows that one run leaves behind."""
    run = uuid.uuid4().hex
    assert side.take(run) == SAID
    with database.connection() as connection:
        row = connection.execute(ROWS, {"run": run}).fetchone()
    assert row
    return row[0]


def measure(sides: Sequence[Side], runs: int) -> None:
    """One run of every side in each round, every other round in reverse order."""
    for number in range(runs):
        for side in sides if number % 2 else reversed(sides):
            run = uuid.uuid4().hex
            began = time.perf_counter()
            side.take(run)
            side.milliseconds.append(1000 * (time.perf_counter() - began))


def print_table(runs: int, sides: dict[str, Side]) -> None:
    """The peer's figure, ours, and how many times the peer's ours is."""
    graph, embedding, door = sides["graph"], sides["embedding"], sides["door"]
    print(f"{f'one step, {runs} runs a side':<58}{'peer':>10}{'Askfirst':>10}{'ratio':>8}")
    if "peer" in sides:
        peer, default = sides["peer"], sides["peer by default"]
        print_times("graph and checkpoints, sync", peer, graph)
        print_times("and the embedding of our shortlist", peer, embedding)
        print_times("all of Assistant.ask", peer, door)
        print_times("all of Assistant.ask, the peer by its defaults", default, door)
        print_row("rows written by a run", peer.rows, door.rows)
    else:
        print("create_agent: not measured; `pip install langchain==1.4.7` to have it beside ours")
        print_alone("graph and checkpoints, sync", graph)
        print_alone("all of Assistant.ask", door)


def print_times(what: str, peer: Side, ours: Side) -> None:
    """Median and ninetieth percentile, beside the peer's."""
    for name, percent in (("median", 50), ("p90", 90)):
        theirs, own = (float(np.percentile(side.milliseconds, percent)) for side in (peer, ours))
        print_row(f"{what}: {name} ms", theirs, own)


def print_row(what: str, theirs: float, own: float) -> None:
    print(f"{what:<58}{theirs:>10.3g}{own:>10.3g}{own / theirs:>8.2f}")


def print_alone(what: str, ours: Side) -> None:
    """Median and ninetieth percentile, without a peer."""
    for name, percent in (("median", 50), ("p90", 90)):
        print(f"{f'{what}: {name} ms':<58}{'-':>10}{float(np.percentile(ours.milliseconds, percent)):>10.3g}")


def print_embedding(sides: dict[str, Side], *, embedded: float) -> None:
    """Our graph's median with the embedding and without, and what the embedding itself took."""
    with_it, without = (float(np.median(sides[name].milliseconds)) for name in ("embedding", "graph"))
    print(f"our graph with the embedding {with_it:.1f} ms, without {without:.1f} ms; embedding itself {embedded:.1f} ms a run")


def print_shortlist(embedder: Embedder) -> None:
    """What one shortlist takes among the example shop's many tools: the first, and a later one for another question."""
    tools, embed, times = list(Registry.load([*ALWAYS, "askfirst.examples.shop"])), RememberingEmbed(embedder.embed), []
    for number in range(20):
        began = time.perf_counter()
        shortlist(question(str(number)), tools, embed)
        times.append(1000 * (time.perf_counter() - began))
    first, later = times[0], float(np.median(times[1:]))
    print(f"one shortlist among the {len(tools)} tools of the example shop: the first {first:.1f} ms, then {later:.1f} ms")


if __name__ == "__main__":
    main()
