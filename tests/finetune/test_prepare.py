"""The command: on the shared sets in small, on a user's own files alone, on an empty and on a hostile one."""

import json
import re
from pathlib import Path

import pytest

from askfirst.errors import LineInvalid, NothingToTrain, RecipeInvalid
from askfirst.finetune.cases import DECISIONS
from askfirst.finetune.data import main

from .sets import data_folder

LINES = [
    {
        "instruction": "Where do I find the keys of the storehouse?",
        "output": "In the blue box; ask Anna at anna@mail.example.de.",
    },
    {"prompt": "May I take them?", "chosen": "Ask Anna first.", "rejected": "Yes."},
]
FILES = ("sft.jsonl", "sft_validation.jsonl", "pairs.jsonl", "pairs_validation.jsonl", "report.md", "counts.json")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return data_folder(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped recipe with a smaller tokenizer and less prose."""
    shipped = (Path(__file__).parents[2] / "finetune/recipes/data.toml").read_text("utf-8")
    text = shipped
    for name, value in (("vocabulary", 600), ("prose_tokens", 4_000), ("repeats", 20), ("invented_requests", 60)):
        text = re.sub(rf"^{name} = [\d_]+", f"{name} = {value}", text, flags=re.M)
    path = tmp_path_factory.mktemp("recipe") / "small.toml"
    path.write_text(text, "utf-8")
    return path


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "own.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in LINES), "utf-8")
    return path


def prepared(out: Path, *words: object) -> Path:
    main([*map(str, words), "--out", str(out)])
    return out


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.slow
def test_the_shared_sets_become_all_files_and_the_same_every_time(data: Path, recipe: Path, own: Path, tmp_path: Path):
    words = ("--data", data, "--own", own, "--recipe", recipe)
    first, second = (prepared(tmp_path / name, *words) for name in ("a", "b"))
    written = sorted(path.relative_to(first).as_posix() for path in first.rglob("*") if path.is_file())
    assert {*FILES, "pretrain.bin", "tokenizer/tokenizer.json", "heldout/tools.jsonl", "heldout/routing.jsonl"} <= set(written)
    assert {f"heldout/{decision}.jsonl" for decision in DECISIONS} <= set(written)
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in written)
    kinds = {line["kind"] for line in lines(first / "sft.jsonl")}
    assert {"tool", "arguments", "route", "evidence", "answer", "general"} <= kinds
    assert all(line["chosen"] != line["rejected"] for line in lines(first / "pairs.jsonl"))
    trained = {line["messages"][-2]["content"] for line in lines(first / "sft.jsonl")}
    assert not trained & {line["messages"][-2]["content"] for line in lines(first / "sft_validation.jsonl")}
    report = (first / "report.md").read_text("utf-8")
    assert "hwu64_train.jsonl.zst" in report, "sets that are missing are named"
    assert "### answer" in report
    share = json.loads((first / "counts.json").read_text("utf-8"))["general share"]
    assert share == pytest.approx(
        sum(line["kind"] == "general" for line in lines(first / "sft.jsonl")) / len(lines(first / "sft.jsonl")), abs=1e-4
    )


def test_own_files_are_enough(own: Path, tmp_path: Path):
    out = prepared(tmp_path / "out", "--own", own)
    assert sorted(path.name for path in out.iterdir()) == sorted(FILES)
    [line] = lines(out / "sft.jsonl")
    assert line["kind"] == "own"
    assert line["source"] == "own/own"
    assert line["messages"][0] == {"role": "user", "content": LINES[0]["instruction"]}
    assert "anna@" not in line["messages"][1]["content"]
    [pair] = lines(out / "pairs.jsonl")
    assert (pair["prompt"], pair["chosen"]) == ([{"role": "user", "content": "May I take them?"}], "Ask Anna first.")
    report = (out / "report.md").read_text("utf-8")
    assert "| EMAIL | 1 | 0 |" in report
    assert "There is no general text" in report
    assert json.loads((out / "counts.json").read_text("utf-8"))["redacted"] == {"EMAIL (own)": 1}


def test_an_empty_file_beside_another_is_no_fault(own: Path, tmp_path: Path):
    (tmp_path / "empty.jsonl").touch()
    assert len(lines(prepared(tmp_path / "out", "--own", tmp_path / "empty.jsonl", own) / "sft.jsonl")) == 1


def test_nothing_but_an_empty_file_is_named(tmp_path: Path):
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(NothingToTrain, match=r"empty\.jsonl holds no examples"):
        prepared(tmp_path / "out", "--own", tmp_path / "empty.jsonl")


def test_nothing_named_is_named(tmp_path: Path):
    with pytest.raises(NothingToTrain, match="neither --data nor --own"):
        prepared(tmp_path / "out")
    with pytest.raises(NothingToTrain, match="holds no folder train"):
        prepared(tmp_path / "out", "--data", tmp_path)


@pytest.mark.parametrize(
    "hostile", [b"\xff\xfe\x00{\x00}", b"\x00" * 5_000_000, b"{" * 3_000_000, b'{"a": ' + b"9" * 900_000 + b"}"]
)
def test_a_hostile_file_is_one_word_and_leaves_nothing_behind(own: Path, tmp_path: Path, hostile: bytes):
    (tmp_path / "bad.jsonl").write_bytes(own.read_bytes() + hostile)
    with pytest.raises(LineInvalid, match=r"Line 3 of .*bad\.jsonl cannot be used"):
        prepared(tmp_path / "out", "--own", tmp_path / "bad.jsonl")
    assert not list((tmp_path / "out").glob("*.jsonl"))


@pytest.mark.parametrize(
    ("recipe", "word"),
    [
        ("seed = ", "Invalid value"),
        ("seed = 7", "lacks validation"),
        ('seed = 7\nvalidation = 0\nfilter = {}\nduplicates = {}\ngeneral = {}\nprivacy = { own = "yes" }', "not yes"),
        (None, "No such file"),
    ],
)
def test_a_recipe_that_cannot_be_used_is_named(own: Path, tmp_path: Path, recipe: str | None, word: str):
    path = tmp_path / "recipe.toml"
    if recipe is not None:
        path.write_text(recipe, "utf-8")
    with pytest.raises(RecipeInvalid, match=word):
        prepared(tmp_path / "out", "--own", own, "--recipe", path)
