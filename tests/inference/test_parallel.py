"""in_order: side by side, in order, a little ahead, and clean when it is stopped."""

from __future__ import annotations

import threading
import time

import pytest

from litepose.inference.parallel import ordered_map


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_the_order_of_the_items(workers: int) -> None:
    def slow_first(i: int) -> int:
        time.sleep(0.02 if i % 5 == 0 else 0)
        return i * i

    assert list(ordered_map(slow_first, range(23), workers)) == [i * i for i in range(23)]


def test_workers_run_at_once() -> None:
    together = threading.Barrier(3, timeout=10)  # passes only when three wait at it
    assert len(list(ordered_map(lambda _: together.wait(), range(3), 3))) == 3


@pytest.mark.parametrize(("workers", "ahead"), [(1, 1), (2, 5), (4, 9)])
def test_items_are_taken_only_a_little_ahead(workers: int, ahead: int) -> None:
    taken: list[int] = []

    def endless():
        while True:
            taken.append(len(taken))
            yield taken[-1]

    results = ordered_map(lambda i: i, endless(), workers)
    assert [next(results) for _ in range(10)] == list(range(10))
    assert len(taken) <= 9 + ahead
    results.close()


def test_what_the_function_raises_comes_in_its_turn() -> None:
    def picky(i: int) -> int:
        if i == 3:
            raise KeyError(i)
        return i

    results = ordered_map(picky, range(9), 2)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError):
        next(results)


def test_broken_items_lose_nothing_that_came_before() -> None:
    def breaking():
        yield from range(5)
        raise OSError("the list is torn")

    done: list[int] = []
    with pytest.raises(OSError, match="torn"):
        done.extend(ordered_map(lambda i: i, breaking(), 3))
    results = ordered_map(lambda i: i, breaking(), 3)
    assert [next(results) for _ in range(5)] == list(range(5))


def test_stopping_drops_what_was_not_begun() -> None:
    begun: list[int] = []
    go = threading.Event()

    def work(i: int) -> int:
        begun.append(i)
        if i:
            go.wait(10)
        return i

    results = ordered_map(work, range(100), 2)
    next(results)
    before = time.monotonic()
    results.close()  # as Ctrl-C does, through the generator's `finally`
    assert time.monotonic() - before < 5, "it does not wait for what is running"
    go.set()
    time.sleep(0.05)
    assert len(begun) <= 3
