"""Tools as the model sees them: name, instructions and JSON schema, all read from one Python function.

A write tool is described and validated here but not performed: `perform` is for the ledger (`proposals.py`) alone.
This file does not know which tools exist, nor who chooses among them.
"""

import hashlib
import importlib
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, overload

from pydantic import ValidationError
from pydantic_core import to_jsonable_python

from ..errors import AskfirstError, ToolFailed, ToolInvalid, ToolMissing, ToolRetry
from ..retrieval.database import Connection as Connection
from .change import Change as Change
from .change import canonical_json
from .choices import Choices as Choices
from .choices import Reads as Reads
from .choices import chosen
from .signature import Signature, read_signature


@dataclass(frozen=True, eq=False)
class Tool:
    """One function the model may call. Made by `@tool`; called as a function only where it reads."""

    name: str
    description: str
    parameters: dict[str, Any]
    returns: dict[str, Any] | None
    writes: bool
    function: Callable[..., Any]
    signature: Signature

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The plain Python function, without validation. A write tool refuses."""
        self._refuse_write()
        return self.function(*args, **kwargs)

    def function_schema(self) -> dict[str, Any]:
        """The form in which OpenAI-compatible servers take a tool."""
        described = {"name": self.name, "description": self.description, "parameters": self.parameters}
        return {"type": "function", "function": described}

    @property
    def digest(self) -> str:
        """SHA-256 of all that the model is told: another digest is another tool."""
        told = [self.name, self.description, self.parameters, self.returns, self.writes]
        return hashlib.sha256(canonical_json(told).encode()).hexdigest()

    def choices(self, argument: str, connection: Connection, arguments: Mapping[str, Any]) -> list[str] | None:
        """The values `argument` may take now; None when anything may stand there, empty when an earlier one is wrong."""
        if argument not in self.signature.choices:
            return None
        try:
            return self.signature.choices[argument].function(connection, arguments)
        except ToolRetry:
            return []

    def read(self, argument: str, text: str, connection: Connection, arguments: Mapping[str, Any]) -> Any | None:
        """The value of `argument` that the tool's own reader finds in a person's words; None without a reader or a value."""
        if argument not in self.signature.reads:
            return None
        try:
            return self.signature.reads[argument].function(text, connection, arguments)
        except ToolRetry:
            return None

    def canonical(self, argument: str, value: Any) -> Any | None:
        """One value in the form that the tool works with; None when it is none for this argument."""
        model = self.signature.model
        try:
            return getattr(model.__pydantic_validator__.validate_assignment(model.model_construct(), argument, value), argument)
        except ValidationError:
            return None

    def validate(self, arguments: Mapping[str, Any], connection: Connection | None = None) -> dict[str, Any]:
        """All arguments, canonical and JSON-able, defaults filled in. `ToolRetry` says what is wrong and what would be right.

        Without a connection the values that exist right now are not checked.
        """
        return to_jsonable_python(self.values(arguments, connection))

    def call(self, arguments: Mapping[str, Any], *, connection: Connection | None = None) -> Any:
        """The JSON-able result of a reading tool, run in a read-only transaction of `connection`."""
        self._refuse_write()
        with _read_only(connection):
            return to_jsonable_python(self.run(arguments, connection))

    def values(self, arguments: Mapping[str, Any], connection: Connection | None) -> dict[str, Any]:
        """The arguments as the Python values that the function takes."""
        try:
            parsed = self.signature.model.model_validate(arguments)
        except ValidationError as error:
            raise ToolRetry(_what_is_wrong(self, error)) from None
        values: dict[str, Any] = {}
        for name, field in self.signature.model.model_fields.items():
            value = getattr(parsed, name)
            given = field.is_required() or value != field.default
            check = self.signature.choices.get(name) if connection and given else None
            values[name] = chosen(name, value, check.function(connection, values)) if check and connection else value
        return values

    def run(self, arguments: Mapping[str, Any], connection: Connection | None) -> Any:
        """The function's own result. A failure of the tool's author becomes `ToolFailed`; refusals pass as they are."""
        values = self.values(arguments, connection)
        injected = {self.signature.connection: connection} if self.signature.connection else {}
        try:
            return self.function(**values, **injected)
        except AskfirstError:
            raise
        except Exception as error:  # the function is foreign code: whatever it raises is told by one name
            raise ToolFailed(self.name, f"{type(error).__name__}: {error}") from error

    def _refuse_write(self) -> None:
        if self.writes:
            raise ToolInvalid(self.name, "it changes data, so it can only be proposed; a person must approve it")


class Registry:
    """The tools of one assistant, by name."""

    def __init__(self, tools: Iterable[Tool]):
        self._tools: dict[str, Tool] = {}
        for each in tools:
            if self._tools.setdefault(each.name, each) is not each:
                raise ToolInvalid(each.name, "two tools have this name; rename one")

    @classmethod
    def load(cls, modules: Iterable[str]) -> "Registry":
        """Imports each module (`package.module`) and takes the tools that stand in it, in their order."""
        return cls(found for module in modules for found in _tools_of(module))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._tools)

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    def get(self, name: str) -> Tool:
        """The tool of this name. Raises `ToolMissing`."""
        if name not in self._tools:
            raise ToolMissing(name, known=self.names)
        return self._tools[name]

    def digest(self, tool: str | Tool) -> str:
        """The schema version of a tool, which every proposal records."""
        return (tool if isinstance(tool, Tool) else self.get(tool)).digest


@overload
def tool(function: Callable[..., Any]) -> Tool: ...
@overload
def tool(*, writes: bool = False) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(function: Callable[..., Any] | None = None, *, writes: bool = False) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Makes a `Tool` of a function: its docstring is what the model reads, its annotations are the schema.

    A parameter annotated `Connection` is filled in by the caller and never shown. With `writes=True` the function must
    do all its writing through that connection and return a `Change`.
    """
    return _tool(function, writes) if function is not None else lambda function: _tool(function, writes)


