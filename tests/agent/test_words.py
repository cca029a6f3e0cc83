"""Words, stems and slips of the keyboard."""

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from askfirst.agent.remember import RememberingEmbed
from askfirst.agent.words import content, coverage, plain, similar, stems, words


def test_names_of_code_become_plain_words() -> None:
    assert plain("get_order") == plain("getOrder") == "get order"


def test_one_slip_in_a_long_word_is_forgiven_and_two_are_not() -> None:
    assert similar("bottle", "botle")
    assert similar("bottle", "bottles")
    assert similar("bottle", "botlte")
    assert not similar("bottle", "botl")
    assert not similar("red", "rod")


def test_content_leaves_out_what_carries_no_subject() -> None:
    assert content("How long do I have to return an item?") == ["return", "item"]


def test_coverage_weighs_rare_words_more() -> None:
    assert coverage(["rare", "common"], ["common"], {"rare": 9.0, "common": 1.0}) == 0.1
    assert coverage([], ["anything"]) == 0.0


@given(st.text())
def test_any_text_has_words_and_stems(text: str) -> None:
    assert len(stems(text)) <= len(words(text))


def test_a_text_is_embedded_once_and_its_vector_stays_the_same() -> None:
    asked: list[str] = []

    def embed(texts: Sequence[str]) -> np.ndarray:
        asked.extend(texts)
        return np.array([[float(len(text)), 1.0] for text in texts])

    remembering = RememberingEmbed(embed)
    assert remembering(["a", "bb", "a"]).tolist() == [[1.0, 1.0], [2.0, 1.0], [1.0, 1.0]]
    assert remembering(["bb", "ccc"]).tolist() == [[2.0, 1.0], [3.0, 1.0]]
    assert asked == ["a", "bb", "ccc"]
