"""The server's queue: alone on all cores, side by side where several wait, and nothing is lost."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import Gauge

import litepose
from litepose.apps.web.body import RefusedError
from litepose.apps.web.work import Work
from litepose.core.errors import LitePoseError

IMAGES = Path(__file__).parents[3] / "examples/images"
WAIT = 20  # seconds, for what ends at once unless it is broken


def make_work(most: int = 16, workers: int = 2, **models: Any) -> Work:
    """Of models that are words; a divided one is told by its mark."""
    models = models or {"a": "a", "b": "b"}
    gauge = Gauge("waiting", "", registry=None)
    return Work(models, most, gauge, lambda model: (f"{model} divided", workers))


class Gate:
    """A call that waits until it is let go, and says when it has begun and with which model."""

    def __init__(self) -> None:
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, model: Any) -> Any:
        self.begun.set()
        assert self.go.wait(WAIT)
        return model


def behind(first: Gate, *later: tuple[str, Callable[[Any], Any]], most: int = 16) -> list[Any]:
    """Results of `later`, all of which wait while the first is worked on."""

    async def run() -> list[Any]:
        work = make_work(most)
        busy = asyncio.create_task(work.run("a", first))
        await asyncio.to_thread(first.begun.wait, WAIT)
        waiting = [asyncio.create_task(work.run(*one)) for one in later]
        await asyncio.sleep(0)  # each has its place now
        first.go.set()
        assert await busy == "a"
        results = await asyncio.gather(*waiting, return_exceptions=True)
        await asyncio.to_thread(work.close)
        assert work._count == 0
        return results

    return asyncio.run(run())


def test_what_waits_for_one_model_is_run_together_with_divided_cores() -> None:
    same = lambda model: model  # noqa: E731
    found = behind(Gate(), ("a", same), ("b", same), ("a", same), ("a", same))
    assert found == ["a divided", "b", "a divided", "a divided"]


def test_they_run_side_by_side() -> None:
    """Each waits for the other: one after the other would never end."""
    meeting = threading.Barrier(2)
    found = behind(Gate(), *[("a", lambda _: meeting.wait(WAIT) >= 0)] * 2)
    assert found == [True, True]


def test_an_error_is_its_own_requests() -> None:
    def fails(_: Any) -> None:
        raise LitePoseError("no image")

    one, other = behind(Gate(), ("a", fails), ("a", lambda model: model))
    assert str(one) == "no image" and other == "a divided"


def test_a_model_that_cannot_be_opened_is_told_to_each() -> None:
    one, other, fine = behind(Gate(), ("c", str), ("c", str), ("a", str))
    assert isinstance(one, KeyError) and isinstance(other, KeyError) and fine == "a"


def test_a_full_queue_refuses_at_once() -> None:
    first, *refused = behind(Gate(), *[("a", str)] * 3, most=1)
    assert first == "a"
    assert [one.status for one in refused] == [429, 429]


def test_a_request_that_is_given_up_keeps_its_place_until_its_work_ends() -> None:
    gate = Gate()

    async def run() -> None:
        work = make_work(most=0)
        first = asyncio.create_task(work.run("a", gate))
        await asyncio.to_thread(gate.begun.wait, WAIT)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        with pytest.raises(RefusedError, match="waiting"):
            await work.run("a", str)
        gate.go.set()
        await asyncio.to_thread(work.close)
        assert work._count == 0
        with pytest.raises(RefusedError, match="ending"):
            await work.run("a", str)

    asyncio.run(run())


def test_one_given_up_while_it_waits_is_not_worked_on() -> None:
    gate, ran = Gate(), threading.Event()

    async def run() -> None:
        work = make_work()
        first = asyncio.create_task(work.run("a", gate))
        await asyncio.to_thread(gate.begun.wait, WAIT)
        second = asyncio.create_task(work.run("a", lambda _: ran.set()))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        gate.go.set()
        await first
        await asyncio.to_thread(work.close)

    asyncio.run(run())
    assert not ran.is_set()


@pytest.mark.slow
def test_people_are_those_of_a_lone_image() -> None:
    """A core each may round otherwise than all cores together, by less than a hundredth of a px."""
    model = litepose.load(effort="fast", threads=2)
    names = [IMAGES / name for name in ("astronaut.jpg", "scene.jpg")] * 2
    alone = [model.predict(name) for name in names]

    async def run() -> list[litepose.Poses]:
        work = Work({"a": model}, 16, Gauge("waiting", "", registry=None))
        gate = Gate()
        busy = asyncio.create_task(work.run("a", gate))
        await asyncio.to_thread(gate.begun.wait, WAIT)
        found = [
            asyncio.create_task(work.run("a", lambda one, name=name: one.predict(name)))
            for name in names
        ]
        await asyncio.sleep(0)
        gate.go.set()
        await busy
        results = await asyncio.gather(*found)
        await asyncio.to_thread(work.close)
        return results

    for one, other in zip(alone, asyncio.run(run()), strict=True):
        assert len(one) == len(other)
        assert abs(one.keypoints_xy - other.keypoints_xy).max() < 0.01
