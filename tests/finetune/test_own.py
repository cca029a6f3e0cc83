"""A user's own files: every spelling becomes the same conversations, every fault one word that names file and line."""

import json
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askfirst.errors import LineInvalid
from askfirst.finetune.cases import PROMPTS, reply_text
from askfirst.finetune.example import Example
from askfirst.finetune.own import own_examples

PROMPT = tomllib.loads(PROMPTS.read_text())
TOOLS = [
    {
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {"properties": {"city": {"type": "string"}, "day": {}}},
    },
    {"name": "time", "description": "What time it is", "parameters": {"properties": {}}},
]


def read(tmp_path: Path, *lines: object) -> list[Example]:
    path = tmp_path / "own.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return list(own_examples(path, PROMPT))


def outcome(path: Path) -> str:
    """ "examples", or the one word that there is instead."""
    try:
        return "examples" if all(isinstance(one, Example) for one in own_examples(path, PROMPT)) else "something else"
    except LineInvalid as error:
        return str(error)


def said(example: Example) -> list[tuple[str, str]]:
    return [(message["role"], message["content"]) for message in example.messages]


def test_an_instruction_and_its_input_are_one_question(tmp_path: Path):
    [one] = read(tmp_path, {"instruction": "Translate.", "input": "Haus", "output": "house"})
    assert said(one) == [("user", "Translate.\nHaus"), ("assistant", "house")]
    assert (one.kind, one.source) == ("own", "own")


def test_what_was_said_before_an_instruction_stands_before_it(tmp_path: Path):
    [one] = read(tmp_path, {"instruction": "And two?", "output": "2", "history": [["One?", "1"]], "system": "Count."})
    assert said(one) == [("system", "Count."), ("user", "One?"), ("assistant", "1"), ("user", "And two?"), ("assistant", "2")]


def test_each_reply_of_a_conversation_is_an_example(tmp_path: Path):
    turns = [("system", "Be brief."), ("user", "Hi"), ("assistant", "Hello"), ("user", "Bye"), ("assistant", "Goodbye")]
    openai = {"messages": [{"role": role, "content": text} for role, text in turns]}
    names = {"user": "human", "assistant": "gpt", "system": "system"}
    sharegpt = {"conversations": [{"from": names[role], "value": text} for role, text in turns]}
    parts = {"messages": [{"role": role, "content": [{"type": "text", "text": text}]} for role, text in turns]}
    for line in (openai, sharegpt, parts):
        assert [said(one) for one in read(tmp_path, line)] == [turns[:3], turns]


def test_words_of_one_speaker_in_a_row_are_put_together(tmp_path: Path):
    turns = [{"role": "user", "content": "Hi"}, {"role": "user", "content": "there"}, {"role": "assistant", "content": "Hello"}]
    [one] = read(tmp_path, {"messages": turns})
    assert said(one) == [("user", "Hi\nthere"), ("assistant", "Hello")]


def test_a_call_becomes_the_decisions_that_the_product_makes(tmp_path: Path):
    question = {"role": "user", "content": "How is the weather in Graz?"}
    call = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"function": {"name": "weather", "arguments": '{"city": "Graz"}'}}],
    }
    result = {"role": "tool", "content": "rain"}
    told = {"role": "assistant", "content": "It rains."}
    openai = {"messages": [question, call, result, told], "tools": [{"type": "function", "function": tool} for tool in TOOLS]}
    turns = [("human", question["content"]), ("function_call", json.dumps({"name": "weather", "arguments": {"city": "Graz"}}))]
    turns += [("observation", "rain"), ("gpt", "It rains.")]
    sharegpt = {"conversations": [{"from": role, "value": text} for role, text in turns], "tools": json.dumps(TOOLS)}
    for line in (openai, sharegpt):
        replies = [(one.kind, one.reply) for one in read(tmp_path, line)]
        assert replies == [("tool", reply_text("weather")), ("arguments", reply_text("Graz")), ("arguments", reply_text("none"))]


def test_chosen_and_rejected_make_a_pair(tmp_path: Path):
    plain = {"prompt": "Hi", "chosen": "Hello.", "rejected": "What?"}
    messages = [{"role": "user", "content": "Hi"}]
    listed = {
        "prompt": messages,
        "chosen": [{"role": "assistant", "content": "Hello."}],
        "rejected": [{"role": "assistant", "content": "What?"}],
    }
    factory = {
        "conversations": [{"from": "human", "value": "Hi"}],
        "chosen": {"from": "gpt", "value": "Hello."},
        "rejected": {"from": "gpt", "value": "What?"},
    }
    for line in (plain, listed, factory):
        [one] = read(tmp_path, line)
        assert (said(one), one.rejected) == ([("user", "Hi"), ("assistant", "Hello.")], "What?")
        assert one.as_line()["prompt"] == [{"role": "user", "content": "Hi"}]


