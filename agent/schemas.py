"""Random JSON schemas of the kinds that tools have, and the check whether a value holds one. For the doctor and its tests."""

import random
import re
from collections.abc import Mapping
from typing import Any

WORDS = ("red", "large", "order", "Monday", "none")


def random_schema(rng: random.Random, *, depth: int = 2) -> dict[str, Any]:
    """A schema with short values: text, patterns, enumerations, numbers, lists, and objects nested `depth` deep."""
    low = rng.randint(0, 50)
    kinds = [
        {"type": "string", "minLength": 1, "maxLength": rng.randint(1, 12)},
        {"type": "integer", "minimum": low, "maximum": low + rng.randint(0, 50)},
        {"type": "number", "minimum": low, "maximum": low + rng.randint(1, 50)},
        {"type": "boolean"},
        {"type": "string", "enum": [f"{rng.choice(WORDS)}-{number}" for number in range(rng.randint(1, 4))]},
        {"type": "string", "pattern": f"^#[A-Z]{{{rng.randint(1, 3)}}}[0-9]{{4}}$"},
        {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 9}, {"type": "null"}]},
    ]
    if depth:
        items = random_schema(rng, depth=depth - 1)
        kinds += [{"type": "array", "items": items, "minItems": 1, "maxItems": 3}, random_object(rng, depth=depth - 1)]
    return rng.choice(kinds)


def random_object(rng: random.Random, *, depth: int = 2) -> dict[str, Any]:
    """An object of one to three fields, of which the last may be missing."""
    properties = {f"field_{number}": random_schema(rng, depth=depth) for number in range(rng.randint(1, 3))}
    required = list(properties)[: len(properties) - (len(properties) > 1 and rng.random() < 0.3)]
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def holds(schema: Mapping[str, Any], value: Any) -> bool:
    """Whether a value is of one of the kinds that `random_schema` makes."""
    if "anyOf" in schema:
        return any(holds(one, value) for one in schema["anyOf"])
    return CHECKS[schema["type"]](schema, value)


def _object(schema: Mapping[str, Any], value: Any) -> bool:
    known = schema["properties"]
    if not isinstance(value, dict) or not set(schema["required"]) <= value.keys() <= known.keys():
        return False
    return all(holds(known[name], one) for name, one in value.items())


def _array(schema: Mapping[str, Any], value: Any) -> bool:
    if not isinstance(value, list) or not schema["minItems"] <= len(value) <= schema["maxItems"]:
        return False
    return all(holds(schema["items"], one) for one in value)


def _number(schema: Mapping[str, Any], value: Any) -> bool:
    """JSON knows no difference between 3 and 3.0, and neither do its schemas."""
    whole = isinstance(value, int | float) and not isinstance(value, bool) and (schema["type"] == "number" or value == int(value))
    return whole and schema["minimum"] <= value <= schema["maximum"]


def _string(schema: Mapping[str, Any], value: Any) -> bool:
    if not isinstance(value, str) or ("enum" in schema and value not in schema["enum"]):
        return False
    long_enough = schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", len(value))
    return long_enough and bool(re.search(schema.get("pattern", ""), value))


CHECKS = {
    "object": _object,
    "array": _array,
    "integer": _number,
    "number": _number,
    "string": _string,
    "boolean": lambda _, value: isinstance(value, bool),
    "null": lambda _, value: value is None,
}
