"""A card belongs to exactly the files that were measured, and only one that passed lets its adapter be loaded."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from askfirst.agent import card as cards
from askfirst.agent import serve, store
from askfirst.errors import AdapterUnproved
from askfirst.settings import Settings

DECISIONS = {"tool": {"gain": {"score": 0.1, "low": 0.0, "high": 0.2}}}


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    """An adapter's folder in its model's, without a card."""
    folder = tmp_path / "mine" / "adapters" / "decisions"
    folder.mkdir(parents=True)
    for name in cards.MEASURED:
        (folder / name).write_text(name)
    (folder.parents[1] / "model.safetensors").write_text("weights")
    return folder


def put(adapter: Path, **changed: Any) -> dict[str, Any]:
    """A signed card in the adapter's folder."""
    gates = [{"name": "decided", "value": 1.0, "wanted": ">= 1", "passed": True}]
    card = {"model": "mine", "decisions": DECISIONS, "gates": gates, "passed": True, "report": {"seed": 0}, **changed}
    made = cards.signed(card, adapter, adapter.parents[1])
    (adapter / "card.json").write_text(json.dumps(made))
    return made


def problem(adapter: Path) -> str:
    with pytest.raises(AdapterUnproved) as error:
        cards.check(adapter, adapter.parents[1])
    return str(error.value)


def test_a_card_of_these_files_that_passed_is_enough(adapter: Path):
    put(adapter)
    cards.check(adapter, adapter.parents[1])


def test_without_a_card_the_next_act_is_named(adapter: Path):
    told = problem(adapter)
    assert "has no signed card" in told
    assert "askfirst tune compare --model mine --adapter decisions" in told
    assert "--force" in told


@pytest.mark.parametrize("name", cards.MEASURED)
def test_a_changed_file_is_named(adapter: Path, name: str):
    put(adapter)
    (adapter / name).write_text("other")
    assert f"{name} changed" in problem(adapter)


def test_another_base_is_told(adapter: Path):
    put(adapter)
    (adapter.parents[1] / "model.safetensors").write_text("others")
    assert "of another base" in problem(adapter)


def test_published_weights_are_bound_by_the_digest_that_the_folder_states(adapter: Path):
    (adapter.parents[1] / "model.safetensors").unlink()
    (adapter.parents[1] / "source.toml").write_text('sha256 = "abc"\n')
    assert put(adapter)["base"] == "abc"
    cards.check(adapter, adapter.parents[1])


@pytest.mark.parametrize("part", ["decisions", "gates", "passed", "report", "files", "base"])
def test_a_changed_card_is_told(adapter: Path, part: str):
    (adapter / "card.json").write_text(json.dumps(put(adapter) | {part: "other"}))
    assert "changed after it was signed" in problem(adapter)


def test_a_gate_that_was_not_passed_is_named_with_its_threshold(adapter: Path):
    put(adapter, passed=False, gates=[{"name": "perplexity_ratio", "value": 1.9, "wanted": "<= 1.25", "passed": False}])
    assert "perplexity_ratio is 1.9, wanted <= 1.25" in problem(adapter)


def test_what_is_no_part_of_the_proof_may_change(adapter: Path):
    (adapter / "card.json").write_text(json.dumps(put(adapter) | {"note": "for readers"}))
    cards.check(adapter, adapter.parents[1])


@pytest.fixture
def unmeasured(tmp_path: Path) -> Settings:
    """A model of one's own: the shipped one with an adapter that nobody measured."""
    shutil.copytree(store.SHIPPED / "askfirst-5m", tmp_path / "models" / "own")
    (tmp_path / "models/own/adapters/decisions/card.json").unlink()
    return Settings(home=tmp_path, model="own")


def test_an_adapter_that_nobody_measured_is_not_loaded(unmeasured: Settings):
    with pytest.raises(AdapterUnproved, match="it has no signed card"):
        serve.open_model(unmeasured)
    assert store.card_of(unmeasured.model_copy(update={"adapter": "none"})) == {"decisions": {}}


def test_by_force_it_is_loaded_with_nothing_proved_and_what_is_skipped_is_told(unmeasured: Settings):
    forced = unmeasured.model_copy(update={"force": True})
    assert store.card_of(forced) == {"decisions": {}}
    assert store.unproved(forced) == "it has no signed card"


def test_the_shipped_adapter_is_proved(tmp_path: Path):
    settings = Settings(home=tmp_path, model="askfirst-5m")
    card = store.card_of(settings)
    assert store.unproved(settings) is None
    assert card
    assert card["passed"]
