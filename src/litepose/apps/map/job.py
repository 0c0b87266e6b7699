"""What travels to the workers of `litepose map`: the job, its parts, and what became of a part."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

from litepose.imaging.read import ReadLimits
from litepose.inference.backend import DEFAULTS, RuntimeOptions
from litepose.inference.load import open_predictor
from litepose.inference.predictor import Predictor, options_for
from litepose.inference.results import PredictOptions


@dataclass(frozen=True)
class Job:
    """How every image of the run is read and predicted; the same for all workers.

    output:     folder of the results, a path or an fsspec URI
    column, id_column: of Parquet sources; None: found by their usual names
    model ... how: as the arguments of `litepose.load` and `Predictor.predict`
    """

    output: str
    model: str | None = None
    effort: str | None = None
    backend: str | None = None
    size: int | None = None
    views: tuple[int, ...] | None = None
    crops: int | None = None
    runtime: RuntimeOptions = DEFAULTS
    limits: ReadLimits = field(default_factory=ReadLimits)
    how: dict[str, Any] = field(default_factory=dict)
    column: str | None = None
    id_column: str | None = None

    def open(self) -> tuple[Predictor, PredictOptions]:
        """The model and its options. Raises LitePoseError as `litepose.load` does."""
        predictor = open_predictor(
            self.model,
            effort=self.effort,
            backend=self.backend,
            input_size=self.size,
            views=self.views,
            crops=self.crops,
            options=self.runtime,
            limits=self.limits,
        )
        return predictor, options_for(predictor, **self.how)

    def fingerprint(self, weights: str) -> str:
        """Hash of all that changes results: not the threads, nor where the results go."""
        settings = asdict(self)
        for name in ("output", "runtime", "model"):
            del settings[name]
        settings |= {"weights": weights, "precision": self.runtime.precision}
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()


class Part(NamedTuple):
    """A piece of the source that is finished, or not, as a whole.

    kind: "images" (several files), "tar" or "parquet" (one file each); root: folder of the source
    """

    number: int
    kind: str
    paths: tuple[str, ...]
    root: str

    @property
    def name(self) -> str:
        """`part-00007`: the stem of its files in the output folder."""
        return f"part-{self.number:05d}"


class Task(NamedTuple):
    """A part to work on, and what earlier tries have taught.

    tries:   how often it was begun and not ended
    careful: note each image before it is read, so that the one that kills the worker is known
    skip:    places of images in the part that have killed workers; they become failures
    blamed:  place noted when a careful worker died last
    """

    part: Part
    tries: int = 0
    careful: bool = False
    skip: frozenset[int] = frozenset()
    blamed: int | None = None


class Outcome(NamedTuple):
    """What became of a task: counts of a finished part, or why it was not finished.

    cpu_seconds: of the worker, reading and writing included
    error:  None where finished; blame: "source" (its storage failed), "input" (no trying again
    helps), "output", "model" or "died"
    """

    task: Task
    images: int = 0
    people: int = 0
    failures: int = 0
    cpu_seconds: float = 0.0
    error: str | None = None
    blame: str = ""
