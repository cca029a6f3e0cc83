"""Writes the GGUF files of a model folder and of its adapters, to look at them or to serve them elsewhere.

    python -m askfirst.finetune.export --model models/askfirst-5m --out OUT --kind q8_0

The one place where `finetune/` uses `agent/`: the conversion lies there because the assistant derives the same files on its
first start, without torch.
"""

import argparse
from pathlib import Path
from typing import get_args

from ..agent.gguf import Kind, write_adapter, write_model


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="askfirst tune export", description="Write GGUF files.")
    parser.add_argument("--model", type=Path, required=True, help="model folder")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--kind", choices=get_args(Kind), default="q8_0")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)

    # 1. The base.
    base = options.out / f"{options.model.name}-{options.kind}.gguf"
    write_model(options.model, base, kind=options.kind)
    print(base)

    # 2. Its adapters, each applied by the server on request.
    for folder in sorted((options.model / "adapters").glob("*/")):
        adapter = options.out / f"{options.model.name}-{folder.name}.gguf"
        write_adapter(folder, options.model, adapter)
        print(adapter)


if __name__ == "__main__":
    main()
