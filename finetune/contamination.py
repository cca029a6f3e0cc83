"""Keeps what is measured out of what is trained on: every evaluation text against every training example.

Two texts overlap where they share a run of 13 words, as Brown et al. (2020, appendix C) define it for GPT-3, or where the
question is the same word for word. Nothing here prints or keeps an evaluation text: words are held as hashes.
"""

import ast
import csv
import json
import re
import tarfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import zstandard

from .example import Example, records_in

RUN = 13  # words
SHORTEST = 5  # words of a question whose repetition is no coincidence: everybody says "yes, please" and "thanks a lot"
BENCHES = {"bfcl": ".json", "metatool": ".csv", "tau_bench": ".py"}


@dataclass
class Evaluated:
    """The texts of all evaluation sets as hashes, each with the set it comes from; `counts` says how many texts of each."""

    runs: dict[int, str] = field(default_factory=dict)
    questions: dict[int, str] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, name: str, questions: Iterable[str], texts: Iterable[str] = ()) -> None:
        """Questions are compared as a whole and by their runs of words, other texts by their runs alone."""
        for question in questions:
            self.counts[name] += 1
            words = _words(question)
            if len(words) >= SHORTEST:
                self.questions.setdefault(_hash(words), name)
            self.runs |= {run: name for run in _runs(words) if run not in self.runs}
        for text in texts:
            self.runs |= {run: name for run in _runs(_words(text)) if run not in self.runs}

    def overlapping(self, example: Example) -> str | None:
        """The evaluation set that the example shares a question or 13 words with."""
        asked = [example.question, *(one["content"] for one in example.messages if one["role"] == "user")]
        for question in asked:
            if (name := self.questions.get(_hash(_words(question)))) is not None:
                return name
        spoken = [one["content"] for one in example.messages if one["role"] != "system"] + [example.rejected or ""]
        return next((name for text in spoken if (name := self.holding(text))), None)

    def holding(self, text: str) -> str | None:
        """The evaluation set that holds 13 words of this text."""
        return next((self.runs[run] for run in _runs(_words(text)) if run in self.runs), None)


def evaluated(folders: Iterable[Path], bench: Path | None) -> Evaluated:
    """Everything that is measured: JSONL files of the design's forms in these folders, and the archives of `bench`.

    Files are told apart by their lines: question, messages, passages and sentences count, whatever the file is called.
    A folder or archive that is not there is not counted.
    """
    found = Evaluated()
    for folder in folders:
        for path in sorted(folder.glob("*.jsonl")):
            for line in records_in(path):
                found.add(f"{folder.name}/{path.stem}", *_of_line(line))
    for name, ending in BENCHES.items():
        path = (bench or Path()) / f"{name}.tar.zst"
        if bench and path.exists():
            found.add(name, _of_archive(path, ending))
    return found


def _of_line(line: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Questions, and the texts they are asked of. Of a conversation only the last words are a question of their own."""
    said = [one["content"] or "" for one in line.get("messages", []) if one["role"] == "user"]
    questions = [line["question"]] if "question" in line else said[-1:]
    passages = [passage["text"] for passage in line.get("passages", [])]
    return questions, [*said[:-1], *passages, *line.get("sentences", [])]


def _of_archive(path: Path, ending: str) -> Iterator[str]:
    with zstandard.open(path, "rb") as stream, tarfile.open(fileobj=BytesIO(stream.read())) as archive:
        for member in archive.getmembers():
            if member.name.endswith(ending) and "possible_answer" not in member.name and (file := archive.extractfile(member)):
                yield from READERS[ending](file.read().decode("utf-8"))


def _bfcl(text: str) -> Iterator[str]:
    """The user's words of each case."""
    for line in filter(None, text.split("\n")):
        for turn in json.loads(line)["question"]:
            yield from (message["content"] for message in turn if message["role"] == "user")


def _metatool(text: str) -> Iterator[str]:
    yield from (row["Query"] for row in csv.DictReader(StringIO(text)))


def _tau_bench(text: str) -> Iterator[str]:
    """The instruction of each task, which stands in a file of Python as a keyword or as a key; the file is not run."""
    for node in ast.walk(ast.parse(text)):
        values = []
        if isinstance(node, ast.keyword) and node.arg == "instruction":
            values = [node.value]
        elif isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            values = [value for key, value in pairs if isinstance(key, ast.Constant) and key.value == "instruction"]
        yield from (value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str))


READERS = {".json": _bfcl, ".csv": _metatool, ".py": _tau_bench}


def _runs(words: list[str]) -> Iterator[int]:
    return (_hash(words[start : start + RUN]) for start in range(len(words) - RUN + 1))


def _hash(words: list[str]) -> int:
    """64 bits: among some ten million runs no two meet by chance."""
    return int.from_bytes(blake2b(" ".join(words).encode(), digest_size=8).digest())


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
