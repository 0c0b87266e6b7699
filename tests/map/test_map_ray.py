"""`litepose map --on ray`: a killed actor costs nothing; no cluster is a sentence."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest
from pyarrow import parquet

ray = pytest.importorskip("ray")
from litepose.apps.map.job import Job, Outcome  # noqa: E402
from litepose.apps.map.on_ray import MISSED, RayPool, ray_pool  # noqa: E402
from litepose.apps.map.run import run_map  # noqa: E402
from litepose.core.errors import LitePoseError  # noqa: E402


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of Ray's own making
def test_a_killed_actor_costs_nothing(folder: Path, job: Job) -> None:
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")

    def open_pool(job: Job) -> RayPool:
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
        pool = RayPool(job, 2)
        pids.extend(ray.get([actor.pid.remote() for actor in pool.actors]))
        return pool

    pids: list[int] = []
    killed: list[int] = []

    def report(outcome: Outcome) -> None:
        if not killed:  # one has just ended its part, the other is at work
            killed.extend(pids)
            for pid in pids:
                os.kill(pid, signal.SIGKILL)

    try:
        summary = run_map(str(folder), job, open_pool, images_per_part=2, report=report)
    finally:
        ray.shutdown()
    assert killed and summary["unfinished"] == {}
    assert (summary["images"], summary["failures"]) == (12, 1)
    files = Path(job.output, "images").glob("*.parquet")
    names = [name for file in files for name in parquet.read_table(file)["image_id"].to_pylist()]
    assert len(names) == len(set(names)) == 12


def test_an_unreachable_cluster_is_a_sentence(folder: Path, job: Job) -> None:
    with socket.socket() as taken:  # bound and not listening: no other program can have the port
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(LitePoseError, match=f"cannot reach the Ray cluster {address}"):
            run_map(str(folder), job, ray_pool(1, address))
    with pytest.raises(LitePoseError, match="HOST:PORT"):
        run_map(str(folder), job, ray_pool(1, "head"))


class Deaf:
    """Ray's module, of a cluster whose tasks never end."""

    @staticmethod
    def wait(tasks: list, **_: object) -> tuple[list, list]:
        return [], tasks


def test_a_cluster_that_is_gone_is_a_sentence() -> None:
    pool = object.__new__(RayPool)
    pool._ray, pool._idle, pool._busy, pool._missed = Deaf(), [], {}, 0
    with socket.socket() as head:
        head.bind(("127.0.0.1", 0))
        head.listen()
        pool._head = f"127.0.0.1:{head.getsockname()[1]}"
        assert [pool.next() for _ in range(2 * MISSED)] == [None] * 2 * MISSED  # long tasks
    assert [pool.next() for _ in range(MISSED - 1)] == [None] * (MISSED - 1)
    with pytest.raises(LitePoseError, match="is gone; what is finished is kept"):
        pool.next()
