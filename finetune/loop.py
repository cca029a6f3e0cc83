"""One training loop for both stages: AdamW, warm-up, a held rate, cosine cool-down, clipping, and exact resume.

A batch is a function of its step alone, so weights, optimizer and step number are all there is to restore: killed at any
moment and started again, a run gives the same losses, bit for bit, on the same machine and number of threads.
"""

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

Batch = Callable[[int], dict[str, Tensor]]
Loss = Callable[[torch.nn.Module, dict[str, Tensor]], Tensor]


@dataclass(frozen=True)
class Schedule:
    """Steps and rates of one run. The rate is held until the cool-down, so `steps` may still be changed on resume."""

    steps: int
    warmup: int
    cooldown: float
    rate: float
    decay: float
    clip: float
    checkpoint: int

    def rate_at(self, step: int) -> float:
        """Linear rise over `warmup` steps, then held, then half a cosine to zero over the last `cooldown` share."""
        start = self.steps * (1 - self.cooldown)
        if step < start:
            return self.rate * min(1.0, (step + 1) / self.warmup)
        return self.rate * 0.5 * (1 + math.cos(math.pi * (step - start) / (self.steps - start)))


def own_loss(model: torch.nn.Module, inputs: dict[str, Tensor]) -> Tensor:
    """The loss that transformers computes over all labels."""
    return model(**inputs, use_cache=False).loss


def train(model: torch.nn.Module, batch: Batch, schedule: Schedule, out: Path, *, loss: Loss = own_loss) -> None:
    """Train to the last step from wherever `out` stands; `out/log.jsonl` gets one line a step.

    The forward pass runs in bfloat16, weights and optimizer in float32.
    """
    out.mkdir(parents=True, exist_ok=True)
    optimizer = _optimizer(model, schedule)
    first = _resume(model, optimizer, out)
    with (out / "log.jsonl").open("a") as log:
        for step in range(first, schedule.steps):
            started = time.monotonic()
            entry = {"step": step, **_update(model, optimizer, batch(step), step, schedule, loss)}
            log.write(json.dumps(entry | {"seconds": round(time.monotonic() - started, 3)}) + "\n")
            log.flush()
            if (step + 1) % schedule.checkpoint == 0 or step + 1 == schedule.steps:
                _checkpoint(model, optimizer, step + 1, out)


def _optimizer(model: torch.nn.Module, schedule: Schedule) -> torch.optim.AdamW:
    """Only matrices decay; norms do not."""
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    matrices = [weight for weight in trained if weight.dim() > 1]
    vectors = [weight for weight in trained if weight.dim() == 1]
    groups = [{"params": matrices, "weight_decay": schedule.decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, betas=(0.9, 0.95))


def _update(
    model: torch.nn.Module, optimizer: torch.optim.AdamW, inputs: dict, step: int, schedule: Schedule, loss: Loss
) -> dict:
    for group in optimizer.param_groups:
        group["lr"] = schedule.rate_at(step)
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(model, inputs)
    value.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), schedule.clip)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return {"loss": value.item(), "norm": norm.item(), "tokens": inputs["input_ids"].numel()}


def _checkpoint(model: torch.nn.Module, optimizer: torch.optim.AdamW, step: int, out: Path) -> None:
    state = {"step": step, "model": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(state, out / "checkpoint.partial")
    os.replace(out / "checkpoint.partial", out / "checkpoint.pt")


def _resume(model: torch.nn.Module, optimizer: torch.optim.AdamW, out: Path) -> int:
    """Restore the last checkpoint and drop log lines after it, the last of which may be cut in the middle."""
    if not (out / "checkpoint.pt").exists():
        (out / "log.jsonl").unlink(missing_ok=True)
        return 0
    state = torch.load(out / "checkpoint.pt", weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    kept = (out / "log.jsonl").read_text().splitlines(keepends=True)[: state["step"]]
    (out / "log.jsonl").write_text("".join(kept))
    return state["step"]
