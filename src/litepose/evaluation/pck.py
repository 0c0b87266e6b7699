"""Percentage of correct keypoints (PCK).

Source: Yang and Ramanan (2013); reference lengths of LSP (torso), MPII (head) and PennAction (box).
Absent people and keypoints are NaN, never (0, 0).
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from litepose.core.skeleton import Skeleton
from litepose.evaluation.ground_truth import ImageTruth

PckReference = Literal["head", "torso", "box"]


def compute_pck(
    found_xy: np.ndarray,
    truth_xy: np.ndarray,
    visibility: np.ndarray,
    lengths: np.ndarray,
    share: float,
) -> np.ndarray:
    """(K,) percent of correct keypoints, NaN where none is labeled: found within share * length.

    found_xy: (N, K, 2), row i is the person found for truth row i; NaN where none was
    found, which counts as wrong;  truth_xy: (N, K, 2);  visibility: (N, K);
    lengths: (N,) of `pck_lengths`; people whose length is NaN are left out.
    """
    known = np.isfinite(lengths)
    labeled = (np.asarray(visibility) > 0) & known[:, None]
    distance = np.linalg.norm(found_xy - truth_xy, axis=2)
    right = labeled & (distance <= share * np.where(known, lengths, 0.0)[:, None])
    count = labeled.sum(axis=0)
    return np.where(count > 0, 100.0 * right.sum(axis=0) / np.maximum(count, 1), np.nan)


def pck_lengths(
    truth: ImageTruth, skeleton: Skeleton, reference: PckReference = "torso"
) -> np.ndarray:
    """(M,) the length PCK is a share of, NaN where its ends are not labeled.

    "head": head to neck; "torso": left shoulder to right hip; "box": the box's longer side.
    Raises LitePoseError where the skeleton lacks the two keypoints.
    """
    if reference == "box":
        longer = truth.boxes_xywh[:, 2:].max(axis=1, initial=0.0)
        return np.where(longer > 0, longer, np.nan)
    ends = {"head": ("head", "neck"), "torso": ("left_shoulder", "right_hip")}[reference]
    a, b = (skeleton.index(name) for name in ends)
    both = (truth.visibility[:, [a, b]] > 0).all(axis=1)
    length = np.linalg.norm(truth.keypoints_xy[:, a] - truth.keypoints_xy[:, b], axis=1)
    return np.where(both & (length > 0), length, np.nan)
