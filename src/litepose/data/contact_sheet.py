"""`litepose data show`: samples with their skeletons on one sheet; a bridge to FiftyOne.

Hidden keypoints are drawn faint; regions left out of the loss are darkened. FiftyOne is imported
only on request, because it needs a database.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.poses import Poses
from litepose.core.skeleton import Skeleton
from litepose.data.coco import Record
from litepose.data.datasets import CocoDataset, PoseDataset, UnreadableImageError
from litepose.data.reasons import sum_up
from litepose.data.sample import Sample
from litepose.imaging.draw import draw_poses
from litepose.imaging.grid import side_by_side

# Drawn score of a keypoint by visibility: 0 unlabeled, 1 hidden, 2 visible.
_SCORE_OF = np.array([0.0, 0.25, 1.0], np.float32)


def sample_poses(sample: Sample | Record, skeleton: Skeleton) -> Poses:
    """The labels as Poses: score 1 visible, 0.25 hidden, 0 unlabeled."""
    labeled = (sample.visibility > 0)[..., None]
    count = np.maximum(labeled.sum(axis=1, keepdims=True), 1)
    middle = (sample.keypoints_xy * labeled).sum(axis=1, keepdims=True) / count
    return Poses(
        keypoints_xy=np.where(labeled, sample.keypoints_xy, middle),
        keypoint_scores=_SCORE_OF[sample.visibility],
        person_scores=np.ones(len(sample.visibility)),
        skeleton=skeleton,
    )


def draw_sample(sample: Sample, skeleton: Skeleton) -> np.ndarray:
    """(H, W, 3) uint8 RGB: the image with its labels; regions that are not valid are darkened."""
    image = sample.image.copy()
    image[~sample.valid_mask] //= 3
    return draw_poses(image, sample_poses(sample, skeleton))


def contact_sheet(
    samples: Sequence[Sample],
    skeleton: Skeleton,
    columns: int = 4,
    side: int = 256,
) -> np.ndarray:
    """(H, W, 3) uint8 RGB: samples in rows of `columns`, each in a square of `side` pixels."""
    if not samples or columns < 1 or side < 32:
        raise LitePoseError(
            "a sheet needs at least one sample, one column and a side of 32 pixels;"
            f" got {len(samples)} samples, {columns} columns, side {side}"
        )
    tiles = [_tile(sample, skeleton, side) for sample in samples]
    who = {0: "no people", 1: "1 person"}
    counts = [len(s.visibility) for s in samples]
    titles = [
        f"{s.image_id}: {who.get(n, f'{n} people')}" for s, n in zip(samples, counts, strict=True)
    ]
    blank = np.full((side, side, 3), 252, np.uint8)
    rows = []
    for start in range(0, len(tiles), columns):
        row, names = tiles[start : start + columns], titles[start : start + columns]
        short = columns - len(row) if start else 0
        rows.append(side_by_side(row + [blank] * short, names + [" "] * short))
    return np.vstack(rows)


def readable_samples(
    dataset: PoseDataset, count: int, seed: int = 0
) -> tuple[list[Sample], list[str]]:
    """Up to `count` random samples, and the reasons why others could not be read.

    Raises LitePoseError if none can be read.
    """
    if count < 1:
        raise LitePoseError(f"the count of images to show must be 1 or more; got {count}")
    if not len(dataset):
        raise LitePoseError("the dataset lists no images, so there is nothing to show")
    samples: list[Sample] = []
    reasons: list[str] = []
    for index in np.random.default_rng(seed).permutation(len(dataset)).tolist():
        if len(samples) == count:
            break
        try:
            samples.append(dataset[index])
        except UnreadableImageError as exc:
            reasons.append(str(exc))
    if not samples:
        raise LitePoseError(
            f"none of the {len(reasons)} images can be read: {sum_up(reasons)}"
            " (litepose data check lists what is wrong)"
        )
    return samples, reasons


def to_fiftyone(dataset: CocoDataset, name: str) -> Any:
    """A FiftyOne dataset with keypoints and boxes of every image; `fiftyone.launch_app` shows it.

    Raises LitePoseError where FiftyOne is not installed or its database does not start.
    """
    try:
        import fiftyone as fo
    except ImportError:
        raise LitePoseError(
            "FiftyOne is not installed: pip install fiftyone, or leave --fiftyone out for a sheet"
            " of images"
        ) from None
    skeleton = dataset.skeleton
    try:
        shown = fo.Dataset(name, overwrite=True)
        shown.default_skeleton = fo.KeypointSkeleton(
            labels=list(skeleton.keypoints), edges=skeleton.edge_index.tolist()
        )
        shown.add_samples([_fiftyone_sample(fo, dataset, i) for i in range(len(dataset))])
    except LitePoseError:
        raise
    except Exception as exc:  # its database raises exceptions of its own
        raise LitePoseError(
            f"FiftyOne could not store the dataset (is its MongoDB running?): {exc}"
        ) from None
    return shown


def _fiftyone_sample(fo: Any, dataset: CocoDataset, index: int) -> Any:
    record = dataset.records[index]
    size = np.array(record.image_wh, np.float32)
    people, boxes = [], []
    for points, visibility, box in zip(
        record.keypoints_xy, record.visibility, record.boxes_xywh, strict=True
    ):
        shares = np.where((visibility > 0)[:, None], points / size, np.nan)
        people.append(fo.Keypoint(label="person", points=[tuple(p) for p in shares.tolist()]))
        corner = (box / np.tile(size, 2)).tolist()
        boxes.append(fo.Detection(label="person", bounding_box=corner))
    return fo.Sample(
        filepath=str(dataset.image_path(index).resolve()),
        keypoints=fo.Keypoints(keypoints=people),
        boxes=fo.Detections(detections=boxes),
    )


def _tile(sample: Sample, skeleton: Skeleton, side: int) -> np.ndarray:
    """Draw at the tile's size, so that line widths do not depend on the image size."""
    height, width = sample.image.shape[:2]
    scale = side / max(height, width)
    w, h = max(1, round(width * scale)), max(1, round(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    valid = cv2.resize(sample.valid_mask.view(np.uint8), (w, h), interpolation=cv2.INTER_NEAREST)
    placed = replace(
        sample,
        image=cv2.resize(sample.image, (w, h), interpolation=method),
        keypoints_xy=sample.keypoints_xy * np.array([w / width, h / height], np.float32),
        valid_mask=valid.view(bool),
    )
    tile = np.full((side, side, 3), 252, np.uint8)
    top, left = (side - h) // 2, (side - w) // 2
    tile[top : top + h, left : left + w] = draw_sample(placed, skeleton)
    return tile
