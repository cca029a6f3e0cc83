"""Finds examples that say again what others say: the same, nearly the same, or the contrary to the same question.

Nearly the same is measured by MinHash (Broder 1997) over runs of three words and proved by the exact overlap, so that the
hash decides only what is compared.
"""

import re
import zlib
from collections.abc import Iterator
from typing import Any

from datasketch import MinHash, MinHashLSH

from .example import FREE, Example

RUN = 3  # words
PERMUTATIONS = 128
DECISIONS = 0.95  # the overlap of decisions: a long passage outweighs two questions on it that differ


def repeated(examples: list[Example], *, threshold: float) -> dict[int, str]:
    """Which examples to leave out, by their place, and why: "exact duplicate", "contradicts another", "near duplicate".

    The first of several stays. Exact is the same question and reply; case, punctuation and spaces aside. A contradiction
    asks the same and is answered otherwise: the first is kept, for nothing tells which is right. Decisions are near only if
    their replies are the same: two like questions with two replies teach what the difference is. Free texts are compared
    with their replies. `threshold` is the Jaccard overlap from which on free texts count as the same.
    """
    out = dict(_exact(examples))
    left = [place for place in range(len(examples)) if place not in out]
    return out | _near(examples, left, threshold)


def _exact(examples: list[Example]) -> Iterator[tuple[int, str]]:
    replies: dict[tuple, tuple[str, str | None]] = {}
    for place, example in enumerate(examples):
        key = (example.messages[0]["role"] == "system" and example.messages[0]["content"], " ".join(_words(example.asked)))
        said = (example.reply.strip(), example.rejected)
        if key not in replies:
            replies[key] = said
        elif replies[key] == said:
            yield place, "exact duplicate"
        elif example.rejected is None and example.kind not in FREE:
            yield place, "contradicts another"


def _near(examples: list[Example], places: list[int], threshold: float) -> dict[int, str]:
    index = MinHashLSH(threshold=threshold, num_perm=PERMUTATIONS, weights=(0.1, 0.9))  # rather one compared in vain than missed
    kept: dict[int, set[int]] = {}
    out = {}
    for place in places:
        example = examples[place]
        runs = _runs(example)
        if not runs:
            continue
        sketch = MinHash(num_perm=PERMUTATIONS, hashfunc=int)
        sketch.update_batch(list(runs))
        alike: Any = index.query(sketch)
        rivals = [other for other in alike if _comparable(example, examples[other])]
        least = threshold if example.kind in FREE else max(threshold, DECISIONS)
        if any(jaccard(runs, kept[other]) >= least for other in rivals):
            out[place] = "near duplicate"
        else:
            index.insert(place, sketch)
            kept[place] = runs
    return out


def jaccard(one: set[int], other: set[int]) -> float:
    """Shared members over all members."""
    return len(one & other) / len(one | other)


def _comparable(one: Example, other: Example) -> bool:
    free = one.kind in FREE
    told = (one.kind, one.reply, one.rejected) == (other.kind, other.reply, other.rejected)
    return told if one.rejected is not None or not free else other.kind in FREE and other.rejected is None


def _runs(example: Example) -> set[int]:
    """Runs of three words as 32-bit hashes; a shorter text is one run."""
    words = _words(f"{example.asked} {example.reply}" if example.kind in FREE else example.asked)
    return {zlib.crc32(" ".join(words[start : start + RUN]).encode()) for start in range(max(1, len(words) - RUN + 1))}


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
