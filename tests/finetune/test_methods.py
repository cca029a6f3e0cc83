"""How a base learns: every method trains what it says and nothing else, and what it writes can be used."""

import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from askfirst.errors import RecipeInvalid
from askfirst.finetune.base import Base, open_base
from askfirst.finetune.batches import by_length, masked
from askfirst.finetune.export import main as export
from askfirst.finetune.loop import Schedule, train
from askfirst.finetune.methods import learner, loss_of, method_of, save

# peft asks transformers by an old name
pytestmark = pytest.mark.filterwarnings(
    "ignore:.is_gradient_checkpointing:FutureWarning", "ignore::pytest.PytestUnraisableExceptionWarning"
)
PROJECTIONS = ["q_proj", "v_proj", "down_proj"]
RECIPES = {
    "lora": {"lora": {"r": 4, "lora_alpha": 8, "target_modules": PROJECTIONS}},
    "qlora": {"qlora": {"r": 4, "lora_alpha": 8, "target_modules": PROJECTIONS}},
    "full": {"full": {}},
    "prefix": {"prefix": {"num_virtual_tokens": 4}},
    "prompt": {"prompt": {"num_virtual_tokens": 4}},
}
SCHEDULE = Schedule(steps=6, warmup=1, cooldown=0.3, rate=1e-2, decay=0.0, clip=1.0, checkpoint=6)


@pytest.fixture(scope="module")
def base(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Base:
    """A small Llama with random weights."""
    folder = tmp_path_factory.mktemp("base") / "small"
    tokenizer = PreTrainedTokenizerFast.from_pretrained(prepared / "tokenizer")
    ids = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id, "pad_token_id": tokenizer.pad_token_id}
    sizes = {"hidden_size": 64, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    torch.manual_seed(1)
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), tie_word_embeddings=True, **ids, **sizes))
    model.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return open_base(folder)


def chat(number: int) -> list[dict]:
    """A question and its answer."""
    return [{"role": "user", "content": f"Question {number}?"}, {"role": "assistant", "content": '" none"'}]


def tuned(base: Base, name: str, out: Path) -> list[float]:
    """A few steps of a method, saved to `out`; the losses."""
    chats = [
        [{"role": "user", "content": f"Question {number}?"}, {"role": "assistant", "content": '" none"'}] for number in range(8)
    ]
    batch = by_length(masked(chats, base.tokenizer()), size=4, pad=0, seed=1)
    model, seen = learner(base, RECIPES[name], seed=3), []

    def loss(model: torch.nn.Module, inputs: dict) -> torch.Tensor:
        value = loss_of(name)(model, inputs)
        seen.append(value.item())
        return value

    weights = train(model, batch, SCHEDULE, out.with_suffix(".run"), loss=loss)
    assert weights is not None
    save(model, weights, out, base=base)
    return seen


@pytest.mark.parametrize("name", ["lora", "full", "prefix", "prompt"])
def test_a_method_learns_and_what_it_wrote_says_what_it_learned(base: Base, name: str, tmp_path: Path):
    seen = tuned(base, name, tmp_path / "out")
    assert seen[-1] < seen[0]
    frozen = load_file(base.folder / "model.safetensors")
    if name == "full":
        again, written = LlamaForCausalLM.from_pretrained(tmp_path / "out"), load_file(tmp_path / "out/model.safetensors")
        assert all(not torch.equal(frozen[key], written[key]) for key in frozen)
    else:
        again = PeftModel.from_pretrained(LlamaForCausalLM.from_pretrained(base.folder), str(tmp_path / "out"))
        for key, value in again.get_base_model().state_dict().items():
            plain = key.replace(".base_layer", "")
            if plain in frozen and "lora" not in key:
                assert torch.equal(value, frozen[plain].to(value.dtype)), f"{key} was to stay"
    inputs = by_length(masked([chat(1)], base.tokenizer()), size=1, pad=0, seed=1)(0)
    with torch.no_grad():
        assert loss_of(name)(again.float().eval(), inputs).item() < seen[0]


