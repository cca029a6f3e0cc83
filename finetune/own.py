"""Reads a user's own files: instructions (Alpaca), conversations (OpenAI's and ShareGPT's spelling, with or without calls of
tools), preference pairs, and what `askfirst history export` wrote. The form is told by each line itself.

Whatever is wrong is one `LineInvalid` that names file and line; nothing is guessed and nothing is left out silently.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..errors import LineInvalid
from .cases import Case, Tool, exchanges, messages, plain, spans
from .decided import decided
from .example import Example, Message, replied

LONGEST_LINE = 1_000_000  # bytes; no conversation is as long, a file that is no JSONL may be
LONGEST_LIST = 200_000_000  # bytes of a file that is one JSON array, which must be read whole
SPELLED = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
CALLS, RESULTS = ("function_call",), ("observation", "tool", "function", "ipython")
FORMS = "messages, conversations, instruction, prompt, or kind (of an exported history)"


def own_examples(path: Path, prompts: dict) -> Iterator[Example]:
    """The examples of one file, in its order; pairs hold their rejected reply. An empty file holds none."""
    for number, line in _lines(path):
        try:
            yield from _read(line, path.stem, prompts)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise _invalid(path, number, _told(error)) from None


def _lines(path: Path) -> Iterator[tuple[int, Any]]:
    """JSON values with their line's number, or with their place in the file's one array."""
    try:
        with path.open("rb") as file:
            start = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
            file.seek(0)
            yield from _of_array(path) if start.startswith(b"[") else _of_lines(path, file)
    except OSError as error:
        raise _invalid(path, 1, f"the file cannot be read ({error.strerror})") from None


def _of_lines(path: Path, file: Any) -> Iterator[tuple[int, Any]]:
    number = 0
    while raw := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(raw) > LONGEST_LINE:
            raise _invalid(path, number, f"it is longer than {LONGEST_LINE:,} bytes")
        if raw.strip():
            yield number, _json(path, number, raw)


def _of_array(path: Path) -> Iterator[tuple[int, Any]]:
    if path.stat().st_size > LONGEST_LIST:
        raise _invalid(path, 1, f"one array of more than {LONGEST_LIST:,} bytes; write one object a line")
    yield from enumerate(_json(path, 1, path.read_bytes()), 1)


def _json(path: Path, number: int, raw: bytes) -> Any:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _invalid(path, number, f"it is not UTF-8 (byte {error.start + 1} of the line)") from None
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _invalid(path, number, f"it is no JSON ({error})") from None


def _read(line: Any, source: str, prompts: dict) -> Iterator[Example]:
    if not isinstance(line, dict):
        raise ValueError("it is no JSON object")
    if "\\u0000" in json.dumps(line):
        raise ValueError("it holds a NUL character")
    if line.get("kind") in ("proposal", "answer"):
        yield from decided(line, source, prompts)
    elif "chosen" in line:
        yield _pair(line, source)
    elif "messages" in line or "conversations" in line:
        yield from _conversation(line, source, prompts)
    elif "instruction" in line:
        yield _instruction(line, source)
    elif "prompt" in line and "completion" in line:
        yield from _replies([*_asked(line["prompt"]), *_asked(line["completion"], role="assistant")], source)
    else:
        raise ValueError(f"it has none of {FORMS}")


def _instruction(line: Mapping[str, Any], source: str) -> Example:
    """Alpaca: `history` holds earlier pairs of instruction and reply, as LLaMA-Factory writes them."""
    asked = "\n".join(filter(None, (_text(line, "instruction"), _text(line, "input", needed=False))))
    before = [{"role": "system", "content": line["system"]}] if line.get("system") else []
    for question, reply in line.get("history") or []:
        before += [{"role": "user", "content": question}, {"role": "assistant", "content": reply}]
    turns = [*before, {"role": "user", "content": asked}]
    return _example(_checked(replied(turns, _text(line, "output"))), source)


def _conversation(line: Mapping[str, Any], source: str, prompts: dict) -> Iterator[Example]:
    """Each of the assistant's replies is an example of its own, with all that was said before it.

    Where tools are listed and called, a call becomes the decisions that the product makes: which tool, and what was said for
    each of its arguments; what the assistant then made of the result is not asked of the Llama.
    """
    turns, called = _turns(line)
    if not called:
        yield from _replies([message for message, _ in turns], source)
        return
    tools = _tools(line)
    said = ""
    for message, calls in turns:
        said = message["content"] if message["role"] == "user" else said
        if len(calls) == 1 and said:
            for case in _decisions(said, calls[0], tools, source):
                for asked in exchanges(case, prompts):
                    yield Example(case.decision, source, said, tuple(messages(asked, prompts)))


def _turns(line: Mapping[str, Any]) -> tuple[list[tuple[Message, list[dict]]], bool]:
    """Messages in one spelling, each with its calls; results of tools are left out. The second is whether any was called."""
    turns: list[tuple[Message, list[dict]]] = []
    if line.get("system"):
        turns.append(({"role": "system", "content": _text(line, "system")}, []))
    for one in line.get("messages") or line.get("conversations") or []:
        role = one.get("role") or one.get("from")
        content = _plain_content(one["value"] if "value" in one else one.get("content"))
        calls = [call.get("function", call) for call in one.get("tool_calls") or []]
        if role in CALLS:
            content, calls = "", _listed(json.loads(content))
        elif role in RESULTS:
            continue
        elif role not in SPELLED:
            raise ValueError(f"'{role}' is no role; known: {', '.join([*SPELLED, *CALLS, *RESULTS])}")
        turns.append(({"role": SPELLED.get(role, "assistant"), "content": content}, calls))
    if not turns:
        raise ValueError("the conversation is empty")
    return turns, any(calls for _, calls in turns)


def _replies(turns: list[Message], source: str) -> Iterator[Example]:
    """One example for each reply; words of one speaker that follow each other are put together."""
    joined: list[Message] = []
    for turn in turns:
        if joined and joined[-1]["role"] == turn["role"]:
            joined[-1] = turn | {"content": f"{joined[-1]['content']}\n{turn['content']}"}
        else:
            joined.append(turn)
    replies = [place for place, turn in enumerate(joined) if turn["role"] == "assistant" and place]
    if not replies:
        raise ValueError("nobody replies in it")
    for place in replies:
        yield _example(_checked(joined[: place + 1]), source)


def _pair(line: Mapping[str, Any], source: str) -> Example:
    """`chosen` and `rejected` as text, as one message, or as messages whose last one counts."""
    if "conversations" in line or "messages" in line:
        asked = [message for message, _ in _turns(line)[0]]
    else:
        asked = _asked(line["prompt"])
    chosen, rejected = (_reply(line[name]) for name in ("chosen", "rejected"))
    if chosen == rejected:
        raise ValueError("what is chosen is what is rejected")
    turns = _checked(replied(asked, chosen))
    return Example(str(line.get("kind") or "own"), source, _question(turns), turns, rejected=rejected)


def _asked(prompt: Any, *, role: str = "user") -> list[Message]:
    if isinstance(prompt, str):
        return [{"role": role, "content": prompt}]
    return [message for message, _ in _turns({"messages": prompt})[0]]


def _reply(given: Any) -> str:
    if isinstance(given, str):
        return given
    return _asked(given if isinstance(given, list) else [given])[-1]["content"]


def _decisions(said: str, call: Mapping[str, Any], tools: Mapping[str, dict], source: str) -> Iterator[Case]:
    name, given = call["name"], call.get("arguments") or {}
    given = json.loads(given) if isinstance(given, str) else given
    if name not in tools:
        raise ValueError(f"it calls '{name}', which is none of its tools ({', '.join(tools)})")
    listed = tuple(Tool(one, tool.get("description") or plain(one)) for one, tool in tools.items())
    yield Case("tool", source, said, name, tools=listed)
    known = set(spans(said))
    for argument, schema in ((tools[name].get("parameters") or {}).get("properties") or {}).items():
        value = given.get(argument)
        if value is None or (isinstance(value, str | int | float) and str(value) in known):
            about = {"tool": name, "argument": argument, "description": schema.get("description") or plain(argument)}
            yield Case("arguments", source, said, None if value is None else str(value), **about)


def _tools(line: Mapping[str, Any]) -> dict[str, dict]:
    given = line.get("tools") or line.get("functions")
    listed = json.loads(given) if isinstance(given, str) else given
    if not listed:
        raise ValueError("it calls a function but lists no 'tools'")
    return {tool["name"]: tool for tool in (one.get("function", one) for one in listed)}


def _listed(value: Any) -> list[dict]:
    return value if isinstance(value, list) else [value]


def _plain_content(content: Any) -> str:
    """Text as it is; of OpenAI's parts the texts. Nothing is said where there is nothing."""
    if isinstance(content, list):
        return "\n".join(part["text"] for part in content if part.get("type") == "text")
    if content is not None and not isinstance(content, str):
        raise ValueError(f"a message's content is {type(content).__name__}, not text")
    return content or ""


