"""Cuts a text into chunks to embed and into sentences to quote, each an exact span of the text.

It reads Markdown's structure (headings, lists, code, tables), which plain text mostly shares, and knows nothing of files
or of models: tokens are counted by whoever calls.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal

from .documents import Chunk

SIZE = 240  # tokens; with [CLS], [SEP] and room for a short heading this fills the embedder's 256
MOST_HEADING = 48  # tokens of a heading path that are taken from a chunk's size
LONGEST_WORD = 200  # characters; longer runs without a space (base64, hashes) are cut

Kind = Literal["heading", "paragraph", "item", "code", "table"]
Span = tuple[int, int]


@dataclass(frozen=True)
class Block:
    """A stretch that belongs together. `level` is a heading's depth, else 0."""

    kind: Kind
    start: int
    end: int
    level: int = 0


def chunks(text: str, *, count_tokens: Callable[[str], int], size: int = SIZE) -> list[Chunk]:
    """Chunks in order, without overlap; together they cover all but headings, which each carries as a path.

    A chunk ends with its section, so that its heading is true. Blocks are kept whole where they fit, else cut at
    sentences or lines, at words as the last resort.
    """
    return [
        Chunk(start, end, text[start:end], heading)
        for heading, blocks in _sections(text)
        for start, end in _packed(text, blocks, count_tokens, size - min(count_tokens(heading), MOST_HEADING))
    ]


def sentences(text: str, start: int = 0) -> list[Span]:
    """Spans of what can be quoted alone: sentences, list items without their mark, lines of code, rows of tables.

    Headings, fences and rules are left out. `start` is added to every span, so that the sentences of a chunk come out in
    the coordinates of its document.
    """
    return [
        (start + left, start + right)
        for block in blocks(text)
        if block.kind != "heading"
        for left, right in _units(text, block)
        if re.search(r"\w", text[left:right])
    ]


FENCE = re.compile(r"\s{0,3}(```+|~~~+)")
HEADING = re.compile(r"\s{0,3}(#{1,6})\s+(\S.*)")
UNDERLINE = re.compile(r"\s{0,3}(=+|-{2,})\s*$")
ITEM = re.compile(r"\s*(?:[-*+•‣◦–]|\(?\d{1,3}[.)]|\(?[a-zA-Z][.)])\s+(?=\S)")
ROW = re.compile(r"\s*\|.*")


def blocks(text: str) -> list[Block]:
    """The text's blocks in order; blank lines belong to none."""
    found: list[Block] = []
    fence = ""
    for start, end in _lines(text):
        line = text[start:end]
        if fence:
            found[-1] = Block("code", found[-1].start, end)
            fence = "" if line.strip().startswith(fence) else fence
        elif mark := FENCE.match(line):
            fence = mark[1]
            found.append(Block("code", start, end))
        elif line.strip():
            _add_line(found, text, start, end)
    return found


def _lines(text: str) -> Iterator[Span]:
    """Lines without their ends. Only `\\n` ends one, so that form feeds of a PDF stay inside."""
    start = 0
    for line in text.split("\n"):
        yield start, start + len(line)
        start += len(line) + 1


def _add_line(found: list[Block], text: str, start: int, end: int) -> None:
    """Extend the last block by this line, or begin another."""
    line = text[start:end]
    touching = bool(found) and text[found[-1].end : start] == "\n"
    last = found[-1] if touching else None
    if heading := HEADING.match(line):
        found.append(Block("heading", start, end, level=len(heading[1])))
    elif last and last.kind == "paragraph" and UNDERLINE.match(line) and "\n" not in text[last.start : last.end]:
        found[-1] = Block("heading", last.start, end, level=1 if "=" in line else 2)
    elif ITEM.match(line):
        found.append(Block("item", start, end))
    elif ROW.match(line):
        _extend(found, last if last and last.kind == "table" else None, Block("table", start, end))
    else:
        _extend(found, last if last and last.kind in ("paragraph", "item") else None, Block("paragraph", start, end))


def _extend(found: list[Block], last: Block | None, block: Block) -> None:
    if last:
        found[-1] = Block(last.kind, last.start, block.end)
    else:
        found.append(block)


def _sections(text: str) -> Iterator[tuple[str, list[Block]]]:
    """Each run of blocks under one heading, with the path of titles above it. A heading with nothing below it, not even
    a deeper heading, is its own block: else its words could not be found."""
    path: list[tuple[int, str]] = []
    body: list[Block] = []
    found = blocks(text)
    for block, following in zip_longest(found, found[1:]):
        if block.kind != "heading":
            body.append(block)
            continue
        yield _joined(path), body
        path = [(level, title) for level, title in path if level < block.level]
        is_leaf = following is None or (following.kind == "heading" and following.level <= block.level)
        body = [block] if is_leaf else []
        if not is_leaf:
            path.append((block.level, _title(text, block)))
    yield _joined(path), body