@pytest.mark.skipif(not find_spec("bitsandbytes"), reason="qlora needs bitsandbytes")
def test_qlora_learns_beside_weights_of_four_bits(base: Base, tmp_path: Path):
    model = learner(base, RECIPES["qlora"], seed=3)
    held = {name: weight for name, weight in model.named_parameters() if name.endswith("q_proj.base_layer.weight")}
    assert held
    assert all(weight.dtype == torch.uint8 for weight in held.values())
    seen = tuned(base, "qlora", tmp_path / "out")
    assert seen[-1] < seen[0]
    assert len(load_file(tmp_path / "out/adapter_model.safetensors")) == 2 * 2 * len(PROJECTIONS)


def test_one_seed_gives_the_same_adapter(base: Base, tmp_path: Path):
    assert tuned(base, "lora", tmp_path / "first") == tuned(base, "lora", tmp_path / "second")
    files = [(tmp_path / name / "adapter_model.safetensors").read_bytes() for name in ("first", "second")]
    assert files[0] == files[1]


def test_several_adapters_over_one_base_keep_apart(base: Base, tmp_path: Path):
    tuned(base, "lora", tmp_path / "first")
    other = {"lora": {"r": 2, "target_modules": ["k_proj"]}}
    save_untrained(base, other, tmp_path / "second")
    both = PeftModel.from_pretrained(LlamaForCausalLM.from_pretrained(base.folder), str(tmp_path / "first"), "first")
    alone = PeftModel.from_pretrained(LlamaForCausalLM.from_pretrained(base.folder), str(tmp_path / "first"), "first")
    both.load_adapter(str(tmp_path / "second"), "second")
    both.set_adapter("first")
    ids = torch.arange(7, 20).unsqueeze(0)
    with torch.no_grad():
        assert torch.equal(both(input_ids=ids).logits, alone(input_ids=ids).logits)


def save_untrained(base: Base, recipe: dict, out: Path) -> None:
    model = learner(base, recipe, seed=4)
    save(model, {name: weight for name, weight in model.named_parameters() if weight.requires_grad}, out, base=base)


def test_a_merged_model_says_what_base_and_adapter_say(base: Base, tmp_path: Path):
    tuned(base, "lora", tmp_path / "adapter")
    words = ["--model", base.folder, "--adapter", tmp_path / "adapter", "--merge", "--out", tmp_path / "merged"]
    export([str(word) for word in words])
    merged = LlamaForCausalLM.from_pretrained(tmp_path / "merged/small-adapter", dtype=torch.float32)
    apart = PeftModel.from_pretrained(
        LlamaForCausalLM.from_pretrained(base.folder, dtype=torch.float32), str(tmp_path / "adapter")
    )
    plain = LlamaForCausalLM.from_pretrained(base.folder, dtype=torch.float32)
    ids = torch.arange(7, 20).unsqueeze(0)
    with torch.no_grad():
        said, wanted, before = (model(input_ids=ids).logits for model in (merged, apart, plain))
    torch.testing.assert_close(said, wanted, rtol=1e-2, atol=5e-3)
    assert (wanted - before).abs().max() > 0.05
    assert (tmp_path / "merged/small-adapter-q8_0.gguf").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("recipe", "word"),
    [({}, "no method"), ({"lora": {}, "full": {}}, "lora and full"), ({"lora": {"rank": 4}}, "rank")],
    ids=["none", "two", "a key that is none"],
)
def test_a_recipe_that_cannot_be_used_is_told_in_one_line(base: Base, recipe: dict, word: str):
    with pytest.raises(RecipeInvalid, match=word) as told:
        learner(base, recipe, seed=1)
    assert "\n" not in str(told.value)


def test_every_shipped_recipe_names_one_method():
    for path in (Path(__file__).parents[2] / "finetune/recipes").glob("*.toml"):
        recipe = tomllib.loads(path.read_text())
        if "training" in recipe and not {"model", "dpo", "texts"} & recipe.keys():
            assert method_of(recipe) in RECIPES, path.name
