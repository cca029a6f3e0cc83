"""The client of the served Llama: real decoding by the shipped model; a scripted server where a reply must be wrong."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askfirst.agent.model import Model, ScriptedModel, metered
from askfirst.agent.replies import probability, spans
from askfirst.agent.serve import open_model
from askfirst.errors import ModelDown, ModelReplyInvalid
from askfirst.settings import Settings

ROUTES = ("documents", "sub-questions", "tools", "direct")
CANCEL = {
    "name": "cancel_order",
    "description": "Cancels an order.",
    "parameters": {
        "type": "object",
        "required": ["order", "count"],
        "additionalProperties": False,
        "properties": {
            "order": {"type": "string", "pattern": "^#W[0-9]{4}$"},
            "count": {"type": "integer", "minimum": 1, "maximum": 9},
        },
    },
}
ANSWER = {
    "name": "answer",
    "description": "Ends.",
    "parameters": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string", "maxLength": 40}}},
}
ASKED = [{"role": "system", "content": "Act."}, {"role": "user", "content": "Cancel order #W1234."}]


@pytest.fixture(scope="module")
def model(settings: Settings) -> Iterator[Model]:
    with open_model(settings) as opened:
        yield opened


def connected(stub: Any, **choices: Any) -> Model:
    return Model.connect(stub.url, name="local", key="key", **choices)


@pytest.mark.parametrize("question", ["Where is my order?", "", "say {tools}", "Größe? \"quoted\" \\ 'x'\n\n"])
def test_a_choice_is_always_one_of_the_options(model: Model, question: str) -> None:
    reply = model.choose("route", ROUTES, question=question)
    assert reply.value in ROUTES
    assert reply.probability is not None
    assert 0 < reply.probability <= 1


def test_yes_is_a_probability_that_depends_on_the_text(model: Model) -> None:
    texts = ("It opens at nine.", "Blue.", "Tea")
    sure = {model.yes("evidence", question="When is the shop open?", sentence=text) for text in texts}
    assert len(sure) == 3
    assert all(0 <= one <= 1 for one in sure)


def test_an_argument_is_words_of_the_question_as_they_stand_or_nothing(model: Model) -> None:
    question = 'Please cancel "order" #W123, I am Ann Müller.'
    reply = model.fill(question, tool="cancel order", argument="order id", description="The order")
    assert reply.value is None or reply.value in question


def test_an_argument_with_options_is_one_of_them_or_nothing(model: Model) -> None:
    reply = model.fill("The red one", tool="paint", argument="colour", description="", options=["red", "blue"])
    assert reply.value in ("red", "blue", None)


def test_a_question_of_thousands_of_characters_is_filled_too(model: Model) -> None:
    question = " ".join(f"word{number}" for number in range(300))
    assert model.fill(question, tool="find", argument="word", description="").value in {None, *spans(question)}


def test_lines_are_few_and_different(model: Model) -> None:
    value = model.lines("decompose", limit=3, question="How do Oslo and Rome differ?").value
    assert 1 <= len(value) <= 3
    assert len(set(value)) == len(value)


def test_an_action_is_a_call_on_offer_with_arguments_of_its_schema(model: Model) -> None:
    value = model.act(ASKED, [{"type": "function", "function": CANCEL}]).value
    assert value["name"] == "cancel_order"
    assert value["arguments"].keys() == {"order", "count"}
    assert value["arguments"]["order"].startswith("#W")
    assert 1 <= value["arguments"]["count"] <= 9


def test_the_action_may_be_to_answer(model: Model) -> None:
    assert model.act(ASKED, [CANCEL, ANSWER]).value["name"] in ("cancel_order", "answer")
    assert model.act(ASKED, [ANSWER]).value["name"] == "answer"


def test_text_streams_as_it_is_written(model: Model) -> None:
    asked = [{"role": "user", "content": "Tell me about the weather."}]
    assert "".join(model.stream(asked, max_tokens=20)) == model.write(asked, max_tokens=20).text


def test_streamed_and_written_text_cost_the_same_tokens(model: Model) -> None:
    asked = [{"role": "user", "content": "Tell me about the weather."}]
    with metered() as streamed:
        list(model.stream(asked, max_tokens=20))
    with metered() as written:
        model.write(asked, max_tokens=20)
    assert streamed == written
    assert written.completion > 0


def test_tokens_are_those_the_server_counted(model: Model) -> None:
    reply = model.write([{"role": "user", "content": "Tell me about the weather."}], max_tokens=5)
    assert reply.prompt_tokens > 5
    assert 1 <= reply.completion_tokens <= 5


def test_a_prompt_longer_than_the_context_is_refused_by_name(model: Model) -> None:
    with pytest.raises(ModelReplyInvalid, match="context"):
        model.choose("route", ROUTES, question="word " * 50_000)


def test_the_adapter_answers_otherwise_than_its_base(model: Model, settings: Settings) -> None:
    texts = [[{"role": "user", "content": f"Tell me about number {number}."}] for number in range(6)]
    with open_model(settings.model_copy(update={"adapter": "none"})) as base:
        assert model.adapter == "decisions"
        assert base.adapter is None
        tuned, bare = ([each.write(asked, max_tokens=12).text for asked in texts] for each in (model, base))
    assert tuned != bare


def test_requests_to_adapter_and_base_at_the_same_time_do_not_mix(settings: Settings) -> None:
    """Asked of the model in 16 bits: in 8 bits a token's rounding depends on how many are computed beside it."""
    texts = [[{"role": "user", "content": f"Tell me about number {number}."}] for number in range(6)]
    tuned, bare = (settings.model_copy(update={"model": "askfirst-5m", "adapter": name}) for name in ("decisions", "none"))
    with open_model(tuned) as model, open_model(bare) as base, ThreadPoolExecutor(4) as pool:
        alone = [one.write(asked, max_tokens=12).text for asked in texts for one in (model, base)]
        asked_at_once = [pool.submit(one.write, asked, max_tokens=12) for asked in texts for one in (model, base)]
        together = [each.result().text for each in asked_at_once]
    assert together == alone


