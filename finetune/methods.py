"""How a base learns: which weights are trained, and how what was learned is written. The recipe's table names the method.

    [lora]     low-rank matrices beside the frozen weights (Hu et al. 2021): what the server applies on request
    [qlora]    the same, the frozen weights held in 4-bit NF4 (Dettmers et al. 2023); needs bitsandbytes
    [full]     every weight: what is written is a model of its own, not an adapter
    [prefix]   trained keys and values before every layer's (Li and Liang 2021); not served, for comparison
    [prompt]   trained embeddings before the first token (Lester et al. 2021); not served, for comparison

A table's keys are those of peft's configuration of that name.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, PrefixTuningConfig, PromptTuningConfig, get_peft_model
from torch import Tensor
from transformers import BitsAndBytesConfig, LlamaForCausalLM

from ..errors import RecipeInvalid
from .base import Base
from .batches import IGNORED, Inputs
from .loop import Loss, Weights, own_loss

CONFIGS = {"lora": LoraConfig, "qlora": LoraConfig, "prefix": PrefixTuningConfig, "prompt": PromptTuningConfig}
NF4 = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True}


def method_of(recipe: dict) -> str:
    """The one method that the recipe has a table for. Raises `RecipeInvalid`."""
    named = [name for name in (*CONFIGS, "full") if name in recipe]
    if len(named) != 1:
        raise RecipeInvalid(f"it names {' and '.join(named) or 'no method'}", known=[*CONFIGS, "full"])
    return named[0]


def learner(base: Base, recipe: dict, *, seed: int) -> LlamaForCausalLM | PeftModel:
    """The base in float32, or in NF4, with the weights that the recipe's method adds, drawn from `seed`."""
    method = method_of(recipe)
    model = quantized(base) if method == "qlora" else LlamaForCausalLM.from_pretrained(base.folder, dtype=torch.float32)
    torch.manual_seed(seed)
    if method == "full":
        return model
    try:
        config = CONFIGS[method](task_type="CAUSAL_LM", **recipe[method])
    except TypeError as error:
        raise RecipeInvalid(f"[{method}]: {error}", known=[*CONFIGS, "full"]) from None
    return get_peft_model(model, config)


def quantized(base: Base) -> LlamaForCausalLM:
    """The base with its projections in NF4, computed in bfloat16, on the GPU where there is one."""
    if find_spec("bitsandbytes") is None:
        raise RecipeInvalid("[qlora] needs bitsandbytes: pip install 'askfirst[qlora]'", known=[*CONFIGS, "full"])
    config = BitsAndBytesConfig(bnb_4bit_compute_dtype=torch.bfloat16, **NF4)
    place = {"": "cuda" if torch.cuda.is_available() else "cpu"}
    return LlamaForCausalLM.from_pretrained(base.folder, dtype=torch.float32, quantization_config=config, device_map=place)


def loss_of(method: str) -> Loss:
    """Prefixes and prompts are put in place by peft's own forward pass; the others need the vocabulary for replies alone."""
    return own_loss if method in ("prefix", "prompt") else reply_loss


def reply_loss(model: Any, inputs: Inputs) -> Tensor:
    """Mean over the labelled tokens alone: the vocabulary is the most expensive layer, and most tokens only ask."""
    llama: Any = model.get_base_model() if isinstance(model, PeftModel) else model
    asked = {name: value for name, value in inputs.items() if name != "labels"}
    hidden = llama.model(**asked, use_cache=False).last_hidden_state[:, :-1]
    labels = inputs["labels"][:, 1:]
    said = labels != IGNORED
    return torch.nn.functional.cross_entropy(llama.lm_head(hidden[said]).float(), labels[said])


def save(model: LlamaForCausalLM | PeftModel, weights: Weights, folder: Path, *, base: Base) -> None:
    """An adapter's folder, or for a full tuning a model's, in float16. The base is named but not by its path: that is this
    machine's."""
    halves = {name: weight.half() for name, weight in weights.items()}
    if isinstance(model, PeftModel):
        model.peft_config["default"].base_model_name_or_path = base.name
        model.save_pretrained(str(folder), state_dict=halves, save_embedding_layers=False)
        (folder / "README.md").unlink(missing_ok=True)
        return
    save_model(model, halves, folder)
    base.tokenizer().save_pretrained(folder)


def save_model(model: Any, weights: Weights, folder: Path) -> None:
    """A transformers folder in float16: it halves the file, and unlike bfloat16 numpy can read it when GGUF files are derived."""
    model.config.dtype = torch.float16
    model.save_pretrained(folder, state_dict={name: weight.half() for name, weight in weights.items()})
