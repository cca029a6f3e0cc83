"""The command line as a process and as a function: help, errors, exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import click
import pytest

from askfirst.errors import DatabaseDown
from askfirst.settings import Settings
from askfirst.tools.registry import tool
from askfirst.ui import cli
from askfirst.ui.door import Door
from askfirst.ui.proposing import arguments

HELP = Path(__file__).with_name("help.txt")
MY_TOOLS = "from askfirst import tool\n@tool\ndef wave(to: str) -> str:\n    'Wave to somebody.'\n    return to\n"
RUN = "from askfirst.ui.cli import main; main()"


def every_help() -> str:
    """The help of every command, one below the other."""
    return "\n".join(help_of(cli.app, "askfirst", None))


def help_of(command: click.Command, name: str, parent: click.Context | None) -> list[str]:
    context = click.Context(command, parent, name, terminal_width=100, **command.context_settings)
    below = command.commands.items() if isinstance(command, click.Group) else ()
    return [command.get_help(context) + "\n", *(text for word, each in below for text in help_of(each, word, context))]


def ended(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        cli.main(list(words))
    return int(end.value.code or 0)


def test_the_help_is_the_one_that_was_read_and_approved():
    """After a wanted change delete help.txt, run this once, and read the difference."""
    if not HELP.exists():
        HELP.write_text(every_help(), "utf-8")
    assert every_help() == HELP.read_text("utf-8")


def test_each_command_says_what_it_does():
    for name, command in cli.app.commands.items():
        assert command.get_short_help_str(), name


def test_help_comes_at_once():
    """It loads none of the packages that take seconds."""
    loaded = "import sys; from askfirst.ui import cli; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert not {"langgraph", "llama_index", "streamlit", "psycopg", "numpy", "pydantic"} & set(done.stdout.split())


@pytest.mark.parametrize("words", [["nonsense"], ["ask"], ["ask", "q", "--route", "x"], ["batch", "missing.jsonl", "--out", "o"]])
def test_a_wrong_call_is_one_line_and_exit_code_2(words: list[str], capsys: pytest.CaptureFixture[str]):
    assert ended(*words) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("askfirst: ")
    assert said.err.count("\n") == 1


def test_a_typo_in_a_setting_is_exit_code_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setenv("ASKFIRST_COLECTION", "x")
    assert ended("tools", "list") == 2
    assert "colection" in capsys.readouterr().err


def test_a_failed_run_is_exit_code_1(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def fail(self: Door):
        raise DatabaseDown("it sleeps")

    monkeypatch.setattr(Door, "open", fail)
    assert ended("tools", "list") == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_ctrl_c_says_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    def interrupt(self: Door):
        raise KeyboardInterrupt

    monkeypatch.setattr(Door, "open", interrupt)
    assert ended("tools", "list") == 130
    assert capsys.readouterr().err.strip() == "askfirst: stopped at your request."


def test_a_closed_pipe_is_silent():
    with subprocess.Popen([sys.executable, "-c", RUN, "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.stderr.read() == b""


def test_tools_may_lie_in_the_current_folder(settings: Settings, tmp_path: Path):
    (tmp_path / "my_tools.py").write_text(MY_TOOLS)
    words = ["--home", settings.home, "--tools", "my_tools", "tools", "list", "--json"]
    done = subprocess.run([sys.executable, "-P", "-c", RUN, *words], cwd=tmp_path, capture_output=True, text=True)
    assert "wave" in {each["name"] for each in json.loads(done.stdout)["tools"]}, done.stderr


@tool
def deliver(order: str, items: list[str], count: int, note: str = "") -> str:
    """Deliver items of an order."""
    return order


@pytest.mark.parametrize("stage", cli.STAGES)
def test_each_stage_of_training_is_there(stage: str):
    source = Path(cli.__file__).parents[1] / "finetune" / f"{cli.STAGES[stage]}.py"
    assert f"askfirst tune {stage}" in source.read_text("utf-8")


def test_arguments_are_text_where_the_tool_wants_text():
    given = arguments(("order=1234", 'items=["a", "b"]', "count=3", "note=it is = so"), deliver)
    assert given == {"order": "1234", "items": ["a", "b"], "count": 3, "note": "it is = so"}


def test_an_argument_without_a_value_is_refused():
    with pytest.raises(click.BadParameter, match="NAME=VALUE"):
        arguments(("order",), deliver)
