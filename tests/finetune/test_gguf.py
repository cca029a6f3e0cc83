"""What llama.cpp makes of the derived files: the same tokens, the same words, the adapter like the merged model."""

import importlib.util
import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from gguf import GGUFReader
from tokenizers import Tokenizer

from askfirst.agent.gguf import requantize, write_adapter, write_model

Post = Callable[[str, dict], dict]
QUESTIONS = (
    "I need to move my meeting with Nadia Weber to 14 June.\nWhich way?",
    "How long is the guarantee on a kettle?\nWhich way?",
    "Said: Please send parcel KX-20418 to 12 Mill Lane\nTool: send parcel\nWhat is the parcel number? (Which parcel it is about)",
)
needs_torch = pytest.mark.skipif(not importlib.util.find_spec("torch"), reason="transformers is the reference here")


def chat(system: str, user: str, scale: float) -> dict:
    """A request for a greedy reply, with the adapter at `scale`."""
    messages = [{"role": "system", "content": system}, {"role": "user", "content": user}]
    return {"messages": messages, "temperature": 0, "max_tokens": 24, "lora": [{"id": 0, "scale": scale}]}


def replied(post: Post, body: dict) -> str:
    return post("/v1/chat/completions", body)["choices"][0]["message"]["content"]


def test_both_files_come_out_the_same_every_time(shipped: Path, tmp_path: Path):
    for name in ("one", "two"):
        write_model(shipped, tmp_path / f"{name}.gguf", kind="q8_0")
        write_adapter(shipped / "adapters/decisions", shipped, tmp_path / f"{name}-adapter.gguf")
    assert (tmp_path / "one.gguf").read_bytes() == (tmp_path / "two.gguf").read_bytes()
    assert (tmp_path / "one-adapter.gguf").read_bytes() == (tmp_path / "two-adapter.gguf").read_bytes()


@pytest.mark.parametrize(("kind", "bytes_a_weight"), [("f32", 4), ("f16", 2), ("q8_0", 1.0625), ("q4_0", 0.75)])
def test_a_kind_has_its_size(shipped: Path, tmp_path: Path, kind: str, bytes_a_weight: float):
    write_model(shipped, tmp_path / "model.gguf", kind=kind)
    weights = (shipped / "model.safetensors").stat().st_size / 2
    vocabulary = 600_000
    assert weights * bytes_a_weight < (tmp_path / "model.gguf").stat().st_size < weights * bytes_a_weight + vocabulary


def test_weights_taken_from_a_gguf_file_are_those_of_the_folder(shipped: Path, tmp_path: Path):
    template = (shipped / "chat_template.jinja").read_text()
    write_model(shipped, tmp_path / "f32.gguf", kind="f32")
    write_model(shipped, tmp_path / "wanted.gguf", kind="q4_0")
    requantize(tmp_path / "f32.gguf", tmp_path / "made.gguf", kind="q4_0", template=template)
    wanted, made = (GGUFReader(tmp_path / f"{name}.gguf") for name in ("wanted", "made"))
    assert {field: wanted.fields[field].contents() for field in wanted.fields} == {
        field: made.fields[field].contents() for field in made.fields
    }
    for one, other in zip(wanted.tensors, made.tensors, strict=True):
        assert (one.name, one.tensor_type) == (other.name, other.tensor_type)
        assert one.data.tobytes() == other.data.tobytes()


def test_the_server_cuts_texts_into_the_same_tokens(served: Post, shipped: Path, texts: list[str]):
    tokenizer = Tokenizer.from_file(str(shipped / "tokenizer.json"))
    for text in texts:
        assert served("/tokenize", {"content": text})["tokens"] == tokenizer.encode(text, add_special_tokens=False).ids, text


def test_a_reply_is_decoded_under_its_schema_and_the_adapter_is_chosen_per_request(served: Post, shipped: Path):
    prompts = tomllib.loads((shipped / "adapters/decisions/prompts.toml").read_text())
    routes = [" documents", " sub-questions", " tools", " direct"]
    schema = {"type": "json_schema", "json_schema": {"name": "route", "schema": {"type": "string", "enum": routes}}}
    user = prompts["route"]["user"].format(question="What is 17 * 23?")
    for scale in (0.0, 1.0):
        body = chat(prompts["route"]["system"], user, scale) | {"response_format": schema}
        assert json.loads(replied(served, body)) in routes


@needs_torch
@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # peft asks transformers by the old name
@pytest.mark.parametrize("scale", [0.0, 1.0])
def test_each_token_is_as_likely_as_transformers_says(served: Post, shipped: Path, scale: float):
    import torch
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(shipped)
    model = LlamaForCausalLM.from_pretrained(shipped, dtype=torch.float32)
    model = merged(model, shipped / "adapters/decisions") if scale else model
    for user in QUESTIONS:
        body = chat("arguments" if user.startswith("Said") else "route", user, scale)
        said = served("/v1/chat/completions", body | {"logprobs": True})["choices"][0]["logprobs"]["content"]
        prompt = tokenizer.apply_chat_template(body["messages"], add_generation_prompt=True)["input_ids"]
        with torch.no_grad():
            logits = model(torch.tensor([prompt + [token["id"] for token in said]])).logits[0, len(prompt) - 1 : -1]
        for token, row in zip(said, logits.log_softmax(-1), strict=True):
            assert token["logprob"] == pytest.approx(row[token["id"]].item(), abs=0.05)
            assert token["logprob"] == pytest.approx(row.max().item(), abs=0.05)


def merged(model: object, adapter: Path) -> object:
    """The base with the adapter added into its weights by peft."""
    from peft import PeftModel

    return PeftModel.from_pretrained(model, adapter).merge_and_unload()
