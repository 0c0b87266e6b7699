"""Run a model over a dataset: report, COCO results file and example grid.

Unreadable images are counted and left out. Results are on disk after every image, so a stopped run
is evaluated on the images done and can be resumed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import cv2

from litepose.core.console import plain
from litepose.core.errors import LitePoseError
from litepose.core.kinds import check_kinds
from litepose.core.model_info import InputRule, ModelInfo
from litepose.core.poses import Poses
from litepose.core.temporary import write_whole
from litepose.data.datasets import PoseDataset, UnreadableImageError
from litepose.data.reasons import sum_up
from litepose.evaluation.example_grid import choose_examples, draw_sheet
from litepose.evaluation.ground_truth import (
    ImageFound,
    ImageTruth,
    check_people,
    group_results,
    truth_of,
)
from litepose.evaluation.keypoint_overlap import MissingKeypoints
from litepose.evaluation.matching import match_images
from litepose.evaluation.report import EvaluationReport, compute_complete_metrics, compute_metrics
from litepose.evaluation.stopped_run import read_stopped_run
from litepose.inference.results import DEFAULT_OPTIONS, PredictOptions
from litepose.models.model_file import ModelFile

PARTIAL_NAME = "results.partial.jsonl"


class PosePredictor(Protocol):
    """Interface of the evaluated predictor, such as `inference.Predictor`."""

    info: ModelInfo

    def predict(
        self,
        source: Any,
        *,
        flip_test: bool,
        scales: tuple[float, ...],
        views: tuple[int, ...] | None,
        crops: int,
        threshold: float,
    ) -> Poses:
        """source: (H, W, 3) uint8 RGB. People scoring `threshold` or more."""
        ...


@dataclass(frozen=True)
class EvaluateOptions:
    """How to predict, and which images.

    flip_test, scales, views, crops: as in PredictOptions;  limit: only the first so many images
    weights: the model's file, whose hash is stored in reported results and in resumable runs
    unknown: keypoints that the model lacks, from `open_for_evaluation`, for the report
    resume: continue the stopped run in the output folder, which must have the same model (weights
        are compared if given), dataset and settings;  dataset_name: for the report
    resamples: drawn for each interval
    """

    flip_test: bool = False
    scales: tuple[float, ...] = (1.0,)
    views: tuple[int, ...] | None = None
    crops: int = 0
    limit: int | None = None
    weights: ModelFile | None = None
    unknown: MissingKeypoints | None = None
    resume: bool = False
    dataset_name: str = "dataset"
    resamples: int = 1000

    def __post_init__(self) -> None:
        check_kinds(self)
        if self.limit is not None and self.limit < 1:
            raise LitePoseError(f"the limit is a number of images, 1 or more; got {self.limit}")

    def view_sizes(self, rule: InputRule) -> tuple[int, ...]:
        return PredictOptions(scales=self.scales, views=self.views).view_sizes(rule)


def evaluate(
    predictor: PosePredictor,
    dataset: PoseDataset,
    output: Path | None = None,
    options: EvaluateOptions | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> EvaluationReport:
    """Predict every image of a dataset and evaluate the people found.

    output: a folder for `report.json`, `report.txt`, `results.json` (COCO) and `sheet.png`; None
    writes nothing.  progress: called with the images done and all of them.
    Ctrl-C ends the run early with a report on the images done. Raises LitePoseError where the
    skeletons differ, the folder cannot be written, no image could be evaluated, or the run to
    resume is damaged or of another model or dataset.
    """
    options = options or EvaluateOptions()
    if options.resume and output is None:
        raise LitePoseError(
            "a stopped run is resumed from its output folder, and none is given: name it"
            " (--output DIR)"
        )
    if dataset.skeleton != predictor.info.skeleton:
        raise LitePoseError(
            f"the dataset has skeleton {dataset.skeleton.name}, the model"
            f" {predictor.info.skeleton.name}: open the dataset with target=predictor.info.skeleton"
        )
    check_people(dataset.records)
    run = _Run(predictor, dataset, output, options)
    interrupted = False
    try:
        run.over_all(progress)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        run.close()
    report = run.report(interrupted)
    if output is not None:
        run.write(output, report)
        if not interrupted:
            (output / PARTIAL_NAME).unlink()
    return report


class _Run:
    """A running evaluation: results by image, in memory and in the partial file."""

    def __init__(
        self,
        predictor: PosePredictor,
        dataset: PoseDataset,
        output: Path | None,
        options: EvaluateOptions,
    ) -> None:
        self.predictor, self.dataset, self.options = predictor, dataset, options
        count = len(dataset) if options.limit is None else min(options.limit, len(dataset))
        self.images = range(count)
        self.results: dict[int, list[dict[str, Any]]] = {}  # by index in the dataset
        self.unreadable: dict[int, str] = {}
        self.seconds = 0.0
        # Not asked for at every image: the predictor's own, where it has defaults.
        own = getattr(predictor, "defaults", DEFAULT_OPTIONS)
        crops = {"crops": options.crops, "crop px": own.crop_px, "crop gain": own.crop_gain}
        self.settings = {
            "views": list(options.view_sizes(predictor.info.input)),
            "flip test": options.flip_test,
            "scales": list(options.scales),
            **(crops if options.crops else {}),
            **({} if own.decoder == "fast" else {"decoder": own.decoder}),
        }
        self.partial = None
        if output is None:
            return
        header = {
            "model": predictor.info.to_json(),
            "dataset": [options.dataset_name, len(dataset)],
            "settings": self.settings,
            "weights": options.weights.sha256 if options.weights else None,
        }
        path = output / PARTIAL_NAME
        if options.resume and path.exists():
            self._resume(path, header)
        try:
            output.mkdir(parents=True, exist_ok=True)
            self.partial = path.open("a" if options.resume else "w", encoding="utf-8")
        except OSError as exc:
            raise LitePoseError(f"cannot write to {output}: {exc.strerror}") from None
        if not self.partial.tell():
            self._note(header)

    def over_all(self, progress: Callable[[int, int], None] | None) -> None:
        for done, i in enumerate(self.images):
            if i not in self.results and i not in self.unreadable:
                self._one(i)
            if progress:
                progress(done + 1, len(self.images))

    def close(self) -> None:
        if self.partial:
            self.partial.close()

    def report(self, interrupted: bool) -> EvaluationReport:
        truths, found = self._records()
        skeleton, unknown = self.dataset.skeleton, self.options.unknown
        return EvaluationReport(
            model=self.predictor.info.name,
            dataset=self.options.dataset_name,
            settings=self.settings,
            metrics=compute_metrics(truths, found, skeleton, self.options.resamples),
            complete=compute_complete_metrics(truths, found, skeleton, self.options.resamples),
            unreadable=[self.unreadable[i] for i in sorted(self.unreadable)],
            interrupted=interrupted,
            seconds=self.seconds,
            left_out=unknown.of(self.results) if unknown else None,
        )

    def write(self, output: Path, report: EvaluationReport) -> None:
        truths, found = self._records()
        skeleton, places = self.dataset.skeleton, sorted(self.results)
        matches = match_images(truths, found, skeleton)
        sheet = draw_sheet(
            choose_examples(truths, found, matches),
            truths,
            found,
            skeleton,
            lambda i: self.dataset[places[i]].image,
        )
        entries = [entry for i in places for entry in self.results[i]]
        try:
            text = json.dumps(report.to_dict(), indent=1, allow_nan=False)
            written = {
                "results.json": json.dumps(entries).encode(),
                "report.json": f"{text}\n".encode(),
                "report.txt": f"{report.to_text()}\n".encode("utf-8", "backslashreplace"),
                "sheet.png": cv2.imencode(".png", sheet[..., ::-1])[1].tobytes(),
            }
            write_whole({output / name: content for name, content in written.items()})
        except OSError as exc:
            raise LitePoseError(f"cannot write to {output}: {exc.strerror}") from None

    def _one(self, i: int) -> None:
        record = self.dataset.records[i]
        try:
            image = self.dataset[i].image
        except UnreadableImageError as exc:
            self.unreadable[i] = f"{plain(record.file_name, 200)}: {exc}"
            self._note({"image": i, "unreadable": self.unreadable[i]})
            return
        start = perf_counter()
        # The precision-recall curve needs all people, whatever their score.
        options = self.options
        poses = self.predictor.predict(
            image,
            flip_test=options.flip_test,
            scales=options.scales,
            views=options.views,
            crops=options.crops,
            threshold=0.0,
        )
        self.seconds += perf_counter() - start
        self.results[i] = poses.to_coco(record.image_id)
        self._note({"image": i, "people": self.results[i], "seconds": perf_counter() - start})

    def _note(self, line: dict[str, Any]) -> None:
        if self.partial:
            self.partial.write(json.dumps(line) + "\n")
            self.partial.flush()

    def _resume(self, path: Path, header: dict[str, Any]) -> None:
        """Read the partial file; a half-written last line is cut off."""
        lines, size = read_stopped_run(path)
        start = lines[0] if lines else header  # no complete line: stopped in the first
        other = [k for k, value in _as_json(header).items() if _as_json(start).get(k) != value]
        if other:
            run = "other weights" if other == ["weights"] else "another model, dataset or settings"
            raise LitePoseError(
                f"{path} comes from {run}; start without resuming, or choose another output folder"
            )
        for line in lines[1:]:
            if line["image"] not in self.images:
                continue
            if "unreadable" in line:
                self.unreadable[line["image"]] = line["unreadable"]
            else:
                self.results[line["image"]] = line["people"]
                self.seconds += line["seconds"]
        os.truncate(path, size)

    def _records(self) -> tuple[list[ImageTruth], list[ImageFound]]:
        if not self.results:
            raise LitePoseError(
                f"no image could be evaluated: {len(self.unreadable)} of {len(self.images)}"
                " could not be read, the rest was not reached"
                + (f" ({sum_up(self.unreadable.values())})" if self.unreadable else "")
            )
        places = sorted(self.results)
        records = [self.dataset.records[i] for i in places]
        crowdpose = all(record.crowd_index is not None for record in records)
        truths = [truth_of(record, None, "box" if crowdpose else "annotated") for record in records]
        entries = [entry for i in places for entry in self.results[i]]
        return truths, group_results(entries, truths, self.dataset.skeleton)


def _as_json(value: Any) -> Any:
    """The value as JSON reads it back: lists for tuples."""
    return json.loads(json.dumps(value))
