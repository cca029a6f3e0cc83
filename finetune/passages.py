"""Reads questions on texts as cases: which sentence answers, which words are the answer, and which questions come first.

A text is held out by its title, so that no sentence of a held-out case was ever seen.
"""

import random
import re
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from .cases import Case, spans
from .dialogues import rows, text_lines

SENTENCE_END = re.compile(r"(?<=[a-z0-9)\"”’%][.!?])\s+(?=[A-Z\"“(])|\n+")
WH_WORD = re.compile(r"(who|whom|whose|what|which|when|where|why|how|is|are|was|were|did|does|do|in what|in which)\b", re.I)
MOST_SENTENCES = 8


def answered(root: Path) -> Iterator[Case]:
    """SQuAD 1.1, SQuAD 2.0 and Wikipedia of SQuADShifts, a tenth of the titles held out; Amazon reviews wholly held out."""
    for source in ("squad11_dev_extra", "squad2_dev_part", "squadshifts_newwiki", "squadshifts_amazon"):
        foreign = source == "squadshifts_amazon"
        for number, row in enumerate(rows(root, source)):
            held = foreign or is_held(row["title"])
            rng = random.Random(f"{source}{number}")
            for case in _passage(source, row["context"], row["qas"], rng):
                yield replace(case, held=held)


def policies(root: Path) -> Iterator[Case]:
    """PolicyQA: questions on privacy policies, a tenth of the sites held out."""
    for row in rows(root, "policyqa_dev"):
        held = is_held(row["title"])
        for number, paragraph in enumerate(row["paragraphs"]):
            rng = random.Random(f"{row['title']}{number}")
            for case in _passage("policyqa", paragraph["context"], paragraph["qas"], rng):
                yield replace(case, held=held)


def papers(root: Path) -> Iterator[Case]:
    """CovidQA: foreign to routing, therefore wholly held out; its texts are too long to choose a sentence from."""
    for row in rows(root, "covidqa"):
        for question in row["paragraphs"][0]["qas"]:
            yield Case("route", "covidqa", question["question"], "documents", held=True)


def reports(root: Path) -> Iterator[Case]:
    """TAT-QA: what one passage or table of a report states; its computed answers are left out."""
    for row in rows(root, "tatqa_dev"):
        for question in row["questions"]:
            if question["answer_type"] == "span":
                yield Case("route", "tatqa", question["question"], "documents")


def asked_of_sentences(root: Path) -> Iterator[Case]:
    """QAMR on Wikipedia: finding a few words in one sentence is the same act as filling an argument."""
    sentences = dict(line.rstrip("\n").split("\t") for line in text_lines(root, "qamr_wiki-sentences.tsv"))
    for line in text_lines(root, "qamr_dev.tsv"):
        key, *_, question, answer, _, _ = line.rstrip("\n").split("\t")
        words = sentences.get(key, "-").split(" ")
        places = [int(place) for place in answer.split()]
        if not key.startswith("Wiki1k") or "-" in "".join(words) or not places:
            continue
        text = _untokenized(words)
        value = _untokenized(words[places[0] : places[-1] + 1])
        if value in spans(text):
            yield _extraction("qamr", text, question, value)


def stepwise(root: Path) -> Iterator[Case]:
    """Break, StrategyQA, MuSiQue and HotpotQA: several look-ups; FanOutQA is foreign to routing and wholly held out."""
    for row in rows(root, "break_qdmr_high_dev"):
        steps = [re.sub(r"\s+", " ", step).strip().removeprefix("return ") for step in row["decomposition"].split(";")]
        yield from _decomposed("break", row["question_text"].strip(), _break_questions(steps))
    for row in rows(root, "strategyqa_train"):
        yield from _decomposed("strategyqa", row["question"], [step for step in row["decomposition"] if "#" not in step])
    for source in ("musique_train100", "hotpotqa_train100"):
        for row in rows(root, source):
            yield Case("route", source, row["question"], "sub-questions")
    for row in rows(root, "fanoutqa_dev_a"):
        yield Case("route", "fanoutqa", row["question"], "sub-questions", held=True)


def sentences(text: str) -> list[str]:
    """Split where a full stop ends a word and a capital follows; abbreviations are cut sometimes, which costs little."""
    return [sentence for piece in SENTENCE_END.split(text) if len(sentence := piece.strip()) > 12]


def is_held(key: str) -> bool:
    """The same tenth on every machine."""
    return zlib.crc32(key.encode()) % 10 == 4


def _passage(source: str, context: str, questions: list[dict], rng: random.Random) -> Iterator[Case]:
    listed = sentences(context)
    for asked in questions:
        question = asked["question"].strip()
        yield Case("route", source, question, "documents")
        answers = [answer["text"].strip() for answer in asked["answers"]]
        holding = [index for index, sentence in enumerate(listed) if any(answer in sentence for answer in answers)]
        if len(holding) == 1 and len(listed) > 2:
            yield _choice(source, question, listed, holding[0], rng)
            value = answers[0].rstrip(".,")
            if value in spans(listed[holding[0]]):
                yield _extraction(source, listed[holding[0]], question, value)
                yield Case("answer", source, question, value, sentences=tuple(listed), near=holding[0])
        elif not answers and listed:
            nearest = max(range(len(listed)), key=lambda index: _overlap(question, listed[index]))
            yield Case("evidence", source, question, -1, sentences=(listed[nearest],))
            yield Case("answer", source, question, None, sentences=tuple(listed), near=nearest)


def _choice(source: str, question: str, listed: list[str], right: int, rng: random.Random) -> Case:
    """The right sentence among the nearest others, in the text's order."""
    others = [index for index in range(len(listed)) if index != right]
    others.sort(key=lambda index: -_overlap(question, listed[index]))
    kept = sorted([right, *others[: MOST_SENTENCES - 1]])
    return Case("evidence", source, question, kept.index(right), sentences=tuple(listed[index] for index in kept))


def _overlap(question: str, sentence: str) -> int:
    return len(set(re.findall(r"\w{3,}", question.lower())) & set(re.findall(r"\w{3,}", sentence.lower())))


def _extraction(source: str, text: str, question: str, value: str) -> Case:
    return Case("arguments", source, text, value, tool="read text", argument="answer", description=question.rstrip("?") + "?")


def _untokenized(words: list[str]) -> str:
    text = " ".join(words).replace(" n't", "n't").replace("`` ", '"').replace(" ''", '"')
    return re.sub(r" ([.,;:!?%)]|'s\b|')", r"\1", text).replace("( ", "(").replace("$ ", "$")


def _break_questions(steps: list[str]) -> list[str]:
    """The steps that need no other step, as questions; a set that is only counted later becomes a count."""
    free = []
    for number, step in enumerate(steps, start=1):
        if "#" in step or not step:
            continue
        counted = any(re.fullmatch(rf"(the )?number of #{number}", later) for later in steps)
        lead = "How many " if counted else "" if WH_WORD.match(step) else "What is "
        asked = lead + step
        free.append(asked[0].upper() + asked[1:] + "?")
    return free


def _decomposed(source: str, question: str, first: list[str]) -> Iterator[Case]:
    held = is_held(question) or is_held(question[::-1])
    if source == "break" or len(first) > 1:
        yield Case("route", source, question, "sub-questions", held=held)
    if 2 <= len(first) <= 3:
        yield Case("decompose", source, question, first, held=held)
