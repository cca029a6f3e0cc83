"""What is left out of training examples and why; that the mix and the split are what they claim."""

import json
import random
import tarfile
from collections import Counter
from io import BytesIO
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from askfirst.finetune.cleaning import OWN, Cleaning, cleaned, mixed, split
from askfirst.finetune.contamination import Evaluated, evaluated
from askfirst.finetune.duplicates import jaccard, repeated
from askfirst.finetune.example import Example
from askfirst.finetune.filters import foreign, repetitive, unfit

RULES = {"shortest": 2, "longest": 300, "language": "en"}
RECIPE = {
    "seed": 7,
    "filter": RULES,
    "duplicates": {"threshold": 0.85},
    "privacy": {"own": "surrogates", "shared": "off"},
}
GERMAN = "Wie lange dauert es, bis eine Erstattung auf meinem Konto ankommt, wenn ich mit Karte bezahlt habe?"
LONG = "The storehouse opens at nine and closes at five, except on holidays, when nobody is there to open it for you."


def example(asked: str, reply: str = "ok", *, kind: str = "general", source: str = "x", rejected: str | None = None) -> Example:
    messages = ({"role": "user", "content": asked}, {"role": "assistant", "content": reply})
    return Example(kind, source, asked, messages, rejected)


def left(*examples: Example, measured: Evaluated | None = None) -> tuple[list[Example], Cleaning]:
    done = Cleaning()
    return cleaned(examples, RECIPE, measured or Evaluated(), done, progress=lambda number: None), done


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (example("Where is it?"), None),
        (example("?"), "too short"),
        (example("Where is it?", " "), "too short"),
        (example("word " * 80), "too long"),
        (example(GERMAN, "Fünf Tage, manchmal auch eine Woche."), "other language"),
        (example("ja gut"), None),
        (example("Say it.", "again and " * 25), "repetitive"),
        (example("Say it.", "again and " * 25, kind="tool"), None),
    ],
)
def test_each_rule_leaves_out_what_it_names(one: Example, why: str | None):
    assert unfit(one, RULES) == why


def test_any_language_is_taken_where_none_is_asked_for():
    assert unfit(example(GERMAN), RULES | {"language": ""}) is None
    assert unfit(example(GERMAN), RULES | {"language": "de"}) is None
    assert unfit(example(LONG), RULES | {"language": "de"}) == "other language"


def test_a_short_text_is_of_no_sure_language():
    assert not foreign("Hola, gracias.", "en")


def test_prose_does_not_count_as_repetitive():
    words = (Path(__file__).parents[2] / "docs/design.md").read_text("utf-8").split()
    assert not repetitive(" ".join(words[:400]))


def test_the_same_question_and_reply_stay_once():
    kept, done = left(example(LONG), example(f"  {LONG.lower()}!!"), example(LONG, "no"))
    assert [one.reply for one in kept] == ["ok"]
    assert {reason for reason, _, _ in done.removed} == {"exact duplicate", "near duplicate"}


def test_two_decisions_on_one_question_contradict_each_other():
    first, other = example("Is it?", '" yes"', kind="evidence"), example("is it", '" no"', kind="evidence")
    kept, done = left(first, other)
    assert kept == [first]
    assert done.removed == {("contradicts another", "evidence", "x"): 1}


def test_a_pair_is_no_contradiction_of_another_pair():
    pairs = [example("Is it?", "a", kind="wrong value", rejected=wrong) for wrong in ("b", "c")]
    assert repeated(pairs, threshold=0.85) == {}


def test_texts_that_differ_in_a_word_are_near_and_others_are_not():
    changed = LONG.replace("five", "six")
    listed = [
        example(f"{LONG} {LONG[::-1]}"),
        example(f"{changed} {LONG[::-1]}"),
        example("Something else is asked here, is it not?"),
    ]
    assert repeated(listed, threshold=0.7) == {1: "near duplicate"}


def test_like_questions_with_other_replies_are_what_a_decision_is_learned_from():
    ask = "Please cancel the order {} that I made yesterday in the evening, because it was a mistake of mine and not meant."
    listed = [example(ask.format(number), f'" {number}"', kind="arguments") for number in ("A-1", "A-2")]
    assert repeated(listed, threshold=0.5) == {}


@given(st.sets(st.integers()), st.sets(st.integers(), min_size=1))
def test_overlap_is_a_share_and_the_same_both_ways(one: set[int], other: set[int]):
    assert 0 <= jaccard(one, other) == jaccard(other, one) <= 1
    assert jaccard(other, other) == 1


def measured_with(*questions: str) -> Evaluated:
    found = Evaluated()
    found.add("held", questions, ["Thirteen words stand in a row here and no other text has them all."])
    return found


def test_a_question_that_is_measured_is_not_trained_on():
    kept, done = left(example("How long do refunds take, please?"), measured=measured_with("how long do REFUNDS take please"))
    assert kept == []
    assert done.overlaps == {"held": 1}
    assert done.removed == {("overlaps an evaluation", "general", "x"): 1}


def test_thirteen_words_are_an_overlap_and_twelve_are_not():
    words = "thirteen words stand in a row here and no other text has".split()
    assert len(words) == 12
    assert left(example(f"So {' '.join(words)} none"), measured=measured_with())[0]
    assert not left(example(f"So {' '.join(words)} them"), measured=measured_with())[0]
    assert not left(example("Say.", f"So {' '.join(words)} them"), measured=measured_with())[0]
    assert not left(example("Say.", rejected=f"So {' '.join(words)} them"), measured=measured_with())[0]


