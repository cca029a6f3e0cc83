"""One training loop for every stage of our own: AdamW, warm-up, a held rate, cosine cool-down, clipping, and exact resume.

A step's batch and its dropout are functions of the step alone, so weights, optimizer and step number are all there is to
restore: killed at any moment and started again, a run gives the same losses, bit for bit, on the same machine and number of
threads. transformers' Trainer restores a loader's position and random states instead, and writes checkpoints that a kill can
cut in the middle: that is why this loop is our own.
"""

import json
import math
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from .batches import Batch, Inputs, parts
from .processes import Processes, full, joined, like, sharded
from .progress import Progress, peak_memory

Loss = Callable[[Any, Inputs], Tensor]
Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Schedule:
    """Steps and rates of one run. The rate is held until the cool-down, so `steps` may still be changed on resume.

    `accumulate` is how many backward passes a step's batch is dealt out to: the same step in less memory. With `patience`, a
    run ends after so many validations (one a checkpoint) without a better loss, and its best weights count; 0 runs to the end.
    """

    steps: int
    warmup: int
    cooldown: float
    rate: float
    decay: float
    clip: float
    checkpoint: int
    accumulate: int = 1
    precision: Literal["bf16", "fp32"] = "bf16"
    patience: int = 0

    def rate_at(self, step: int) -> float:
        """Linear rise over `warmup` steps, then held, then half a cosine to zero over the last `cooldown` share."""
        start = self.steps * (1 - self.cooldown)
        risen = self.rate * min(1.0, (step + 1) / self.warmup)
        return risen if step < start else risen * 0.5 * (1 + math.cos(math.pi * (step - start) / (self.steps - start)))


def own_loss(model: Any, inputs: Inputs) -> Tensor:
    """The loss that transformers computes over all labels."""
    return model(**inputs, use_cache=False).loss


def train(
    model: torch.nn.Module,
    batch: Batch,
    schedule: Schedule,
    out: Path,
    *,
    loss: Loss = own_loss,
    validation: Sequence[Inputs] = (),
) -> Weights | None:
    """The trained weights by name, after training to the last step from wherever `out` stands; only to the first process.

    `out/log.jsonl` gets one line a step. Weights and optimizer are float32 whatever the precision of the forward pass.
    Started by torchrun, the processes share the weights, the optimizer and each batch, and `out` must be one folder to all.
    """
    with joined() as processes:
        run = _Run(_Learner(model, loss), schedule, out, processes)
        first, history = run.resume()
        progress = Progress(schedule.steps, shown=processes.rank == 0)
        for step in range(first, schedule.steps):
            if _ends(history, schedule.patience):
                break
            entry = run.update(batch(step), step)
            if (step + 1) % schedule.checkpoint == 0 or step + 1 == schedule.steps:
                history += run.validate(validation, entry, best=min(history, default=math.inf))
                run.write(entry)
                run.checkpoint(step + 1)
            else:
                run.write(entry)
            progress.show(entry)
        weights = run.best() if history else run.weights()
        return weights if processes.rank == 0 else None


def _ends(history: list[float], patience: int) -> bool:
    """Whether the best of the validation losses lies `patience` validations back."""
    return bool(patience and history) and len(history) - 1 - history.index(min(history)) >= patience


class _Learner(torch.nn.Module):
    """Model and loss as one module, since sharded weights are whole only within their module's forward pass."""

    def __init__(self, model: torch.nn.Module, loss: Loss) -> None:
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, inputs: Inputs) -> Tensor:
        return self.loss(self.model, inputs)


