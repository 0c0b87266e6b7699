"""Processes of one run: a single one, or those started by `torchrun`.

Every process trains on its share of each batch; only the first one writes files and messages.
Values that all processes share (means, decisions, gathered results) pass through here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from litepose.core.errors import LitePoseError


@dataclass(frozen=True)
class Processes:
    """rank: index of this process; world: number of processes; device: of this process."""

    rank: int
    world: int
    device: torch.device

    @property
    def first(self) -> bool:
        return self.rank == 0

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model with gradients averaged over processes; itself for a single process."""
        if self.world == 1:
            return model
        own = [self.device.index] if self.device.type == "cuda" else None
        return DistributedDataParallel(model, device_ids=own)

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes, in each of them."""
        if self.world > 1:
            values = values.to(self.device)
            dist.all_reduce(values)
        return values

    def most(self, value: int) -> int:
        """The largest value of all processes, in each of them."""
        if self.world == 1:
            return value
        shared = torch.tensor(value, device=self.device)
        dist.all_reduce(shared, op=dist.ReduceOp.MAX)
        return int(shared)

    def gather(self, value: Any) -> list[Any]:
        """The values of all processes, by rank, in each of them. Plain values and CPU tensors."""
        if self.world == 1:
            return [value]
        values: list[Any] = [None] * self.world
        dist.all_gather_object(values, value)
        return values


@contextmanager
def open_processes(device: str) -> Iterator[Processes]:
    """Join the processes that torchrun started, and leave them at the end.

    device: `auto`, `cpu`, `cuda` or `cuda:1`. Raises LitePoseError if it does not exist.
    """
    rank, world = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    local = int(os.environ.get("LOCAL_RANK", 0))
    chosen = _device(device, local)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    if world > 1:
        _join("nccl" if chosen.type == "cuda" else "gloo", rank, world)
    try:
        yield Processes(rank, world, chosen)
    finally:
        if world > 1:
            dist.destroy_process_group()


def _join(backend: str, rank: int, world: int) -> None:
    """Meet the other processes of this start.

    torchrun keeps one store over its restarts, with the addresses of dead processes. A process that
    reads such an address fails or waits forever, so each start has its own keys.
    """
    store, _, _ = next(dist.rendezvous("env://", rank, world))
    start = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    own = dist.PrefixStore(f"litepose/start-{start}", store)
    dist.init_process_group(backend, store=own, rank=rank, world_size=world)


def _device(name: str, local_rank: int) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise LitePoseError(f"no device is called {name!r}; use auto, cpu or cuda") from None
    if not _is_there(device):
        raise LitePoseError(
            f"device {name} was asked for and this torch sees none; use device = cpu"
        )
    if device.type == "cuda" and device.index is None:
        device = torch.device("cuda", local_rank)
    if device.type == "cuda" and device.index >= torch.cuda.device_count():
        raise LitePoseError(
            f"there is no {device}: {torch.cuda.device_count()} GPUs are there; start as many"
            " processes as GPUs"
        )
    return device


def _is_there(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_available()
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, ImportError):  # mps, xpu and hpu raise different errors
        return False
    return True