def _joined(path: list[tuple[int, str]]) -> str:
    return " > ".join(title for _, title in path)


def _title(text: str, block: Block) -> str:
    first = text[block.start : block.end].split("\n")[0]
    return re.sub(r"^\s*#+\s+|\s+#*\s*$|\s*\{\s*#[^}]*\}\s*$", "", first).strip("*_` ")


def _packed(text: str, section: list[Block], count_tokens: Callable[[str], int], room: int) -> Iterator[Span]:
    """Spans of at most `room` tokens: whole blocks while they fit, a block too large for one chunk in pieces."""
    current: Span | None = None
    used = 0
    for start, end in _fitting(text, section, count_tokens, room):
        cost = _cost(text[start:end], count_tokens)
        if current and used + cost > room:
            yield current
            current, used = None, 0
        current, used = (current[0] if current else start, end), used + cost
    if current:
        yield current


def _fitting(text: str, section: list[Block], count_tokens: Callable[[str], int], room: int) -> Iterator[Span]:
    """Blocks, or their units, or their words: the first of these that fit."""
    for block in section:
        if _cost(text[block.start : block.end], count_tokens) <= room:
            yield _trimmed(text, block.start, block.end)
            continue
        for start, end in _whole_units(text, block):
            fits = _cost(text[start:end], count_tokens) <= room
            yield from [(start, end)] if fits else _words(text, start, end)


def _cost(stretch: str, count_tokens: Callable[[str], int]) -> int:
    """Tokens, but at least one for twelve characters: a word piece model calls any long word one unknown token."""
    by_length = len(stretch) // 12
    return by_length if by_length > 10 * SIZE else max(by_length, count_tokens(stretch))


def _trimmed(text: str, start: int, end: int) -> Span:
    stretch = text[start:end]
    return start + len(stretch) - len(stretch.lstrip()), start + len(stretch.rstrip())


def _whole_units(text: str, block: Block) -> Iterator[Span]:
    """The block's units stretched to touch, so that no character between them (a fence, a mark) is lost."""
    starts = [start for start, _ in _units(text, block)][1:]
    for start, end in zip([block.start, *starts], [*starts, block.end], strict=True):
        if text[start:end].strip():
            yield _trimmed(text, start, end)


def _units(text: str, block: Block) -> Iterator[Span]:
    """Lines of code or of a table, else sentences."""
    if block.kind in ("code", "table"):
        for start, end in _lines(text[block.start : block.end]):
            line = text[block.start + start : block.start + end]
            if line.strip() and not FENCE.match(line):
                yield _trimmed(text, block.start + start, block.start + end)
        return
    mark = ITEM.match(text, block.start, block.end) if block.kind == "item" else None
    yield from _sentences(text, mark.end() if mark else block.start, block.end)


STOP = re.compile(r"(?:[.!?…]+[\"'”’)\]*_`]*(?=\s)|[。！？]+[」』”]*)")
ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|cf|vs|viz|approx|ca|resp|incl|excl|esp|al|Mr|Mrs|Ms|Dr|Prof|Sr|Jr|St|Mt|Gen|Col|Capt|Lt|Rev|Hon|Sen|Rep"
    r"|Gov|Fig|Figs|Eq|Eqs|Sec|Ch|Vol|Ed|Eds|Inc|Ltd|Co|Corp|Dept|Univ|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept|Sep|Oct|Nov|Dec)"
    r"|\b[A-Z])\.$"
)
LONGEST_ABBREVIATION = 24  # characters looked at before a full stop, quotes and brackets after it included
BEFORE_NUMBER = re.compile(r"\b(?:No|Nos|no|nos|p|pp|Art|art|sec|fig|vol|ch|v)\.$")


def _sentences(text: str, start: int, end: int) -> Iterator[Span]:
    left = start
    for stop in STOP.finditer(text, start, end):
        before = text[max(left, stop.end() - LONGEST_ABBREVIATION) : stop.end()]
        if _ends_sentence(before, _next_character(text, stop.end(), end)):
            yield _trimmed(text, left, stop.end())
            left = stop.end()
    if text[left:end].strip():
        yield _trimmed(text, left, end)


def _next_character(text: str, start: int, end: int) -> str:
    found = re.compile(r"\S").search(text, start, end)
    return found[0] if found else ""


def _ends_sentence(before: str, following: str) -> bool:
    """Whether a full stop ends the sentence, judged by the word before it and the character after it."""
    if before[-1] in "。！？」』":
        return True
    if not following or following.islower():
        return not following
    bare = before.rstrip("\"'”’)]*_`")
    if ABBREVIATION.search(bare):
        return False
    return not (following.isdigit() and BEFORE_NUMBER.search(bare))


def _words(text: str, start: int, end: int) -> Iterator[Span]:
    for word in re.compile(rf"\S{{1,{LONGEST_WORD}}}").finditer(text, start, end):
        yield word.span()