class _Run:
    """What one run holds together: the model, its optimizer, its log and its checkpoints."""

    def __init__(self, learner: _Learner, schedule: Schedule, out: Path, processes: Processes) -> None:
        out.mkdir(parents=True, exist_ok=True)
        self.learner, self.schedule, self.out, self.processes = sharded(learner, processes).train(), schedule, out, processes
        self.trained = {name: weight for name, weight in learner.model.named_parameters() if weight.requires_grad}
        self.optimizer = _optimizer(list(self.trained.values()), decay=schedule.decay)

    def update(self, inputs: Inputs, step: int) -> dict:
        """One step over the batch, each part weighing as many labels as it holds; the log's entry for it."""
        started, processes = time.monotonic(), self.processes
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.rate_at(step)
        torch.manual_seed(step * processes.size + processes.rank)  # dropout, too, is a function of the step
        total = torch.zeros((), device=processes.device)
        for part, share in parts(inputs, self.schedule.accumulate * processes.size)[processes.rank :: processes.size]:
            value = self._loss(part)
            (value * (share * processes.size)).backward()  # gradients are averaged over processes
            total += value.detach() * share
        norm = torch.nn.utils.clip_grad_norm_(list(self.trained.values()), self.schedule.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return {
            "step": step,
            "loss": processes.sum(total).item(),
            "norm": full(norm).item(),
            "tokens": inputs["input_ids"].numel(),
            "seconds": round(time.monotonic() - started, 3),
            "memory": peak_memory(processes.device),
        }

    @torch.no_grad()
    def validate(self, batches: Sequence[Inputs], entry: dict, *, best: float) -> list[float]:
        """The mean loss over all labels of the batches, into the entry; weights better than `best` are kept aside."""
        if not batches:
            return []
        self.learner.eval()
        labels = [
            sum(int((inputs["labels"][:, 1:] >= 0).sum()) for inputs in batches) for batches in ([each] for each in batches)
        ]
        total = torch.zeros((), device=self.processes.device)
        for inputs, many in zip(batches, labels, strict=True):
            part, share = parts(inputs, self.processes.size)[self.processes.rank]
            total += self._loss(part) * (share * many / sum(labels))
        self.learner.train()
        entry["validation"] = self.processes.sum(total).item()
        if entry["validation"] < best:
            self._save(self.weights(), "best")
        return [entry["validation"]]

    def write(self, entry: dict) -> None:
        """One line of the log."""
        if self.processes.rank == 0:
            with (self.out / "log.jsonl").open("a") as log:
                log.write(json.dumps(entry) + "\n")

    def checkpoint(self, step: int) -> None:
        """All that the next step depends on."""
        state = {
            name: {key: _whole(value) for key, value in self.optimizer.state[weight].items()}
            for name, weight in self.trained.items()
        }
        self._save({"step": step, "weights": self.weights(), "optimizer": state}, "checkpoint")

    def resume(self) -> tuple[int, list[float]]:
        """The first step to take and the validation losses so far; log lines after the checkpoint are dropped."""
        log, path = self.out / "log.jsonl", self.out / "checkpoint.pt"
        if not path.exists():
            if self.processes.rank == 0:
                log.unlink(missing_ok=True)
            return 0, []
        state = torch.load(path, weights_only=True, map_location="cpu")
        with torch.no_grad():
            for name, weight in self.trained.items():
                weight.copy_(like(state["weights"][name], weight))
                kept = state["optimizer"][name]
                self.optimizer.state[weight] = {key: like(value, weight) if value.dim() else value for key, value in kept.items()}
        lines = log.read_text().splitlines(keepends=True)[: state["step"]]
        self.processes.wait()  # nobody may read the log while it is cut
        if self.processes.rank == 0:
            log.write_text("".join(lines))
        entries = [json.loads(line) for line in lines]
        return state["step"], [entry["validation"] for entry in entries if "validation" in entry]

    def weights(self) -> Weights:
        """The trained weights as they are now."""
        return {name: _whole(weight.detach()) for name, weight in self.trained.items()}

    def best(self) -> Weights:
        """The trained weights of the best validation."""
        self.processes.wait()
        return torch.load(self.out / "best.pt", weights_only=True, map_location="cpu")

    def _loss(self, inputs: Inputs) -> Tensor:
        device = self.processes.device
        with torch.autocast(device.type, torch.bfloat16, enabled=self.schedule.precision == "bf16"):
            return self.learner({name: value.to(device) for name, value in inputs.items()})

    def _save(self, state: dict, name: str) -> None:
        if self.processes.rank == 0:
            torch.save(state, self.out / f"{name}.partial")
            os.replace(self.out / f"{name}.partial", self.out / f"{name}.pt")


def _whole(value: Tensor) -> Tensor:
    return full(value).cpu()


def _optimizer(trained: list[torch.nn.Parameter], *, decay: float) -> torch.optim.AdamW:
    """Only matrices decay; norms do not."""
    matrices = [weight for weight in trained if weight.dim() > 1]
    vectors = [weight for weight in trained if weight.dim() == 1]
    groups = [{"params": matrices, "weight_decay": decay}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, betas=(0.9, 0.95))
