"""Exact arithmetic over an allow-list of syntax: every number is a Fraction, nothing is evaluated by Python itself.

It does not read sentences; `word_problems.py` turns a question into an expression first.
"""

import ast
import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from functools import partial
from typing import Annotated, Any

from pydantic import Field

from ..errors import ToolRetry
from .choices import Reads
from .registry import tool
from .word_problems import expression_in

LONGEST = 1_000  # characters of an expression
DEEPEST = 40  # operations inside one another
WIDEST = 4_096  # bits of a numerator or denominator, about 1,200 digits
SHOWN_DECIMALS = 10
ROOT_DECIMALS = 40
NUMBER = re.compile(r"(?:\d{1,400}(?:\.\d{0,400})?|\.\d{1,400})(?:[eE][+-]?\d{1,3})?")
SIGNS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "–": "-", "$": " ", "€": " ", "£": " ", "\u00a0": " "})


@dataclass(frozen=True)
class Calculation:
    """`value` is exact decimal text, or rounded to ten decimals where the calculation shows a sign of approximation."""

    value: str
    calculation: str


@tool
def calculate(
    expression: Annotated[
        str,
        Field(max_length=LONGEST, description="such as 3 * (4.50 + 2) or mean(4, 8, 9)"),
        Reads(lambda text, connection, arguments: expression_in(text)),
    ],
) -> Calculation:
    """Calculates exactly: + - * / // % **, parentheses, percentages such as 15% of 240.
    Functions: min, max, sum, count, mean, median, stdev, variance, round, floor, ceil, abs, sqrt, percent_of(percent, whole),
    percent_change(old, new).
    """
    value = evaluate(expression)
    text = _decimal_text(value)
    shown = " ".join(expression.split())
    exact = Fraction(text) == value
    return Calculation(text, f"{shown} = {text}" if exact else f"{shown} ≈ {text}")


def evaluate(expression: str) -> Fraction:
    """The exact value; roots that are not whole are right to forty decimals. Anything outside the allow-list is a `ToolRetry`."""
    if len(expression) > LONGEST:
        raise ToolRetry(f"The expression has {len(expression):,} characters, the limit is {LONGEST:,}. Split it.")
    source = _plain(expression)
    try:
        tree = ast.parse(source, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise ToolRetry(f"'{expression[:80]}' is not an expression. Write for example 3 * (4.50 + 2).") from None
    return _number(_value(tree.body, source, 0))


def _plain(text: str) -> str:
    """The conveniences of written calculations as Python's syntax: signs, thousands, percent, currency."""
    text = re.sub(r"\b(?:usd|eur|gbp|dollars?|euros?)\b", " ", text.translate(SIGNS), flags=re.I)
    text = re.sub(r"(?<=[\d)])\s+x\s+(?=[\d(])", " * ", text.replace("^", "**").replace("²", "**2").replace("³", "**3"))
    text = re.sub(r"(?<=[\d)])\s*per\s?cent\b", "%", text, flags=re.I)
    text = re.sub(r"\d{1,3}(?:,\d{3})+(?![\d,])", partial(_without_commas, text), text)
    _refuse_added_percent(text)
    text = re.sub(r"%\s*of\b", "/100*", text, flags=re.I)
    return re.sub(r"%(?!\s*[\d(.A-Za-z])", "/100", text).strip()


def _without_commas(text: str, match: re.Match[str]) -> str:
    """1,299 as 1299, but not between parentheses or brackets, where a comma may part two numbers."""
    before = text[: match.start()]
    if any(before.count(opening) > before.count(closing) for opening, closing in ("()", "[]")):
        raise ToolRetry(f"'{match.group()}' may be one number or several. Write it without commas, or with a space after each.")
    return match.group().replace(",", "")


def _refuse_added_percent(text: str) -> None:
    found = re.search(r"[+-]\s*[\d.]+\s*%(?!\s*(?:of\b|[\d(.]))", text)
    if found and text[: found.start()].strip():
        raise ToolRetry(f"'{found.group()}' does not say of what. Write for example 240 + 15% of 240.")


def _value(node: ast.AST, source: str, depth: int) -> Any:
    """A number, or a list of numbers, of one node of the tree."""
    if depth > DEEPEST:
        raise ToolRetry(f"More than {DEEPEST} operations stand inside one another. Calculate in steps.")
    inner = partial(_value, source=source, depth=depth + 1)
    match node:
        case ast.Constant():
            return _literal(ast.get_source_segment(source, node) or "")
        case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
            return _bounded(BINARY[type(op)](_number(inner(left)), _number(inner(right))))
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as op, operand=operand):
            return -_number(inner(operand)) if isinstance(op, ast.USub) else _number(inner(operand))
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            return [_number(inner(each)) for each in elements]
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
            return _called(name, [inner(each) for each in args])
    raise ToolRetry(
        f"'{(ast.get_source_segment(source, node) or 'this')[:60]}' cannot be calculated. "
        f"There are + - * / // % **, parentheses and {', '.join(FUNCTIONS)}."
    )


def _literal(text: str) -> Fraction:
    if not NUMBER.fullmatch(text):
        raise ToolRetry(f"'{text[:60]}' is not a number. Write digits with a decimal point.")
    return _bounded(Fraction(Decimal(text)))


