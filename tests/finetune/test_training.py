"""Training itself: copying from the start, a killed run that goes on as if nothing had been, and two processes as one."""

import json
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import PreTrainedTokenizerFast

from askfirst.finetune.initialise import set_copying_heads
from askfirst.finetune.loop import Schedule
from askfirst.finetune.pretrain import new_model
from askfirst.finetune.progress import line

ROOT = Path(__file__).parents[2]
SIZES = tomllib.loads((ROOT / "finetune/recipes/pretrain.toml").read_text())["model"]
MODEL = """
[model]
hidden_size = 32
intermediate_size = 32
num_hidden_layers = 3
num_attention_heads = 2
num_key_value_heads = 1
head_dim = 16
rope_theta = 10_000.0
context = 64
"""
TRAINING = """
[training]
seed = 3
sequence = 16
precision = "fp32"
batch = 2
steps = 40
warmup = 4
cooldown = 0.5
rate = 1e-3
decay = 0.1
clip = 1.0
checkpoint = 7
threads = 1
"""
LORA = """
[lora]
r = 4
lora_alpha = 8
lora_dropout = 0.1
target_modules = ["q_proj", "v_proj"]

[training]
seed = 3
batch = 4
pack = 64
validation = 12
steps = 60
warmup = 2
cooldown = 0.1
rate = 0.05
decay = 0.1
clip = 1.0
checkpoint = 5
accumulate = 2
patience = 2
recompute = true
threads = 1
"""


def entries(folder: Path) -> list[dict]:
    """Every whole line of the log."""
    path = folder / "log.jsonl"
    return [json.loads(line) for line in path.read_text().split("\n")[:-1]] if path.exists() else []


def losses(folder: Path) -> list[tuple[int, float, float | None]]:
    """Step, loss and validation loss of every whole line of the log."""
    return [(entry["step"], entry["loss"], entry.get("validation")) for entry in entries(folder)]


def started(stage: str, *words: str | Path, processes: int = 1) -> subprocess.Popen:
    """A real run in a process of its own, or in several that share it."""
    several = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"] if processes > 1 else []
    command = [sys.executable, *several, "-m", f"askfirst.finetune.{stage}", *words]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def killed_after(run: subprocess.Popen, out: Path, *, steps: int) -> None:
    """SIGKILL as soon as the log shows so many steps."""
    deadline = time.monotonic() + 120
    while len(losses(out)) < steps and run.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    run.send_signal(signal.SIGKILL)
    run.wait()


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pretraining, in small."""
    path = tmp_path_factory.mktemp("recipes") / "tiny.toml"
    path.write_text(MODEL + TRAINING)
    return path


@pytest.fixture(scope="module")
def whole(prepared: Path, recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nobody disturbed."""
    out = tmp_path_factory.mktemp("whole")
    assert started("pretrain", "--recipe", recipe, "--data", prepared, "--out", out).wait() == 0
    return out


@pytest.fixture(scope="module")
def dialogues(prepared: Path) -> Path:
    """The folder with some dialogues beside the tokens; those of the validation are not what is learned."""
    learned, validated = [("documents", "tools")[number % 2] for number in range(48)], ["sub-questions"] * 12
    said = [("route", f"Question {number}?", f'" {way}"') for number, way in enumerate(learned + validated)]
    chats = [[{"role": r, "content": c} for r, c in zip(("system", "user", "assistant"), each, strict=True)] for each in said]
    for name, part in (("sft", chats[:48]), ("sft_validation", chats[48:])):
        (prepared / f"{name}.jsonl").write_text("".join(json.dumps({"messages": chat}) + "\n" for chat in part))
    return prepared


