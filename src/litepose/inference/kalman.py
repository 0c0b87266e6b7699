"""Tracks: position, motion and uncertainty of tracked people.

A Kalman filter estimates the position of the whole body (damped constant velocity), in units of the
person's size, so that near and far people share settings. The similarity is OKS, widened by the
uncertainty of the position. Times are in seconds.
Source: Bar-Shalom, Li and Kirubarajan (2001), chapter 6; x and y are filtered in the same way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import numpy as np

from litepose.core.oks import pose_area
from litepose.core.poses import Poses

# In sizes (square root of a pose's area) and seconds; tuned on synthetic clips with other seeds
# than those reported in docs/tracking.md.
PLACE_NOISE = 0.05  # standard deviation of one detection of the whole body
FIRST_SPEED = 1.0  # standard deviation of a new person's speed
SPEED_CHANGE = 1.5  # standard deviation of the change of speed in a second
SPEED_LASTS = 0.5  # time constant with which the speed of an undetected person decays
KEYPOINT_LASTS = 0.2  # time constant with which an undetected keypoint loses weight
SIZE_LASTS = 0.4  # time constant with which a size above the detected one decays
WAITING = 0.7  # time constant with which the similarity to an undetected person decays
CENTER_SIGMA = 0.09  # OKS sigma of a center
CENTER_WEIGHT = 2.0  # weight of a center, in keypoints
SHAPE_GAIN = 0.8  # share of a detected pose, relative to its center, in the update


@dataclass(eq=False)
class Tracks:
    """T tracks, one row each.

    keypoints_xy (T, K, 2) and center_xy (T, 2): estimated positions, px; weights (T, K) of
    the keypoints; size (T,) px; velocity (T, 2) px/s; spread (T, 3) variance of the
    position, its covariance with the speed, variance of the speed, in sizes and seconds; seen (T,)
    the time of the last detection; hits (T,) detections
    """

    ids: np.ndarray
    keypoints_xy: np.ndarray
    weights: np.ndarray
    center_xy: np.ndarray
    size: np.ndarray
    velocity: np.ndarray
    spread: np.ndarray
    seen: np.ndarray
    hits: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, which: np.ndarray | slice) -> Tracks:
        return Tracks(*(getattr(self, f.name)[which] for f in fields(self)))

    def put(self, where: np.ndarray, others: Tracks) -> None:
        for f in fields(self):
            getattr(self, f.name)[where] = getattr(others, f.name)

    def joined(self, others: Tracks) -> Tracks:
        pairs = ((getattr(self, f.name), getattr(others, f.name)) for f in fields(self))
        return Tracks(*(np.concatenate(pair) for pair in pairs))


def detections(poses: Poses, seconds: float) -> Tracks:
    """Detected people as tracks, without ids."""
    points, scores = poses.keypoints_xy.astype(np.float64), poses.scores.astype(np.float64)
    size = np.sqrt(pose_area(points, scores))
    n = len(poses)
    centers = points.mean(axis=1) if poses.centers_xy is None else poses.centers_xy
    return Tracks(
        ids=np.zeros(n, np.int64),
        keypoints_xy=points,
        weights=scores,
        center_xy=centers.astype(np.float64),
        size=size,
        velocity=np.zeros((n, 2)),
        spread=np.tile([PLACE_NOISE**2, 0.0, FIRST_SPEED**2], (n, 1)),
        seen=np.full(n, seconds),
        hits=np.ones(n, int),
    )


def predict_tracks(people: Tracks, dt: float) -> Tracks:
    """Kalman prediction: positions and their variance in dt seconds."""
    fading = math.exp(-dt / SPEED_LASTS)
    step = people.velocity * SPEED_LASTS * (1 - fading)
    place, both, speed = people.spread.T
    noise = SPEED_CHANGE**2
    spread = np.column_stack([  # (T, 3)
        place + 2 * dt * both + dt**2 * speed + noise * dt**3 / 3,
        both + dt * speed + noise * dt**2 / 2,
        speed + noise * dt,
    ])  # fmt: skip
    return replace(
        people,
        keypoints_xy=people.keypoints_xy + step[:, None],
        center_xy=people.center_xy + step,
        velocity=people.velocity * fading,
        spread=spread,
        weights=people.weights * math.exp(-dt / KEYPOINT_LASTS),
    )


def pairwise_similarity(old: Tracks, new: Tracks, sigmas: np.ndarray, centerd: bool) -> np.ndarray:
    """(T, N) in 0..1: weighted OKS over keypoints that both have, and the center."""
    area = np.maximum(old.size[:, None], new.size) ** 2  # (T, N)
    unsure = old.spread[:, :1]  # (T, 1)
    weights = np.sqrt(old.weights)[:, None] * np.sqrt(new.weights)  # (T, N, K)
    near = _squared(old.keypoints_xy[:, None], new.keypoints_xy) / area[..., None]
    near *= (-0.5 / (4 * sigmas**2 + unsure))[:, None]
    near = np.exp(near, out=near) * weights
    every = np.ones(len(sigmas))
    similarity, total = near @ every, weights @ every  # (T, N)
    if centerd:
        close = _squared(old.center_xy[:, None], new.center_xy) / area
        shown, now = (np.sqrt(people.weights.mean(axis=1)) for people in (old, new))
        counts = CENTER_WEIGHT * shown[:, None] * now
        similarity += counts * np.exp(-0.5 * close / (4 * CENTER_SIGMA**2 + unsure))
        total += counts
    waited = new.seen[:1] - old.seen[:, None]
    return similarity / np.maximum(total, 1e-9) * np.exp(-waited / WAITING)


def _squared(points_xy: np.ndarray, others_xy: np.ndarray) -> np.ndarray:
    """Squared distances of (..., 2) and (..., 2)."""
    apart = points_xy - others_xy
    return apart[..., 0] ** 2 + apart[..., 1] ** 2


def update_tracks(old: Tracks, new: Tracks) -> Tracks:
    """Kalman update: row i of both is the same person."""
    weights = np.sqrt(old.weights * new.weights)[..., None]
    miss = new.keypoints_xy - old.keypoints_xy  # (T, K, 2)
    step = (miss * weights).sum(1) / np.maximum(weights.sum(1), 1e-9)  # (T, 2)
    place, both, speed = old.spread.T
    gain, push = (part / (place + PLACE_NOISE**2) for part in (place, both))
    shift = gain[:, None] * step
    known = np.where(old.weights > 0, SHAPE_GAIN, 1) * (new.weights > 0)  # (T, K)
    shape = known[..., None] * (miss - step[:, None])
    fading = np.exp(-(new.seen - old.seen) / SIZE_LASTS)
    return replace(
        old,
        keypoints_xy=old.keypoints_xy + shift[:, None] + shape,
        weights=np.maximum(new.weights, old.weights),
        center_xy=new.center_xy,
        size=np.maximum(new.size, fading * old.size),
        velocity=old.velocity + push[:, None] * step,
        spread=np.column_stack([(1 - gain) * place, (1 - gain) * both, speed - push * both]),
        seen=new.seen,
        hits=old.hits + 1,
    )