def _checked(turns: tuple[Message, ...] | list[Message]) -> tuple[Message, ...]:
    """System at most once and first, then user and assistant in turn, and nobody says nothing."""
    roles = [turn["role"] for turn in turns if turn["role"] != "system"]
    if roles != ["user", "assistant"] * (len(roles) // 2) or any(turn["role"] == "system" for turn in turns[1:]):
        raise ValueError(f"user and assistant do not speak in turn ({', '.join(turn['role'] for turn in turns)})")
    if not all(turn["content"].strip() for turn in turns):
        raise ValueError("a message is empty")
    return tuple(turns)


def _example(turns: tuple[Message, ...], source: str) -> Example:
    return Example("own", source, _question(turns), turns)


def _question(turns: tuple[Message, ...]) -> str:
    return turns[-2]["content"]


def _text(line: Mapping[str, Any], name: str, *, needed: bool = True) -> str:
    value = line.get(name) or ""
    if not isinstance(value, str):
        raise ValueError(f"'{name}' is {type(value).__name__}, not text")
    if needed and not value.strip():
        raise ValueError(f"'{name}' is empty or missing")
    return value


def _invalid(path: Path, number: int, problem: str) -> LineInvalid:
    return LineInvalid(path, number, problem, act="prepare again")


def _told(error: Exception) -> str:
    return f"it lacks {error}" if isinstance(error, KeyError) else str(error)
