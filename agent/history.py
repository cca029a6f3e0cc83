"""What people decided, as lines to learn from: proposals as made and as approved or rejected, answers with their quotes.

It only reads. What is trained on these lines, and how, is for `finetune/`, which meets the product through this file's
output alone.
"""

from collections.abc import Iterator
from typing import Any

from ..retrieval.database import Database
from ..tools.registry import Registry
from ..tools.rows import Row, rows

DECIDED = """
SELECT p.id, p.tool, p.arguments, p.state, p.why, p.thread, r.question,
    (SELECT a.facts -> 'arguments' FROM askfirst.audit a
     WHERE a.proposal = p.id AND a.event = 'proposed' ORDER BY a.number LIMIT 1) AS proposed,
    (SELECT json_build_object('tool', later.tool, 'arguments', later.arguments) FROM askfirst.proposals later
     WHERE p.state = 'rejected' AND p.thread <> '' AND later.thread = p.thread AND later.state = 'executed'
     AND later.created > p.created ORDER BY later.created LIMIT 1) AS instead
FROM askfirst.proposals p JOIN askfirst.runs r ON r.id = p.run
WHERE p.state IN ('executed', 'rejected') ORDER BY p.created, p.id
"""
ANSWERED = """
SELECT question, answer FROM askfirst.runs WHERE status = 'answered' AND answer ->> 'text' <> '' ORDER BY started, id
"""


def history(database: Database, registry: Registry) -> Iterator[dict[str, Any]]:
    """One dictionary for each decided proposal that came from a question, then for each answered question, oldest first.

    A proposal holds `question`, `tools` (all of them, as a model is shown them), `tool`, its `parameters` (JSON Schema),
    `proposed` (arguments as made), `arguments` (as decided on), `state`, `why`, and `instead` (the call that the same thread
    carried out after a rejection, or None). An answer holds `question`, `text`, `routes`, `quotes`, `rating` (None: nobody
    has rated it; write "good" or "bad") and `better` (what should have been said).
    """
    tools = [{"name": tool.name, "description": tool.description} for tool in registry]
    schemas = {tool.name: tool.parameters for tool in registry}
    with database.watched(), database.connection() as connection:
        decided, answered = rows(connection, DECIDED), rows(connection, ANSWERED)
    for each in decided:
        if each["tool"] in schemas:  # of a tool that is gone nobody can say what its arguments meant
            yield {"kind": "proposal", **each, "tools": tools, "parameters": schemas[each["tool"]]}
    yield from (_answer(each) for each in answered)


def _answer(run: Row) -> dict[str, Any]:
    """Only what can be learned from; the steps, and with them what tools returned, stay in the database."""
    answer = run["answer"]
    quotes = list(dict.fromkeys(citation["quote"] for citation in answer["citations"]))
    said = {"question": run["question"], "text": answer["text"], "routes": answer["routes"], "quotes": quotes}
    return {"kind": "answer", **said, "rating": answer.get("rating"), "better": answer.get("better")}
