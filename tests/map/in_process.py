"""A pool without processes: images may kill its worker, storage may fail, nothing is slow."""

from __future__ import annotations

from litepose.apps.map.job import Job, Outcome, Task
from litepose.apps.map.sources import Item
from litepose.apps.map.work import Worker


class Death(BaseException):
    """What a process that ends in mid-work leaves behind: nothing is caught, nothing written."""


class _Mortal(Worker):
    deadly: tuple[str, ...] = ()

    def _one(self, item: Item, writer) -> None:
        if item.data is not None and item.image_id in self.deadly:
            raise Death
        super()._one(item, writer)


class InProcessPool:
    """One worker; `deadly` images kill it, `deaths` counts how often."""

    size = 1

    def __init__(self, job: Job, deadly: tuple[str, ...] = ()) -> None:
        self._worker = _Mortal(job)
        self._worker.deadly = deadly
        self._task: Task | None = None
        self.deaths = 0

    def submit(self, task: Task) -> None:
        self._task = task

    def next(self) -> Outcome:
        assert self._task is not None
        try:
            return self._worker.run(self._task)
        except Death:
            self.deaths += 1
            return Outcome(self._task, error="the worker died", blame="died")

    def close(self) -> None:
        self._task = None
