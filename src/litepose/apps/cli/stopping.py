"""Ctrl-C and SIGTERM: finish and report the current work, then exit."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")


@contextlib.contextmanager
def stopping(then: Callable[[], None] = lambda: None) -> Iterator[list[int]]:
    """Signals caught meanwhile; at the first `then` is called, a second ends everything at once."""
    caught: list[int] = []

    def stop(number: int, _: object) -> None:
        if caught:
            raise KeyboardInterrupt
        caught.append(number)
        then()

    with _heard(stop, signal.SIGINT, signal.SIGTERM):
        yield caught


@contextlib.contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """Treat SIGTERM, as schedulers send it, like Ctrl-C."""

    def stop(_: int, __: object) -> None:
        raise KeyboardInterrupt

    with _heard(stop, signal.SIGTERM):
        yield


def until(caught: list[int], items: Iterable[Item]) -> Iterator[Item]:
    """The items, until a signal was caught."""
    for item in items:
        if caught:
            return
        yield item


@contextlib.contextmanager
def _heard(handler: Callable[[int, object], None], *numbers: signal.Signals) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # only there may one listen
        yield
        return
    before = [signal.signal(number, handler) for number in numbers]
    try:
        yield
    finally:
        for number, old in zip(numbers, before, strict=True):
            signal.signal(number, old)
