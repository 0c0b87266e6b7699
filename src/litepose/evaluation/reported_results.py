"""Recorded predictions of bundled models on validation images, and the AP reported for them.

An entry is one compressed JSON file with the labels, all people found and the numbers of model card
and README, so that these can be recomputed without the images. The hash of the weights ensures that
weights do not change without their numbers.
"""

from __future__ import annotations

import gzip
import json
import tempfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from litepose.core.errors import LitePoseError
from litepose.core.files import write_atomically
from litepose.core.kinds import check_kind, check_kinds
from litepose.core.read_text import check_regular, parse_json, read_json
from litepose.core.skeleton import Skeleton
from litepose.data.coco import Record
from litepose.data.datasets import PoseDataset
from litepose.evaluation.evaluator import EvaluateOptions, PosePredictor, evaluate
from litepose.evaluation.ground_truth import group_results, read_truth, truth_of
from litepose.evaluation.metrics import coco_report, truth_to_coco
from litepose.evaluation.report import EvaluationReport
from litepose.models import zoo
from litepose.models.model_file import ModelFile, model_files

SCHEMA = 1
SUFFIX = ".ledger.json.gz"
MAX_DRIFT = 0.1  # of any number, in points
MAX_BYTES = 64 << 20  # unpacked; an entry of thousands of images is smaller
NUMBERS = ("ap", "ap50", "ap75", "ap_medium", "ap_large", "ar")


@dataclass(frozen=True)
class ReportedResult:
    """Reported numbers with their predictions and labels.

    model: its name;  weights_sha256: of its file;  dataset, settings, date: how it was made
    claimed: numbers 0..100 by name, those of completely labeled images end in `_complete`
    truth: COCO annotations without images;  results: COCO results of all people found
    skeleton: as of `Skeleton.to_dict`; None: that of the zoo's model of that name
    """

    model: str
    weights_sha256: str
    dataset: str
    settings: Mapping[str, Any]
    date: str
    claimed: Mapping[str, float]
    truth: Mapping[str, Any]
    results: list[dict[str, Any]]
    skeleton: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        check_kinds(self)
        for name, value in self.claimed.items():
            check_kind(name, value, float)


@dataclass(frozen=True)
class Check:
    """Result of checking an entry: `found` numbers, and `problems` as sentences."""

    entry: ReportedResult
    found: Mapping[str, float]
    problems: tuple[str, ...]


def result_files() -> list[Path]:
    """The entries inside the package."""
    return sorted(Path(str(files("litepose"))).joinpath("weights").glob(f"*{SUFFIX}"))


def record(
    predictor: PosePredictor,
    dataset: PoseDataset,
    options: EvaluateOptions,
    date: str,
    progress: Callable[[int, int], None] | None = None,
) -> ReportedResult:
    """Evaluate a model and return its entry. Its weights are `options.weights`, None: the zoo's.

    Raises LitePoseError where there are no such weights, or the evaluation was not completed.
    """
    name = predictor.info.name
    weights = [options.weights] if options.weights else _zoo_files(name)
    if not weights:
        raise LitePoseError(
            f"an entry holds the hash of the weights, and {name} is no model of the zoo whose file"
            " is here: give the file as EvaluateOptions(weights=...)"
        )
    sha256 = weights[0].sha256  # before the work, because the file may change during it
    with tempfile.TemporaryDirectory() as folder:
        report = evaluate(predictor, dataset, Path(folder), options, progress)
        results = read_json(Path(folder) / "results.json", "the results")
    if report.interrupted or report.unreadable:
        raise LitePoseError("the evaluation was not completed, so nothing was recorded")
    records = dataset.records[: options.limit]
    truth = truth_to_coco([truth_of(record) for record in records], dataset.skeleton)
    truth["images"] = [_image(record) for record in records]
    for result in results:
        result["keypoints"] = [round(value, 2) for value in result["keypoints"]]
    entry = ReportedResult(
        model=name,
        weights_sha256=sha256,
        dataset=options.dataset_name,
        settings={**report.settings, **_left_out(report)},
        date=date,
        claimed={},
        truth=truth,
        results=results,
        skeleton=dataset.skeleton.to_dict(),
    )
    found = compute(entry)
    return replace(entry, claimed={name: round(value, 2) for name, value in found.items()})


