"""Measure which memory order of tensors trains faster here.

Depthwise 7x7 convolutions prefer one order on one machine and the other on the next.
"""

from __future__ import annotations

import time
from copy import deepcopy

import torch
from torch import nn

ORDERS = {True: torch.channels_last, False: torch.contiguous_format}


def faster_in_channels_last(
    model: nn.Module, shape: tuple[int, int, int, int], device: torch.device, precision: torch.dtype
) -> bool:
    """Times two forward and backward passes in each order; model and random state stay as is."""
    times = {order: _seconds(model, shape, device, precision, order) for order in (True, False)}
    return times[True] <= times[False]


def _seconds(
    model: nn.Module,
    shape: tuple[int, int, int, int],
    device: torch.device,
    precision: torch.dtype,
    channels_last: bool,
) -> float:
    order = ORDERS[channels_last]
    trial = deepcopy(model).to(memory_format=order)  # type: ignore[call-overload]
    images = torch.zeros(shape, device=device).to(memory_format=order)
    best = float("inf")
    for _ in range(3):  # the first one warms up
        _wait(device)
        start = time.perf_counter()
        with torch.autocast(device.type, precision, enabled=precision != torch.float32):
            maps = trial(images)
        (sum(h.float().mean() for h in maps.heatmaps) + maps.tags.float().mean()).backward()
        _wait(device)
        best = min(best, time.perf_counter() - start)
    return best


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
