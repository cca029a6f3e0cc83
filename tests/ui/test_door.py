"""The free options, and the two ways of printing."""

import json
from pathlib import Path

import pytest

from askfirst.agent.state import Answer
from askfirst.ui.door import Door, free_first, plain


@pytest.mark.parametrize(
    ("line", "moved"),
    [
        ("ask hello --json", "--json ask hello"),
        ("ask hello --collection handbook", "--collection handbook ask hello"),
        ("tools list --tools one --tools=two", "--tools one --tools=two tools list"),
        ("tune sft --json --home x", "tune sft --json --home x"),
        ("ask -- --json", "ask -- --json"),
        ("ask hello --collection", "--collection  ask hello"),
    ],
)
def test_free_options_may_stand_anywhere(line: str, moved: str):
    assert " ".join(free_first(line.split())) == moved


def test_the_options_become_settings(tmp_path: Path):
    door = Door(collection="handbook", tools=("my.tools",), home=tmp_path, by="maria")
    assert (door.settings.collection, door.settings.tools, door.settings.home) == ("handbook", ("my.tools",), tmp_path)
    assert door.who == "maria"


def test_the_options_travel_to_another_process(tmp_path: Path):
    door = Door(collection="handbook", tools=("one", "two"), home=tmp_path)
    assert door.variables == {"ASKFIRST_COLLECTION": "handbook", "ASKFIRST_TOOLS": "one,two", "ASKFIRST_HOME": str(tmp_path)}


def test_json_is_one_object_on_one_line(capsys: pytest.CaptureFixture[str]):
    Door(as_json=True).say({"answers": [Answer("q", "été", "answered")]}, "the picture")
    assert json.loads(capsys.readouterr().out)["answers"][0]["text"] == "été"


def test_people_see_the_picture(capsys: pytest.CaptureFixture[str]):
    Door().say({"answers": []}, "the [picture]")
    assert capsys.readouterr().out == "the [picture]\n"


def test_values_of_the_house_become_plain():
    answer = Answer("q", None, "refused")
    assert plain({"answers": (answer,), "n": 1}) == {"answers": [answer.json()], "n": 1}