def test_what_everybody_says_is_no_overlap():
    assert left(example("Yes, thank you."), measured=measured_with("yes thank you"))[0]


def test_every_form_of_an_evaluation_file_and_archive_is_read(tmp_path: Path):
    folder, bench = tmp_path / "heldout", tmp_path / "bench"
    folder.mkdir()
    bench.mkdir()
    turns = [{"role": "user", "content": "I want to see the old town today."}, {"role": "assistant", "content": "Which?"}]
    lines = {
        "route": {"question": "How far is the moon from here?"},
        "tools": {"messages": [*turns, {"role": "user", "content": "The one that lies by the sea."}]},
        "answers": {"question": "Who built the mill over there?", "passages": [{"id": "1", "text": "word " * 14}]},
    }
    for name, line in lines.items():
        (folder / f"{name}.jsonl").write_text(json.dumps(line) + "\n", "utf-8")
    archive(
        bench / "bfcl.tar.zst", "b.json", json.dumps({"question": [[{"role": "user", "content": "What is the area of it?"}]]})
    )
    archive(bench / "metatool.tar.zst", "m.csv", "Query,Tool\nCan you find me a good recipe?,Chef\n")
    task = 'TASKS = [Task(instruction="You want to return the blue lamp."), {"instruction": "You want to keep the red lamp."}]'
    archive(bench / "tau_bench.tar.zst", "t.py", task)
    found = evaluated([folder, tmp_path / "none"], bench)
    assert found.counts == {f"heldout/{name}": 1 for name in lines} | {"bfcl": 1, "metatool": 1, "tau_bench": 2}
    for asked in (
        "How far is the moon from here?",
        "The one that lies by the sea.",
        "Who built the mill over there?",
        "What is the area of it?",
        "Can you find me a good recipe?",
        "You want to keep the red lamp.",
    ):
        assert found.overlapping(example(asked)), asked
    assert found.overlapping(example(f"Is it that {'word ' * 13} or so?")) == "heldout/answers"
    assert not found.overlapping(example("I want to see the new town tomorrow."))


def archive(path: Path, name: str, text: str) -> None:
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as folder:
        member = tarfile.TarInfo(name)
        member.size = len(text.encode())
        folder.addfile(member, BytesIO(text.encode()))
    path.write_bytes(zstandard.compress(packed.getvalue()))


def test_only_a_users_own_files_are_redacted_where_the_recipe_says_so():
    asked = "Write to anna.berg@mail.example.de about it."
    kept, done = left(example(asked, source=f"{OWN}mine"), example(asked + " Now!", source="public"))
    assert ["anna" in one.asked for one in kept] == [False, True]
    assert done.redacted == {("EMAIL", "own"): 1}


def test_what_is_made_up_is_nobodys():
    done = Cleaning()
    asked = "Write to anna.berg@mail.example.de about it."
    recipe = RECIPE | {"privacy": {"own": "surrogates", "shared": "surrogates"}}
    listed = [example(asked, source="invented"), example(f"Please, now! {asked} And to nobody else, ever.", source="public")]
    kept = cleaned(listed, recipe, Evaluated(), done, progress=lambda number: None)
    assert ["anna.berg@mail.example.de" in one.asked for one in kept] == [True, False]
    assert done.redacted == {("EMAIL", "shared"): 1}


def test_nothing_is_lost_uncounted():
    listed = [example(f"{'word ' * (number % 90)} {number % 7}?", source="abc"[number % 3]) for number in range(300)]
    kept, done = left(*listed)
    assert len(kept) + sum(done.removed.values()) == sum(done.read.values()) == 300


@pytest.mark.parametrize(("aim", "share"), [(0.15, 0.15), (0.02, 0.10), (0.6, 0.20)])
def test_general_text_makes_up_between_a_tenth_and_a_fifth(aim: float, share: float):
    decisions = [example(f"{number}", kind="tool") for number in range(400)]
    general = [example(f"g{number}") for number in range(400)]
    listed = mixed(decisions, general, aim, random.Random(1))
    assert sum(one.kind == "general" for one in listed) / len(listed) == pytest.approx(share, abs=0.002)


def test_all_general_text_is_taken_where_there_is_too_little():
    listed = mixed([example("a", kind="tool")] * 100, [example("g")] * 5, 0.15, random.Random(1))
    assert Counter(one.kind for one in listed) == {"tool": 100, "general": 5}


def test_each_kind_and_source_is_validated_on_and_no_question_on_both_sides():
    listed = [
        example(f"{number % 200}", f"{number}", kind="ab"[number % 2], source="xy"[number % 4 // 2]) for number in range(800)
    ]
    kept, held = split(listed, 0.1, random.Random(1))
    assert len(kept) + len(held) == 800
    assert not {one.question for one in kept} & {one.question for one in held}
    for stratum in {(one.kind, one.source) for one in listed}:
        share = sum((one.kind, one.source) == stratum for one in held) / sum((one.kind, one.source) == stratum for one in listed)
        assert share == pytest.approx(0.1, abs=0.03)
    assert len({(one.kind, one.source) for one in held[:25]}) == 4, "its beginning is a fair sample"


def test_a_single_question_is_trained_on():
    assert split([example("a")], 0.5, random.Random(1)) == ([example("a")], [])
