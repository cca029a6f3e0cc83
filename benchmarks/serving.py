"""The model server beside `transformers` generate on the same weights: decode, prefill, first token; prefixes, adapters, streams.

    python -m askfirst.benchmarks.serving [--model smollm2-135m] [--threads 1] [--runs 3]
    python -m askfirst.benchmarks.serving --text TEXT --prompts PROMPTS.jsonl      and what fewer bits lose, kind by kind

Everything is measured in one run on one machine, each figure the median of `--runs`; the base is asked where nothing else is
said, and the peer runs in float32 in a process of its own, on as many threads. Adapters of rank 16 with random weights are made
for the run: what an adapter says costs nothing, that it is there does. PROMPTS.jsonl holds {"messages": [...]} in each line, TEXT
is plain text or JSONL with "text" (also .xz). The peer needs the extra `finetune`; without it ours is measured alone.
"""

import argparse
import json
import lzma
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from safetensors.numpy import save_file

from askfirst.agent.endpoint import Endpoint, fetch
from askfirst.agent.llamacpp import read_state
from askfirst.agent.quantization import losses
from askfirst.agent.serve import serve
from askfirst.agent.store import StoredModel, find
from askfirst.agent.wheel import weights
from askfirst.settings import Settings

PROMPT, REPLY, ADAPTERS, STREAMS = 700, 48, 8, 4
LORA = {"peft_type": "LORA", "r": 16, "lora_alpha": 32}
WORD = "The customer may return an item within thirty days unless it was sold in a sale, and the refund goes to the card. "
PEER = """
import json, statistics, sys, time
import psutil, torch
from transformers import AutoModelForCausalLM
folder, file, threads, runs, prompt, reply = json.load(sys.stdin)
torch.set_num_threads(threads)
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **({"gguf_file": file} if file else {}))
def seconds(tokens, number):
    ids = torch.tensor([[*tokens[:-1], tokens[-1] + number]])
    began = time.perf_counter()
    with torch.no_grad():
        model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=1, do_sample=False)
    first = time.perf_counter() - began
    began = time.perf_counter()
    with torch.no_grad():
        model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=reply, min_new_tokens=reply, do_sample=False)
    return first, (time.perf_counter() - began - first) / (reply - 1)
taken = [seconds(prompt, number) for number in range(runs)]
first, each = (statistics.median(column) for column in zip(*taken))
print(json.dumps({"first": first, "decode": 1 / each, "memory": psutil.Process().memory_info().rss}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--text", type=Path)
    parser.add_argument("--prompts", type=Path)
    parser.add_argument("--adapter", default="none", help="of the model; is on when losses are measured")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="askfirst-bench-") as folder:
        home = Path(folder)
        # 1. The model alone, beside the peer.
        shipped = Settings(home=home, model=options.model, adapter=options.adapter, threads=options.threads)
        model = find(shipped)
        with started(shipped.model_copy(update={"adapter": "none"})) as (endpoint, memory):
            what = f"{model.name} in {model.kind}, {options.threads} thread(s), {PROMPT} tokens in, {REPLY} out"
            print(f"{what:<60}{'peer':>9}{'ours':>9}{'ratio':>8}")
            print_alone(endpoint, memory, peer(endpoint, model, options), options.runs)
            print_prefix(endpoint, options.runs)
            print_streams(endpoint, options.runs)
        # 2. The same with one adapter and with eight.
        print_adapters(model, home, options)
        # 3. Fewer bits.
        if options.text and options.prompts:
            print_losses(model, shipped, options)


@contextmanager
def started(settings: Settings) -> Iterator[tuple[Endpoint, Callable[[], float]]]:
    """A server that is stopped afterwards, and the memory that it takes by then, in bytes."""
    with serve(settings) as served:
        endpoint = served.endpoint()
        yield endpoint, lambda: memory_of(settings.home, endpoint)
        served.stop()


def memory_of(home: Path, endpoint: Endpoint) -> float:
    """Of the server's process."""
    states = [read_state(note) for note in (home / "run").glob("*.json")]
    (pid,) = [state.pid for state in states if state and state.url == endpoint.url]
    return psutil.Process(pid).memory_info().rss


