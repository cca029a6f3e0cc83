"""Whatever a model that decides everything does, the run ends within its caps with an `Answer`."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as example_settings
from hypothesis import strategies as st

from askfirst.agent.assistant import Assistant
from askfirst.agent.model import ScriptedModel
from askfirst.agent.state import Answer
from askfirst.settings import Settings

TEXT = st.text(max_size=40)
ACTIONS = st.one_of(
    st.builds(lambda text: {"name": "calculate", "arguments": {"expression": text}}, TEXT),
    st.builds(lambda keys: {"name": "days_between", "arguments": keys}, st.dictionaries(TEXT, TEXT, max_size=3)),
    st.builds(lambda text: {"name": "search_documents", "arguments": {"question": text}}, TEXT),
    st.builds(lambda a, b: {"name": "ask_sub_questions", "arguments": {"questions": [a, b]}}, TEXT, TEXT),
    st.builds(lambda text: {"name": "answer", "arguments": {"text": text}}, TEXT),
)


@pytest.fixture(scope="module")
def free(settings: Settings) -> Iterator[Assistant]:
    """An assistant whose model no card binds; its script is set anew for each example."""
    only_actions = dict.fromkeys(("route", "tool", "arguments", "decompose", "evidence", "wording", "refusal"), "signal")
    with Assistant.open(settings=settings, decide=only_actions, max_steps=5, model=ScriptedModel()) as opened:
        yield opened


@example_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=st.lists(ACTIONS, min_size=6, max_size=6))
def test_any_script_ends_within_the_caps(free: Assistant, script: list[dict[str, Any]]) -> None:
    model = free.model()
    assert isinstance(model, ScriptedModel)
    model.script(*script)
    answer = free.ask("What is to be done?")
    assert isinstance(answer, Answer)
    assert len(answer.steps) <= 5
    assert answer.text


def test_a_question_with_what_no_database_stores_is_answered(free: Assistant) -> None:
    model = free.model()
    assert isinstance(model, ScriptedModel)
    model.script({"name": "answer", "arguments": {"text": ""}})
    assert free.ask("What is \x00 and \ud800 here?").status == "refused"
