"""The server's queue: a lone image has all cores; images that wait share them, one core each."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple

from prometheus_client import Gauge

from litepose.apps.web.body import RefusedError
from litepose.inference.parallel import ordered_map
from litepose.inference.predictor import Predictor, divided

PATIENCE = 10  # niceness of threads that predict: the one that answers requests goes first


class _Task(NamedTuple):
    """model: its name; call: what is done with it; future: of the result."""

    model: str
    call: Callable[[Predictor], Any]
    future: Future[Any]


class Work:
    """Runs calls with the models of a mapping; up to `most` may wait.

    All that wait for the same model are run together, as `Predictor.predict_many` runs a folder:
    a batch inside the network gains nothing on a CPU. divide: a model to one whose cores are
    divided among callers, and their number.
    """

    def __init__(
        self,
        models: Mapping[str, Predictor],
        most: int,
        waiting: Gauge,
        divide: Callable[[Predictor], tuple[Predictor, int]] = divided,
    ) -> None:
        self._models, self._most, self._gauge, self._divide = models, most, waiting, divide
        self._tasks: deque[_Task] = deque()
        self._count, self._closing = 0, False
        self._changed = threading.Condition()  # its lock may be taken twice by one thread
        self._thread = threading.Thread(target=self._serve, name="predict", daemon=True)
        self._thread.start()

    def check_room(self) -> None:
        """Raises RefusedError: 429 where the queue is full now, 503 where the server is ending."""
        with self._changed:
            if self._closing:
                raise RefusedError(503, "the server is ending")
            if self._count > self._most:
                raise RefusedError(
                    429, "too many images are waiting; try again", {"Retry-After": "1"}
                )

    async def run(self, model: str, call: Callable[[Predictor], Any]) -> Any:
        """What `call` returns. Raises what it and `check_room` raise, and RefusedError (503) where
        the model cannot be opened."""
        task = _Task(model, call, Future())
        with self._changed:
            self.check_room()
            self._add(1)
            self._tasks.append(task)
            self._changed.notify()
        return await asyncio.wrap_future(task.future)

    def close(self) -> None:
        """Finish what was taken, then end."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _serve(self) -> None:
        if sys.platform == "linux":  # there, threads begun by this one are as patient
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), PATIENCE)
        while tasks := self._take():
            self._run_all(tasks)

    def _run_all(self, tasks: list[_Task]) -> None:
        """Tasks of one model: side by side where there are several."""
        try:
            model, workers = self._models[tasks[0].model], 1
            if len(tasks) > 1:
                model, workers = self._divide(model)
        except Exception as exc:  # of opening the model: each request is told
            for task in tasks:
                self._end(task, error=exc)
        else:
            run = partial(self._end, model=model)
            deque(ordered_map(run, tasks, workers), maxlen=0)

    def _take(self) -> list[_Task]:
        """The first task and all that wait for the same model; none where the end has come."""
        with self._changed:
            self._changed.wait_for(lambda: self._tasks or self._closing)
            if not self._tasks:
                return []
            name = self._tasks[0].model
            taken = [task for task in self._tasks if task.model == name]
            self._tasks = deque(task for task in self._tasks if task.model != name)
            return taken

    def _end(
        self, task: _Task, model: Predictor | None = None, error: Exception | None = None
    ) -> None:
        """Run a task with the model, or hand on the error. A request that was given up keeps its
        place until here."""
        result, wanted = None, task.future.set_running_or_notify_cancel()
        if wanted and model is not None:
            try:
                result = task.call(model)
            except Exception as exc:
                error = exc
        with self._changed:
            self._add(-1)  # before the answer, so that whoever has it finds room
        if wanted and error is not None:
            task.future.set_exception(error)
        elif wanted:
            task.future.set_result(result)

    def _add(self, change: int) -> None:
        self._count += change
        self._gauge.set(self._count)
