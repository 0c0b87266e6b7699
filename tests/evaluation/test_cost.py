"""Costs: counts against the published table, times of a stand-in whose times are known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from litepose.core.errors import LitePoseError
from litepose.evaluation.cost import Percentiles, measure_latency, network_cost, peak_memory_mb
from litepose.models.zoo import MODELS


@pytest.mark.slow
@pytest.mark.parametrize("name", ["litepose-p", "litepose-xs", "litepose-l-crowdpose"])
def test_counts_equal_the_table(name: str) -> None:
    pytest.importorskip("torch")
    model = MODELS[name]
    cost = network_cost(model.info)
    assert cost.params == model.params
    assert cost.macs / 1e9 == pytest.approx(model.gmacs, abs=5e-4)


@pytest.mark.slow
def test_macs_grow_with_the_input() -> None:
    pytest.importorskip("torch")
    info = MODELS["litepose-tiny"].info
    once, twice = network_cost(info, (128, 128)), network_cost(info, (256, 128))
    assert twice.macs == 2 * once.macs and twice.params == once.params


class Clock:
    """Stage i of run n takes n * 10^-i ms; the runs before the counted ones take an hour."""

    def __init__(self, warm_up: int) -> None:
        self.runs, self.warm_up, self.seen = 0, warm_up, []

    def inspect(self, image: Any, options: Any) -> Any:
        self.runs += 1
        self.seen.append(image)
        n = self.runs - self.warm_up
        ms = n / 1000 if n > 0 else 3600
        timings = SimpleNamespace(read=9.0, pre=ms, net=ms / 10, decode=ms / 100)
        return SimpleNamespace(timings=timings)


def test_percentiles_are_of_the_counted_runs_in_milliseconds() -> None:
    clock = Clock(warm_up=3)
    latency = measure_latency(clock, ["a", "b"], runs=101, warm_up=3)
    assert latency.pre == Percentiles(pytest.approx(51), pytest.approx(96))
    assert latency.net == Percentiles(pytest.approx(5.1), pytest.approx(9.6))
    assert latency.decode.p50 == pytest.approx(0.51)
    assert latency.total.p50 == pytest.approx(56.61)
    assert latency.runs == 101 and clock.runs == 104
    assert clock.seen[:3] == ["a", "b", "a"]


def test_no_image_is_an_error() -> None:
    with pytest.raises(LitePoseError, match="at least one image"):
        measure_latency(Clock(0), [])


@pytest.mark.slow
def test_memory_of_a_model_that_is_not_there_is_said() -> None:
    with pytest.raises(LitePoseError, match=r"memory of no-such-model failed: .*no-such-model"):
        peak_memory_mb("no-such-model")


@pytest.mark.slow
def test_peak_memory_is_that_of_the_child_alone() -> None:
    ballast = np.ones(100_000_000)  # 800 MB here must not count there
    assert 60 < peak_memory_mb("litepose-p", times=1) < 600
    assert ballast[-1] == 1
