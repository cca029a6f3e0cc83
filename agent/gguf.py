"""Derives the GGUF files that llama.cpp serves from a Llama's folder or GGUF file, and from a LoRA adapter's folder.

It knows the two file formats and nothing of training: no torch is imported, so that the assistant can derive its own
files on first start. `finetune/export.py` uses it too.
"""

import json
from pathlib import Path
from typing import Literal

import gguf
import numpy as np
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter, LlamaFileType
from safetensors.numpy import load_file

Kind = Literal["f32", "f16", "q8_0", "q4_0"]

FILE_TYPES = {
    "f32": LlamaFileType.ALL_F32,
    "f16": LlamaFileType.MOSTLY_F16,
    "q8_0": LlamaFileType.MOSTLY_Q8_0,
    "q4_0": LlamaFileType.MOSTLY_Q4_0,
}
TYPES = {
    "f32": GGMLQuantizationType.F32,
    "f16": GGMLQuantizationType.F16,
    "q8_0": GGMLQuantizationType.Q8_0,
    "q4_0": GGMLQuantizationType.Q4_0,
}

OUTER_NAMES = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
BLOCK_NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}


def write_model(folder: Path, out: Path, *, kind: Kind) -> None:
    """Write a transformers Llama with a byte-level BPE tokenizer as one GGUF file.

    The weights must be float16 or float32 safetensors (numpy has no bfloat16). `q8_0` is about a quarter of `f32`, `q4_0`
    an eighth with its vocabulary in `q8_0`; both need row lengths divisible by 32. Norms stay float32 in every kind. The
    same folder gives the same bytes.
    """
    config = json.loads((folder / "config.json").read_text())
    writer = GGUFWriter(out, "llama")
    _add_architecture(writer, config, name=folder.name, kind=kind)
    _add_tokenizer(writer, folder, size=config["vocab_size"])
    for full_name, weight in sorted(load_file(folder / "model.safetensors").items()):
        name = full_name.removesuffix(".weight")
        _add_weight(writer, f"{_gguf_name(name)}.weight", _for_ggml(name, weight, config), kind=kind)
    _finish(writer)


def requantize(source: Path, out: Path, *, kind: Kind, template: str) -> None:
    """Write a GGUF file anew with its weights in another kind and `template` as its chat template; the rest stays."""
    reader = GGUFReader(source)
    writer = GGUFWriter(out, str(reader.fields["general.architecture"].contents()))
    replaced = {"general.architecture", "general.file_type", "tokenizer.chat_template"}
    for name, field in reader.fields.items():
        if name not in replaced and not name.startswith("GGUF."):
            items = field.types[-1] if field.types[0] is GGUFValueType.ARRAY else None
            writer.add_key_value(name, field.contents(), field.types[0], items)
    writer.add_file_type(FILE_TYPES[kind])
    writer.add_chat_template(template)
    for tensor in reader.tensors:
        weight = gguf.quants.dequantize(tensor.data, tensor.tensor_type)
        _add_weight(writer, tensor.name, weight, kind=kind)
    _finish(writer)


def write_adapter(folder: Path, base: Path, out: Path) -> None:
    """Write a peft LoRA adapter as a GGUF adapter for the model in `base`; llama.cpp scales it by alpha / rank itself."""
    config = json.loads((base / "config.json").read_text())
    lora = json.loads((folder / "adapter_config.json").read_text())
    writer = GGUFWriter(out, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(lora["lora_alpha"]))
    for full_name, weight in sorted(load_file(folder / "adapter_model.safetensors").items()):
        name, half = full_name.removeprefix("base_model.model.").removesuffix(".weight").rsplit(".", 1)
        # Only B has the projection's output rows; A has its inputs, which no layout touches.
        rows = _for_ggml(name, weight, config) if half == "lora_B" else weight
        writer.add_tensor(f"{_gguf_name(name)}.weight.{half.lower()}", np.ascontiguousarray(rows, np.float32))
    _finish(writer)


def _add_architecture(writer: GGUFWriter, config: dict, *, name: str, kind: Kind) -> None:
    heads = config["num_attention_heads"]
    writer.add_name(name)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    # transformers 5 keeps theta among the rope parameters, earlier ones at the top.
    writer.add_rope_freq_base(config.get("rope_theta") or config["rope_parameters"]["rope_theta"])
    writer.add_rope_dimension_count(config.get("head_dim") or config["hidden_size"] // heads)
    writer.add_vocab_size(config["vocab_size"])
    writer.add_file_type(FILE_TYPES[kind])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)


def _add_tokenizer(writer: GGUFWriter, folder: Path, *, size: int) -> None:
    """Copy the vocabulary and the merges; `llama-bpe` names the pre-tokenizer pattern the tokenizer must be trained with."""
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    tokens = [f"[unused {position}]" for position in range(size)]
    types = [gguf.TokenType.UNUSED] * size
    for token, position in tokenizer["model"]["vocab"].items():
        tokens[position], types[position] = token, gguf.TokenType.NORMAL
    special = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    for token, position in special.items():
        tokens[position], types[position] = token, gguf.TokenType.CONTROL
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges([" ".join(merge) for merge in tokenizer["model"]["merges"]])
    writer.add_bos_token_id(special["<|begin_of_text|>"])
    writer.add_eos_token_id(special["<|eot_id|>"])
    writer.add_eot_token_id(special["<|eot_id|>"])
    writer.add_eom_token_id(special["<|eom_id|>"])
    writer.add_pad_token_id(special["<|finetune_right_pad_id|>"])
    writer.add_add_bos_token(True)
    writer.add_chat_template((folder / "chat_template.jinja").read_text())


def _gguf_name(name: str) -> str:
    """`model.layers.3.self_attn.q_proj` becomes `blk.3.attn_q`."""
    if name in OUTER_NAMES:
        return OUTER_NAMES[name]
    _, _, layer, rest = name.split(".", 3)
    return f"blk.{layer}.{BLOCK_NAMES[rest]}"


def _for_ggml(name: str, weight: np.ndarray, config: dict) -> np.ndarray:
    """Interleave the rotary halves of the query and key rows, as ggml rotates neighbours and transformers halves."""
    heads = {"q_proj": "num_attention_heads", "k_proj": "num_key_value_heads"}.get(name.rsplit(".", 1)[-1])
    if heads is None:
        return weight
    halves = weight.reshape(config[heads], 2, -1, *weight.shape[1:])
    return halves.swapaxes(1, 2).reshape(weight.shape)


def _add_weight(writer: GGUFWriter, name: str, weight: np.ndarray, *, kind: Kind) -> None:
    """Vectors stay float32. So does the vocabulary stay at eight bits in `q4_0`: all that is written goes through it."""
    spared = {"q4_0": "q8_0"}.get(kind, kind) if name in ("token_embd.weight", "output.weight") else kind
    type_ = TYPES["f32" if weight.ndim == 1 else spared]
    writer.add_tensor(name, gguf.quants.quantize(np.ascontiguousarray(weight, np.float32), type_), raw_dtype=type_)


def _finish(writer: GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
