"""Progress on standard error. It knows no work: whatever calls it back with (done, total, what is at hand) gets a bar."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .show import text


@contextmanager
def bar(console: Console, title: str) -> Iterator[Callable[..., None]]:
    """A bar while the block runs; call what it gives with (done, total) or (done, total, what is at hand)."""
    at_hand = TextColumn("{task.fields[at]}", style="dim", markup=False)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), at_hand)
    with Progress(*columns, console=console, transient=True, disable=console.quiet) as progress:
        task = progress.add_task(title, total=None, at="")
        yield lambda done, total, at="": progress.update(task, completed=done, total=total, at=text(at).plain)
