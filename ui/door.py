"""What every command is handed: the options that may stand anywhere, and the two ways of printing (for people, for programs).

It knows nothing of what the commands do.
"""

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, RenderableType

if TYPE_CHECKING:
    from ..agent.assistant import Assistant
    from ..settings import Settings

FREE = {"--collection": True, "--tools": True, "--home": True, "--by": True, "--json": False}  # takes a value?
PASS_ON = "tune"  # what follows it belongs to the training stage


def free_first(words: Iterable[str]) -> list[str]:
    """The command line with its free options moved before the command, where the parser wants them."""
    front, rest, words = [], [], iter(words)
    for word in words:
        name, equals, _ = word.partition("=")
        if word in ("--", PASS_ON):
            rest += [word, *words]
        elif name in FREE:
            front += [word, *([next(words, "")] if FREE[name] and not equals else [])]
        else:
            rest.append(word)
    return front + rest


@dataclass(frozen=True)
class Door:
    """The free options as given; nothing is opened before a command asks for it."""

    collection: str | None = None
    tools: tuple[str, ...] = ()
    home: Path | None = None
    by: str | None = None
    as_json: bool = False
    adapter: str | None = None
    force: bool = False

    @cached_property
    def settings(self) -> "Settings":
        """The settings under these options."""
        from ..settings import Settings

        given = {
            "collection": self.collection,
            "tools": self.tools or None,
            "home": self.home,
            "user": self.by,
            "adapter": self.adapter,
            "force": self.force or None,
        }
        return Settings.load(**given)

    @property
    def who(self) -> str:
        """Who asks and decides."""
        return self.settings.user

    @property
    def variables(self) -> dict[str, str]:
        """The options as the variables that a process started from here reads its settings from."""
        given = {"COLLECTION": self.collection, "TOOLS": ",".join(self.tools), "HOME": self.home, "USER": self.by}
        return {f"ASKFIRST_{name}": str(value) for name, value in given.items() if value}

    @cached_property
    def console(self) -> Console:
        """Standard output for people; as wide as the terminal, 100 columns in a file."""
        width = None if sys.stdout.isatty() else 100
        return Console(highlight=False, markup=False, emoji=False, quiet=self.as_json, width=width)

    @cached_property
    def margin(self) -> Console:
        """Standard error, for progress: silent unless it is a terminal."""
        return Console(stderr=True, highlight=False, markup=False, emoji=False, quiet=self.as_json or not sys.stderr.isatty())

    def open(self) -> "Assistant":
        """The assistant: a context manager that starts what it needs and stops it again."""
        settings = self.settings  # a wrong one is told before anything slow is loaded
        with self.margin.status("Opening the database"):
            from ..agent.assistant import Assistant

            return Assistant.open(settings=settings)

    def say(self, facts: Any, picture: RenderableType) -> None:
        """Print `facts` as one JSON object, or `picture` for people."""
        if self.as_json:
            print(json.dumps(plain(facts), ensure_ascii=False, default=str))
        else:
            self.console.print(picture)


def plain(facts: Any) -> Any:
    """A value of the house as what JSON knows."""
    if is_dataclass(facts) and not isinstance(facts, type):
        return asdict(facts)
    if isinstance(facts, dict):
        return {key: plain(value) for key, value in facts.items()}
    return [plain(value) for value in facts] if isinstance(facts, list | tuple) else facts
