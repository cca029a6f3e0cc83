"""Writes MiniLM's weights as an ONNX graph that ONNX Runtime runs, without torch and without the `onnx` package.

It knows two file formats (safetensors in, ONNX's protobuf out) and one architecture: BERT with mean pooling. The
operators of Microsoft's domain are the fused forms that ONNX Runtime would build itself from an exported graph.
Source: onnx.proto3 (field numbers) and onnxruntime's docs/ContribOperators.md.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

LAYERS, HEADS, WIDTH = 6, 12, 384
EPSILON = 1e-12
MICROSOFT = "com.microsoft"
FLOAT, INT32 = 1, 6  # TensorProto.DataType

Weights = dict[str, np.ndarray]


def onnx_model(weights_file: Path) -> bytes:
    """A model from `input_ids` (int32, texts x tokens, all of one length) to `embedding` (texts x 384, of length 1)."""
    found = load_file(weights_file)
    tensors = _tensors(found)
    graph = b"".join(
        [
            *(_bytes(1, node) for node in _nodes()),
            _text(2, "all-MiniLM-L6-v2"),
            *(_bytes(5, _tensor(name, value)) for name, value in tensors.items()),
            _bytes(11, _declared("input_ids", INT32, ("texts", "tokens"))),
            _bytes(12, _declared("embedding", FLOAT, ("texts", WIDTH))),
        ]
    )
    opsets = _bytes(8, _text(1, "") + _number(2, 17)) + _bytes(8, _text(1, MICROSOFT) + _number(2, 1))
    return _number(1, 8) + _text(2, "askfirst") + _bytes(7, graph) + opsets


def _tensors(found: Weights) -> Weights:
    """The graph's constants. Linear layers are stored (out, in) and multiplied from the right, hence transposed."""
    tensors = {
        "words": found["embeddings.word_embeddings.weight"],
        # Every text is of segment 0, so that its embedding can be added to the positions once.
        "positions": found["embeddings.position_embeddings.weight"] + found["embeddings.token_type_embeddings.weight"][0],
        "norm.gain": found["embeddings.LayerNorm.weight"],
        "norm.shift": found["embeddings.LayerNorm.bias"],
    }
    for layer in range(LAYERS):
        tensors |= {f"{layer}.{name}": value for name, value in _layer_tensors(found, f"encoder.layer.{layer}.")}
    return tensors


def _layer_tensors(found: Weights, at: str) -> Iterator[tuple[str, np.ndarray]]:
    parts = [found[f"{at}attention.self.{part}.weight"].T for part in ("query", "key", "value")]
    yield "attention", np.concatenate(parts, axis=1)
    yield "attention.bias", np.concatenate([found[f"{at}attention.self.{part}.bias"] for part in ("query", "key", "value")])
    dense = {"mixed": "attention.output.dense", "wide": "intermediate.dense", "narrow": "output.dense"}
    for name, stored in dense.items():
        yield name, found[f"{at}{stored}.weight"].T
        yield f"{name}.bias", found[f"{at}{stored}.bias"]
    for name, stored in {"norm1": "attention.output.LayerNorm", "norm2": "output.LayerNorm"}.items():
        yield f"{name}.gain", found[f"{at}{stored}.weight"]
        yield f"{name}.shift", found[f"{at}{stored}.bias"]


def _nodes() -> Iterator[bytes]:
    """The computation, in order; each layer reads `hidden.N` and writes `hidden.N+1`."""
    embedded = ["input_ids", "", "words", "positions", "", "norm.gain", "norm.shift"]
    yield _node("EmbedLayerNormalization", embedded, ["hidden.0", "unused"], MICROSOFT, epsilon=EPSILON)
    for layer in range(LAYERS):
        yield from _layer_nodes(f"{layer}.", f"hidden.{layer}", f"hidden.{layer + 1}")
    yield _node("ReduceMean", [f"hidden.{LAYERS}"], ["mean"], axes=[1], keepdims=0)
    yield _node("LpNormalization", ["mean"], ["embedding"], axis=-1, p=2)


def _layer_nodes(at: str, hidden: str, out: str) -> Iterator[bytes]:
    def named(*names: str) -> list[str]:
        return [at + name for name in names]

    yield _node("Attention", [hidden, *named("attention", "attention.bias")], named("seen"), MICROSOFT, num_heads=HEADS)
    yield _node("MatMul", named("seen", "mixed"), named("mix"))
    first = [at + "mix", hidden, *named("norm1.gain", "norm1.shift", "mixed.bias")]
    yield _node("SkipLayerNormalization", first, named("middle"), MICROSOFT, epsilon=EPSILON)
    yield _node("MatMul", named("middle", "wide"), named("widened"))
    yield _node("BiasGelu", named("widened", "wide.bias"), named("active"), MICROSOFT)
    yield _node("MatMul", named("active", "narrow"), named("narrowed"))
    second = named("narrowed", "middle", "norm2.gain", "norm2.shift", "narrow.bias")
    yield _node("SkipLayerNormalization", second, [out], MICROSOFT, epsilon=EPSILON)


def _node(kind: str, inputs: list[str], outputs: list[str], domain: str = "", **attributes: int | float | list[int]) -> bytes:
    names = [_text(1, name) for name in inputs] + [_text(2, name) for name in outputs]
    given = [_bytes(5, _attribute(name, value)) for name, value in attributes.items()]
    return b"".join([*names, _text(4, kind), *given, _text(7, domain)])


def _attribute(name: str, value: int | float | list[int]) -> bytes:
    if isinstance(value, list):
        return _text(1, name) + b"".join(_number(8, item) for item in value) + _number(20, 7)
    if isinstance(value, float):
        return _text(1, name) + _key(2, 5) + struct.pack("<f", value) + _number(20, 1)
    return _text(1, name) + _number(3, value) + _number(20, 2)


def _tensor(name: str, value: np.ndarray) -> bytes:
    dimensions = b"".join(_number(1, size) for size in value.shape)
    return dimensions + _number(2, FLOAT) + _text(8, name) + _bytes(9, np.ascontiguousarray(value, "<f4").tobytes())


def _declared(name: str, kind: int, shape: tuple[str | int, ...]) -> bytes:
    sizes = (_bytes(1, _text(2, size) if isinstance(size, str) else _number(1, size)) for size in shape)
    return _text(1, name) + _bytes(2, _bytes(1, _number(1, kind) + _bytes(2, b"".join(sizes))))


def _text(field: int, value: str) -> bytes:
    return _bytes(field, value.encode())


def _bytes(field: int, value: bytes) -> bytes:
    return _key(field, 2) + _varint(len(value)) + value


def _number(field: int, value: int) -> bytes:
    return _key(field, 0) + _varint(value & 0xFFFFFFFFFFFFFFFF)


def _key(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the high bit says that more follow."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])
