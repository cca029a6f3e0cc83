"""The doctor: a whole house has only good findings, and whatever is broken becomes a line and never an exception."""

import random
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askfirst.agent import decoding, doctor, probes, store
from askfirst.agent.doctor import Finding, examine
from askfirst.agent.schemas import holds, random_object
from askfirst.agent.serve import serve
from askfirst.agent.template import CONVERSATIONS, rendering_sha256
from askfirst.settings import Settings

DECISIONS = ["route", "tool", "arguments", "decompose", "evidence", "wording", "refusal"]


def model_findings(settings: Settings) -> dict[str, Finding]:
    return {found.name: found for found in doctor.model_findings(settings)}


def test_a_whole_house_has_only_good_findings(settings: Settings) -> None:
    findings = examine(settings, thorough=True)
    assert [found for found in findings if not found.ok] == []
    assert [found.name for found in findings] == [
        "python",
        "home folder",
        "database",
        "embeddings",
        "model",
        "model server",
        "template",
        "context",
        "schemas",
        "round trip",
        "adapter",
        *(f"decides {decision}" for decision in DECISIONS),
    ]
    told = {found.name: found.detail for found in findings}
    assert told["schemas"].startswith("50 of 50")
    limit = store.find(settings).context
    assert told["context"] == f"{limit} tokens for each request; filled once, and one token more is refused"
    assert told["round trip"].startswith("look_up(#W")
    assert told["template"].startswith(f"{len(CONVERSATIONS)} conversations rendered by the server as in training")


def test_a_quick_look_tries_as_many_schemas_as_its_seconds_allow(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "QUICK", 0)
    assert model_findings(settings)["schemas"].detail == "1 of 1 replies under random schemas hold"


def test_an_adapter_tuned_with_another_template_is_found_out(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "mine"
    shutil.copytree(store.SHIPPED / "askfirst-5m", folder)
    mine = Settings(home=tmp_path, model="mine")
    text = (folder / "chat_template.jinja").read_text()
    rendering = rendering_sha256(partial(probes.rendered_in_training, text))
    for digest, ok in ((rendering, True), ("0" * 64, False)):
        (folder / "adapters/decisions/recipe.toml").write_text(f'[made]\ntemplate_sha256 = "{digest}"\n')
        with serve(mine) as served:
            found = doctor.finding("template", partial(probes.template, mine, served))
        assert found.ok == ok
        assert ("by its digest" if ok else "another template") in found.detail
    assert served.stop()


def test_each_finding_is_one_line(settings: Settings) -> None:
    assert all("\n" not in found.detail for found in doctor.decisions(settings))


def test_an_unknown_model_is_one_finding_and_the_rest_of_the_house_is_still_looked_at(tmp_path: Path) -> None:
    broken = Settings(home=tmp_path, model="gpt", database_url="postgresql://nobody@127.0.0.1:9/none")
    findings = {found.name: found for found in examine(broken)}
    assert not findings["model"].ok
    assert "Known: askfirst-" in findings["model"].detail
    assert not findings["database"].ok
    assert findings["embeddings"].ok
    assert not findings["decisions"].ok


def test_without_any_model_the_doctor_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "SHIPPED", tmp_path / "none")
    findings = [*doctor.model_findings(Settings(home=tmp_path)), *doctor.decisions(Settings(home=tmp_path))]
    assert [found.name for found in findings] == ["model", "decisions"]
    assert not any(found.ok for found in findings)
    assert "Known: none" in findings[0].detail


