"""Object keypoint similarity (OKS) and PCK.

Source: COCO's keypoint evaluation, with its rule for people without labeled keypoints; PCK after
Yang and Ramanan (2013), its reference lengths after LSP (torso), MPII (head) and PennAction (box).
Ours differs: absent people and keypoints are NaN going into PCK, never (0, 0).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.poses import Poses
from litepose.core.skeleton import Skeleton
from litepose.evaluation.ground_truth import ImageTruth

PckReference = Literal["head", "torso", "box"]


def compute_oks(
    people: Poses | np.ndarray,
    truth: Poses | np.ndarray,
    areas: np.ndarray,
    sigmas: np.ndarray | Sequence[float],
    visibility: np.ndarray | None = None,
    boxes_xywh: np.ndarray | None = None,
) -> np.ndarray:
    """(N, M) float64 in 0..1: object keypoint similarity of N people with M true ones, by COCO.

    people: Poses or (N, K, 2);  truth: Poses or (M, K, 2);  areas: (M,) of the true people;
    sigmas: (K,) the skeleton's `oks_sigmas`
    visibility: (M, K), above 0 where labeled; None: where Poses found a keypoint, else everywhere
    boxes_xywh: (M, 4). A true person without labeled keypoints is compared by the distance to its
        box grown by its own size on every side, as COCO does; without boxes its similarity is 0.
    Raises LitePoseError where shapes do not fit.
    """
    if visibility is None and isinstance(truth, Poses):
        visibility = truth.found
    found_xy, true_xy = _points(people), _points(truth)
    sigmas = np.asarray(sigmas, np.float64)
    areas = np.asarray(areas, np.float64)
    m, k = len(true_xy), len(sigmas)
    labeled = np.ones((m, k), bool) if visibility is None else np.asarray(visibility) > 0
    if (
        found_xy.shape[1:] != (k, 2)
        or true_xy.shape != (m, k, 2)
        or areas.shape != (m,)
        or labeled.shape != (m, k)
    ):
        raise LitePoseError(
            f"OKS of {k} sigmas needs people (N, {k}, 2), truth (M, {k}, 2), areas (M,) and"
            f" visibility (M, {k}); got {found_xy.shape}, {true_xy.shape}, {areas.shape},"
            f" {labeled.shape}"
        )
    oks = np.zeros((len(found_xy), m))
    for j in range(m):
        if labeled[j].any():
            use = np.flatnonzero(labeled[j])
            apart = found_xy[:, use] - true_xy[j, use]  # (N, labeled, 2)
        elif boxes_xywh is not None:
            use = np.arange(k)
            apart = _outside(found_xy, np.asarray(boxes_xywh[j], np.float64))
        else:
            continue
        squared = (apart**2).sum(axis=2)
        exponent = squared / (2 * sigmas[use]) ** 2 / (areas[j] + np.spacing(1)) / 2
        oks[:, j] = np.exp(-exponent).sum(axis=1) / len(use)
    return oks


def compute_pck(
    found_xy: np.ndarray,
    truth_xy: np.ndarray,
    visibility: np.ndarray,
    lengths: np.ndarray,
    share: float,
) -> np.ndarray:
    """(K,) percent of correct keypoints, NaN where none is labeled: found within share * length.

    found_xy: (N, K, 2), row i is the person found for truth row i; NaN where nobody or nothing was
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


def _points(people: Poses | np.ndarray) -> np.ndarray:
    return np.asarray(people.keypoints_xy if isinstance(people, Poses) else people, np.float64)


def _outside(points_xy: np.ndarray, box_xywh: np.ndarray) -> np.ndarray:
    """(N, K, 2): how far points lie outside the box grown by its own size on every side."""
    corner, size = box_xywh[:2], box_xywh[2:]
    return np.maximum(corner - size - points_xy, 0) + np.maximum(points_xy - corner - 2 * size, 0)