def verify(entry: ReportedResult, weights: ModelFile | None = None) -> Check:
    """Compute the entry's numbers again, and hash the weights they are claimed for.

    weights: their file; None takes those of the zoo's model of that name.
    """
    found = compute(entry)
    problems = [
        f"{name} is {found[name]:.2f}, claimed {claim:.2f}"
        if name in found
        else f"{name} is claimed and cannot be computed"
        for name, claim in entry.claimed.items()
        if name not in found or abs(found[name] - claim) > MAX_DRIFT
    ]
    if not entry.claimed:
        problems.append("nothing is claimed")
    files_there = [weights] if weights else _zoo_files(entry.model)
    if not files_there:
        problems.append(f"the weights of {entry.model} are not here: name their file with --model")
    elif entry.weights_sha256 not in [file.sha256 for file in files_there]:
        shown = ", ".join(str(file.path) for file in files_there)
        problems.append(f"the weights are not those that were evaluated ({shown})")
    return Check(entry, found, tuple(problems))


def compute(entry: ReportedResult) -> dict[str, float]:
    """The numbers of all images, and of the completely labeled ones where that is a part."""
    skeleton = (
        Skeleton.from_dict(entry.skeleton)
        if entry.skeleton
        else zoo.find_model(entry.model).info.skeleton
    )
    numbers = _numbers(entry, skeleton, only_complete=False)
    complete = _numbers(entry, skeleton, only_complete=True)
    return numbers | {f"{name}_complete": value for name, value in complete.items()}


def write_result(path: Path, entry: ReportedResult) -> None:
    """Write an entry; the same entry gives the same bytes."""
    text = json.dumps({"schema": SCHEMA, **asdict(entry)}, separators=(",", ":"))
    write_atomically(path, gzip.compress(text.encode(), 9, mtime=0))


def read_result(path: Path) -> ReportedResult:
    """Raises LitePoseError where the file is missing, damaged, too large or not an entry."""
    check_regular(path, "the reported result")
    try:
        with gzip.open(path) as file:
            data = parse_json(file.read(MAX_BYTES), "it")
        if data.pop("schema") != SCHEMA:
            raise ValueError("made by another version")
        entry = ReportedResult(**data)
        if entry.skeleton:
            Skeleton.from_dict(entry.skeleton)
        return entry
    except (OSError, EOFError, zlib.error, ValueError, TypeError, KeyError, AttributeError) as bad:
        raise LitePoseError(f"{path} is not a readable file of reported results: {bad}") from None


def _left_out(report: EvaluationReport) -> dict[str, Any]:
    return {"not judged": list(report.left_out.keypoints)} if report.left_out else {}


def _zoo_files(model: str) -> list[ModelFile]:
    """All weight files of a model in the zoo."""
    return model_files(model) if model in zoo.MODELS else []


def _image(record: Record) -> dict[str, Any]:
    return {
        "id": record.image_id,
        "file_name": record.file_name,
        "width": record.image_wh[0],
        "height": record.image_wh[1],
        "people_complete": record.people_complete,
    }


def _numbers(entry: ReportedResult, skeleton: Skeleton, only_complete: bool) -> dict[str, float]:
    truths = read_truth(entry.truth, skeleton)
    if only_complete:
        chosen = [t for t in truths if t.people_complete]
        if len(chosen) in (0, len(truths)):
            return {}
        truths = chosen
    report = asdict(coco_report(truths, group_results(entry.results, truths, skeleton), skeleton))
    return {name: report[name] for name in NUMBERS if report[name] is not None}
