"""How files are written: limits, opening sentences, docstrings, messages of errors, no error swallowed."""

import ast
import re
from pathlib import Path

import pytest

from askfirst import errors

ROOT = Path(__file__).parents[2]
PARTS = ("agent", "tools", "retrieval", "finetune", "ui")
FILES = [
    ROOT / "__init__.py",
    ROOT / "settings.py",
    ROOT / "errors.py",
    *(path for part in (*PARTS, "examples") for path in sorted((ROOT / part).rglob("*.py"))),
]
CEILINGS = {"default": 300, "sql": 80, "toml": 90, "__init__.py": 30}
LONGEST_FUNCTION = 50


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def ceilings() -> dict[str, int]:
    """The limits of the design's table, for the files that it names one by one."""
    found: dict[str, int] = {}
    for row in re.findall(r"^\| (`.+?`[^|]*) \|.*\| ([\d, each]+) \|$", (ROOT / "docs/design.md").read_text("utf-8"), re.M):
        files, limits = re.findall(r"`([\w/.]+\.py)`", row[0]), [int(number) for number in re.findall(r"\d+", row[1])]
        part = files[0].rpartition("/")[0] if files else ""
        for place, file in enumerate(files):
            found[file if "/" in file or not part else f"{part}/{file}"] = limits[min(place, len(limits) - 1)]
    return found


CEILING = ceilings()


def test_the_designs_table_is_read():
    assert CEILING["agent/graph.py"] == 150
    assert CEILING["retrieval/search.py"] == 300
    assert CEILING["errors.py"] == 240


@pytest.mark.parametrize("path", FILES, ids=name)
def test_no_file_is_longer_than_its_limit(path: Path):
    limit = CEILING.get(name(path), CEILINGS["default"])
    assert len(path.read_text("utf-8").splitlines()) <= limit


@pytest.mark.parametrize("path", [*ROOT.glob("retrieval/migrations/*.sql"), *ROOT.glob("finetune/recipes/*.toml")], ids=name)
def test_no_migration_or_recipe_is_longer_than_its_limit(path: Path):
    assert len(path.read_text("utf-8").splitlines()) <= CEILINGS[path.suffix[1:]]


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_file_opens_with_its_job(path: Path):
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))


@pytest.mark.parametrize("path", FILES, ids=name)
def test_each_public_name_has_a_docstring(path: Path):
    silent = [node.name for node in public(ast.parse(path.read_text("utf-8"))) if not ast.get_docstring(node)]
    assert not silent, f"{name(path)}: no docstring on {', '.join(silent)}"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_no_function_is_longer_than_a_screen(path: Path):
    functions = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.FunctionDef)]
    long = [node.name for node in functions if (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION]
    assert not long, f"{name(path)}: {', '.join(long)}"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_no_error_is_swallowed(path: Path):
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ExceptHandler):
            broad = node.type is None or (isinstance(node.type, ast.Name) and node.type.id in ("Exception", "BaseException"))
            assert not (broad and all(isinstance(each, ast.Pass) for each in node.body)), f"{name(path)}:{node.lineno}"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_nothing_is_left_to_do(path: Path):
    assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedError", path.read_text("utf-8"))


def public(tree: ast.Module) -> list[ast.FunctionDef | ast.ClassDef]:
    """Public classes, functions and methods. Errors speak by their message, `main` by the sentence its file opens with."""
    found: list[ast.FunctionDef | ast.ClassDef] = []
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not (node.name.startswith("_") or is_exempt(node)):
            found.append(node)
            found += [each for each in getattr(node, "body", []) if isinstance(node, ast.ClassDef) and is_public_method(each)]
    return found


def is_public_method(node: ast.stmt) -> bool:
    """A method that is called; a property's name and type say what it is, an overload's body is elsewhere."""
    return isinstance(node, ast.FunctionDef) and not node.name.startswith("_") and not node.decorator_list


def is_exempt(node: ast.ClassDef | ast.FunctionDef) -> bool:
    """`main`, an overload, or an error class with a message of its own."""
    if isinstance(node, ast.FunctionDef):
        return node.name == "main" or any(isinstance(each, ast.Name) and each.id == "overload" for each in node.decorator_list)
    own_message = any(isinstance(each, ast.FunctionDef) and each.name == "__init__" for each in node.body)
    return own_message and issubclass(getattr(errors, node.name, object), BaseException)


def every_error() -> list[type[errors.AskfirstError]]:
    """The error classes that carry a message of their own."""
    return [
        each
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, errors.AskfirstError) and "__init__" in vars(each)
    ]


@pytest.mark.parametrize("error", every_error(), ids=lambda error: error.__name__)
def test_each_error_says_what_happened_in_one_line(error: type[errors.AskfirstError]):
    message = str(example(error))
    assert message
    assert "\n" not in message


@pytest.mark.parametrize("error", every_error(), ids=lambda error: error.__name__)
def test_each_error_belongs_to_one_audience(error: type[errors.AskfirstError]):
    assert sum(issubclass(error, audience) for audience in (errors.UsageError, errors.RunError, errors.ToolRetry)) == 1


def example(error: type[errors.AskfirstError]) -> errors.AskfirstError:
    """The error with the name of each parameter as its value."""
    from inspect import signature

    samples = {"known": ["one", "two"], "length": 9_000, "limit": 8_000, "number": 3, "line": 3}
    parameters = [parameter for parameter in signature(error.__init__).parameters.values() if parameter.name != "self"]
    positional = [samples.get(each.name, each.name) for each in parameters if each.kind is not each.KEYWORD_ONLY]
    named = {each.name: samples.get(each.name, each.name) for each in parameters if each.kind is each.KEYWORD_ONLY}
    return error(*positional, **named)
