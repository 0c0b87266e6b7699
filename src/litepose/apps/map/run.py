"""One map from beginning to end: list the source, claim the output, work, sum up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from litepose.apps.map.folder import OutputFolder
from litepose.apps.map.job import Job, Outcome, Part
from litepose.apps.map.local import LocalPool
from litepose.apps.map.schedule import Pool, run_parts
from litepose.apps.map.sources import find_parts
from litepose.core.packages import need

IMAGES_PER_PART = 500


def run_map(
    source: str,
    job: Job,
    open_pool: Callable[[Job], Pool],
    *,
    images_per_part: int = IMAGES_PER_PART,
    begin: Callable[[int, int], None] = lambda done, parts: None,
    report: Callable[[Outcome], None] = lambda outcome: None,
) -> dict[str, Any]:
    """Map a source; counts over the whole output folder, earlier runs' too, and `unfinished`.

    begin: is told how many parts are finished already, of how many; report: each outcome.
    Raises LitePoseError for what a user can mend; finished parts are kept, and a run with the same
    arguments goes on with the others.
    """
    need("litepose map", "pyarrow", "fsspec", extra="cluster")
    model = job.open()[0]  # so that what is wrong with it is said at once
    weights = model.backend.file
    fingerprint = job.fingerprint("" if weights is None else weights.sha256)
    folder = OutputFolder(job.output)
    parts = find_parts(source, images_per_part, job)
    folder.claim()
    try:
        left = folder.remaining(parts, fingerprint)
        begin(len(parts) - len(left), len(parts))
        unfinished = _work(job, open_pool, left, folder, report)
        return folder.totals() | {"unfinished": unfinished}
    finally:
        folder.release()


def local_pool(workers: int) -> Callable[[Job], Pool]:
    """Opens that many processes on this machine."""
    return lambda job: LocalPool(job, workers)


def _work(
    job: Job,
    open_pool: Callable[[Job], Pool],
    parts: list[Part],
    folder: OutputFolder,
    report: Callable[[Outcome], None],
) -> dict[str, str]:
    if not parts:
        return {}
    pool = open_pool(job)
    try:
        return run_parts(pool, parts, folder, report)
    finally:
        pool.close()
