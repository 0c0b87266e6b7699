"""Object keypoint similarity (OKS) of two poses, and the boxes and areas that it uses.

Source: COCO's keypoint evaluation, with its rule for people without labeled keypoints.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.skeleton import Skeleton

AREA_OF_BOX = 0.53  # area of a person's segment as a share of the box: CrowdPose's rule


class HasKeypoints(Protocol):
    """For example Poses: keypoints_xy (N, K, 2); found (N, K) bool."""

    @property
    def keypoints_xy(self) -> np.ndarray: ...

    @property
    def found(self) -> np.ndarray: ...


def pose_box(keypoints_xy: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest x, y (2, N) of each person's found keypoints; inf, -inf without any."""
    places, found = np.moveaxis(keypoints_xy, -1, 0), scores > 0  # (2, N, K), (N, K)
    low = np.where(found, places, np.inf).min(axis=-1)
    return low, np.where(found, places, -np.inf).max(axis=-1)


def pose_area(keypoints_xy: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(N,) 0.53 of the box around each person's found keypoints, at least 1 square pixel.

    It replaces the segment area of OKS where no segment is annotated.
    """
    return area_of_box(*pose_box(keypoints_xy, scores))


def area_of_box(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """(N,) `pose_area` from the least and greatest x, y (2, N) of `pose_box`."""
    across, down = np.maximum(high - low, 0)
    return np.maximum(np.float32(AREA_OF_BOX) * across * down, 1)


def pose_similarity(
    keypoints_xy: np.ndarray,
    scores: np.ndarray,
    other_xy: np.ndarray,
    other_scores: np.ndarray,
    area: np.ndarray,
    skeleton: Skeleton,
) -> np.ndarray:
    """OKS of two predicted poses, over the keypoints that both have; 0 where they share none.

    keypoints_xy (..., K, 2) and scores (..., K) broadcast against the others', so that (N, 1, K, 2)
    against (M, K, 2) gives (N, M); area (...) is the scale to measure on, e.g. the larger of the
    two `pose_area`s.
    """
    across = keypoints_xy[..., 0] - other_xy[..., 0]
    down = keypoints_xy[..., 1] - other_xy[..., 1]
    both = ((scores > 0) & (other_scores > 0)).astype(np.float32)  # (..., K)
    exponent = (across * across + down * down) / area[..., None]
    exponent *= -1 / (8 * skeleton.sigmas**2)
    every = np.ones(skeleton.num_keypoints, dtype=np.float32)
    return (np.exp(exponent, out=exponent) * both) @ every / np.maximum(both @ every, 1)


def compute_oks(
    people: HasKeypoints | np.ndarray,
    truth: HasKeypoints | np.ndarray,
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
    if visibility is None and not isinstance(truth, np.ndarray):
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


def _points(people: HasKeypoints | np.ndarray) -> np.ndarray:
    return np.asarray(people if isinstance(people, np.ndarray) else people.keypoints_xy, np.float64)


def _outside(points_xy: np.ndarray, box_xywh: np.ndarray) -> np.ndarray:
    """(N, K, 2): distance of points outside the box grown by its own size on every side."""
    corner, size = box_xywh[:2], box_xywh[2:]
    return np.maximum(corner - size - points_xy, 0) + np.maximum(points_xy - corner - 2 * size, 0)
