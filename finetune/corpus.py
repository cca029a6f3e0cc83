"""The text that pretraining reads: prose out of the corpus, repeated random tokens, and all of it in one row of tokens."""

import json
import lzma
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerFast

from .contamination import Evaluated
from .example import Example
from .tokens import BEGIN, END, SPECIAL, chat_text, token_ids, trained_tokenizer


def write_pretraining(
    examples: list[Example], recipe: dict, data: Path, out: Path, rng: random.Random, measured: Evaluated
) -> dict[str, int]:
    """Writes `tokenizer/` and `pretrain.bin` and counts their tokens, and the prose that overlaps what is measured.

    The tokenizer is trained on the prose and on the dialogues that it will cut. Prose, repeated random tokens and
    dialogues, all roles, are shuffled into one row.
    """
    read = list(paragraphs(data, characters=5 * recipe["prose_tokens"], rng=rng))
    prose = [text for text in read if not measured.holding(text)]
    texts = [*prose, *(f"{one.asked}\n{one.reply}" for one in examples)]
    tokenizer = trained_tokenizer(texts, size=recipe["vocabulary"])
    tokenizer.save_pretrained(out / "tokenizer")
    chats = [chat_text(tokenizer, list(one.messages)) for one in examples]
    documents = list(cut(token_ids(tokenizer, [BEGIN + text + END for text in prose]), limit=recipe["prose_tokens"]))
    counts = {"pieces of prose that overlap an evaluation": len(read) - len(prose), "prose tokens": sum(map(len, documents))}
    documents += [*repeats(recipe["repeats"], tokenizer, rng), *token_ids(tokenizer, chats)]
    rng.shuffle(documents)
    return counts | {"pretraining tokens": pack(documents, out / "pretrain.bin")}


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
