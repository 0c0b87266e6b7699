"""Validate after an epoch: losses, AP, and sample images.

AP is measured on whole images with the predictor; losses on squares as in training, without
augmentation. Processes share the work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from litepose.core.poses import Poses
from litepose.core.skeleton import Skeleton
from litepose.data.coco import Record
from litepose.data.datasets import UnreadableImageError
from litepose.data.loader import Loader
from litepose.evaluation.ground_truth import group_results, truth_of
from litepose.evaluation.matching import Interval, ap_intervals, match_images
from litepose.inference.backend import RuntimeOptions
from litepose.inference.predictor import Predictor
from litepose.inference.torch_backend import TorchBackend
from litepose.training.distributed import Processes
from litepose.training.losses import Losses
from litepose.training.objective import Objective, on_device


class Example(NamedTuple):
    """A validation image (H, W, 3) with its annotated and its found people."""

    image: np.ndarray
    truth: Poses
    found: Poses


@dataclass(frozen=True, eq=False)
class Validation:
    """losses: means over images, by name; intervals: ap, ap50, ap75 in 0..100, empty if the
    images show no people; examples: the first few images; unreadable: number of skipped images."""

    losses: dict[str, float]
    intervals: dict[str, Interval]
    examples: tuple[Example, ...]
    unreadable: int


class Stopped(Exception):  # noqa: N818 (not an error)
    """The run is to stop; the resumed run repeats the validation."""


def validate(
    model: nn.Module,
    loader: Loader,
    objective: Objective,
    group: Processes,
    samples: int,
    stopping: Callable[[], bool],
) -> Validation:
    """Losses and AP of all images. The model is set to eval mode. Raises Stopped."""
    model.eval()
    losses = mean_losses(model, loader, objective, group, stopping)
    dataset, skeleton = loader.dataset, objective.info.skeleton
    device = RuntimeOptions(device=str(group.device))
    predictor = Predictor(TorchBackend(model, objective.info, device))
    found: dict[int, Poses] = {}
    examples: list[Example] = []
    for index in range(group.rank, len(dataset), group.world):
        if stopping():
            raise Stopped
        try:
            image = dataset[index].image
        except UnreadableImageError:
            continue
        found[index] = predictor.predict(image, threshold=0.0)
        if len(examples) < samples and group.first:
            examples.append(
                Example(image, true_poses(dataset.records[index], skeleton), found[index])
            )
    predictions = {i: poses for part in group.gather(found) for i, poses in part.items()}
    intervals = measure_ap(dataset.records, predictions, skeleton) if group.first else {}
    return Validation(losses, intervals, tuple(examples), len(dataset) - len(predictions))


@torch.no_grad()
def mean_losses(
    model: nn.Module,
    loader: Loader,
    objective: Objective,
    group: Processes,
    stopping: Callable[[], bool],
) -> dict[str, float]:
    """Means over the loader's images, by name."""
    sums = torch.zeros(len(Losses._fields) + 1, dtype=torch.float64)
    for batch in loader.epoch(0):
        if stopping():
            raise Stopped
        count = len(batch.image_ids)
        if count:  # the last batch may be empty in some processes
            losses = objective(model, on_device(batch, group.device))
            sums[:-1] += torch.stack(losses).double().cpu() * count
            sums[-1] += count
    sums = group.sum(sums)
    return dict(zip(Losses._fields, (sums[:-1] / sums[-1]).tolist(), strict=True))


def measure_ap(
    records: Sequence[Record], found: dict[int, Poses], skeleton: Skeleton
) -> dict[str, Interval]:
    """AP with bootstrap intervals over the evaluated images, by place in `records`."""
    truths = [truth_of(records[i]) for i in sorted(found)]
    results = [
        result for i, poses in found.items() for result in poses.to_coco(records[i].image_id)
    ]
    people = group_results(results, truths, skeleton)
    return ap_intervals(match_images(truths, people, skeleton))


def true_poses(record: Record, skeleton: Skeleton) -> Poses:
    """The annotated people as Poses: score 1 where a keypoint is labeled."""
    return Poses(
        keypoints_xy=record.keypoints_xy,
        keypoint_scores=(record.visibility > 0).astype(np.float32),
        person_scores=np.ones(len(record), np.float32),
        skeleton=skeleton,
        image_wh=record.image_wh,
    )
