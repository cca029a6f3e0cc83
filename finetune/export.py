"""Writes the GGUF files of a model folder and of its adapters, to look at them or to serve them elsewhere.

    python -m askfirst.finetune.export --model models/askfirst-5m --out OUT --kind q8_0
    python -m askfirst.finetune.export --model MODEL --adapter ADAPTER --merge --out OUT

The conversion lies in `agent/`, because the assistant derives the same files on its first start, without torch. Merged, an
adapter's matrices are added to the base's: a model of its own for servers that know no adapters.
"""

import argparse
import shutil
from pathlib import Path
from typing import get_args

import torch
from peft import PeftModel
from transformers import LlamaForCausalLM

from ..agent.gguf import Kind, write_adapter, write_model
from .base import Base, open_base
from .methods import save_model


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="askfirst tune export", description="Write GGUF files.")
    parser.add_argument("--model", type=Path, required=True, help="model folder or GGUF file")
    parser.add_argument("--adapter", type=Path, help="adapter folder; else those in the model's folder")
    parser.add_argument("--merge", action="store_true", help="add the adapter to the base: one model, one file")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--kind", choices=get_args(Kind), default="q8_0")
    options = parser.parse_args(argv)
    if options.merge and not options.adapter:
        parser.error("--merge needs the adapter: --adapter FOLDER")
    options.out.mkdir(parents=True, exist_ok=True)
    base = open_base(options.model)

    # 1. The base, or what it is with its adapter.
    name = f"{base.name}-{options.adapter.name}" if options.merge else base.name
    folder = merged(base, options.adapter, options.out / name) if options.merge else base.folder
    model = options.out / f"{name}-{options.kind}.gguf"
    write_model(folder, model, kind=options.kind)
    print(model)
    if options.merge:
        return

    # 2. Its adapters, each applied by the server on request.
    for adapter in [options.adapter] if options.adapter else sorted((options.model / "adapters").glob("*/")):
        file = options.out / f"{base.name}-{adapter.name}.gguf"
        write_adapter(adapter, base.folder, file)
        print(file)


def merged(base: Base, adapter: Path, out: Path) -> Path:
    """`out`, a transformers folder in float16 that needs no adapter. Added in float32, rounded once."""
    model = PeftModel.from_pretrained(LlamaForCausalLM.from_pretrained(base.folder, dtype=torch.float32), str(adapter))
    whole = model.merge_and_unload()
    save_model(whole, whole.state_dict(), out)
    base.tokenizer().save_pretrained(out)
    for file in ("prompts.toml", "recipe.toml"):
        if (adapter / file).is_file():
            shutil.copy(adapter / file, out / file)
    return out


if __name__ == "__main__":
    main()
