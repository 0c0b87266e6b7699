"""Sample and Batch: the data from annotations to the loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np


@dataclass(frozen=True, eq=False)
class Sample:
    """One annotated image, in the skeleton that is trained (K keypoints).

    image:        (H, W, 3) uint8 RGB
    keypoints_xy: (N, K, 2) float32, pixels of `image`
    visibility:   (N, K) uint8; 0 unlabeled, 1 hidden, 2 visible
    areas:        (N,) float32, pixels of `image` squared (COCO's segment area where known)
    valid_mask:   (H, W) bool; False over crowds and people without keypoints
    labeled:     (K,) bool; False for keypoints that this dataset never labels
    people_complete: False where unlabeled people may be in view
    teacher_heatmaps: views of a teacher, each (h, w, K) uint8: its heatmaps in 1/255 over the whole
                  image; empty for none. Warping keeps the view of the most similar scale
    confidence:   (N, K) float32 confidence of each keypoint in [0, 1]; None for labels, all 1
    """

    image: np.ndarray
    keypoints_xy: np.ndarray
    visibility: np.ndarray
    areas: np.ndarray
    valid_mask: np.ndarray
    labeled: np.ndarray
    image_id: int
    people_complete: bool = True
    teacher_heatmaps: tuple[np.ndarray, ...] = ()
    confidence: np.ndarray | None = None


class Batch(NamedTuple):
    """B samples of one size as torch tensors, people padded to the largest number in the batch (P).

    images:       (B, 3, H, W) uint8 or float32 already normalized (the trainer normalizes uint8)
    keypoints_xy: (B, P, K, 2) float32, input pixels
    visibility:   (B, P, K) uint8; all 0 for padding people
    valid_mask:   (B, H / 4, W / 4) bool at the coarse map's stride
    labeled:     (B, K) bool
    image_ids:    (B,) int64
    people_complete: (B,) bool; False where unlabeled people may be in view; None unknown
    teacher_heatmaps: (B, K, H / 4, W / 4) uint8, a teacher's heatmaps in 1/255, or None
    confidence:   (B, P, K) float32 in [0, 1]; None if all are labels
    """

    images: Any
    keypoints_xy: Any
    visibility: Any
    valid_mask: Any
    labeled: Any
    image_ids: Any
    people_complete: Any = None
    teacher_heatmaps: Any = None
    confidence: Any = None
