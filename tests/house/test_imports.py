"""The table of docs/design.md: who may import what, and that nothing on the right imports anything on its left."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("agent", "tools", "retrieval", "finetune", "ui")
FILES = [path for part in PARTS for path in sorted((ROOT / part).rglob("*.py"))]
HOMES = {
    "langgraph": ("agent",),
    "langchain": ("agent",),
    "langchain_core": ("agent",),
    "langchain_openai": ("agent",),
    "psycopg": ("retrieval", "tools/proposals.py"),
    "psycopg_pool": ("retrieval", "tools/proposals.py"),
    "llama_index": ("retrieval",),
    "streamlit": ("ui",),
    "fastapi": ("ui",),
    "torch": ("finetune",),
    "transformers": ("finetune",),
    "peft": ("finetune",),
    "trl": ("finetune",),
}
LEFT_OF = {
    "agent": {"ui", "finetune"},
    "tools": {"ui", "agent", "finetune"},
    "retrieval": {"ui", "agent", "tools", "finetune"},
    "finetune": {"ui", "agent", "tools", "retrieval"},
    "ui": set(),
}
ALLOWED = {
    ("finetune/export.py", "agent/gguf.py"),
    *(("finetune/base.py", f"agent/{name}.py") for name in ("template", "wheel", "download")),
}
# What proves an adapter asks the product itself, as users have it.
PROOF = tuple(f"finetune/{name}.py" for name in "compare sides measures results report tracking bfcl forgetting".split())


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_library_is_named_only_in_its_home(path: Path):
    here = path.relative_to(ROOT).as_posix()
    astray = {name for name in absolute_imports(path) if name in HOMES and not here.startswith(HOMES[name])}
    assert not astray, f"{here} imports {astray}, which belong in {[HOMES[name] for name in astray]}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_imports_what_stands_left_of_it(path: Path):
    here = path.relative_to(ROOT)
    forbidden = LEFT_OF[here.parts[0]] - ({"agent", "retrieval"} if here.as_posix() in PROOF else set())
    astray = {
        target for target in house_imports(path) if target.split("/")[0] in forbidden and (here.as_posix(), target) not in ALLOWED
    }
    assert not astray, f"{here} imports {astray}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_inside_the_house_are_relative(path: Path):
    if path.relative_to(ROOT).as_posix() != "ui/app.py":
        assert "askfirst" not in absolute_imports(path)


def absolute_imports(path: Path) -> set[str]:
    """The first words of the modules imported absolutely, at the top or inside a function."""
    return {
        name.split(".")[0]
        for node in imports(path)
        if not getattr(node, "level", 0)
        for name in ([alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""])
    }


def house_imports(path: Path) -> set[str]:
    """The files of the house that are imported relatively, as `part/file.py`."""
    found = set()
    for node in imports(path):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            found |= {file_of(base / alias.name) or file_of(base) for alias in node.names}
    return {path.relative_to(ROOT).as_posix() for path in found if path}


def file_of(module: Path) -> Path | None:
    """The file of a module, or None when it is none."""
    candidates = (module.with_name(module.name + ".py"), module / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


def imports(path: Path) -> Iterator[ast.Import | ast.ImportFrom]:
    """Every import statement of a file."""
    return (node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Import | ast.ImportFrom))
