"""What a worker of `litepose map` does with a part: read, predict, write, note it as done."""

from __future__ import annotations

import time

from litepose.apps.map.folder import OutputFolder
from litepose.apps.map.job import Job, Outcome, Task
from litepose.apps.map.shards import ShardWriter
from litepose.apps.map.sources import Item, read_part
from litepose.apps.map.storage import StorageError, storage_failures
from litepose.core.errors import LitePoseError


class Worker:
    """Holds the model, opened once. Raises LitePoseError where that cannot be opened."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._folder = OutputFolder(job.output)
        self._predictor, self._options = job.open()

    def run(self, task: Task) -> Outcome:
        """Finish one part, or say in the outcome why not; only a dead process says nothing."""
        try:
            return self._run(task)
        except StorageError as exc:
            return Outcome(task, error=str(exc), blame="source")
        except LitePoseError as exc:
            return Outcome(task, error=str(exc), blame="input")
        except OSError as exc:
            error = f"cannot write to {self._folder.uri}: {exc.strerror or exc}"
            return Outcome(task, error=error, blame="output")

    @storage_failures()
    def _run(self, task: Task) -> Outcome:
        folder, began = self._folder, time.process_time()
        skeleton = self._predictor.info.skeleton
        with ShardWriter(folder.fs, folder.root, task.part, skeleton) as writer:
            for place, item in enumerate(read_part(task.part, self._job)):
                if task.careful:
                    folder.note_image(task.part, place)
                if place in task.skip:
                    error = "the worker process died of this image each time; it was left out"
                    item = item._replace(data=None, error=error)
                self._one(item, writer)
            writer.commit()
        counts = writer.counts
        outcome = Outcome(
            task,
            counts["images"],
            counts["people"],
            counts["failures"],
            round(time.process_time() - began, 3),
        )
        folder.note_done(outcome)
        return outcome

    def _one(self, item: Item, writer: ShardWriter) -> None:
        if item.data is None:
            writer.add_failure(item.image_id, item.source, item.error or "no bytes")
            return
        try:
            poses = self._predictor.inspect(item.data, self._options).poses
        except LitePoseError as exc:
            error = str(exc).replace("the given bytes", item.image_id)
            writer.add_failure(item.image_id, item.source, error)
        except Exception as exc:  # one strange image of a billion must not end the run
            error = f"{item.image_id}: unexpected {type(exc).__name__}: {exc}"
            writer.add_failure(item.image_id, item.source, error)
        else:
            writer.add(item.image_id, item.source, poses)
