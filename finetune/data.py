"""Prepares what training reads: tokenizer, packed pretraining tokens, tuning dialogues, preference pairs, held-out cases.

    python -m askfirst.finetune.data --recipe finetune/recipes/data.toml --data DATA --out OUT

OUT gets `tokenizer/`, `pretrain.bin` (uint16 tokens, documents shuffled and laid end to end), `sft.jsonl` (chat messages),
`pairs.jsonl`, `heldout/` and `counts.json`. The same recipe and data give the same files.
"""

import argparse
import json
import random
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from . import dialogues, general, invented, passages
from .calls import held_calls
from .cases import DECISIONS, PROMPTS, Case, exchanges, messages
from .corpus import titles, write_pretraining
from .example import Example
from .pairs import pairs

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


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="askfirst tune prepare", description="Prepare the training data.")
    parser.add_argument("--recipe", type=Path, default=Path(__file__).with_name("recipes") / "data.toml")
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and corpus/")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(argv)
    recipe, prompts = (tomllib.loads(path.read_text()) for path in (options.recipe, PROMPTS))
    rng = random.Random(recipe["seed"])
    (options.out / "heldout").mkdir(parents=True, exist_ok=True)

    # 1. All cases by decision and source, those that are only for scoring apart.
    groups = grouped(every_case(options.data))

    # 2. The held-out cases first: they are written before anything is trained.
    held = options.out / "heldout"
    for decision in DECISIONS:
        cases = drawn(groups, decision, recipe["held"], rng, held=True)
        write_lines(held / f"{decision}.jsonl", [case.as_line(number) for number, case in enumerate(cases)])
        if decision == "route":
            write_lines(held / "routing.jsonl", [routing_line(case, number) for number, case in enumerate(cases)])

    # 3. The dialogues of both stages, drawn from the same cases; the tokenizer and the tokens of the first.
    asked = {stage: list(stage_examples(groups, recipe[stage], prompts, rng)) for stage in ("pretrain", "sft")}
    counts: dict[str, Any] = write_pretraining(asked["pretrain"], recipe, options.data, options.out, rng)

    # 4. The tuning dialogues as chat messages.
    talks = [*asked["sft"], *general.conversations(options.data, recipe["sft"]["general"], rng)]
    write_lines(options.out / "sft.jsonl", [one.as_line() for one in talks])

    # 5. Whole calls to measure, and preference pairs to train on; then what was counted.
    calls = held_calls(options.data, recipe["calls"], rng)
    write_lines(held / "tools.jsonl", calls)
    preferred = list(pairs((case for group in groups.values() for case in group), options.data, recipe["pairs"], prompts, rng))
    write_lines(options.out / "pairs.jsonl", [one.as_line() for one in preferred])
    counts |= {stage: dict(Counter(one.kind for one in asked[stage])) for stage in asked} | {"tuning dialogues": len(talks)}
    counts |= {"pairs": dict(Counter(one.kind for one in preferred)), "held-out calls": len(calls)}
    (options.out / "counts.json").write_text(json.dumps(counts, indent=1))
    print(json.dumps(counts))


def every_case(root: Path) -> Iterator[Case]:
    """All readers' cases, then the invented ones; the held-out ones use other seeds, nouns and names."""
    for reader in READERS:
        yield from reader(root)
    names = titles(root / "corpus" / "corpus-00.jsonl.xz")
    for held, seed, count in ((False, 1, 12_000), (True, 2, 400)):
        kept = [name for name in names if passages.is_held(name) == held]
        yield from invented.requests(count, seed=seed, held=held)
        yield from invented.comparisons(count, seed=seed, names=kept, held=held)
        yield from invented.rules(count // 4, seed=seed, names=kept, held=held)
    yield from invented.sums(3_000, seed=3)


def grouped(cases: Iterable[Case]) -> dict[tuple, list[Case]]:
    """Keyed by decision, source and whether held out."""
    groups = defaultdict(list)
    for case in cases:
        groups[case.decision, case.source, case.held].append(case)
    return groups


def drawn(groups: dict, decision: str, quotas: dict[str, dict[str, int]], rng: random.Random, *, held: bool) -> list[Case]:
    """At most each source's quota for the decision, without repetition."""
    pools = [(groups[decision, source, held], quota[decision]) for source, quota in quotas.items() if decision in quota]
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
