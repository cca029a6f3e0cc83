"""A tokenizer and packed tokens small enough to train on within seconds, and the shipped model behind a real server."""

import json
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from askfirst.agent import openmp

ROOT = Path(__file__).parents[2]
SHIPPED = next(iter(sorted((ROOT / "models").glob("*/config.json"))), ROOT / "models/none/config.json").parent

NEED_TORCH = "base batches calls cleaning data domain dpo methods pairs prepare privacy training"  # or what else the extra brings
collect_ignore = [] if find_spec("torch") else [f"test_{name}.py" for name in NEED_TORCH.split()]


@pytest.fixture(scope="session")
def shipped() -> Path:
    """The folder of the shipped model."""
    if not (SHIPPED / "model.safetensors").exists():
        pytest.skip("no model is shipped")
    return SHIPPED


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """Some hundred lines of every kind that stands in this repository: prose, code, tables, non-ASCII."""
    files = [*ROOT.glob("docs/*.md"), *ROOT.glob("finetune/*.py"), *ROOT.glob("finetune/recipes/*.toml")]
    lines = [line for path in sorted(files) for line in path.read_text().splitlines() if line.strip()]
    odd = ["naïve café, 12,345.67 €", "  two  spaces\t tab", "日本語とemoji 🙂", "#W-12/x@y.io 0012345", "I'LL don't we've"]
    return lines[:: max(1, len(lines) // 400)] + odd


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> Path:
    """What `prepare` leaves behind, in small: a tokenizer and packed tokens."""
    from askfirst.finetune.corpus import pack
    from askfirst.finetune.tokens import token_ids, trained_tokenizer

    folder = tmp_path_factory.mktemp("prepared")
    tokenizer = trained_tokenizer(texts, size=600)
    tokenizer.save_pretrained(folder / "tokenizer")
    pack(token_ids(tokenizer, texts), folder / "pretrain.bin")
    return folder


@pytest.fixture(scope="session")
def served(shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, dict], dict]]:
    """Posts a body to a path of a llama.cpp server that holds the shipped base in float32 and its adapter."""
    if sys.platform == "linux" and not openmp.installed():
        pytest.skip("llama.cpp in this process needs the system's libgomp")
    import xllamacpp

    from askfirst.agent.gguf import write_adapter, write_model

    folder = tmp_path_factory.mktemp("gguf")
    write_model(shipped, folder / "base.gguf", kind="f32")
    write_adapter(shipped / "adapters/decisions", shipped, folder / "adapter.gguf")
    adapter = xllamacpp.CommonAdapterLoraInfo()
    adapter.path, adapter.scale = str(folder / "adapter.gguf"), 0.0
    server = xllamacpp.Server(_parameters(folder / "base.gguf", [adapter]))

    yield partial(_post, server.listening_address)
    del server  # its destructor ends it


def _post(address: str, path: str, body: dict) -> dict:
    request = Request(address + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urlopen(request, timeout=60) as reply:
        return json.load(reply)


def _parameters(model: Path, adapters: list) -> object:
    import xllamacpp

    parameters = xllamacpp.CommonParams()
    parameters.model.path, parameters.lora_adapters = str(model), adapters
    parameters.port, parameters.n_parallel, parameters.n_ctx = 0, 1, 2048
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = 1
    parameters.cache_ram_mib = 0  # this cache does not know which adapter a state was computed with
    parameters.use_jinja, parameters.verbosity = True, 0
    return parameters
