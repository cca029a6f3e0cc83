"""Writes what a person wants to know of prepared data: where it comes from, what was left out and why, how it is mixed, what
it looks like. The same data gives the same page: it holds no date and no time."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import quantiles

from .cleaning import Cleaning
from .contamination import RUN, SHORTEST, Evaluated
from .example import Example

SHOWN = 600  # characters of an example


@dataclass
class Prepared:
    """All that the report tells of: the parts as they were written, and what was counted on the way."""

    recipe: str
    parts: dict[str, list[Example]]
    cleaning: Cleaning
    measured: Evaluated
    held: dict[str, int] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    pretraining: dict[str, int] = field(default_factory=dict)


def report(prepared: Prepared) -> str:
    """The page, in Markdown."""
    sections = [
        ("Parts", _parts(prepared)),
        ("Sources", _sources(prepared)),
        ("Left out", _removed(prepared)),
        ("Mix", _mix(prepared)),
        ("Lengths", _lengths(prepared)),
        ("Personal data", _redacted(prepared)),
        ("Overlap with what is measured", _overlaps(prepared)),
        ("What a dialogue of each kind looks like", _samples(prepared)),
    ]
    return "# The training data\n\n" + "\n\n".join(f"## {title}\n\n{text}" for title, text in sections) + "\n"


def counts(prepared: Prepared) -> dict:
    """The same numbers for a program."""
    removed: Counter[str] = Counter()
    for (reason, _, _), count in prepared.cleaning.removed.items():
        removed[reason] += count
    parts = {name: dict(sorted(Counter(one.kind for one in part).items())) for name, part in prepared.parts.items()}
    return {
        "parts": parts,
        "read": sum(prepared.cleaning.read.values()),
        "removed": dict(sorted(removed.items())),
        "redacted": {f"{type} ({whose})": count for (type, whose), count in sorted(prepared.cleaning.redacted.items())},
        "overlaps": dict(sorted(prepared.cleaning.overlaps.items())),
        "general share": round(_general_share(prepared), 4),
        "held out": prepared.held,
        **prepared.pretraining,
    }


def _parts(prepared: Prepared) -> str:
    rows = [[f"{name}.jsonl", len(part), _listed(Counter(one.kind for one in part))] for name, part in prepared.parts.items()]
    rows += [[f"heldout/{name}.jsonl", count, "never trained on"] for name, count in prepared.held.items()]
    text = table(["file", "lines", "of which"], rows)
    for name, count in prepared.pretraining.items():
        text += f"\n\n{name[0].upper()}{name[1:]}: {count:,}."
    if prepared.missing:
        text += f"\n\nNot there and therefore not read: {', '.join(prepared.missing)}."
    return f"Recipe `{prepared.recipe}`.\n\n{text}"


def _sources(prepared: Prepared) -> str:
    read: Counter[str] = Counter()
    gone: Counter[str] = Counter()
    for (_, source), count in prepared.cleaning.read.items():
        read[source] += count
    for (_, _, source), count in prepared.cleaning.removed.items():
        gone[source] += count
    kept = {name: Counter(one.source for one in part) for name, part in prepared.parts.items()}
    rows = [[source, read[source], gone[source], *(each[source] for each in kept.values())] for source in sorted(read)]
    note = "Read is what the recipe drew; what was neither left out nor written is general text that the mix had no place for."
    return f"{note}\n\n{table(['source', 'read', 'left out', *kept], rows)}"


def _removed(prepared: Prepared) -> str:
    by_reason: dict[str, Counter[str]] = defaultdict(Counter)
    for (reason, kind, _), count in prepared.cleaning.removed.items():
        by_reason[reason][kind] += count
    if not by_reason:
        return "Nothing."
    rows = [[reason, sum(kinds.values()), _listed(kinds)] for reason, kinds in sorted(by_reason.items())]
    return table(["why", "examples", "of which"], rows)


def _mix(prepared: Prepared) -> str:
    """Shares by dialogues, which is what the recipe sets, and by words of the replies, which is what is learned."""
    part = prepared.parts["sft"]
    if not part:
        return "There are no dialogues."
    dialogues = Counter(one.kind for one in part)
    words: Counter[str] = Counter()
    for one in part:
        words[one.kind] += len(one.reply.split())
    total = sum(words.values())
    rows = [[kind, count, f"{count / len(part):.1%}", f"{words[kind] / total:.1%}"] for kind, count in dialogues.most_common()]
    note = (
        f"General text makes up {_general_share(prepared):.1%} of the dialogues (the recipe's aim is kept between 10 and 20 %)."
    )
    if not dialogues["general"]:
        note = "**There is no general text: a model tuned on this alone forgets what it could do. `--data` brings some.**"
    return f"{note}\n\n{table(['kind', 'dialogues', 'of all dialogues', 'of all words replied'], rows)}"


def _lengths(prepared: Prepared) -> str:
    groups: dict[str, list[Example]] = defaultdict(list)
    for name, part in prepared.parts.items():
        for one in part:
            groups[f"{'pair: ' if one.rejected is not None else ''}{one.kind}" if not name.endswith("validation") else ""].append(
                one
            )
    groups.pop("", None)
    rows = [
        [kind, *_spread(len(one.asked.split()) for one in group), *_spread(len(one.reply.split()) for one in group)]
        for kind, group in sorted(groups.items())
    ]
    return table(["words of", "asked: median", "95 %", "longest", "reply: median", "95 %", "longest"], rows)


def _redacted(prepared: Prepared) -> str:
    found = prepared.cleaning.redacted
    if not found:
        return "None was found."
    types = sorted({type for type, _ in found})
    rows = [[type, found[type, "own"], found[type, "shared"]] for type in types]
    note = "Values that were replaced, by whose they are; names and postal addresses are not recognised."
    return f"{note} `askfirst tune privacy` measures what is missed.\n\n{table(['type', 'own files', 'shared sets'], rows)}"


def _overlaps(prepared: Prepared) -> str:
    rows = [[name, count, prepared.cleaning.overlaps[name]] for name, count in sorted(prepared.measured.counts.items())]
    note = (
        f"An example is left out where it shares {RUN} words in a row with an evaluation text, or asks the same question "
        f"(of {SHORTEST} words or more: shorter ones are the same by chance). What is left shares none."
    )
    return (
        f"{note}\n\n{table(['measured set', 'texts', 'training examples left out'], rows)}"
        if rows
        else "Nothing is measured here."
    )


def _samples(prepared: Prepared) -> str:
    first: dict[str, Example] = {}
    for part in prepared.parts.values():
        for one in part:
            first.setdefault(f"{'pair: ' if one.rejected is not None else ''}{one.kind}", one)
    return "\n\n".join(f"### {kind} (from {one.source})\n\n{_shown(one)}" for kind, one in sorted(first.items()))


def _shown(example: Example) -> str:
    lines = [f"{message['role']}: {_cut(message['content'])}" for message in example.messages]
    if example.rejected is not None:
        lines.append(f"rejected: {_cut(example.rejected)}")
    return "\n".join(f"    {line}" for text in lines for line in text.split("\n"))


def table(head: list[str], rows: Iterable[list]) -> str:
    """Markdown; numbers with separators of thousands, cells without the sign that would end them."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(value) for value in line) + " |" for line in lines)


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value).replace("|", "\\|")


def _listed(kinds: Counter[str]) -> str:
    return ", ".join(f"{kind} {count:,}" for kind, count in kinds.most_common())


def _spread(lengths: Iterable[int]) -> tuple[int, int, int]:
    """Median, 95th percentile and maximum."""
    listed = sorted(lengths)
    cuts = quantiles(listed, n=100, method="inclusive") if len(listed) > 1 else listed * 99
    return round(cuts[49]), round(cuts[94]), listed[-1]


def _general_share(prepared: Prepared) -> float:
    part = prepared.parts["sft"]
    return sum(one.kind == "general" for one in part) / len(part) if part else 0.0


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]} [...]"
