"""Takes out of the training examples what does not belong there, mixes what is left and splits it; every removal is counted.

The order matters: what overlaps an evaluation is found in the words as they were, before personal data is replaced; and
duplicates are found last, because two texts may differ in nothing but a replaced number.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from .contamination import Evaluated
from .duplicates import repeated
from .example import Example
from .filters import unfit
from .privacy import Style, redacted

OWN = "own/"  # how the sources of a user's own files begin
MADE_UP = "invented"  # the source whose values are nobody's, and more various than any surrogates
MIX = (0.10, 0.20)  # the least and the most of the dialogues that is general text, where there is any


@dataclass
class Cleaning:
    """What was done so far. `removed` counts by (reason, kind, source), `redacted` by (type, "own" or "shared"),
    `overlaps` by evaluation set."""

    read: Counter[tuple[str, str]] = field(default_factory=Counter)
    removed: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    redacted: Counter[tuple[str, str]] = field(default_factory=Counter)
    overlaps: Counter[str] = field(default_factory=Counter)

    def remove(self, example: Example, reason: str) -> None:
        """Count an example that is left out."""
        self.removed[reason, example.kind, example.source] += 1


def cleaned(
    examples: Iterable[Example], recipe: dict, measured: Evaluated, done: Cleaning, *, progress: Callable
) -> list[Example]:
    """The examples that pass, personal data replaced, in their order.

    `recipe` holds `filter` (see `filters.unfit`), `privacy` (a style for "own" and one for "shared") and `duplicates`.
    `progress` is called with the number of examples looked at, every thousand.
    """
    kept = []
    for number, example in enumerate(examples):
        done.read[example.kind, example.source] += 1
        passed = _passed(example, number, recipe, measured, done)
        if passed:
            kept.append(passed)
        if number % 1000 == 0:
            progress(number)
    out = repeated(kept, threshold=recipe["duplicates"]["threshold"])
    for place, reason in out.items():
        done.remove(kept[place], reason)
    return [example for place, example in enumerate(kept) if place not in out]


def _passed(example: Example, number: int, recipe: dict, measured: Evaluated, done: Cleaning) -> Example | None:
    if reason := unfit(example, recipe["filter"]):
        return done.remove(example, reason)
    if name := measured.overlapping(example):
        done.overlaps[name] += 1
        return done.remove(example, "overlaps an evaluation")
    whose = "own" if example.source.startswith(OWN) else "shared"
    style: Style = "off" if example.source == MADE_UP else recipe["privacy"][whose]
    clean, types = redacted(example, style, seed=recipe["seed"] + number)
    done.redacted.update({(type, whose): count for type, count in types.items()})
    return clean or done.remove(example, "redaction broke a copy")


def mixed(decisions: list[Example], general: list[Example], share: float, rng: random.Random) -> list[Example]:
    """The decisions with so much general text that it makes up `share` of the dialogues, or all there is if that is less."""
    least, most = MIX
    wanted = round(len(decisions) * min(most, max(least, share)) / (1 - min(most, max(least, share))))
    return [*decisions, *rng.sample(general, min(wanted, len(general)))]


def split(examples: list[Example], share: float, rng: random.Random) -> tuple[list[Example], list[Example]]:
    """Training and validation. Of each kind and source alike `share` is validated on, and no question stands in both.

    Validation is shuffled: whoever looks at its first hundred sees a fair hundred.
    """
    strata: dict[tuple[str, str], list[str]] = defaultdict(list)
    for example in examples:
        strata[example.kind, example.source].append(example.question)
    held: set[str] = set()
    for stratum in sorted(strata):
        questions = list(dict.fromkeys(strata[stratum]))
        left = [question for question in questions if question not in held]
        wanted = round(len(questions) * share) - (len(questions) - len(left))
        held.update(rng.sample(left, max(0, min(wanted, len(left) - 1))))
    validated = [example for example in examples if example.question in held]
    rng.shuffle(validated)
    return [example for example in examples if example.question not in held], validated
