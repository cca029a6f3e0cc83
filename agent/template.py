"""How a chat template renders, as one digest: an adapter records it when it is tuned, and `doctor` compares the server's.

A template that renders otherwise in serving than it did in training costs an adapter much of what it learned, without any
error. It knows nothing of who renders: training hands transformers' rendering in, the doctor the server's.
"""

import hashlib
from collections.abc import Callable

Conversation = list[dict[str, str]]

# Every form that is sent: with and without a system's words, one turn and several, both roles last, blanks at the ends, a
# turn that is empty, and what templates are wont to trim, escape or take for their own marks.
CONVERSATIONS: tuple[Conversation, ...] = (
    [{"role": "user", "content": "Where is order 17?"}],
    [{"role": "system", "content": "route"}, {"role": "user", "content": "Hi"}],
    [
        {"role": "system", "content": "Answer from the passages.\n\n1. Two  blanks\tand a tab.\n"},
        {"role": "user", "content": "  What about <b>tags</b> & \"quotes\" in '{{ braces }}'? "},
        {"role": "assistant", "content": '{"tool": "search", "arguments": {"n": 1}}'},
        {"role": "user", "content": "naïve café, 日本語 🙂"},
    ],
    [{"role": "user", "content": "a"}, {"role": "assistant", "content": ""}, {"role": "user", "content": "line\r\nline"}],
)


def rendering_sha256(render: Callable[[Conversation], str]) -> str:
    """The digest of what `render` makes of the fixed conversations, each ended where the assistant's words begin."""
    texts = (render([dict(message) for message in conversation]) for conversation in CONVERSATIONS)
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()
