"""A question is taken apart where it asks several things or compares two, and left whole where it does not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askfirst.agent.split import split


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        (
            "Can I cancel a pending order and how long does the refund take?",
            ["Can I cancel a pending order?", "How long does the refund take?"],
        ),
        (
            "Suppose I move. Who pays the mover, and when does the van arrive?",
            ["Suppose I move. Who pays the mover?", "Suppose I move. When does the van arrive?"],
        ),
        (
            "How do refunds differ between gift cards and credit cards?",
            ["What applies to refunds for gift cards?", "What applies to refunds for credit cards?"],
        ),
        (
            "What is the difference between a cancelled and a returned order?",
            ["What applies to a cancelled order?", "What applies to a returned order?"],
        ),
        (
            "What are the rules for modifying items versus modifying payment?",
            ["What are the rules for modifying items?", "What are the rules for modifying payment?"],
        ),
        ("Gift card vs PayPal: which refunds faster?", ["Gift card: which refunds faster?", "PayPal: which refunds faster?"]),
    ],
)
def test_parts_are_complete_in_themselves(question: str, parts: list[str]) -> None:
    assert split(question) == parts


@pytest.mark.parametrize(
    "question", ["What is the refund policy?", "Send it to 5 Elm Street, Austin, TX; thanks", "hi", "Do PEP 8 and PEP 257 agree?"]
)
def test_a_single_question_stays_whole(question: str) -> None:
    assert split(question) == [question]


@given(st.text(min_size=1))
def test_any_text_gives_between_one_and_four_parts(text: str) -> None:
    assert 1 <= len(split(text)) <= 4
