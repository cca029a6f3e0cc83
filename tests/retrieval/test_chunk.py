"""Chunks and sentences are exact spans, whole where they can be, and nothing of the text is lost."""

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from askfirst.retrieval.chunk import blocks, chunks, sentences

LONGEST_CHUNK = 24  # characters for each token of the size, spaces included


def words(text: str) -> int:
    """Tokens for these tests: words, which add up across chunks as word pieces do."""
    return len(text.split())


def cut(text: str, size: int = 240) -> list[tuple[str, str]]:
    return [(chunk.heading, chunk.text) for chunk in chunks(text, count_tokens=words, size=size)]


def quoted(text: str) -> list[str]:
    return [text[start:end] for start, end in sentences(text)]


LINES = st.sampled_from(
    ["# Title", "## Part", "text one. Text two!", "- item one", "1. first", "| a | b |", "|---|---|", "```", "x = 1", "",
     "a  b", "Under", "=====", "日本語。次の文。", "e.g. this, Mr. Smith", "word " * 40, "x" * 700, "\x0cpage"]
)  # fmt: skip
TEXTS = st.one_of(st.lists(LINES, max_size=30).map("\n".join), st.text(max_size=300))


@given(TEXTS, st.integers(5, 60))
@settings(max_examples=150, deadline=None)
def test_chunks_are_exact_ordered_spans(text: str, size: int):
    found = chunks(text, count_tokens=words, size=size)
    assert all(text[chunk.start : chunk.end] == chunk.text and chunk.text.strip() == chunk.text != "" for chunk in found)
    assert all(before.end <= after.start for before, after in pairwise(found))


@given(TEXTS)
@settings(max_examples=150, deadline=None)
def test_chunks_cover_all_but_headings(text: str):
    covered = bytearray(len(text))
    for chunk in chunks(text, count_tokens=words, size=40):
        covered[chunk.start : chunk.end] = b"\x01" * (chunk.end - chunk.start)
    for block in blocks(text):
        if block.kind != "heading":
            lost = [text[at] for at in range(block.start, block.end) if not covered[at] and not text[at].isspace()]
            assert lost == []


@given(TEXTS)
@settings(max_examples=150, deadline=None)
def test_chunks_stay_within_their_size(text: str):
    found = chunks(text, count_tokens=words, size=20)
    assert all(words(chunk.text) <= 20 and len(chunk.text) <= LONGEST_CHUNK * 20 for chunk in found)


@given(TEXTS, st.integers(0, 50))
@settings(max_examples=150, deadline=None)
def test_sentences_are_ordered_spans_moved_by_start(text: str, start: int):
    spans = sentences(text)
    assert all(text[left:right].strip() == text[left:right] != "" for left, right in spans)
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    assert sentences(text, start) == [(left + start, right + start) for left, right in spans]


def test_each_chunk_carries_the_path_of_its_headings():
    text = "# Shop\n\nWelcome.\n\n## Returns\n\nThirty days.\n\n### Fees\n\nNone.\n\n## Shipping\n\nTwo days."
    assert cut(text) == [
        ("Shop", "Welcome."),
        ("Shop > Returns", "Thirty days."),
        ("Shop > Returns > Fees", "None."),
        ("Shop > Shipping", "Two days."),
    ]


def test_underlined_headings_are_headings():
    assert cut("Shop\n====\n\nWelcome.\n\nReturns\n-------\nThirty days.") == [
        ("Shop", "Welcome."),
        ("Shop > Returns", "Thirty days."),
    ]


def test_a_heading_with_nothing_below_it_can_still_be_found():
    assert cut("# Questions\n## Is it free?\n## Is it fast?\nYes.") == [
        ("Questions", "## Is it free?"),
        ("Questions > Is it fast?", "Yes."),
    ]


def test_marks_and_anchors_are_no_part_of_a_heading():
    assert cut("## **Returns** { #returns }\n\nThirty days.\n\n## Fees ##\n\nNone.") == [
        ("Returns", "Thirty days."),
        ("Fees", "None."),
    ]


def test_a_comment_in_code_is_no_heading():
    assert cut("```python\n# not a heading\nx = 1\n```") == [("", "```python\n# not a heading\nx = 1\n```")]


def test_a_block_that_fits_is_never_cut():
    text = "one two three four.\n\nfive six seven eight nine.\n\n- ten eleven\n- twelve thirteen fourteen"
    assert [chunk for _, chunk in cut(text, size=6)] == [
        "one two three four.",
        "five six seven eight nine.",
        "- ten eleven",
        "- twelve thirteen fourteen",
    ]


def test_a_paragraph_too_long_is_cut_at_sentences():
    assert [chunk for _, chunk in cut("One two three. Four five six. Seven eight nine.", size=7)] == [
        "One two three. Four five six.",
        "Seven eight nine.",
    ]


def test_an_endless_word_is_cut_too():
    assert all(len(chunk) <= LONGEST_CHUNK * 240 for _, chunk in cut("x" * 50_000))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It costs 3.5 EUR. It weighs 2 kg.", ["It costs 3.5 EUR.", "It weighs 2 kg."]),
        ("Use a tool, e.g. Git. Then stop.", ["Use a tool, e.g. Git.", "Then stop."]),
        ("Mr. Smith and Dr. J. Doe agree. Good.", ["Mr. Smith and Dr. J. Doe agree.", "Good."]),
        ("See No. 5 and p. 7. Done.", ["See No. 5 and p. 7.", "Done."]),
        ('He said "Stop." Then he left!', ['He said "Stop."', "Then he left!"]),
        ("Really? Yes! Fine…", ["Really?", "Yes!", "Fine…"]),
        ("**Note.** Read this.", ["**Note.**", "Read this."]),
        ("日本語です。次の文です。", ["日本語です。", "次の文です。"]),
        ("A line\nthat goes on. Next.", ["A line\nthat goes on.", "Next."]),
        ("no full stop", ["no full stop"]),
        ("version 1.2.3 of app.py is out", ["version 1.2.3 of app.py is out"]),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text: str, expected: list[str]):
    assert quoted(text) == expected


def test_items_rows_and_lines_of_code_are_quoted_alone():
    text = "# Title\n\n- one\n- two. Three.\n1. first\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```sh\nmake test\n```"
    assert quoted(text) == ["one", "two.", "Three.", "first", "| a | b |", "| 1 | 2 |", "make test"]


def test_headings_and_rules_are_not_quoted():
    assert quoted("# Title\n\n***\n\nText.") == ["Text."]


def test_a_long_text_is_cut_in_linear_time():
    text = "A. " * 100_000
    assert re.fullmatch(r"(A\. )*", text)
    assert len(quoted(text)) == 1
    assert chunks(text, count_tokens=words)
