"""What the README promises: its settings are all the settings, its commands exist, its example of tools works."""

import re
from pathlib import Path

import click

from askfirst.settings import Settings
from askfirst.tools.registry import Tool
from askfirst.ui.cli import app

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


def test_its_table_lists_every_setting_with_its_reason():
    listed = dict(re.findall(r"^\| `(\w+)` \|.*?\| (.+) \|$", README, re.M))
    assert listed == {name: field.description for name, field in Settings.model_fields.items()}


def test_its_commands_exist():
    shown = set(re.findall(r"(?:^    |`)askfirst (\w+)", README, re.M))
    assert len(shown) > 10
    assert shown <= {name for name, _ in commands(app)}


def test_its_options_exist():
    known = {option for _, command in commands(app) for each in command.params for option in each.opts}
    assert set(re.findall(r"(?<=[ `])--[a-z]+", README)) <= known | {"--help"}


def test_its_tools_are_tools():
    source = next(block for block in re.findall(r"```python\n(.+?)```", README, re.S) if "@tool" in block)
    names: dict[str, object] = {}
    exec(compile(source, "shop_tools.py", "exec", dont_inherit=True), names)
    tools = {each.name: each.writes for each in names.values() if isinstance(each, Tool)}
    assert tools == {"stock": False, "withdraw": True}


def commands(group: click.Group) -> list[tuple[str, click.Command]]:
    """Every command with its name, those of groups included, and the group itself."""
    below = [pair for each in group.commands.values() if isinstance(each, click.Group) for pair in commands(each)]
    return [(str(group.name), group), *group.commands.items(), *below]
