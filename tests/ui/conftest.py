"""What the doors' tests share: the command line run in this process, on the shop's assistant."""

from collections.abc import Callable

import pytest

from askfirst.agent.assistant import Assistant
from askfirst.ui import cli
from askfirst.ui.door import Door

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(assistant: Assistant, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command line on the shop; gives back exit code, stdout and stderr."""

    class Opened:
        """The shared assistant, which no command closes."""

        def __enter__(self) -> Assistant:
            return assistant

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(Door, "open", lambda self: Opened())
    monkeypatch.setattr(Door, "settings", property(lambda self: assistant.settings))

    def run(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            cli.main(list(words))
        said = capsys.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return run
