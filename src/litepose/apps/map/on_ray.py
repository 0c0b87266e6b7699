"""Workers of `litepose map --on ray`: actors, restarted when they or their machine die."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from litepose.apps.map.job import Job, Outcome, Task
from litepose.core.errors import LitePoseError

WAIT_SECONDS = 10.0
CONNECT_SECONDS = 5.0
MISSED = 3  # knocks in a row, one every WAIT_SECONDS, that a head does not hear when it is gone


def ray_pool(workers: int, address: str | None) -> Callable[[Job], RayPool]:
    """Opens that many actors (0: as many as the cluster has cores for) on a cluster.

    address: of a running cluster; None takes the one of RAY_ADDRESS, or starts one here.
    """
    return lambda job: RayPool(job, workers, address)


class RayPool:
    """Actors that hold the model; `actors` are the ones alive now, as far as is known."""

    def __init__(self, job: Job, workers: int = 0, address: str | None = None) -> None:
        """Raises LitePoseError where the cluster cannot be reached or has too few cores."""
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is sent anywhere
        # Ray's warning that this will be the default says nothing to those who have no GPU.
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        import ray

        self._ray = ray
        self._begun = not ray.is_initialized()
        if self._begun:
            _connect(address)
        self._head: str = ray.get_runtime_context().gcs_address
        self._missed = 0
        self._threads = max(1, job.runtime.threads)
        cores = int(ray.cluster_resources().get("CPU", 0))
        self.size = workers or cores // self._threads
        if self.size < 1 or self.size * self._threads > cores:
            self.close_cluster()
            raise LitePoseError(
                f"{max(self.size, 1)} workers of {self._threads} threads need"
                f" {max(self.size, 1) * self._threads} cores; the Ray cluster has {cores}:"
                " give fewer --workers or --threads"
            )
        self._job = ray.put(job)
        self._actor = ray.remote(num_cpus=self._threads, max_restarts=0)(_Actor)
        self._idle: list[Any] = [self._actor.remote(self._job) for _ in range(self.size)]
        self._busy: dict[Any, tuple[Any, Task]] = {}

    @property
    def actors(self) -> list[Any]:
        return [*self._idle, *(actor for actor, _ in self._busy.values())]

    def submit(self, task: Task) -> None:
        actor: Any = self._idle.pop()
        self._busy[actor.run.remote(task)] = (actor, task)

    def next(self) -> Outcome | None:
        """The next finished task, None where none ended in a while.

        Raises LitePoseError where the cluster failed, or its head is not reached any more.
        """
        ready, _ = self._ray.wait(list(self._busy), num_returns=1, timeout=WAIT_SECONDS)
        if not ready:
            self._check_head()
            return None
        actor, task = self._busy.pop(ready[0])
        try:
            outcome: Outcome = self._ray.get(ready[0])
        except self._ray.exceptions.RayActorError:
            self._idle.append(self._actor.remote(self._job))
            error = f"the worker of {task.part.name}, or its machine, died"
            return Outcome(task, error=error, blame="died")
        except self._ray.exceptions.RayError as exc:
            first = str(exc).strip().splitlines()[-1]
            raise LitePoseError(f"the Ray cluster failed at {task.part.name}: {first}") from None
        self._idle.append(actor)
        return outcome

    def _check_head(self) -> None:
        """Ray itself would end this process, after a minute, with lines of its own."""
        try:
            knock(self._head)
            self._missed = 0
        except LitePoseError:
            self._missed += 1
            if self._missed < MISSED:
                return
            self._idle, self._busy = [], {}
            raise LitePoseError(
                f"the Ray cluster {self._head} is gone; what is finished is kept, and the same"
                " command goes on when the cluster is back"
            ) from None

    def close(self) -> None:
        for actor in self.actors:
            with suppress(Exception):  # it may be dead, or the cluster gone
                self._ray.kill(actor)
        self._idle, self._busy = [], {}
        self.close_cluster()

    def close_cluster(self) -> None:
        """Leave the cluster, or end the one that was started for this map."""
        if self._begun:
            self._ray.shutdown()


class _Actor:
    """Opens the model at its first task, so that what is wrong with it comes back as a sentence."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._worker: Any = None

    def run(self, task: Task) -> Outcome:
        from litepose.apps.map.work import Worker

        try:
            self._worker = self._worker or Worker(self._job)
        except LitePoseError as exc:
            return Outcome(task, error=str(exc), blame="model")
        outcome: Outcome = self._worker.run(task)
        return outcome

    def pid(self) -> int:
        return os.getpid()


def _connect(address: str | None) -> None:
    import ray

    address = address or os.environ.get("RAY_ADDRESS")
    if address not in (None, "auto", "local"):
        knock(address)
    here: dict[str, Any] = {"include_dashboard": False} if address in (None, "local") else {}
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **here)
    except Exception as exc:  # each transport of Ray raises its own
        first = str(exc).strip().splitlines()[0] if str(exc).strip() else type(exc).__name__
        raise LitePoseError(
            f"cannot reach the Ray cluster {address or 'here'}: {first}; `ray start --head` begins"
            " one, and --on local needs none"
        ) from None


def knock(address: str) -> None:
    """Ray itself waits for minutes for a host that is not there; a socket says so at once."""
    host, _, port = address.rpartition("://")[2].rstrip("/").rpartition(":")
    if not host or not port.isdecimal():
        raise LitePoseError(
            f"the address of a Ray cluster is auto, HOST:PORT or ray://HOST:PORT; got {address!r}"
        )
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except (OSError, OverflowError) as exc:
        raise LitePoseError(
            f"cannot reach the Ray cluster {address}: {exc}; `ray start --head` begins one, and"
            " --on local needs none"
        ) from None
