"""Vectors kept for texts that are asked for again and again: a tool's description, an option, the question of a run."""

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock

import numpy as np

from .arguments import Embed

MOST = 4_096  # texts; six megabytes of vectors


class RememberingEmbed:
    """An `Embed` that asks the embedder only for texts it has not lately seen. May be used by several threads."""

    def __init__(self, embed: Embed):
        self._embed, self._lock = embed, Lock()
        self._known: OrderedDict[str, np.ndarray] = OrderedDict()

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """One row for each text, as the embedder gives it."""
        with self._lock:
            found = {text: self._known[text] for text in texts if text in self._known}
        new = list(dict.fromkeys(text for text in texts if text not in found))
        if new:
            found.update(zip(new, self._embed(new), strict=True))
        self._keep(found)
        return np.stack([found[text] for text in texts])

    def _keep(self, used: dict[str, np.ndarray]) -> None:
        with self._lock:
            for text, vector in used.items():
                self._known[text] = vector
                self._known.move_to_end(text)
            while len(self._known) > MOST:
                self._known.popitem(last=False)
