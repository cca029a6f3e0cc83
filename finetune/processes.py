"""Several processes that train one model: weights, gradients and optimizer are sharded among them (FSDP).

It knows nothing of what is trained. `torchrun` starts the processes on one machine or many; without it there is one process
and nothing here does anything. FSDP's full sharding is what DeepSpeed calls ZeRO-3 (Zhao et al. 2023, "PyTorch FSDP").
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed import distributed_c10d
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

Module = TypeVar("Module", bound=torch.nn.Module)


@dataclass(frozen=True)
class Processes:
    """How many train together, which of them this is, and where it computes."""

    size: int
    rank: int
    device: torch.device

    def sum(self, value: Tensor) -> Tensor:
        """The sum of every process's value."""
        if self.size > 1:
            dist.all_reduce(value)
        return value

    def wait(self) -> None:
        """Return when all have come here."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def joined() -> Iterator[Processes]:
    """This process among those that torchrun started, or alone."""
    cuda = torch.cuda.is_available()
    if not dist.is_torchelastic_launched():
        yield Processes(1, 0, torch.device("cuda" if cuda else "cpu"))
        return
    device = torch.device("cuda", distributed_c10d.get_node_local_rank()) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield Processes(dist.get_world_size(), dist.get_rank(), device)
    finally:
        dist.destroy_process_group()


def sharded(module: Module, processes: Processes) -> Module:
    """The module on its device; among several processes each holds its share of every layer's weights, trained or frozen."""
    module.to(processes.device)
    if processes.size > 1:
        mesh = init_device_mesh(processes.device.type, (processes.size,))
        for layer in [each for each in module.modules() if isinstance(each, LlamaDecoderLayer)]:
            fully_shard(layer, mesh=mesh)
        fully_shard(module, mesh=mesh)
    return module


def full(value: Tensor) -> Tensor:
    """The whole of a tensor that may be sharded. All processes must ask."""
    return value.full_tensor() if isinstance(value, DTensor) else value


def like(value: Tensor, weight: Tensor) -> Tensor:
    """The whole tensor `value` placed and sharded as `weight` is."""
    if isinstance(weight, DTensor):
        return distribute_tensor(value.to(weight.device), weight.device_mesh, weight.placements)
    return value.to(weight.device)