@pytest.mark.timeout(1200)
def test_a_killed_run_goes_on_with_the_same_losses(prepared: Path, recipe: Path, whole: Path, tmp_path: Path):
    words = ("--recipe", recipe, "--data", prepared, "--out", tmp_path)
    killed_after(started("pretrain", *words), tmp_path, steps=10)
    assert len(losses(tmp_path)) < 40
    assert started("pretrain", *words).wait() == 0
    assert losses(tmp_path) == losses(whole)
    assert len(losses(whole)) == 40
    weights = [(run / "model/model.safetensors").read_bytes() for run in (tmp_path, whole)]
    assert weights[0] == weights[1]


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_killed_tuning_ends_early_with_the_best_weights_as_an_undisturbed_one(dialogues: Path, whole: Path, tmp_path: Path):
    """With dropout, packing, accumulation and recomputed activations: none of them may depend on what was before."""
    (tmp_path / "lora.toml").write_text(LORA)
    words = ("--recipe", tmp_path / "lora.toml", "--base", whole / "model", "--data", dialogues, "--out")
    assert started("tune", *words, tmp_path / "quiet").wait() == 0
    killed_after(started("tune", *words, tmp_path / "cut"), tmp_path / "cut.run", steps=12)
    assert started("tune", *words, tmp_path / "cut").wait() == 0
    seen = losses(tmp_path / "quiet.run")
    assert losses(tmp_path / "cut.run") == seen
    validated = [value for *_, value in seen if value is not None]
    assert len(seen) < 60, "it was to stop early"
    assert len(validated) - 1 - validated.index(min(validated)) == 2
    adapters = [load_file(tmp_path / run / "adapter_model.safetensors") for run in ("cut", "quiet")]
    best, last = (torch.load(tmp_path / f"quiet.run/{name}.pt", weights_only=True) for name in ("best", "checkpoint"))
    for name, value in adapters[0].items():
        assert torch.equal(value, adapters[1][name])
        inside = name.replace(".weight", ".default.weight")
        assert torch.equal(value, best[inside].half())
        assert not torch.equal(value, last["weights"][inside].half())


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_two_processes_train_as_one_does(prepared: Path, recipe: Path, whole: Path, tmp_path: Path):
    words = ("--recipe", recipe, "--data", prepared, "--out", tmp_path)
    run = started("pretrain", *words, processes=2)
    assert run.wait() == 0
    for (step, alone, _), (again, shared, _) in zip(losses(whole), losses(tmp_path), strict=True):
        assert step == again
        assert shared == pytest.approx(alone, rel=1e-5)
    assert (tmp_path / "model/model.safetensors").exists()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_two_processes_killed_go_on_with_the_same_losses(dialogues: Path, whole: Path, tmp_path: Path):
    (tmp_path / "lora.toml").write_text(LORA)
    words = ("--recipe", tmp_path / "lora.toml", "--base", whole / "model", "--data", dialogues, "--out")
    assert started("tune", *words, tmp_path / "quiet", processes=2).wait() == 0
    run = started("tune", *words, tmp_path / "cut", processes=2)
    killed_after(run, tmp_path / "cut.run", steps=12)
    assert started("tune", *words, tmp_path / "cut", processes=2).wait() == 0
    assert losses(tmp_path / "cut.run") == losses(tmp_path / "quiet.run")


def test_the_model_copies_random_tokens_before_any_training(prepared: Path):
    tokenizer = PreTrainedTokenizerFast.from_pretrained(prepared / "tokenizer")
    said = torch.randint(7, len(tokenizer), (4, 40), generator=torch.Generator().manual_seed(1))
    model = new_model(SIZES, tokenizer)
    set_copying_heads(model, seed=7)
    with torch.no_grad():
        guessed = model(input_ids=torch.cat([said, said], dim=1)).logits.argmax(-1)
    copied = (guessed[:, 41:-1] == said[:, 2:]).float().mean().item()
    assert copied > 0.4


def test_the_rate_rises_is_held_and_falls_to_zero():
    schedule = Schedule(steps=100, warmup=10, cooldown=0.3, rate=1.0, decay=0.0, clip=1.0, checkpoint=10)
    rates = [schedule.rate_at(step) for step in range(101)]
    assert rates[0] == 0.1
    assert set(rates[9:70]) == {1.0}
    assert rates[70:] == sorted(rates[70:], reverse=True)
    assert rates[100] == pytest.approx(0.0)


def test_a_cosine_over_the_whole_run_warms_up_too():
    schedule = Schedule(steps=100, warmup=10, cooldown=1.0, rate=1.0, decay=0.0, clip=1.0, checkpoint=10)
    rates = [schedule.rate_at(step) for step in range(101)]
    assert rates[0] == 0.1
    assert max(rates) == rates[9] > 0.95
    assert rates[100] == pytest.approx(0.0)


def test_progress_says_loss_speed_memory_and_time_left():
    log = [{"step": step, "loss": 2.0, "tokens": 100, "seconds": 0.5, "memory": 1_230_000_000} for step in range(10)]
    assert line(log, 130) == "step 10/130 · loss 2.000 · 200 tokens/s · 1.23 GB · 0:01:00 left"
    log[-1]["validation"] = 1.5
    assert "validation 1.500" in line(log, 130)
