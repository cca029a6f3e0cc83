"""The wheel, installed beside an app that has its own `agent/`, `tools/` and `ui/`: no names collide, no file is missing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "build", "*.egg-info", "__pycache__", ".*_cache", ".hypothesis")
READ = (
    "py.typed",
    "retrieval/migrations/*.sql",
    "finetune/recipes/*.toml",
    "finetune/*.jinja",
    "examples/shop/*.sql",
    "examples/shop/data/*",
    "examples/shop/documents/*",
    "examples/manuals/*/*.md",
    "examples/manuals/*/LICENSE",
    "models/*/config.json",
)
APP = """
import agent, tools, ui
import askfirst, askfirst.agent, askfirst.tools, askfirst.ui
from askfirst import Settings, tool
assert [part.WHOSE for part in (agent, tools, ui)] == ["mine"] * 3
print(askfirst.__file__, Settings.load(home="here").collection)
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the wheel built from this tree, installed; what it needs comes from the tests' environment."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, folder / "anyname", ignore=LEFT_OUT)
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, folder / "anyname")
    pip("install", "--no-deps", "--no-index", "--target", folder / "installed", next(folder.glob("askfirst-*.whl")))
    return folder / "installed"


def pip(*words: str | Path) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", "-qq", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_it_works_beside_an_app_with_folders_of_the_same_names(installed: Path, tmp_path: Path):
    for part in ("agent", "tools", "ui"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "__init__.py").write_text('WHOSE = "mine"\n')
    done = subprocess.run([sys.executable, "-c", APP], cwd=tmp_path, env=beside(installed), capture_output=True, text=True)
    assert done.stdout.split() == [str(installed / "askfirst/__init__.py"), "default"], done.stderr


def test_its_command_runs(installed: Path):
    done = subprocess.run([installed / "bin/askfirst", "--help"], env=beside(installed), capture_output=True, text=True)
    assert done.stdout.startswith("Usage: askfirst"), done.stderr


@pytest.mark.parametrize("pattern", READ)
def test_it_holds_what_the_package_reads(installed: Path, pattern: str):
    assert (
        {path.relative_to(ROOT) for path in ROOT.glob(pattern)}
        == {path.relative_to(installed / "askfirst") for path in (installed / "askfirst").glob(pattern)}
        != set()
    )


def test_no_test_is_shipped(installed: Path):
    assert not list(installed.rglob("test_*.py"))


def beside(installed: Path) -> dict[str, str]:
    """The environment in which the installed wheel is found first."""
    return os.environ | {"PYTHONPATH": str(installed)}