def asked(
    endpoint: Endpoint, text: str, *, reply: int = REPLY, reuse: bool = False, scales: Sequence[float] = ()
) -> dict[str, Any]:
    """The server's own times for one request of `PROMPT` tokens; `wall` is ours, in seconds."""
    ids = tokens(endpoint, text)
    lora = [{"id": number, "scale": scale} for number, scale in enumerate(scales)]
    body = {"prompt": ids, "n_predict": reply, "temperature": 0, "ignore_eos": True, "cache_prompt": reuse}
    began = time.perf_counter()
    answer = fetch(
        endpoint.url.removesuffix("/v1") + "/completion", endpoint.key, body=body | ({"lora": lora} if lora else {}), timeout=600
    )
    return answer["timings"] | {"wall": time.perf_counter() - began}


def tokens(endpoint: Endpoint, text: str) -> list[int]:
    """A prompt that begins with the text and has `PROMPT` tokens."""
    body = {"content": text + " " + WORD * (PROMPT // 10)}
    return fetch(endpoint.url.removesuffix("/v1") + "/tokenize", endpoint.key, body=body)["tokens"][:PROMPT]


def peer(endpoint: Endpoint, model: StoredModel, options: argparse.Namespace) -> dict[str, float] | None:
    """What transformers takes for the same; None where it is not installed."""
    if not find_spec("transformers"):
        return None
    file = weights(model.published, model.name, Path("none")) if model.published else None
    folder = file.parent if file else model.source
    told = [str(folder), file.name if file else None, options.threads, options.runs, tokens(endpoint, "0"), REPLY]
    done = subprocess.run([sys.executable, "-c", PEER], input=json.dumps(told), capture_output=True, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def print_alone(endpoint: Endpoint, memory: Callable[[], float], other: dict[str, float] | None, runs: int) -> None:
    """Decode, prefill, first token, memory, beside the peer's."""
    seen = [asked(endpoint, f"{number}") for number in range(runs)]
    first = median(asked(endpoint, f"first {number}", reply=1)["wall"] for number in range(runs))
    told = other or {"decode": 0, "first": 0, "memory": 0}
    print_row("decode, tokens/s", told["decode"], median(each["predicted_per_second"] for each in seen))
    print_row("prefill, tokens/s", told["first"] and PROMPT / told["first"], median(each["prompt_per_second"] for each in seen))
    print_row("time to first token, s", told["first"], first)
    print_row("memory, MB", told["memory"] / 1e6, memory() / 1e6)


def print_prefix(endpoint: Endpoint, runs: int) -> None:
    """The same beginning a second time: only what differs is read."""
    cold = median(asked(endpoint, f"cold {number}", reply=1)["wall"] for number in range(runs))
    asked(endpoint, "warm", reply=1, reuse=True)
    print_row("a prefix read before (ours) beside a cold one, s", cold, median(warm(endpoint, number) for number in range(runs)))


def warm(endpoint: Endpoint, number: int) -> float:
    """Seconds to the first token after a prompt of which all but the last twenty tokens were read before."""
    ids = [*tokens(endpoint, "warm")[:-20], *tokens(endpoint, f"other {number}")[:20]]
    body = {"prompt": ids, "n_predict": 1, "temperature": 0, "cache_prompt": True}
    began = time.perf_counter()
    fetch(endpoint.url.removesuffix("/v1") + "/completion", endpoint.key, body=body, timeout=600)
    return time.perf_counter() - began


def print_streams(endpoint: Endpoint, runs: int) -> None:
    """Tokens a second of four replies decoded at once, beside one after another; short prompts."""
    rates = {}
    for streams in (1, STREAMS):
        taken = [decoding(endpoint, streams, run) for run in range(runs)]
        rates[streams] = streams * REPLY / median(taken)
    print_row("four streams (ours) beside one, tokens/s in all", rates[1], rates[STREAMS])


def decoding(endpoint: Endpoint, streams: int, run: int) -> float:
    """Seconds until that many replies of `REPLY` tokens were decoded at once."""

    def one(number: int) -> None:
        body = {"prompt": f"{run} {number} {WORD}", "n_predict": REPLY, "temperature": 0, "ignore_eos": True}
        fetch(endpoint.url.removesuffix("/v1") + "/completion", endpoint.key, body=body, timeout=600)

    began = time.perf_counter()
    with ThreadPoolExecutor(streams) as pool:
        list(pool.map(one, range(streams)))
    return time.perf_counter() - began


def print_adapters(model: StoredModel, home: Path, options: argparse.Namespace) -> None:
    """One adapter beside none; requests that take turns among eight beside requests to one of them."""
    folder = home / "models" / "with-adapters"
    shutil.copytree(model.source, folder, ignore=shutil.ignore_patterns("adapters"))
    for number in range(ADAPTERS):
        random_adapter(folder, f"adapter-{number}", seed=number)
    settings = Settings(home=home, model=folder.name, adapter="none", threads=options.threads)
    with started(settings) as (endpoint, memory):
        off = [0.0] * ADAPTERS
        turns = [[float(place == number) for place in range(ADAPTERS)] for number in range(ADAPTERS)]
        asked(endpoint, "warm up", scales=off)
        none = [asked(endpoint, f"none {number}", scales=off) for number in range(options.runs)]
        one = [asked(endpoint, f"one {number}", scales=turns[0]) for number in range(options.runs)]
        eight = [
            asked(endpoint, f"eight {number}", scales=turns[number % ADAPTERS]) for number in range(max(ADAPTERS, options.runs))
        ]
        for name, key in (("decode", "predicted_per_second"), ("prefill", "prompt_per_second")):
            rates = [median(each[key] for each in side) for side in (none, one, eight)]
            print_row(f"an adapter (ours) beside none, {name} tokens/s", rates[0], rates[1])
            print_row(f"eight in turn (ours) beside one, {name} tokens/s", rates[1], rates[2])
        print(f"memory with eight adapters: {memory() / 1e6:.0f} MB")


def random_adapter(folder: Path, name: str, *, seed: int) -> None:
    """An adapter of rank 16 on every projection, as peft writes it."""
    config = json.loads((folder / "config.json").read_text("utf-8"))
    width, inner = config["hidden_size"], config["intermediate_size"]
    head = config.get("head_dim") or width // config["num_attention_heads"]
    queries, keys = head * config["num_attention_heads"], head * config["num_key_value_heads"]
    shapes = {"q": (width, queries), "k": (width, keys), "v": (width, keys), "o": (queries, width)}
    parts = {f"self_attn.{key}_proj": shape for key, shape in shapes.items()}
    parts |= {"mlp.gate_proj": (width, inner), "mlp.up_proj": (width, inner), "mlp.down_proj": (inner, width)}
    rng, weights = np.random.default_rng(seed), {}
    for layer in range(config["num_hidden_layers"]):
        for part, (wide, out) in parts.items():
            place = f"base_model.model.model.layers.{layer}.{part}"
            weights[f"{place}.lora_A.weight"] = rng.normal(0, 0.02, (LORA["r"], wide)).astype(np.float16)
            weights[f"{place}.lora_B.weight"] = rng.normal(0, 0.02, (out, LORA["r"])).astype(np.float16)
    target = folder / "adapters" / name
    target.mkdir(parents=True)
    save_file(weights, target / "adapter_model.safetensors")
    (target / "adapter_config.json").write_text(json.dumps(LORA), "utf-8")


def print_losses(model: StoredModel, settings: Settings, options: argparse.Namespace) -> None:
    """Each kind beside float32: size, equal replies, divergence of the next token, perplexity of the text."""
    prompts = [json.loads(line)["messages"] for line in options.prompts.read_text("utf-8").splitlines()]
    print(f"\n{f'{len(prompts)} prompts':<16}{'MB':>8}{'same replies':>14}{'mean KL':>10}{'perplexity':>12}")
    for row in losses(model, settings, prompts, text_of(options.text)):
        print(f"{row.kind:<16}{row.megabytes:>8.0f}{row.same_replies:>14.3f}{row.divergence:>10.5f}{row.perplexity:>12.2f}")


def text_of(path: Path) -> str:
    """The first 20,000 characters of a text, or of the texts in JSON lines."""
    opener = partial(lzma.open, path) if path.suffix == ".xz" else path.open
    found = ""
    with opener("rt", encoding="utf-8") as lines:
        for line in lines:
            found += (json.loads(line)["text"] + "\n\n") if ".jsonl" in path.name else line
            if len(found) > 20_000:
                break
    return found


def median(values: Iterator[float]) -> float:
    return statistics.median(values)


def print_row(what: str, theirs: float, own: float) -> None:
    """The peer's figure, ours, and how many times the peer's ours is; a peer that is missing is a dash."""
    print(
        f"{what:<60}{f'{theirs:.3g}' if theirs else '-':>9}{own:>9.3g}{f'{own / theirs:.2f}' if theirs else '-':>8}", flush=True
    )


if __name__ == "__main__":
    main()
