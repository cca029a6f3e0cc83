"""Prepares what training reads: tokenizer, packed pretraining tokens, tuning dialogues, preference pairs, held-out cases.

    python -m askfirst.finetune.data --recipe finetune/recipes/data.toml --data DATA --out OUT
    python -m askfirst.finetune.data --own FILE... --out OUT

OUT gets `sft.jsonl` and `pairs.jsonl` with their `_validation`, `report.md` and `counts.json`; from the shared sets also
`heldout/`, `tokenizer/` and `pretrain.bin` (uint16 tokens laid end to end). The same recipe and data give the same files.
"""

import argparse
import json
import random
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from ..errors import NothingToTrain, RecipeInvalid
from . import dialogues, general, invented, passages, phrases
from .calls import held_calls
from .cases import DECISIONS, PROMPTS, Case, exchanges, messages
from .cleaning import OWN, Cleaning, cleaned, mixed, split
from .contamination import Evaluated, evaluated
from .corpus import titles, write_pretraining
from .example import Example
from .own import own_examples
from .pairs import pairs
from .prepared import Prepared, counts, report
from .privacy import Style
from .turns import moments

READERS = (
    dialogues.schema_guided,
    dialogues.seal_tools,
    dialogues.api_bank,
    dialogues.snips,
    dialogues.home_commands,
    dialogues.intents,
    dialogues.bank_requests,
    dialogues.customer_service,
    dialogues.arithmetic_stories,
    passages.answered,
    passages.policies,
    passages.papers,
    passages.reports,
    passages.asked_of_sentences,
    passages.stepwise,
)


ALWAYS = ("seed", "validation", "filter", "duplicates", "privacy", "general")
OF_SETS = ("held", "calls", "sft", "pairs", "pretrain", "vocabulary", "prose_tokens", "repeats", "invented_requests")
SHOP = Path(__file__).parents[1] / "examples" / "shop"  # its questions are measured, by programs alone


def main(argv: list[str] | None = None) -> None:
    options = _options(argv)
    recipe, prompts = _recipe(options), tomllib.loads(PROMPTS.read_text("utf-8"))
    rng = random.Random(recipe["seed"])
    options.out.mkdir(parents=True, exist_ok=True)
    missing: list[str] = []

    # 1. The user's own files first: a bad line is told before minutes are spent. Then all cases by decision and source, of
    #    which the held-out ones are written before anything is trained.
    own = [replace(one, source=OWN + one.source) for path in options.own for one in own_examples(path, prompts)]
    groups = grouped(every_case(options.data, recipe["invented_requests"], missing)) if options.data else {}
    held = write_held_out(groups, recipe, options, rng, missing) if options.data else {}
    measured = evaluated([options.out / "heldout", SHOP], options.data / "bench" if options.data else None)

    # 2. What tuning reads: decisions drawn from the cases, own examples, general text, preference pairs.
    decisions = [*stage_examples(groups, recipe["sft"], prompts, rng), *(one for one in own if one.rejected is None)]
    preferred = [one for one in own if one.rejected is not None]
    talk: list[Example] = []
    if options.data:
        talk += general.conversations(options.data, recipe["general"]["most"], rng, missing)
        turns = dialogues.as_far_as_there(moments(options.data, "sgd_train"), missing)
        preferred += pairs((case for group in groups.values() for case in group), turns, recipe["pairs"], prompts, rng)
    if not decisions and not preferred:
        raise NothingToTrain(f"{', '.join(map(str, options.own)) or options.data} holds no examples")

    # 3. Cleaned, mixed and split.
    cleaning = Cleaning()
    decisions, talk, preferred = (
        cleaned(part, recipe, measured, cleaning, progress=_told(name))
        for name, part in (("decisions", decisions), ("general text", talk), ("pairs", preferred))
    )
    listed = mixed(decisions, talk, recipe["general"]["share"], rng)
    parts: dict[str, list[Example]] = {}
    parts["sft"], parts["sft_validation"] = split(listed, recipe["validation"], rng)
    parts["pairs"], parts["pairs_validation"] = split(preferred, recipe["validation"], rng)
    for name, part in parts.items():
        write_lines(options.out / f"{name}.jsonl", [one.as_line() for one in part])

    # 4. The tokens of pretraining, where the shared sets and the corpus are there; then the report.
    prepared = Prepared(options.recipe.name, parts, cleaning, measured, held, missing)
    if options.data and (options.data / "corpus").is_dir():
        prepared.pretraining = pretraining(groups, recipe, prompts, measured, options, rng)
    (options.out / "report.md").write_text(report(prepared), "utf-8")
    (options.out / "counts.json").write_text(json.dumps(counts(prepared), indent=1) + "\n", "utf-8")
    print(f"{options.out / 'report.md'} tells what was prepared: {_summary(prepared)}.")


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="askfirst tune prepare", description="Prepare the training data.")
    parser.add_argument("--recipe", type=Path, default=Path(__file__).with_name("recipes") / "data.toml")
    parser.add_argument("--data", type=Path, help="folder with train/, corpus/ and bench/ of the public sets")
    own = "own files: Alpaca, messages or ShareGPT conversations, pairs, or what `askfirst history export` wrote"
    parser.add_argument("--own", type=Path, nargs="+", action="extend", default=[], metavar="FILE", help=own)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(argv)
    if not options.data and not options.own:
        raise NothingToTrain("neither --data nor --own is given")
    if options.data and not (options.data / "train").is_dir():
        raise NothingToTrain(f"{options.data} holds no folder train/")
    return options