def test_a_server_that_is_not_there_is_named() -> None:
    with pytest.raises(ModelDown, match=r"http://127\.0\.0\.1:9/v1"):
        Model.connect("http://127.0.0.1:9/v1", name="local", key="key").choose("route", ROUTES, question="?")


def test_a_server_that_refuses_the_key_is_named(model: Model, settings: Settings) -> None:
    from askfirst.agent.serve import serve

    with serve(settings) as served, pytest.raises(ModelDown, match="Invalid API Key"):
        Model.connect(served.url, name="local", key="wrong").choose("route", ROUTES, question="?")


def test_a_server_that_is_too_slow_is_not_waited_for(stub: Callable[..., Any]) -> None:
    with connected(stub('"tools"', delay=1), timeout=0.2) as slow, pytest.raises(ModelDown, match="in time"):
        slow.choose("route", ROUTES, question="?")


def test_a_wrong_reply_is_asked_for_once_more_and_its_tokens_count(stub: Callable[..., Any]) -> None:
    server = stub("Sure! I choose tools.", '"tools"')
    with connected(server) as model:
        reply = model.choose("route", ROUTES, question="?")
    assert (reply.value, reply.prompt_tokens, reply.completion_tokens, reply.probability) == ("tools", 14, 6, None)
    assert server.bodies[1]["messages"][2] == {"role": "assistant", "content": "Sure! I choose tools."}


@pytest.mark.parametrize("content", ["", "null", "[]", "{}", '"other"', "tools", '{"name": "drop", "arguments": {}}', "1e999"])
def test_a_reply_that_stays_wrong_is_an_error_after_two_tries(stub: Callable[..., Any], content: str) -> None:
    server = stub(content)
    with connected(server) as model:
        with pytest.raises(ModelReplyInvalid):
            model.choose("route", ROUTES, question="?")
        with pytest.raises(ModelReplyInvalid):
            model.act(ASKED, [CANCEL])
    assert len(server.bodies) == 4


