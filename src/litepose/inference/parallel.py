"""Map a function over items in threads, results in order.

Unlike `ThreadPoolExecutor.map` it reads only a few items ahead, so that a million images or an
endless stream fit in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered_map(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int
) -> Iterator[Result]:
    """Results of `function` for each item, in order, with `workers` threads.

    Items are read in the caller's thread, at most `2 * workers` ahead of the current result. With
    one worker nothing is read ahead and no thread is started. An error of `function` is raised in
    place of its result, an error of `items` after the results of earlier items. When the caller
    stops, waiting items are dropped and running ones finish.
    """
    if workers <= 1:
        yield from map(function, items)
        return
    broken: Exception | None = None
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="litepose")
    iterator = iter(items)
    try:
        while True:
            try:
                waiting.append(pool.submit(function, next(iterator)))
            except StopIteration:
                break
            except Exception as exc:
                broken = exc
                break
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    if broken is not None:
        raise broken
