"""The one form of what is trained on, whatever file it came from: a conversation that ends in the right reply.

It knows nothing of readers, filters or models; with a reply that was worse, an example is a preference pair.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

Message = dict[str, str]
FREE = ("general", "own")  # kinds whose replies are free text


@dataclass(frozen=True)
class Example:
    """`messages` hold system (at most one, first), user and assistant in turn, and end with the assistant's right reply.

    `kind` is a decision, "general", "own", or for a pair the mistake that `rejected` makes. `question` is what was asked,
    without the words that a prompt puts around it.
    """

    kind: str
    source: str
    question: str
    messages: tuple[Message, ...]
    rejected: str | None = None

    @property
    def reply(self) -> str:
        return self.messages[-1]["content"]

    @property
    def asked(self) -> str:
        """Everything but the system message and the reply."""
        return "\n".join(message["content"] for message in self.messages[:-1] if message["role"] != "system")

    def as_line(self) -> dict:
        """One line of sft.jsonl, or of pairs.jsonl where there is a rejected reply."""
        origin = {"kind": self.kind, "source": self.source}
        if self.rejected is None:
            return {"messages": list(self.messages), **origin}
        return {"prompt": list(self.messages[:-1]), "chosen": self.reply, "rejected": self.rejected, **origin}


def replied(asked: Sequence[Message], reply: str) -> tuple[Message, ...]:
    """The conversation with this reply at its end."""
    return (*asked, {"role": "assistant", "content": reply})


def records_in(path: Path) -> list[dict]:
    """The JSON lines of a file. Cut at line feeds alone: `splitlines` would also cut at the breaks inside a text."""
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]