def test_any_server_is_asked_by_the_standard_fields_alone(stub: Callable[..., Any]) -> None:
    server = stub('"tools"')
    with connected(server) as model:
        model.choose("route", ROUTES, question="?")
    (body,) = server.bodies
    assert body["response_format"]["json_schema"]["schema"] == {"type": "string", "enum": list(ROUTES)}
    assert not {"lora", "grammar"} & body.keys()


def test_many_options_go_to_any_server_as_text_and_are_checked_here(stub: Callable[..., Any]) -> None:
    question = " ".join(f"word{number}" for number in range(200))
    server = stub('"elsewhere"', '"word7 word8"')
    with connected(server) as model:
        assert model.fill(question, tool="find", argument="word", description="").value == "word7 word8"
    assert server.bodies[0]["response_format"]["json_schema"]["schema"] == {"type": "string"}


@pytest.mark.parametrize(("offers", "asked"), [(("llama", "decisions"), "decisions"), (("llama",), "llama")])
def test_an_adapter_at_a_url_goes_by_the_name_of_a_model_that_is_listed(
    stub: Callable[..., Any], settings: Settings, offers: tuple[str, ...], asked: str
) -> None:
    server = stub("hello", offers=offers)
    there = settings.model_copy(update={"model": server.url, "model_name": "llama"})
    with open_model(there) as model:
        model.write([{"role": "user", "content": "hi"}])
    assert server.bodies[0]["model"] == asked
    assert model.card is None


def test_the_client_library_is_imported_only_when_something_is_asked() -> None:
    code = "import askfirst.agent.model, sys; sys.exit(any(name in sys.modules for name in ('openai', 'langchain_core')))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_scripted_model_replies_in_order_and_records_what_it_was_asked() -> None:
    model = ScriptedModel("tools", 0.25, "Oslo", ["A?", "B?"], {"name": "answer", "arguments": {"text": "x"}}, "Two words")
    assert model.choose("route", ROUTES, question="?").value == "tools"
    assert model.yes("evidence", question="?", sentence=".") == 0.25
    assert model.fill("From Oslo", tool="t", argument="a", description="d").value == "Oslo"
    assert model.lines("decompose", limit=2, question="?").value == ["A?", "B?"]
    assert model.act(ASKED, [ANSWER]).value["name"] == "answer"
    assert list(model.stream(ASKED)) == ["Two ", "words"]
    assert [name for name, _ in model.asked] == ["route", "evidence", "arguments", "decompose", "act", "stream"]
    assert model.asked[0][1] == {"options": ROUTES, "question": "?"}


def test_a_scripted_model_says_so_when_it_runs_dry_or_cannot_have_said_that() -> None:
    model = ScriptedModel("maybe")
    with pytest.raises(AssertionError, match="'maybe' to 'route'"):
        model.choose("route", ROUTES, question="?")
    with pytest.raises(AssertionError, match="no reply left for 'write'"):
        model.write(ASKED)


@given(st.text(max_size=300))
def test_every_span_stands_in_its_question(question: str) -> None:
    found = spans(question)
    assert all(span in question and span for span in found)
    assert len(set(found)) == len(found)


def test_spans_of_a_very_long_question_stay_countable() -> None:
    assert len(spans("word " * 100_000)) <= 12_000
    assert len(spans(" ".join(map(str, range(3000))))) <= 12_000


@given(st.lists(st.floats(-8, 0), min_size=4, max_size=4))
def test_the_probabilities_of_all_options_sum_to_one(logprobs: list[float]) -> None:
    def tokens(said: str) -> list[dict[str, Any]]:
        start = [{"token": '"', "logprob": -1.0}, {"token": "x", "logprob": -0.1}]
        words = [{"token": word, "logprob": share} for word, share in zip((" yes", " no", " tea", " so"), logprobs, strict=True)]
        end = [{"token": '"', "logprob": -0.5}]
        chosen = [start[0], next(word for word in words if word["token"] == said), end[0]]
        return [one | {"top_logprobs": others} for one, others in zip(chosen, (start, words, end), strict=True)]

    options = [" yes", " no"]
    total = sum(probability(tokens(option), options, json.dumps(option)) or 0 for option in options)
    assert total == pytest.approx(1)
