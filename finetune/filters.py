"""What is not worth training on: too long or too short, in another language, or repeating itself.

Each rule gives its name or None, so that the report can say why an example is missing.
"""

import re
from collections import Counter
from functools import cache

from py3langid.langid import LanguageIdentifier

from .example import FREE, Example

SURE = 0.9  # of the language, below which a text stays: what is short or mixed is not judged
JUDGED = 40  # characters, below which the language is a guess
COPIED = 50  # words, below which repetition says nothing

# Gopher's rules (Rae et al. 2021, table A1): the most a text may spend, in characters, on its most frequent run of two,
# three and four words, and on runs of five to ten words that occur more than once.
FREQUENT = {2: 0.20, 3: 0.18, 4: 0.16}
REPEATED = {5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.10}


def unfit(example: Example, rules: dict) -> str | None:
    """The rule that an example breaks: "too short", "too long", "other language", "repetitive", or None.

    `rules` hold `shortest` and `longest` (characters of question and reply; of the whole conversation) and `language`
    (ISO 639-1, or "" for any). Repetition is judged in free replies: a question may
    well hold two sentences that differ in a word.
    """
    length = sum(len(message["content"]) for message in example.messages)
    if len(example.asked.strip()) < rules["shortest"] or not example.reply.strip():
        return "too short"
    if length > rules["longest"]:
        return "too long"
    if rules["language"] and foreign(f"{example.asked}\n{example.reply}", rules["language"]):
        return "other language"
    if example.kind in FREE and repetitive(example.reply):
        return "repetitive"
    return None


def foreign(text: str, language: str) -> bool:
    """Whether the text is surely in another language; a short one never is."""
    if len(text) < JUDGED:
        return False
    found, probability = _identifier().classify(text)
    return found != language and probability >= SURE


def repetitive(text: str) -> bool:
    """Whether runs of words repeat more than Gopher's thresholds allow."""
    words = re.findall(r"\S+", text)
    if len(words) < COPIED:
        return False
    total = sum(map(len, words))
    return any(_most_frequent(words, n) > share * total for n, share in FREQUENT.items()) or any(
        _repeated(words, n) > share * total for n, share in REPEATED.items()
    )


def _most_frequent(words: list[str], n: int) -> int:
    """Characters that the most frequent run of n words covers; one that occurs once covers nothing."""
    counts = Counter(tuple(words[start : start + n]) for start in range(len(words) - n + 1))
    run, count = counts.most_common(1)[0]
    return sum(map(len, run)) * count if count > 1 else 0


def _repeated(words: list[str], n: int) -> int:
    """Characters of all words that stand in a run of n words seen before; no word counts twice."""
    seen: set[tuple[str, ...]] = set()
    covered: set[int] = set()
    for start in range(len(words) - n + 1):
        run = tuple(words[start : start + n])
        if run in seen:
            covered.update(range(start, start + n))
        seen.add(run)
    return sum(len(words[place]) for place in covered)


@cache
def _identifier() -> LanguageIdentifier:
    """Loaded once, in about two seconds; it knows 97 languages or more and needs no download."""
    return LanguageIdentifier.from_model_file("data/model.npz.xz", norm_probs=True)
