"""Compare an exported model with PyTorch: people, outputs and latency.

On real images, the people found are compared, keypoint by keypoint, with those of the trained
network in PyTorch eager. On noise, which shows no people, the outputs themselves are compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch

from litepose.core.errors import LitePoseError
from litepose.core.geometry import Letterbox, letterbox, letterbox_into
from litepose.core.maps import Maps
from litepose.core.model_info import ModelInfo
from litepose.core.poses import Poses
from litepose.core.timing import medians_in_turns_ms
from litepose.decode.decoder import decode
from litepose.decode.merge import ForwardPass, unflip
from litepose.export.decoded import people_of
from litepose.export.exportable import Flat, Source
from litepose.imaging.preprocess import to_input

TOLERANCE = 1e-4  # share of an output's largest value, on noise
HALF_TOLERANCE = 2e-2  # with float16 weights
MOST_PX = 0.5
MOST_SCORE = 0.02

# (B, 3, H, W) float32 -> the outputs, in the order of `Source.outputs`
Runner = Callable[[np.ndarray], Sequence[np.ndarray]]
Predict = Callable[["Input"], Poses]


class Input(NamedTuple):
    """An image as network input (1, 3, H, W), and its position in the input."""

    images: np.ndarray
    box: Letterbox


@dataclass(frozen=True)
class Parity:
    """Differences between the file and PyTorch on real images, in image pixels.

    people, people_torch: number found by each; keypoint_px, score: largest differences over people
    found by both; file_ms, torch_ms: median of one forward pass of the first image, in turns
    """

    images: int
    people: int
    people_torch: int
    keypoint_px: float
    score: float
    file_ms: float
    torch_ms: float

    @property
    def ok(self) -> bool:
        same = self.people == self.people_torch
        return same and self.keypoint_px <= MOST_PX and self.score <= MOST_SCORE

    def text(self) -> str:
        apart = f"largest difference {self.keypoint_px:.4f} px, score {self.score:.5f}"
        if not self.people + self.people_torch:
            apart = "no keypoints to compare"
        return (
            f"{self.images} images, {self.people} people (PyTorch {self.people_torch}): {apart};"
            f" network {self.file_ms:.1f} ms, PyTorch {self.torch_ms:.1f} ms"
            f" ({self.torch_ms / self.file_ms:.1f} times the file's)"
        )


def make_input(image: np.ndarray, info: ModelInfo, size_wh: tuple[int, int] | None = None) -> Input:
    """An image (H, W, 3) uint8 as network input, of free size or the fixed size of a file."""
    image_wh, rule = (image.shape[1], image.shape[0]), info.input
    if size_wh is None:
        box = letterbox(image_wh, rule.size, rule.multiple)
    else:
        box = letterbox_into(image_wh, size_wh)
    images = np.empty((1, 3, box.input_wh[1], box.input_wh[0]), dtype=np.float32)
    to_input(image, box, rule.mean, rule.std, images[0])
    return Input(images, box)


def eager(source: Source) -> Runner:
    """Run the trained network in PyTorch eager."""
    network = Flat(source.network).eval()

    def run(images: np.ndarray) -> Sequence[np.ndarray]:
        with torch.inference_mode():
            return [output.numpy() for output in network(torch.from_numpy(images))]

    return run


def decode_eagerly(source: Source) -> Predict:
    """Find people with PyTorch and the default decoder, without filling if the graph cannot."""
    run, info = eager(source), source.info
    if source.decoder:
        info = replace(info, decode=replace(info.decode, fill=False))

    def predict(given: Input) -> Poses:
        passes = [ForwardPass(as_maps(run(given.images), info), given.box)]
        if source.flip:
            mirrored = as_maps(run(np.ascontiguousarray(given.images[..., ::-1])), info)
            passes.append(ForwardPass(unflip(mirrored, info.skeleton, info.tag_kind), given.box))
        return decode(passes, info)

    return predict


def decode_exported(source: Source, run: Runner) -> Predict:
    """Find people with an exported file."""

    def predict(given: Input) -> Poses:
        outputs = run(given.images)
        if source.decoder:
            scores, xy, tags = (output[0] for output in outputs)
            return people_of(scores, xy, tags, given.box, source.info)
        return decode([ForwardPass(as_maps(outputs, source.info), given.box)], source.info)

    return predict


def as_maps(outputs: Sequence[np.ndarray], info: ModelInfo) -> Maps:
    *heatmaps, tags = outputs
    return Maps(tuple(heatmaps), info.strides, tags, info.tag_stride)


def compare(source: Source, run: Runner, images: Sequence[np.ndarray]) -> Parity:
    """Compare both on the same images, (H, W, 3) uint8 each."""
    theirs_of, ours_of = decode_eagerly(source), decode_exported(source, run)
    inputs = [make_input(image, source.info, source.size_wh) for image in images]
    people = people_torch = 0
    keypoint_px = score = 0.0
    for given in inputs:
        theirs, ours = theirs_of(given), ours_of(given)
        people, people_torch = people + len(ours), people_torch + len(theirs)
        if len(ours) and len(theirs):
            apart = difference(theirs, ours)
            keypoint_px, score = max(keypoint_px, apart[0]), max(score, apart[1])
    first, run_eager = inputs[0].images, eager(source)
    torch_passes = 2 if source.flip else 1
    took = medians_in_turns_ms({"file": lambda: run(first), "torch": lambda: run_eager(first)})
    return Parity(
        len(inputs),
        people,
        people_torch,
        keypoint_px,
        score,
        took["file"],
        took["torch"] * torch_passes,
    )


def difference(theirs: Poses, ours: Poses) -> tuple[float, float]:
    """Largest distance of a keypoint found by both, and largest difference of a score.

    Each person of `theirs` is compared with the nearest of `ours`.
    """
    apart = np.linalg.norm(theirs.keypoints_xy[:, None] - ours.keypoints_xy, axis=-1)  # (N, M, K)
    apart = np.where(theirs.found[:, None] & ours.found, apart, np.nan)
    shared = np.isfinite(apart).sum(axis=2)
    mean = np.where(shared > 0, np.nansum(apart, axis=2) / np.maximum(shared, 1), np.inf)
    nearest = mean.argmin(axis=1)
    px = np.nan_to_num(apart[np.arange(len(theirs)), nearest]).max()
    return float(px), float(np.abs(theirs.scores - ours.scores[nearest]).max())


def check_graph(source: Source, run: Runner, tolerance: float) -> float:
    """Largest difference of an output on noise, as a share of the output's largest value.

    Raises LitePoseError if it exceeds `tolerance` or is NaN.
    """
    multiple, worst = source.network.arch.multiple, 0.0
    shapes = [(1, 3, 2 * multiple, 3 * multiple), (2, 3, 5 * multiple, 4 * multiple)]
    if source.size_wh is not None:
        shapes = [(1, 3, *source.example_hw)]
    for shape in shapes:
        images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            expected = source.module(images)
        for ours, theirs in zip(run(images.numpy()), expected, strict=True):
            largest = max(float(theirs.abs().max()), 1e-6)
            apart = float(np.abs(ours - theirs.numpy()).max()) / largest
            worst = apart if np.isnan(apart) else max(worst, apart)  # max() would drop a NaN
            if not worst <= tolerance:
                raise LitePoseError(
                    f"the exported graph differs from the network by {worst:.1e} of its largest"
                    f" value (allowed: {tolerance:.0e}); nothing was written"
                )
    return worst
