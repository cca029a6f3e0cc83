"""What a Python signature says to the model: the types, limits and descriptions of its parameters as one JSON schema."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, TypeAdapter, create_model
from pydantic.json_schema import GenerateJsonSchema

from ..errors import ToolInvalid
from ..retrieval.database import Connection
from .change import Change
from .choices import Choices, Reads

M = TypeVar("M", Choices, Reads)


@dataclass(frozen=True)
class Signature:
    """A function's parameters: what a caller fills in (`model`, `choices`, `reads`), and which one takes a connection."""

    model: type[BaseModel]
    choices: Mapping[str, Choices]
    reads: Mapping[str, Reads]
    connection: str | None
    result: Any

    def schema(self) -> dict[str, Any]:
        """JSON schema of one object with all arguments; nothing else may stand in it."""
        schema = self.model.model_json_schema(schema_generator=_PlainSchema)
        return {"properties": {}} | {key: value for key, value in schema.items() if key != "title"}

    def returns(self) -> dict[str, Any] | None:
        """JSON schema of the result; None where the annotation tells nothing, and for writes."""
        if self.result in (None, type(None), Any, Change):
            return None
        return TypeAdapter(self.result).json_schema(mode="serialization", schema_generator=_PlainSchema)


def read_signature(function: Callable[..., Any]) -> Signature:
    """Raises `ToolInvalid` for parameters that cannot be described: without a type, `*args`, `**kwargs`."""
    hints = get_type_hints(function, include_extras=True)
    parameters = dict(inspect.signature(function).parameters)
    connection = next((name for name in parameters if hints.get(name) == Connection), None)
    fields = {name: _field(function.__name__, each, hints) for name, each in parameters.items() if name != connection}
    config = ConfigDict(extra="forbid", str_strip_whitespace=True, allow_inf_nan=False)
    model = create_model(function.__name__, __config__=config, **fields)
    choices = {name: found for name in fields if (found := _mark_in(hints[name], Choices))}
    reads = {name: found for name in fields if (found := _mark_in(hints[name], Reads))}
    return Signature(model, choices, reads, connection, hints.get("return"))


class _PlainSchema(GenerateJsonSchema):
    """JSON schema without generated titles: the names say the same in fewer tokens."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def _field(tool: str, parameter: inspect.Parameter, hints: Mapping[str, Any]) -> Any:
    if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY) or parameter.name not in hints:
        raise ToolInvalid(tool, f"its parameter '{parameter.name}' needs a name of its own and a type")
    return hints[parameter.name], ... if parameter.default is parameter.empty else parameter.default


def _mark_in(annotation: Any, kind: type[M]) -> M | None:
    """The mark of this kind on an annotation or on its list's element."""
    if get_origin(annotation) is Annotated:
        found = next((each for each in annotation.__metadata__ if isinstance(each, kind)), None)
        return found or _mark_in(get_args(annotation)[0], kind)
    return _mark_in(get_args(annotation)[0], kind) if get_origin(annotation) is list else None
