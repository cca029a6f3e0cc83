"""Prepares everything that training reads: tokenizer, packed pretraining tokens, tuning dialogues, held-out cases.

    python -m askfirst.finetune.data --recipe finetune/recipes/data.toml --data DATA --out OUT

OUT gets `tokenizer/`, `pretrain.bin` (uint16 tokens, documents shuffled and laid end to end), `sft.jsonl` (chat messages),
`heldout/<decision>.jsonl` and `counts.json`. The same recipe and data give the same files.
"""

import argparse
import json
import lzma
import random
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from transformers import PreTrainedTokenizerFast

from . import dialogues, general, invented, passages
from .cases import DECISIONS, PROMPTS, Case, Exchange, exchanges, messages
from .tokens import BEGIN, END, SPECIAL, chat_text, token_ids, trained_tokenizer

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
    for decision in DECISIONS:
        cases = drawn(groups, decision, recipe["held"], rng, held=True)
        lines = [json.dumps(case.as_line(number), ensure_ascii=False) for number, case in enumerate(cases)]
        (options.out / "heldout" / f"{decision}.jsonl").write_text("\n".join(lines) + "\n")

    # 3. The dialogues of both stages, drawn from the same cases.
    asked = {stage: list(stage_exchanges(groups, recipe[stage], prompts, rng)) for stage in ("pretrain", "sft")}

    # 4. The tokenizer, trained on the prose and on the dialogues that it will cut.
    prose = list(paragraphs(options.data, characters=5 * recipe["prose_tokens"], rng=rng))
    texts = [*prose, *(f"{one.user}\n{one.reply}" for one in asked["pretrain"])]
    tokenizer = trained_tokenizer(texts, size=recipe["vocabulary"])
    tokenizer.save_pretrained(options.out / "tokenizer")

    # 5. Prose, repeated random tokens and dialogues, shuffled, in one row of tokens.
    chats = [chat_text(tokenizer, messages(one, prompts)) for one in asked["pretrain"]]
    documents = list(cut(token_ids(tokenizer, [BEGIN + text + END for text in prose]), limit=recipe["prose_tokens"]))
    counts: dict[str, Any] = {"prose tokens": sum(map(len, documents))}
    documents += [*repeats(recipe["repeats"], tokenizer, rng), *token_ids(tokenizer, chats)]
    rng.shuffle(documents)
    counts["pretraining tokens"] = pack(documents, options.out / "pretrain.bin")

    # 6. The tuning dialogues as chat messages, and what was counted.
    talks = [messages(one, prompts) for one in asked["sft"]]
    talks += general.conversations(options.data, recipe["sft"]["general"], rng)
    lines = [json.dumps({"messages": talk}, ensure_ascii=False) for talk in talks]
    (options.out / "sft.jsonl").write_text("\n".join(lines) + "\n")
    counts |= {stage: dict(Counter(one.decision for one in asked[stage])) for stage in asked} | {"tuning dialogues": len(talks)}
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


def stage_exchanges(groups: dict, quotas: dict, prompts: dict, rng: random.Random) -> Iterator[Exchange]:
    """For evidence the right sentence and two others stand for the case, the nearest wrong ones being hard enough."""
    for decision in DECISIONS:
        for case in drawn(groups, decision, quotas, rng, held=False):
            asked = list(exchanges(case, prompts))
            if decision == "evidence" and len(asked) > 1:
                asked = [asked.pop(case.expected), *rng.sample(asked, min(2, len(asked)))]
            yield from asked


def titles(path: Path) -> list[str]:
    """Short titles of articles and pages, as names of things that people compare."""
    with lzma.open(path, "rt", encoding="utf-8") as lines:
        found = {json.loads(line)["title"].split(" (")[0].split(": ")[-1] for line in lines}
    return sorted(title for title in found if 1 <= len(title.split()) <= 4 and title[0].isalpha())


def paragraphs(root: Path, *, characters: int, rng: random.Random) -> Iterator[str]:
    """Pieces of about 2,000 characters out of all shards alike, until there are enough; dialogues come elsewhere."""
    shards = sorted((root / "corpus").glob("corpus-*.jsonl.xz"))
    for shard in shards:
        with lzma.open(shard, "rt", encoding="utf-8") as lines:
            records = [record for line in lines if "schema-guided" not in (record := json.loads(line))["source"]]
        rng.shuffle(records)
        left = characters // len(shards)
        for record in records:
            start = rng.randrange(max(1, len(record["text"]) - 2_000))
            piece = record["text"][start : start + 2_000]
            left -= len(piece)
            if left < 0:
                break
            yield piece[piece.find("\n") + 1 :] if start else piece


def cut(sequences: list[list[int]], *, limit: int) -> Iterator[list[int]]:
    """The first of them, until they hold `limit` tokens."""
    for sequence in sequences:
        if limit <= 0:
            return
        limit -= len(sequence)
        yield sequence


def repeats(count: int, tokenizer: PreTrainedTokenizerFast, rng: random.Random) -> Iterator[list[int]]:
    """Random tokens said two to four times: nothing but copying predicts the second time."""
    [[begin, end]] = token_ids(tokenizer, [BEGIN + END])
    for _ in range(count):
        span = [rng.randrange(len(SPECIAL), len(tokenizer)) for _ in range(rng.randint(8, 60))]
        yield [begin, *span * rng.randint(2, 4), end]


def pack(documents: list[list[int]], path: Path) -> int:
    """Lay the documents end to end as uint16 and return how many tokens that is; none is cut off or padded."""
    tokens = np.fromiter((token for document in documents for token in document), dtype=np.uint16)
    tokens.tofile(path)
    return len(tokens)


if __name__ == "__main__":
    main()
