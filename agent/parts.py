"""Answers the parts of a question one by one, each by its own route, and keeps every one with its status."""

from collections.abc import Sequence

from ..errors import AskfirstError
from ..retrieval.decompose import answer_each
from .arguments import Sources
from .compose import from_documents, from_result
from .means import Means
from .state import SubQuestion


def answer_parts(questions: Sequence[str], collection: str, means: Means) -> list[SubQuestion]:
    """One `SubQuestion` for each question, in order; a part that fails is kept with its reason, none is dropped."""
    return answer_each(questions, lambda part: _answer_part(part, collection, means), failed=_failed)


def _answer_part(question: str, collection: str, means: Means) -> SubQuestion:
    """One part, by a look-up or by documents; a change is never proposed from a part."""
    readers = [tool for tool in means.registry if not tool.writes]
    evidence = means.search(question, collection)
    with means.database.connection() as connection:
        sources = Sources(question, embed=means.decisions.embed, connection=connection)
        plan = means.decisions.plan(question, readers, sources, evidence[0].score if evidence else 0.0, parts=[question])
    if plan.route == "tools" and plan.goal and not plan.goal.hops:
        arguments = plan.goal.filled.arguments
        value = means.look_up(plan.goal.tool, arguments)
        return SubQuestion(question, from_result(question, arguments, value, means), "answered")
    text, status, citations = from_documents(question, evidence, collection, means)
    return SubQuestion(question, text, "refused" if status == "refused" else "answered", citations)


def _failed(question: str, error: AskfirstError) -> SubQuestion:
    return SubQuestion(question, str(error), "failed")