def _number(value: Any) -> Fraction:
    if isinstance(value, list):
        raise ToolRetry("A list stands where one number belongs. Use a function on it, such as sum or mean.")
    return value


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > WIDEST:
        raise ToolRetry("The result is too large to be written out.")
    return value


def _divided(by: Callable[[Fraction, Fraction], Any], left: Fraction, right: Fraction) -> Fraction:
    if right == 0:
        raise ToolRetry("Nothing can be divided by zero.")
    return Fraction(by(left, right))


def _power(base: Fraction, exponent: Fraction) -> Fraction:
    """Refused before it is computed where it would be too large."""
    if exponent == Fraction(1, 2):
        return _root(base)
    if exponent.denominator != 1:
        raise ToolRetry("An exponent must be a whole number; for a square root write sqrt(...).")
    width = max(base.numerator.bit_length(), base.denominator.bit_length())
    if abs(exponent) * width > WIDEST and abs(base) != 1:
        raise ToolRetry("This power is too large to be written out.")
    if base == 0 and exponent < 0:
        raise ToolRetry("Nothing can be divided by zero.")
    return Fraction(base ** (int(exponent) % 2 if abs(base) == 1 else int(exponent)))


def _root(value: Fraction) -> Fraction:
    if value < 0:
        raise ToolRetry("There is no square root of a negative number.")
    whole = Fraction(math.isqrt(value.numerator), math.isqrt(value.denominator))
    scale = 10**ROOT_DECIMALS
    return whole if whole * whole == value else Fraction(math.isqrt(value.numerator * scale**2 // value.denominator), scale)


def _called(name: str, arguments: list[Any]) -> Fraction:
    """A function on its arguments; those over lists take one list or the numbers themselves."""
    function, counts = FUNCTIONS[name]
    if counts is None:
        one_list = len(arguments) == 1 and isinstance(arguments[0], list)
        numbers = arguments[0] if one_list else [_number(each) for each in arguments]
        if not numbers:
            raise ToolRetry(f"{name} needs at least one number.")
        return _bounded(Fraction(function(numbers)))
    if len(arguments) not in counts:
        raise ToolRetry(f"{name} takes {' or '.join(map(str, counts))} numbers, not {len(arguments)}.")
    return _bounded(Fraction(function(*(_number(each) for each in arguments))))


def _mean(numbers: list[Fraction]) -> Fraction:
    return sum(numbers, Fraction()) / len(numbers)


def _median(numbers: list[Fraction]) -> Fraction:
    ordered, middle = sorted(numbers), len(numbers) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _variance(numbers: list[Fraction]) -> Fraction:
    """Of a sample: divided by one less than the count."""
    if len(numbers) < 2:
        raise ToolRetry("variance and stdev need at least two numbers.")
    mean = _mean(numbers)
    return sum(((each - mean) ** 2 for each in numbers), Fraction()) / (len(numbers) - 1)


def _rounded(value: Fraction, places: Fraction = Fraction()) -> Fraction:
    """Halves go away from zero, as people round."""
    if places.denominator != 1 or abs(places) > 100:
        raise ToolRetry("round takes a whole number of decimals, such as round(2.345, 2).")
    scale = Fraction(10) ** int(places)
    away = math.floor(abs(value) * scale + Fraction(1, 2)) / scale
    return away if value >= 0 else -away


def _decimal_text(value: Fraction) -> str:
    """All decimals where they end within twenty, else ten of them, or ten digits of a smaller number."""
    rest = value.denominator
    for factor in (2, 5):
        while rest % factor == 0:
            rest //= factor
    with localcontext(prec=WIDEST, rounding=ROUND_HALF_UP):
        decimal = Decimal(value.numerator) / Decimal(value.denominator)
        ends = rest == 1 and -int(decimal.as_tuple().exponent) <= ROOT_DECIMALS // 2
        decimal = decimal if ends else round(decimal, SHOWN_DECIMALS)
        text = f"{decimal:f}" if decimal or not value else f"{Decimal(value.numerator) / Decimal(value.denominator):.9e}"
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


BINARY: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Pow: _power,
    ast.Div: partial(_divided, operator.truediv),
    ast.FloorDiv: partial(_divided, operator.floordiv),
    ast.Mod: partial(_divided, operator.mod),
}
# Each function with the numbers of arguments it takes; None for those over a list.
FUNCTIONS: dict[str, tuple[Callable[..., Any], tuple[int, ...] | None]] = {
    "min": (min, None),
    "max": (max, None),
    "sum": (sum, None),
    "count": (len, None),
    "mean": (_mean, None),
    "average": (_mean, None),
    "median": (_median, None),
    "variance": (_variance, None),
    "stdev": (lambda numbers: _root(_variance(numbers)), None),
    "round": (_rounded, (1, 2)),
    "floor": (math.floor, (1,)),
    "ceil": (math.ceil, (1,)),
    "abs": (abs, (1,)),
    "sqrt": (_root, (1,)),
    "percent_of": (lambda percent, whole: whole * percent / 100, (2,)),
    "percent_change": (lambda old, new: _divided(operator.truediv, (new - old) * 100, old), (2,)),
}
