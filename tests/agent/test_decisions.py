"""Who decides follows the card and the settings, and the signals decide as they say."""

from types import SimpleNamespace
from typing import Any

import pytest

from askfirst.agent.arguments import Filled
from askfirst.agent.decisions import Decisions, deciders
from askfirst.agent.evidence import Sentence, choose_sentences, rank_sentences, support, weighed
from askfirst.agent.metrics import interval
from askfirst.agent.model import ScriptedModel
from askfirst.agent.signals import Candidate, asks_for_change, candidates, relevant, route
from askfirst.retrieval.documents import Evidence
from askfirst.retrieval.embed import Embedder
from askfirst.settings import Settings

TEXT = "Parcels are sent on Mondays. It takes three days. Refunds go to the card that paid. Nothing else is known."
EVIDENCE = [Evidence("rules.md", "Rules", "Rules", 0, len(TEXT), TEXT, 0.6)]


def card(low: float) -> dict[str, Any]:
    return {"decisions": {"tool": {"gain": {"score": 0.1, "low": low, "high": 0.2}}}}


def test_the_llama_decides_only_what_its_card_proves(settings: Settings) -> None:
    assert deciders(card(0.01), settings)["tool"] == "llama"
    assert deciders(card(-0.01), settings)["tool"] == "signal"
    assert deciders(card(0.01), settings)["route"] == "signal"


def test_a_model_without_a_card_decides_everything(settings: Settings) -> None:
    assert set(deciders(None, settings).values()) == {"llama"}


def test_a_setting_overrides_the_card(settings: Settings) -> None:
    forced = settings.model_copy(update={"decide": {"tool": "llama"}})
    assert deciders(card(-0.01), forced)["tool"] == "llama"


def test_a_reply_that_is_none_leaves_the_signals_order(embedder: Embedder) -> None:
    who = dict.fromkeys(("route", "tool", "arguments", "decompose", "wording", "refusal"), "signal") | {"evidence": "llama"}
    model = ScriptedModel(0.0, 1.0, 0.0, 0.0)
    decisions = Decisions(who, embedder.embed, lambda: model)  # type: ignore[arg-type]
    chosen, sure = decisions.sentences("When are parcels sent?", EVIDENCE, {}, floor=0.2)
    assert chosen
    assert 0.2 <= sure <= 1.0
    assert len(model.asked) == 4


def test_the_sentence_that_answers_is_ranked_first(embedder: Embedder) -> None:
    ranked = rank_sentences("To which card do refunds go?", EVIDENCE, embedder.embed, {})
    assert ranked[0].text == "Refunds go to the card that paid."
    assert TEXT[ranked[0].start : ranked[0].end] == ranked[0].text
    assert support(ranked) > 0.5


def test_a_foreign_question_finds_little_support(embedder: Embedder) -> None:
    assert support(rank_sentences("Who composed the ninth symphony?", EVIDENCE, embedder.embed, {})) < 0.3
    assert support([]) == 0.0


def test_a_sentence_that_leans_brings_the_one_before_it(embedder: Embedder) -> None:
    ranked = rank_sentences("How long does it take, three days?", EVIDENCE, embedder.embed, {})
    chosen = choose_sentences(ranked, "How long does it take, three days?", most=1)
    assert [sentence.text for sentence in chosen] == ["Parcels are sent on Mondays.", "It takes three days."]


def test_the_llamas_certainty_can_turn_a_close_order() -> None:
    close = [Sentence("a", "", 0, 1, "x", score, score) for score in (0.50, 0.45)]
    assert weighed(close, [0.1, 0.9]) == close[::-1]
    assert weighed(close, [0.5, 0.5]) == close


@pytest.mark.parametrize(
    ("said", "change"),
    [
        ("Cancel order #W1, please.", True),
        ("I'd like to return the lamp.", True),
        ("Can you send it to Austin?", True),
        ("Can you tell me where it is?", False),
        ("Can I return a lamp?", False),
        ("What happens if I cancel?", False),
        ("Its grand total?", False),
        ("The lamp flickers, so it goes back.", True),
    ],
)
def test_a_wish_is_told_from_a_question(said: str, change: bool) -> None:
    assert asks_for_change(said) is change


def tool(name: str, *, writes: bool = False, returns: int = 1) -> Any:
    fields = {f"field {number}": {} for number in range(returns)}
    return SimpleNamespace(name=name, description=name, writes=writes, returns={"properties": fields})


def test_of_two_close_look_ups_the_fuller_one_is_taken() -> None:
    filled = Filled({"order": "#W1234567"}, firm=1)
    listed = [Candidate(tool("track"), filled, 0.34), Candidate(tool("get", returns=5), filled, 0.28)]
    assert candidates("What was charged on #W1234567?", listed)[0].tool.name == "get"


def test_a_tool_that_leaves_a_named_record_unused_falls_behind() -> None:
    listed = [
        Candidate(tool("price of a product"), Filled({"product": "Lamp"}, firm=1), 0.5),
        Candidate(tool("get order"), Filled({"order": "#W1234567"}, firm=1), 0.3),
    ]
    assert candidates("What did the lamp in #W1234567 cost?", listed)[0].tool.name == "get order"


def test_a_named_record_goes_to_the_tools_whatever_the_documents_score() -> None:
    best = Candidate(tool("get order"), Filled({"order": "#W1234567"}, firm=1), 0.2)
    assert route("Anything new on #W1234567?", best, ["x"], 0.9) == "tools"
    assert route("Hello!", best, ["x"], 0.9) == "direct"
    assert route("What are the rules?", None, ["x"], 0.9) == "documents"
    assert route("A or B?", None, ["a", "b"], 0.9) == "sub-questions"


def test_of_a_result_only_what_is_asked_for_is_told(embedder: Embedder) -> None:
    fields = {"order id": "7", "status": "sent", "total": 12.5}
    assert relevant("What is its status?", {"order": "7"}, fields, embedder.embed) == ["status"]
    assert set(relevant("Where is it now?", {"order": "7"}, fields, embedder.embed)) == {"status", "total"}


def test_intervals_hold_their_mean() -> None:
    for points in ([1.0] * 8 + [0.0] * 2, [0.0, -1.0, 1.0, 1.0], [0.5, 0.6]):
        found = interval(points)
        assert found["low"] <= found["score"] <= found["high"]


def test_a_sentence_that_announces_a_list_brings_its_items(embedder: Embedder) -> None:
    text = "Accepted reasons are:\n\n- no longer needed\n- ordered by mistake\n\nRefunds follow in a week."
    ranked = rank_sentences("Which reasons are accepted?", [Evidence("a", "", "", 0, len(text), text, 0.5)], embedder.embed, {})
    chosen = choose_sentences(ranked, "Which reasons are accepted?", most=1)
    assert "ordered by mistake" in " ".join(sentence.text for sentence in chosen)
    assert all(text[sentence.start : sentence.end] == sentence.text for sentence in chosen)


def test_where_a_number_is_wanted_a_sentence_without_one_falls_behind(embedder: Embedder) -> None:
    text = "The parcel weight decides the price of a parcel. A parcel may weigh 30 kg."
    ranked = rank_sentences("How much may a parcel weigh?", [Evidence("a", "", "", 0, len(text), text, 0.5)], embedder.embed, {})
    assert ranked[0].text == "A parcel may weigh 30 kg."
