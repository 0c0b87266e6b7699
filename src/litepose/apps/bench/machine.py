"""The machine's own limits: matrix rate and memory bandwidth."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from litepose.inference.system import cpu_name, usable_cores

_SIDE = 1024  # of the square matrices
_COPIED = 1 << 25  # float32 numbers, 128 MiB: more than the caches of most machines hold


@dataclass(frozen=True)
class Machine:
    """matrix_gmacs: 1e9 float32 multiply-adds a second of a matrix product, all cores, the best of
    numpy and PyTorch; copy_gbs: 1e9 bytes a second read and written by copying, all cores."""

    cpu: str
    cores: int
    matrix_gmacs: float
    copy_gbs: float


def measure_machine(seconds: float = 1.0) -> Machine:
    """The best that was reached within so many seconds for each."""
    cores = usable_cores()
    rng = np.random.default_rng(0)
    a, b = (rng.random((_SIDE, _SIDE), dtype=np.float32) for _ in range(2))
    out = np.empty_like(a)
    products: list[Callable[[], object]] = [lambda: np.matmul(a, b, out=out)]
    if find_spec("torch") is not None:
        import torch

        left, right = torch.from_numpy(a), torch.from_numpy(b)
        products.append(lambda: torch.matmul(left, right))
    fastest = min(_best_time(product, seconds / len(products)) for product in products)
    source, target = np.ones(_COPIED, np.float32), np.zeros(_COPIED, np.float32)
    parts = list(zip(np.array_split(source, cores), np.array_split(target, cores), strict=True))
    with ThreadPoolExecutor(cores) as pool:

        def copy() -> None:
            for _ in pool.map(lambda part: np.copyto(part[1], part[0]), parts):
                pass

        copying = _best_time(copy, seconds)
    return Machine(
        cpu_name(),
        cores,
        round(_SIDE**3 / fastest / 1e9, 1),
        round(2 * source.nbytes / copying / 1e9, 1),
    )


def _best_time(call: Callable[[], object], seconds: float) -> float:
    call()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return best
