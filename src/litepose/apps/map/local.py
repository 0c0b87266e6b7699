"""Workers of `litepose map --on local`: processes of this machine, restarted when they die."""

from __future__ import annotations

import multiprocessing
import signal
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import NamedTuple

from litepose.apps.map.job import Job, Outcome, Task
from litepose.core.errors import LitePoseError

WAIT_SECONDS = 10.0
_spawn = multiprocessing.get_context("spawn")  # a fork would copy the threads' locks


class _Running(NamedTuple):
    process: BaseProcess
    pipe: Connection


class LocalPool:
    """Spawned processes, each with a pipe. `processes` are the ones alive now."""

    def __init__(self, job: Job, workers: int) -> None:
        self.size = workers
        self._job = job
        self._idle = [self._begin() for _ in range(workers)]
        self._busy: dict[Connection, tuple[_Running, Task]] = {}

    @property
    def processes(self) -> list[BaseProcess]:
        busy = [running for running, _ in self._busy.values()]
        return [running.process for running in (*self._idle, *busy)]

    def submit(self, task: Task) -> None:
        worker = self._idle.pop()
        with suppress(OSError):  # it died while idle: the next read of its pipe says so
            worker.pipe.send(task)
        self._busy[worker.pipe] = (worker, task)

    def next(self) -> Outcome | None:
        for pipe in wait(list(self._busy), WAIT_SECONDS):
            assert isinstance(pipe, Connection)
            worker, task = self._busy.pop(pipe)
            try:
                outcome: Outcome = pipe.recv()
            except (EOFError, OSError):
                worker.process.join()
                pipe.close()
                self._idle.append(self._begin())
                code = worker.process.exitcode
                error = f"the worker of {task.part.name} died (exit code {code})"
                return Outcome(task, error=error, blame="died")
            self._idle.append(worker)
            return outcome
        return None

    def close(self) -> None:
        for worker in (*self._idle, *(running for running, _ in self._busy.values())):
            worker.process.terminate()
            worker.process.join()
            worker.pipe.close()
        self._idle, self._busy = [], {}

    def _begin(self) -> _Running:
        ours, theirs = _spawn.Pipe()
        process = _spawn.Process(target=_serve, args=(theirs, self._job), daemon=True)
        process.start()
        theirs.close()  # so that its death closes the last copy, and we read the end
        return _Running(process, ours)


def _serve(pipe: Connection, job: Job) -> None:
    """The life of a worker: open the model, then one task after the other until the pipe ends."""
    from litepose.apps.map.work import Worker

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    worker: Worker | None = None
    while True:
        try:
            task: Task = pipe.recv()
        except EOFError:
            return
        try:
            worker = worker or Worker(job)
            outcome = worker.run(task)
        except LitePoseError as exc:
            outcome = Outcome(task, error=str(exc), blame="model")
        try:
            pipe.send(outcome)
        except OSError:
            return
