"""Quantize to 8 bits; write the file only where it is accurate enough and faster.

The layers that lose most accuracy return to float, twice as many at each step, until the model is
accurate enough. It must then be faster than the float model in the same runtime on this machine.
Otherwise it is refused with the numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from litepose.core.errors import LitePoseError
from litepose.core.oks import pose_area, pose_similarity
from litepose.core.poses import Poses
from litepose.core.timing import medians_in_turns_ms
from litepose.data.datasets import CocoDataset
from litepose.evaluation.evaluator import EvaluateOptions, evaluate
from litepose.export.exportable import Source
from litepose.export.parity import Input, Predict, Runner, decode_exported, make_input

LADDER = (0, 4, 8, 16, 32)  # layers left in float
MOST_AP_FALL = 1.0
LEAST_AGREEMENT = 0.9
LEAST_GAIN = 1.05  # times as fast; smaller gains are within measurement noise
SENSITIVITY_INPUTS = 2
ONE_NUMBER = EvaluateOptions(resamples=1)  # no intervals


class Accuracy(NamedTuple):
    """Accuracy of a model: AP in points, or OKS agreement with the float model."""

    value: float
    least: float
    what: str

    @property
    def ok(self) -> bool:
        return self.value >= self.least

    def text(self) -> str:
        return f"{self.what}: {self.value:.3f}, least {self.least:.3f}"


Metric = Callable[[Runner], Accuracy]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Rung:
    """One step: the number of layers in float, and the accuracy."""

    float_layers: int
    accuracy: float


@dataclass(frozen=True)
class QuantizeReport:
    """Measurements. float_ms, int8_ms: one forward pass of the first calibration image; None if the
    model was not accurate enough to be timed."""

    measure: str
    least: float
    rungs: tuple[Rung, ...]
    kept_float: tuple[str, ...]
    float_ms: float | None = None
    int8_ms: float | None = None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def text(self) -> str:
        assert self.float_ms is not None and self.int8_ms is not None
        return (
            f"8 bits, {len(self.kept_float)} layers left in float: {self.measure}"
            f" {self.rungs[-1].accuracy:.3f} (least {self.least:.3f});"
            f" {self.int8_ms:.1f} ms against {self.float_ms:.1f} ms in float"
        )


class RefusedError(LitePoseError):
    """The 8-bit model is not accurate enough or not faster; `report` has the numbers."""

    def __init__(self, message: str, report: QuantizeReport) -> None:
        super().__init__(message)
        self.report = report


def quantize(
    source: Source,
    module: Any,
    images: Sequence[np.ndarray],
    metric: CocoDataset | None,
    say: Say,
) -> tuple[Any, QuantizeReport]:
    """The model in 8 bits, of the kind that `module` (int8_onnx or int8_openvino) makes.

    images: (H, W, 3) uint8, to calibrate on; metric: annotated images for AP, or None.
    Raises RefusedError if it is not accurate enough at any step, or not faster.
    """
    inputs = [make_input(image, source.info, source.size_wh) for image in images]
    tensors = [given.images for given in inputs]
    model = module.prepare(source)
    run_float = module.run(model)
    if metric is None:
        compute_metrics = by_agreement(source, run_float, inputs)
    else:
        compute_metrics = by_ap(source, run_float, metric)
    order: list[str] = []
    rungs: list[Rung] = []
    for count in LADDER:
        if count and not order:
            say("measuring which layers lose most accuracy ...")
            order = most_sensitive_first(source.module, tensors[:SENSITIVITY_INPUTS])
        kept = tuple(order[:count])
        small = module.quantize(model, images, kept)
        run = module.run(small)
        accuracy = compute_metrics(run)
        rungs.append(Rung(count, round(accuracy.value, 4)))
        say(f"{count} layers in float: {accuracy.text()}")
        if accuracy.ok:
            break
    report = QuantizeReport(accuracy.what, accuracy.least, tuple(rungs), kept)
    if not accuracy.ok:
        tried = ", ".join(f"{rung.accuracy:.3f} with {rung.float_layers}" for rung in rungs)
        raise RefusedError(
            f"refused, not accurate enough in 8 bits: {accuracy.what} must be {accuracy.least:.3f}"
            f" or more; it is {tried} layers left in float. Nothing was written",
            report,
        )
    took = medians_in_turns_ms(
        {"float": lambda: run_float(tensors[0]), "int8": lambda: run(tensors[0])}
    )
    report = QuantizeReport(
        accuracy.what, accuracy.least, tuple(rungs), kept, took["float"], took["int8"]
    )
    if took["int8"] * LEAST_GAIN >= took["float"]:
        raise RefusedError(
            f"refused, not faster in 8 bits on this machine: {took['int8']:.1f} ms against"
            f" {took['float']:.1f} ms in float ({accuracy.what} {accuracy.value:.3f}, {len(kept)}"
            " layers left in float). Nothing was written",
            report,
        )
    return small, report


def by_ap(source: Source, run_float: Runner, dataset: CocoDataset) -> Metric:
    """Average precision on annotated images, at most one point below the float model."""

    def points(run: Runner) -> float:
        metrics = evaluate(RunnerPredictor(source, run), dataset, None, ONE_NUMBER).metrics
        ap = metrics.coco.ap if metrics.crowd is None else metrics.crowd.ap
        return ap or 0.0

    least = points(run_float) - MOST_AP_FALL
    what = f"AP on {len(dataset)} images (float {least + MOST_AP_FALL:.2f})"
    return lambda run: Accuracy(points(run), least, what)


def by_agreement(source: Source, run_float: Runner, inputs: Sequence[Input]) -> Metric:
    """Mean OKS of the float model's people with the nearest people of the other model.

    Weaker than AP: it shows that little changed, not that the results are right.
    """
    predict_float = decode_exported(source, run_float)
    expected = [predict_float(given) for given in inputs]
    if not sum(map(len, expected)):
        raise LitePoseError(
            f"the float model finds no people in the {len(inputs)} calibration images: they cannot"
            " show whether 8 bits change anything; give images with people, or --data"
        )
    what = f"OKS agreement with the float model on the {len(inputs)} calibration images"

    def compute_metrics(run: Runner) -> Accuracy:
        other = decode_exported(source, run)
        similarity = [
            best_oks(theirs, other(given)) for theirs, given in zip(expected, inputs, strict=True)
        ]
        return Accuracy(float(np.concatenate(similarity).mean()), LEAST_AGREEMENT, what)

    return compute_metrics


def best_oks(theirs: Poses, ours: Poses) -> np.ndarray:
    """(N,) largest OKS of each person of `theirs` with a person of `ours`; 0 without any."""
    if not len(ours) or not len(theirs):
        return np.zeros(len(theirs))
    area = pose_area(theirs.keypoints_xy, theirs.scores)[:, None]
    similarity = pose_similarity(
        theirs.keypoints_xy[:, None],
        theirs.scores[:, None],
        ours.keypoints_xy,
        ours.scores,
        area,
        theirs.skeleton,
    )
    return similarity.max(axis=1)


class RunnerPredictor:
    """The predictor that `evaluate` needs, of an exported model that is not saved yet."""

    def __init__(self, source: Source, run: Runner) -> None:
        # The precision-recall curve needs all people, whatever their score.
        all_people = replace(source.info.decode, person_threshold=0.0)
        self.source = replace(source, info=replace(source.info, decode=all_people))
        self.info = self.source.info
        self._predict: Predict = decode_exported(self.source, run)

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
        assert not (flip_test or views or crops) and scales == (1.0,)
        poses = self._predict(make_input(source, self.info, self.source.size_wh))
        return poses[poses.person_scores >= threshold]


def most_sensitive_first(module: nn.Module, images: Sequence[np.ndarray]) -> list[str]:
    """Names of the convolutions of `module`, those whose rounding changes the outputs most first.

    images: inputs (1, 3, H, W) to measure on; a few are enough.
    """
    layers = {name: m for name, m in module.named_modules() if isinstance(m, nn.Conv2d)}
    inputs = [torch.from_numpy(image) for image in images]
    errors = dict.fromkeys(layers, 0.0)
    with torch.inference_mode():
        for image in inputs:
            exact = module(image)
            for name, layer in layers.items():
                errors[name] += _distance(_with_rounded(module, layer, image), exact)
    return sorted(layers, key=lambda name: -errors[name])


def rounded(values: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Round to 256 steps between `low` and `high`, which broadcast against the values."""
    step = (high - low).clamp(min=1e-9) / 255
    return ((values - low) / step).round().clamp(0, 255) * step + low


def _with_rounded(module: nn.Module, layer: nn.Conv2d, images: Tensor) -> Sequence[Tensor]:
    """Outputs with one layer's weights (per channel) and input (as a whole) in 8 bits."""
    weight = layer.weight.data
    most = weight.abs().amax(dim=(1, 2, 3), keepdim=True)
    hook = layer.register_forward_pre_hook(
        lambda _, given: (rounded(given[0], given[0].min(), given[0].max()),)
    )
    layer.weight.data = rounded(weight, -most, most)
    try:
        return module(images)
    finally:
        layer.weight.data = weight
        hook.remove()


def _distance(outputs: Sequence[Tensor], exact: Sequence[Tensor]) -> float:
    """Root mean square error as a share of each output's spread, summed over the outputs."""
    return sum(
        float((ours - theirs).square().mean().sqrt() / theirs.std().clamp(min=1e-9))
        for ours, theirs in zip(outputs, exact, strict=True)
    )
