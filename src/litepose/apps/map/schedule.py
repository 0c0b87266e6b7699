"""Gives parts to workers, tries again what failed, and stops where going on is no use."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from litepose.apps.map.folder import OutputFolder
from litepose.apps.map.job import Outcome, Part, Task
from litepose.core.errors import LitePoseError

MOST_TRIES = 3  # of a part whose storage fails
MOST_DEATHS = 12  # of workers at one part: two before care is taken, then two for each image
CAREFUL_AFTER = 2  # deaths at a part; the first may be anybody's
FAILED_IN_A_ROW = 3  # parts given up with none finished between: the storage is gone


class Pool(Protocol):
    """Workers that take one task each. `size`: how many; they outlive the tasks."""

    size: int

    def submit(self, task: Task) -> None:
        """Give a task to an idle worker; there is one."""
        ...

    def next(self) -> Outcome | None:
        """Wait for an outcome (blame "died" where its worker did); None: ask again."""
        ...

    def close(self) -> None:
        """End all workers, whatever they are doing."""
        ...


def run_parts(
    pool: Pool, parts: list[Part], folder: OutputFolder, report: Callable[[Outcome], None]
) -> dict[str, str]:
    """Work on all parts; the sentence of each that could not be finished, by its name.

    Memory is bounded by one part being read per worker; nothing is queued inside a worker.
    Raises LitePoseError where nothing can be written, or the storage of the source is gone.
    """
    waiting = deque(Task(part) for part in parts)
    running, failed_in_a_row = 0, 0
    unfinished: dict[str, str] = {}
    while waiting or running:
        while waiting and running < pool.size:
            pool.submit(waiting.popleft())
            running += 1
        with suppress(OSError):  # the next one may succeed, and a lock is no reason to stop
            folder.renew()
        outcome = pool.next()
        if outcome is None:
            continue
        running -= 1
        if outcome.error is None:
            failed_in_a_row = 0
            report(outcome)
            continue
        if outcome.blame in ("output", "model"):
            raise LitePoseError(f"{outcome.error}; {_kept(folder)}")
        again = _next_try(outcome, folder)
        if again is not None:
            waiting.append(again)
            continue
        unfinished[outcome.task.part.name] = outcome.error
        failed_in_a_row += outcome.blame == "source"
        report(outcome)
        if failed_in_a_row >= FAILED_IN_A_ROW:
            raise LitePoseError(f"{outcome.error}; {_kept(folder)}")
    return unfinished


def _next_try(outcome: Outcome, folder: OutputFolder) -> Task | None:
    """The task as it is tried next; None where it is given up."""
    task = outcome.task._replace(tries=outcome.task.tries + 1)
    if outcome.blame != "died":
        return task if outcome.blame == "source" and task.tries < MOST_TRIES else None
    if task.tries >= MOST_DEATHS:
        return None
    if not task.careful:
        return task._replace(careful=task.tries >= CAREFUL_AFTER)
    place = folder.noted_image(task)
    if place is not None and place == task.blamed:  # twice the same one: it is the image
        return task._replace(skip=task.skip | {place}, blamed=None)
    return task._replace(blamed=place)


def _kept(folder: OutputFolder) -> str:
    try:
        done = folder.totals()["parts"]
    except (OSError, ValueError):
        return "finished parts are kept; the same command goes on when that is mended"
    return f"the {done} finished parts are kept; the same command goes on when that is mended"
