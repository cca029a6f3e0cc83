"""The Berkeley Function-Calling Leaderboard's cases and its published matching of calls by their syntax tree, for Python.

A call is right when the function is, every required argument is given and none that the schema does not know, and each value
is of the schema's type and one of the accepted ones. Parallel calls match in any order; where no function fits, none is right.
"""

import json
import re
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import zstandard

from ..agent.cases import Call

KINDS = ("simple_python", "multiple", "parallel", "parallel_multiple", "irrelevance")
IGNORED = re.compile(r"[ ,./\-_*^]")
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "float": (float, int),
    "boolean": (bool,),
    "array": (list,),
    "tuple": (list,),
    "dict": (dict,),
    "any": (str,),
}


@dataclass(frozen=True)
class Task:
    """What a person says, the functions on offer, and for each right call the accepted values of its arguments."""

    id: str
    messages: Sequence[Mapping[str, Any]]
    functions: Sequence[Mapping[str, Any]]
    wanted: Sequence[Mapping[str, Mapping[str, Sequence[Any]]]]


def tasks(path: Path) -> dict[str, list[Task]]:
    """The tasks of each kind, from the archive."""
    with zstandard.open(path, "rb") as stream, tarfile.open(fileobj=BytesIO(stream.read())) as archive:
        files = {
            member.name.split("bfcl/", 1)[-1]: archive.extractfile(member) for member in archive.getmembers() if member.isfile()
        }
        texts = {name: file.read().decode() for name, file in files.items() if file}
    return {kind: _tasks(texts, kind) for kind in KINDS}


def matches(calls: Sequence[Call], task: Task) -> bool:
    """Whether the calls are the right ones."""
    if len(calls) != len(task.wanted):
        return False
    left = list(calls)
    for wanted in task.wanted:
        found = next((call for call in left if _matches(call, wanted, task.functions)), None)
        if found is None:
            return False
        left.remove(found)
    return True


def _matches(call: Call, wanted: Mapping[str, Any], functions: Sequence[Mapping[str, Any]]) -> bool:
    [(name, accepted)] = wanted.items()
    schema = next(function["parameters"] for function in functions if function["name"] == name)
    if call.name != name or any(each not in call.arguments for each in schema.get("required", ())):
        return False
    if any(each not in accepted or each not in schema["properties"] for each in call.arguments):
        return False
    missing = [each for each in accepted if each not in call.arguments and "" not in accepted[each]]
    return not missing and all(
        _typed(value, schema["properties"][each], accepted[each]) and _accepted(value, accepted[each])
        for each, value in call.arguments.items()
    )


def _typed(value: Any, schema: Mapping[str, Any], accepted: Sequence[Any]) -> bool:
    """Of the schema's type; or, for a value that stands for a variable, of the type that the accepted ones have."""
    kinds = TYPES.get(schema.get("type", "any"), (object,))
    given = next((type(each) for each in accepted if each != ""), None)
    if isinstance(value, bool):
        return bool in kinds or given is bool
    return isinstance(value, kinds) or (given is not None and type(value) is given)


def _accepted(value: Any, accepted: Sequence[Any]) -> bool:
    """Whether it is one of the accepted values; texts without case, spaces and some punctuation, at any depth."""
    if isinstance(value, dict):
        return any(isinstance(each, dict) and _same_keys(value, each) for each in accepted)
    return _folded(value) in [_folded(each) for each in accepted]


def _same_keys(value: Mapping[str, Any], accepted: Mapping[str, Sequence[Any]]) -> bool:
    """Each key known and of an accepted value; one may be left out where "" is accepted."""
    known = all(key in accepted and _accepted(each, accepted[key]) for key, each in value.items())
    return known and all(key in value or "" in each for key, each in accepted.items())


def _folded(value: Any) -> Any:
    if isinstance(value, str):
        return IGNORED.sub("", value).lower().replace("'", '"')
    return [_folded(each) for each in value] if isinstance(value, list) else value


def _tasks(texts: Mapping[str, str], kind: str) -> list[Task]:
    def lines(name: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in texts[name].split("\n") if line.strip()] if name in texts else []

    wanted = {row["id"]: row["ground_truth"] for row in lines(f"possible_answer/BFCL_v4_{kind}.json")}
    rows = lines(f"BFCL_v4_{kind}.json")
    return [Task(row["id"], row["question"][0], row["function"], wanted.get(row["id"], [])) for row in rows]
