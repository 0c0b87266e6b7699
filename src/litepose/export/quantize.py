"""Quantize to 8 bits; write the file only where it is accurate enough and faster.

Layers that suffer most go back to float, twice as many each time, until the model is right enough;
then it must be faster than the float model in the same runtime, on this machine. Otherwise it is
refused with the numbers.
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
from litepose.export.parity import Input, Look, Runner, decode_exported, make_input

LADDER = (0, 4, 8, 16, 32)  # layers left in float
MOST_AP_FALL = 1.0
LEAST_AGREEMENT = 0.9
LEAST_GAIN = 1.05  # times as fast; less is within what measuring can tell
SENSITIVITY_INPUTS = 2
ONE_NUMBER = EvaluateOptions(resamples=1)  # no intervals


class Accuracy(NamedTuple):
    """How right a model is: AP in points, or OKS agreement with the float model."""

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
    """One try: how many layers were left in float, and how right it was."""

    float_layers: int
    accuracy: float


@dataclass(frozen=True)
class QuantizeReport:
    """What was measured. `float_ms`, `int8_ms`: the network on the first calibration image;
    None where the model was not right enough to be timed."""

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
    """The 8-bit model is not worth having here; `report` says by how much."""

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

    images: (H, W, 3) uint8, to calibrate on; judge_by: annotated images for AP, or None.
    Raises RefusedError where it is not right enough with any rung of the ladder, or not faster.
    """
    inputs = [make_input(image, source.info, source.size_wh) for image in images]
    tensors = [one.images for one in inputs]
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
            f"refused, not right enough in 8 bits: {accuracy.what} must be {accuracy.least:.3f} or"
            f" more; it is {tried} layers left in float. Nothing was written",
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
    """Average precision on annotated images, at most a point below the float model's."""

    def points(run: Runner) -> float:
        judged = evaluate(RunnerPredictor(source, run), dataset, None, ONE_NUMBER).judged
        ap = judged.coco.ap if judged.crowd is None else judged.crowd.ap
        return ap or 0.0

    least = points(run_float) - MOST_AP_FALL
    what = f"AP on {len(dataset)} images (float {least + MOST_AP_FALL:.2f})"
    return lambda run: Accuracy(points(run), least, what)


def by_agreement(source: Source, run_float: Runner, inputs: Sequence[Input]) -> Metric:
    """Mean OKS of the float model's people with the nearest that the other finds.

    Weaker than AP: it says that little changed, not that what it finds is right.
    """
    look = decode_exported(source, run_float)
    expected = [look(one) for one in inputs]
    if not sum(map(len, expected)):
        raise LitePoseError(
            f"the float model finds no people in the {len(inputs)} calibration images: they cannot"
            " tell whether 8 bits change anything; give images with people, or --data"
        )
    what = f"OKS agreement with the float model on the {len(inputs)} calibration images"

    def compute_metrics(run: Runner) -> Accuracy:
        other = decode_exported(source, run)
        alike = [best_oks(theirs, other(one)) for theirs, one in zip(expected, inputs, strict=True)]
        return Accuracy(float(np.concatenate(alike).mean()), LEAST_AGREEMENT, what)

    return compute_metrics


def best_oks(theirs: Poses, ours: Poses) -> np.ndarray:
    """(N,) for each of theirs the OKS of the one of ours most like it; 0 where there is none."""
    if not len(ours) or not len(theirs):
        return np.zeros(len(theirs))
    area = pose_area(theirs.keypoints_xy, theirs.scores)[:, None]
    alike = pose_similarity(
        theirs.keypoints_xy[:, None],
        theirs.scores[:, None],
        ours.keypoints_xy,
        ours.scores,
        area,
        theirs.skeleton,
    )
    return alike.max(axis=1)


class RunnerPredictor:
    """What `evaluate` asks for, from an exported model that is not a file yet."""

    def __init__(self, source: Source, run: Runner) -> None:
        # Whoever is left out is missing from the curve of precision over recall.
        all_people = replace(source.info.decode, person_threshold=0.0)
        self.source = replace(source, info=replace(source.info, decode=all_people))
        self.info = self.source.info
        self._look: Look = decode_exported(self.source, run)

    def predict(
        self,
        source: Any,
        *,
        flip_test: bool,
        scales: tuple[float, ...],
        views: tuple[int, ...] | None,
        threshold: float,
    ) -> Poses:
        assert not flip_test and scales == (1.0,) and views is None
        poses = self._look(make_input(source, self.info, self.source.size_wh))
        return poses[poses.person_scores >= threshold]


def most_sensitive_first(module: nn.Module, images: Sequence[np.ndarray]) -> list[str]:
    """Names of the convolutions of `module`, the one whose rounding moves the outputs most first.

    images: inputs (1, 3, H, W) to measure on; a few are enough.
    """
    layers = {name: m for name, m in module.named_modules() if isinstance(m, nn.Conv2d)}
    inputs = [torch.from_numpy(one) for one in images]
    errors = dict.fromkeys(layers, 0.0)
    with torch.inference_mode():
        for one in inputs:
            exact = module(one)
            for name, layer in layers.items():
                errors[name] += _distance(_with_rounded(module, layer, one), exact)
    return sorted(layers, key=lambda name: -errors[name])


def rounded(values: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Nearest of 256 steps between `low` and `high`, which broadcast against the values."""
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