def test_a_model_folder_that_is_broken_is_a_finding(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "mine"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{")
    for found in [*doctor.model_findings(Settings(home=tmp_path)), *doctor.decisions(Settings(home=tmp_path))]:
        assert not found.ok
        assert str(folder) in found.detail


def test_a_model_url_where_nothing_answers_is_a_finding(tmp_path: Path) -> None:
    findings = model_findings(Settings(home=tmp_path, model="http://127.0.0.1:9/v1"))
    assert list(findings) == ["model server"]
    assert not findings["model server"].ok
    assert "does not answer" in findings["model server"].detail


def test_a_server_that_knows_another_model_name_is_a_finding_with_its_next_act(tmp_path: Path, stub: Callable[..., Any]) -> None:
    findings = model_findings(Settings(home=tmp_path, model=stub("x", offers=("llama-70b",)).url))
    assert "offers llama-70b" in findings["model server"].detail
    assert findings["model server"].next_act == "Name one of them: ASKFIRST_MODEL_NAME=NAME."


def test_a_server_that_ignores_schemas_is_found_out(
    tmp_path: Path, stub: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "SCHEMAS", 3)
    monkeypatch.setattr(decoding, "QUICK", 600)
    findings = model_findings(Settings(home=tmp_path, model=stub("Sure, I can help with that!").url))
    assert findings["schemas"].detail == "3 of 3 replies broke their schema"
    assert findings["tool calls"].ok
    assert "not forced" in findings["tool calls"].detail


def test_a_template_rendered_otherwise_by_the_server_is_found_out(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "fetch", lambda *_, **__: {"prompt": "<s>[INST] route"})
    with serve(settings) as served:
        found = doctor.finding("template", lambda: probes.template(settings, served))
    assert not found.ok
    assert "[INST]" in found.detail
    assert found.next_act


def test_an_adapter_that_changes_nothing_is_found_out(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes.Model, "yes", lambda *_, **__: 0.5)
    with serve(settings) as served:
        assert "changes nothing" in doctor.finding("adapter", lambda: probes.adapter(settings, served)).detail


def test_a_home_that_is_a_file_is_a_finding(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    found = doctor.finding("home folder", lambda: doctor.home(Settings(home=tmp_path / "file")))
    assert not found.ok
    assert "FileExistsError" in found.detail


def test_who_decides_is_told_with_the_scores_on_the_card() -> None:
    card = {"decisions": {"arguments": {"llama": {"score": 0.81, "low": 0.78, "high": 0.84}, "signal": {"score": 0.5}}}}
    assert doctor.scores(card, "arguments") == "llama 0.81 [0.78 to 0.84], signal 0.50"
    assert doctor.scores(card, "route") == "not measured for this model"
    assert doctor.scores(None, "route") == "a model without a card decides everything"


def test_an_override_of_who_decides_is_shown_as_yours(settings: Settings) -> None:
    overridden = settings.model_copy(update={"decide": {"tool": "llama"}})
    assert Finding("decides tool", True, "llama (your setting)") in list(doctor.decisions(overridden))


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string", "minLength": 1, "maxLength": 2}, "abc"),
        ({"type": "integer", "minimum": 1, "maximum": 3}, 4),
        ({"type": "integer", "minimum": 0, "maximum": 3}, True),
        ({"type": "boolean"}, 1),
        ({"type": "string", "enum": ["a"]}, "b"),
        ({"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": 9}, "minItems": 1, "maxItems": 1}, [1, 2]),
        ({"type": "string", "pattern": "^#[A-Z]{1}[0-9]{4}$"}, "#A12"),
        ({"type": "number", "minimum": 1, "maximum": 2}, 2.5),
        ({"type": "number", "minimum": 0, "maximum": 2}, True),
        ({"type": "integer", "minimum": 1, "maximum": 3}, 2.5),
        ({"anyOf": [{"type": "integer", "minimum": 0, "maximum": 9}, {"type": "null"}]}, "none"),
        ({"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}, {}),
        ({"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}, {"a": True, "b": True}),
        ({"type": "object", "properties": {"a": {"type": "boolean"}}, "required": []}, {"a": 1}),
    ],
)
def test_a_value_that_breaks_its_schema_is_seen(schema: dict[str, Any], value: Any) -> None:
    assert not holds(schema, value)


@given(st.integers())
def test_random_schemas_are_of_the_kinds_that_are_checked(seed: int) -> None:
    schema = random_object(random.Random(seed))
    assert holds(schema, example(schema))
    assert not holds(schema, {**example(schema), "more": 1})


def example(schema: dict[str, Any]) -> Any:
    """The simplest value that holds a schema."""
    if "anyOf" in schema:
        return None
    made = {
        "object": lambda: {name: example(one) for name, one in schema["properties"].items()},
        "array": lambda: [example(schema["items"])],
        "string": lambda: (
            schema.get("enum") or ["#" + "A" * int(schema["pattern"][8]) + "1234" if "pattern" in schema else "a"]
        )[0],
        "boolean": lambda: True,
    }
    return made.get(schema["type"], lambda: schema["minimum"])()