def perform(tool: Tool, arguments: Mapping[str, Any], connection: Connection) -> Change:
    """Runs a write tool inside the caller's transaction. Only `proposals.py` may import this; a test checks it."""
    change = tool.run(arguments, connection)
    if not isinstance(change, Change):
        raise ToolFailed(tool.name, f"a write tool must return a Change, this one returned {type(change).__name__}")
    return change


def _tool(function: Callable[..., Any], writes: bool) -> Tool:
    name, instructions = function.__name__, inspect.cleandoc(function.__doc__ or "").strip()
    if not instructions:
        raise ToolInvalid(name, "it has no docstring; write there what it does, for the model to read")
    signature = read_signature(function)
    return Tool(name, instructions, signature.schema(), signature.returns(), writes, function, signature)


@contextmanager
def _read_only(connection: Connection | None) -> Iterator[None]:
    """A transaction in which PostgreSQL itself refuses to write."""
    transaction: AbstractContextManager[Any] = connection.transaction() if connection else nullcontext()
    with transaction:
        if connection:
            connection.execute("SET TRANSACTION READ ONLY")
        yield


def _what_is_wrong(tool: Tool, error: ValidationError) -> str:
    """Every fault of a call in one line, each with the description of what belongs there."""
    faults = []
    for fault in error.errors():
        name = str(fault["loc"][0]) if fault["loc"] else "arguments"
        known = tool.parameters["properties"].get(name)
        wanted = f" ({known['description']})" if known and "description" in known else ""
        unknown = f"not an argument; there are {', '.join(tool.parameters['properties']) or 'none'}"
        faults.append(f"{name}: {fault['msg']}{wanted}" if known or name == "arguments" else f"{name}: {unknown}")
    return f"Call of {tool.name} refused. {'; '.join(faults)}."


def _tools_of(module: str) -> list[Tool]:
    try:
        found = [each for each in vars(importlib.import_module(module)).values() if isinstance(each, Tool)]
    except ImportError as error:
        raise ToolInvalid(module, f"the module cannot be imported ({error}); name it as in a Python import") from None
    if not found:
        raise ToolInvalid(module, "the module holds no function marked @tool")
    return found