def _recipe(options: argparse.Namespace) -> dict[str, Any]:
    """The recipe with all that this run needs of it; without the shared sets that is little."""
    needed = [*ALWAYS, *(OF_SETS if options.data else ())]
    try:
        recipe = {"sft": {}} | tomllib.loads(options.recipe.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise RecipeInvalid(f"{options.recipe}: {' '.join(str(error).split())}", known=needed, has="each of") from None
    if lacking := [name for name in needed if name not in recipe]:
        raise RecipeInvalid(f"{options.recipe} lacks {', '.join(lacking)}", known=needed, has="each of")
    if unknown := set(recipe["privacy"].values()) - set(get_args(Style)):
        raise RecipeInvalid(
            f"privacy is one of {', '.join(get_args(Style))}, not {', '.join(map(str, unknown))}", known=needed, has="each of"
        )
    return recipe


def _told(name: str) -> Any:
    """Progress on a terminal, nothing in a file."""
    return lambda number: sys.stderr.isatty() and print(f"\rcleaning {name}: {number:,} ", end="", file=sys.stderr, flush=True)


def _summary(prepared: Prepared) -> str:
    return ", ".join(f"{len(part):,} {name.replace('_', ' ')}" for name, part in prepared.parts.items())


def write_held_out(
    groups: dict, recipe: dict, options: argparse.Namespace, rng: random.Random, missing: list[str]
) -> dict[str, int]:
    """One file for each decision, `routing.jsonl` and `tools.jsonl` in the forms that `askfirst eval` reads; how many lines."""
    folder = options.out / "heldout"
    folder.mkdir(parents=True, exist_ok=True)
    lines: dict[str, list[dict]] = {}
    for decision in DECISIONS:
        cases = drawn(groups, decision, recipe["held"], rng, held=True)
        lines[decision] = [case.as_line(number) for number, case in enumerate(cases)]
        if decision == "route":
            lines["routing"] = [routing_line(case, number) for number, case in enumerate(cases)]
    lines["tools"] = held_calls(options.data, recipe["calls"], random.Random(recipe["seed"]), missing)
    for name, each in lines.items():
        write_lines(folder / f"{name}.jsonl", each)
    return {name: len(each) for name, each in lines.items()}


def pretraining(
    groups: dict, recipe: dict, prompts: dict, measured: Evaluated, options: argparse.Namespace, rng: random.Random
) -> dict[str, int]:
    """Writes the tokens of pretraining from dialogues and prose that share nothing with what is measured."""
    drawn_all = list(stage_examples(groups, recipe["pretrain"], prompts, rng))
    examples = [one for one in drawn_all if not measured.overlapping(one)]
    left_out = {"pretraining dialogues that overlap an evaluation": len(drawn_all) - len(examples)}
    return left_out | write_pretraining(examples, recipe, options.data, options.out, rng, measured)


def every_case(root: Path, requests: int, missing: list[str]) -> Iterator[Case]:
    """All readers' cases, then the invented ones; the held-out ones use other seeds, nouns and names.

    A set whose files are not all there is read as far as they are; the first that is not is added to `missing`.
    """
    for reader in READERS:
        yield from dialogues.as_far_as_there(reader(root), missing)
    names = list(dialogues.as_far_as_there(titles(root / "corpus" / "corpus-00.jsonl.xz"), missing))
    names = names or [f"{city} {street}" for city in phrases.CITIES for street in phrases.STREETS]
    for held, seed, count in ((False, 1, requests), (True, 2, requests // 30)):
        kept = [name for name in names if passages.is_held(name) == held]
        yield from invented.requests(count, seed=seed, held=held)
        yield from invented.comparisons(count, seed=seed, names=kept, held=held)
        yield from invented.rules(count // 4, seed=seed, names=kept, held=held)
    yield from invented.sums(requests // 4, seed=3)


def grouped(cases: Iterable[Case]) -> dict[tuple, list[Case]]:
    """Keyed by decision, source and whether held out."""
    groups = defaultdict(list)
    for case in cases:
        groups[case.decision, case.source, case.held].append(case)
    return groups


def drawn(groups: dict, decision: str, quotas: dict[str, dict[str, int]], rng: random.Random, *, held: bool) -> list[Case]:
    """At most each source's quota for the decision, without repetition."""
    pools = [(groups.get((decision, source, held), []), quota[decision]) for source, quota in quotas.items() if decision in quota]
    return [case for pool, quota in pools for case in rng.sample(pool, min(quota, len(pool)))]


def stage_examples(groups: dict, quotas: dict, prompts: dict, rng: random.Random) -> Iterator[Example]:
    """For evidence the right sentence and two others stand for the case, the nearest wrong ones being hard enough."""
    for decision in DECISIONS:
        for case in drawn(groups, decision, quotas, rng, held=False):
            asked = list(exchanges(case, prompts))
            if decision == "evidence" and len(asked) > 1:
                asked = [asked.pop(case.expected), *rng.sample(asked, min(2, len(asked)))]
            for one in asked:
                yield Example(decision, case.source, case.question, tuple(messages(one, prompts)))


def routing_line(case: Case, number: int) -> dict:
    """A held-out route in the form that `askfirst eval routing` reads."""
    return {"id": f"{case.source}-{number}", "question": case.question, "route": case.expected}


def write_lines(path: Path, lines: list[dict]) -> None:
    """JSON lines, as the same bytes for the same values."""
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")


if __name__ == "__main__":
    main()
