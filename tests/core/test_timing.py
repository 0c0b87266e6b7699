"""Timing of calls: how often they run, and what counts."""

from __future__ import annotations

import pytest

from litepose.core import timing
from litepose.core.timing import median_ms, medians_in_turns_ms, run_seconds


class Clock:
    """Time that passes only where `work` is called."""

    def __init__(self) -> None:
        self.now, self.calls = 0.0, 0

    def perf_counter(self) -> float:
        return self.now

    def work(self) -> None:
        self.calls += 1
        self.now += self.calls  # the n-th call takes n seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timing, "time", clock)
    return clock


def test_warm_up_does_not_count(clock: Clock) -> None:
    assert run_seconds(clock.work, 3, warmup=2) == [3.0, 4.0, 5.0]


def test_runs_end_early_where_patience_is_spent(clock: Clock) -> None:
    assert run_seconds(clock.work, 9, warmup=0, at_least=2, patience_s=2.5) == [1.0, 2.0]
    assert run_seconds(clock.work, 9, warmup=0, at_least=2, patience_s=13) == [3.0, 4.0, 5.0, 6.0]


def test_medians(clock: Clock) -> None:
    assert median_ms(clock.work, 3) == 3000.0  # of 2, 3 and 4 s
    took = medians_in_turns_ms({"a": clock.work, "b": lambda: None}, turns=3)
    assert took == {"a": 12000.0, "b": 0.0}  # 10, 12 and 14 s: the second call of each turn
