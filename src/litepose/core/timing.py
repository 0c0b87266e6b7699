"""Time calls: the seconds of each run, the median or 20th percentile of one call, and medians of
several calls in turns."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np


def run_seconds(
    call: Callable[[], object],
    runs: int,
    *,
    warmup: int = 1,
    at_least: int | None = None,
    patience_s: float = float("inf"),
) -> list[float]:
    """Seconds of each run, after `warmup` runs that do not count.

    at_least: after this many runs, stop early once they took `patience_s` in total
    """
    for _ in range(warmup):
        call()
    least = runs if at_least is None else at_least
    took: list[float] = []
    while len(took) < least or (len(took) < runs and sum(took) < patience_s):
        start = time.perf_counter()
        call()
        took.append(time.perf_counter() - start)
    return took


def quiet_ms(call: Callable[[], object], runs: int) -> float:
    """Milliseconds of a call, after one warm-up call: the 20th percentile, which other programs
    influence less than the median."""
    return low(run_seconds(call, runs)) * 1e3


def low(times: Sequence[float]) -> float:
    """20th percentile of a few times."""
    return float(np.percentile(times, 20))


def median_ms(call: Callable[[], object], runs: int) -> float:
    """Median milliseconds of a call, after one warm-up call."""
    return statistics.median(run_seconds(call, runs)) * 1e3


def medians_in_turns_ms(
    calls: Mapping[str, Callable[[], object]], turns: int = 15
) -> dict[str, float]:
    """Median milliseconds of each call, taken in turns so that a busy machine slows all equally.

    In a turn each is called twice and only the second is timed, because threads of the previous
    call spin for a while. Two warm-up turns are not timed.
    """
    took: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(turns + 2):
        for name, call in calls.items():
            [seconds] = run_seconds(call, 1)
            if turn >= 2:
                took[name].append(seconds * 1e3)
    return {name: statistics.median(times) for name, times in took.items()}