def test_a_file_of_one_array_is_read_too(tmp_path: Path):
    path = tmp_path / "array.json"
    path.write_text("\ufeff" + json.dumps([{"instruction": "Hi", "output": "Hello"}] * 3, indent=1), "utf-8")
    assert len(list(own_examples(path, PROMPT))) == 3


def test_an_empty_file_holds_no_examples(tmp_path: Path):
    for content in (b"", b"\n\n  \n", b"[]"):
        path = tmp_path / "empty.jsonl"
        path.write_bytes(content)
        assert list(own_examples(path, PROMPT)) == []


@pytest.mark.parametrize(
    ("bad", "word"),
    [
        (b"{not json", "no JSON"),
        (b'"only text"', "no JSON object"),
        ('{"instruction": "caf\u00e9", "output": "x"}'.encode("latin-1"), "not UTF-8"),
        (b'{"instruction": "a\\u0000b", "output": "x"}', "NUL"),
        (b'{"instruction": "a\x00b", "output": "x"}', "no JSON"),
        (b"\x00\x00\x00", "no JSON"),
        (b"{" + b" " * 1_200_000 + b"}", "longer than"),
        (b"[" * 100_000, "no JSON"),
        (b'{"question": "x"}', "none of messages"),
        (b'{"instruction": "x"}', "'output' is empty"),
        (b'{"instruction": ["x"], "output": "y"}', "'instruction' is list"),
        (b'{"messages": []}', "empty"),
        (b'{"messages": [{"role": "robot", "content": "x"}]}', "no role"),
        (b'{"messages": [{"role": "user", "content": "x"}]}', "nobody replies"),
        (b'{"messages": [{"role": "assistant", "content": "x"}, {"role": "assistant", "content": "y"}]}', "nobody replies"),
        (b'{"messages": [{"role": "user", "content": 5}, {"role": "assistant", "content": "y"}]}', "int, not text"),
        (b'{"messages": {"a": 1}}', "cannot be used"),
        (b'{"prompt": "x", "chosen": "y"}', "lacks 'rejected'"),
        (b'{"prompt": "x", "chosen": "y", "rejected": "y"}', "what is chosen is what is rejected"),
        (b'{"kind": "proposal"}', "lacks"),
        (b'{"kind": "answer", "question": "x", "text": "y", "rating": 5}', "neither"),
    ],
)
def test_a_bad_line_is_named_with_its_file(tmp_path: Path, bad: bytes, word: str):
    path = tmp_path / "bad.jsonl"
    path.write_bytes(b'{"instruction": "Hi", "output": "Hello"}\n' * 2 + bad + b"\n")
    with pytest.raises(LineInvalid) as error:
        list(own_examples(path, PROMPT))
    assert f"Line 3 of {path}" in str(error.value)
    assert word in str(error.value)
    assert "\n" not in str(error.value)


def test_a_call_of_an_unlisted_tool_is_named(tmp_path: Path):
    call = {"role": "assistant", "tool_calls": [{"function": {"name": "sing", "arguments": "{}"}}]}
    with pytest.raises(LineInvalid, match="'sing', which is none of its tools"):
        read(tmp_path, {"messages": [{"role": "user", "content": "Sing."}, call], "tools": TOOLS})


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(LineInvalid, match="cannot be read"):
        list(own_examples(tmp_path / "none.jsonl", PROMPT))


@given(st.binary(max_size=300))
def test_no_bytes_end_in_anything_but_examples_or_one_word(tmp_path_factory: pytest.TempPathFactory, content: bytes):
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_bytes(content)
    assert outcome(path).startswith(("examples", "Line "))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    [
        "messages",
        "conversations",
        "instruction",
        "output",
        "input",
        "prompt",
        "chosen",
        "rejected",
        "kind",
        "tools",
        "history",
        "role",
        "system",
        "state",
        "question",
    ]
)


@given(
    st.dictionaries(
        KEYS,
        JSON
        | st.sampled_from(["proposal", "answer"])
        | st.lists(
            st.dictionaries(
                st.sampled_from(["role", "content", "from", "value", "tool_calls"]),
                JSON | st.sampled_from(["user", "assistant", "function_call"]),
                max_size=3,
            ),
            max_size=3,
        ),
    )
)
def test_no_object_ends_in_anything_but_examples_or_one_word(tmp_path_factory: pytest.TempPathFactory, line: dict):
    path = tmp_path_factory.getbasetemp() / "object.jsonl"
    path.write_text(json.dumps(line) + "\n", "utf-8")
    assert outcome(path).startswith(("examples", f"Line 1 of {path} cannot"))
