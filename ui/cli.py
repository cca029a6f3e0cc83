"""The command line: one function per command, which asks the assistant's door and shows what comes back.

Errors become one line on stderr and the exit code here (2: the caller's mistake, 1: the run failed), nowhere else.
"""

import os
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors import RunError, UsageError
from .door import Door, free_first

if TYPE_CHECKING:
    from ..agent.state import Route

ROUTES = ("documents", "sub-questions", "tools")
STAGES = {
    "prepare": "data",
    "privacy": "privacy_check",
    "pretrain": "pretrain",
    "sft": "tune",
    "dpo": "dpo",
    "compare": "compare",
    "curve": "curve",
    "export": "export",
}
PAGE = (
    "server.address=127.0.0.1",
    "server.headless=true",
    "browser.gatherUsageStats=false",
    "client.toolbarMode=minimal",
    "theme.primaryColor=#2f6f62",
)


def main(words: list[str] | None = None) -> None:
    """The console script. Ends the process with the exit code that the README promises."""
    sys.path.append("")  # behind all that is installed: a module named with --tools may lie in the current folder
    try:
        code = app.main(free_first(sys.argv[1:] if words is None else words), prog_name="askfirst", standalone_mode=False)
    except click.UsageError as error:
        code = _complain(f"{error.format_message()} See `{error.ctx.command_path if error.ctx else 'askfirst'} --help`.", 2)
    except UsageError as error:
        code = _complain(str(error), 2)
    except RunError as error:
        code = _complain(str(error), 1)
    except (click.Abort, KeyboardInterrupt):
        code = _complain("stopped at your request.", 130)
    sys.exit(code if isinstance(code, int) else 0)


def _complain(message: str, code: int) -> int:
    click.echo(f"askfirst: {' '.join(message.split())}", err=True)
    return code


class InOrder(click.Group):
    """Lists its commands in the order of their definition: the order in which people need them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands."""
        return list(self.commands)


@click.group(cls=InOrder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="askfirst")
@click.option("--collection", metavar="NAME", help="Which documents: searched, or filled by ingest.")
@click.option("--tools", metavar="MODULE", multiple=True, help="A Python module whose @tool functions may be used; repeatable.")
@click.option("--home", metavar="FOLDER", type=click.Path(path_type=Path), help="Where the database and the model files live.")
@click.option("--by", metavar="NAME", help="Who asks and decides.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.pass_context
def app(context: click.Context, **options: Any) -> None:
    """Answers from your documents and data, and asks first before it changes anything.

    The options below may stand anywhere in the line.
    """
    context.obj = Door(**options)


@app.command()
@click.pass_obj
def demo(door: Door) -> None:
    """A tour on real data: all routes, one write with its approval."""
    from .demo import tour

    tour(door)


@app.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--prune", is_flag=True, help="Remove documents whose files have vanished.")
@click.pass_obj
def ingest(door: Door, paths: tuple[Path, ...], prune: bool) -> None:
    """Read files and folders into a collection. Unchanged files cost nothing.

    Files that cannot be read are named and left out; when that is all of them, the exit code is 1.
    """
    from . import show
    from .progress import bar

    with door.open() as assistant, bar(door.margin, "Reading") as progress:
        report = assistant.ingest(*paths, collection=door.collection, prune=prune, progress=progress)
    door.say(report, show.ingest_report(report))
    if report.skipped and not (report.added or report.changed or report.unchanged):
        sys.exit(1)


@app.command()
@click.argument("question")
@click.option("--limit", default=8, show_default=True, help="How many passages.")
@click.pass_obj
def search(door: Door, question: str, limit: int) -> None:
    """Find passages, without any language model."""
    from . import show

    with door.open() as assistant:
        found = assistant.search(question, collection=door.collection, limit=limit)
    door.say({"question": question, "evidence": found}, show.evidence(found))


@app.command()
@click.argument("question")
@click.option("--route", type=click.Choice(ROUTES), help="Take this route instead of letting the assistant choose.")
@click.option("--thread", metavar="ID", help="Go on with this thread.")
@click.option("--steps", is_flag=True, help="Show each step and who decided.")
@click.pass_obj
def ask(door: Door, question: str, route: "Route | None", thread: str | None, steps: bool) -> None:
    """Ask one question."""
    from . import talk

    with door.open() as assistant:
        pieces = assistant.stream(question, collection=door.collection, route=route, thread=thread, by=door.who)
        answer = talk.follow(pieces, door.margin)
        door.say(answer.json(), talk.picture(answer, assistant, steps=steps))


@app.command()
@click.pass_obj
def chat(door: Door) -> None:
    """Ask in a thread; decide on proposals as they come."""
    from . import talk

    with door.open() as assistant:
        talk.chat(assistant, door)


@app.command()
@click.argument("questions", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Answers, one JSON object per line.")
@click.option("--concurrency", default=1, show_default=True, help="Questions at a time.")
@click.pass_obj
def batch(door: Door, questions: Path, out: Path, concurrency: int) -> None:
    """Answer a JSONL file of {"id", "question"}. Started again, it goes on where it stopped; writes stay proposals.

    A question that fails gets a line with its error, is asked again the next time, and makes the exit code 1.
    """
    from ..agent.batch import questions_in
    from . import show
    from .progress import bar

    with door.open() as assistant, bar(door.margin, "Answering") as progress:
        report = assistant.batch(questions_in(questions), out, concurrency=concurrency, progress=progress)
    door.say(report, show.facts(report))
    if report.failed:
        sys.exit(1)


@app.group()
def tools() -> None:
    """The tools that the assistant may call."""


@tools.command("list")
@click.pass_obj
def list_tools(door: Door) -> None:
    """What the tools do and which of them write."""
    from . import show

    with door.open() as assistant:
        known = list(assistant.registry)
    facts = [{name: getattr(each, name) for name in ("name", "description", "parameters", "writes")} for each in known]
    door.say({"tools": facts}, show.tools(known))


@app.command()
@click.option("--thorough", is_flag=True, help="All fifty random schemas and a full context: some minutes.")
@click.pass_obj
def doctor(door: Door, thorough: bool) -> None:
    """Check database, model and embeddings; who decides what."""
    from ..agent.doctor import examine
    from . import show

    findings = examine(door.settings, thorough=thorough)
    door.say({"findings": findings}, show.findings(findings))
    if not all(finding.ok for finding in findings):
        sys.exit(1)


@app.command()
@click.option("--port", default=8501, show_default=True, help="Port on 127.0.0.1.")
@click.pass_obj
def ui(door: Door, port: int) -> None:
    """Open the chat page, on 127.0.0.1 only."""
    options = [f"--{option}" for option in (*PAGE, f"server.port={port}")]
    page = str(Path(__file__).with_name("app.py"))
    door.console.print(f"Askfirst is at http://127.0.0.1:{port} (Ctrl-C ends it)")
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", "streamlit", "run", page, *options], os.environ | door.variables)


@app.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("stage", type=click.Choice(list(STAGES)))
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
def tune(stage: str, words: tuple[str, ...]) -> None:
    """Train, tune, compare and export a model of your own.

    Needs the extra: pip install 'askfirst[finetune]'. What follows the stage is the stage's own: try --help there.
    """
    if find_spec("torch") is None:
        raise click.UsageError("training needs the extra: pip install 'askfirst[finetune]'")
    import_module(f"..finetune.{STAGES[stage]}", __package__).main(list(words))


for _module in ("proposing", "history", "models", "evaluating"):
    import_module(f".{_module}", __package__).add(app)
