"""One-Euro smoothing of keypoints over time.

Source: Casiez, Roussel and Vogel, CHI 2012: a low-pass filter whose cutoff rises with speed.
Differences: speeds are in person sizes per second, so that near and far people share settings; a
keypoint follows its detection in proportion to its score, and the motion of the body otherwise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.oks import pose_area
from litepose.core.poses import Poses
from litepose.inference.tracker import STEP_BACK

SPEED_CUTOFF_HZ = 1.0  # cutoff of the low-pass filter of speeds, as in the paper


@dataclass(frozen=True)
class SmoothOptions:
    """How keypoints are smoothed.

    cutoff:       Hz, for keypoints at rest; lower is smoother
    speed_cutoff: Hz added per person size (square root of the pose's area) per second; higher lags
                  less
    sure_score:   keypoints with this score or more follow their detection fully
    keep_seconds: the filter of a person or keypoint undetected for longer is reset
    """

    cutoff: float = 1.5
    speed_cutoff: float = 3.0
    sure_score: float = 0.3
    keep_seconds: float = 1.0

    def __post_init__(self) -> None:
        for name in ("cutoff", "sure_score"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) > 0):
                raise LitePoseError(f"{name} must be above 0; got {getattr(self, name)}")
        for name in ("speed_cutoff", "keep_seconds"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise LitePoseError(f"{name} must be 0 or more; got {getattr(self, name)}")


class _Tracks(NamedTuple):
    """P smoothed people, one row each.

    ids (P,); keypoints_xy (P, K, 2) smoothed positions, px; speed (P, K, 2) px/s; seen (P, K) time
    of each keypoint's last detection; time (P,) of the person's last detection
    """

    ids: np.ndarray
    keypoints_xy: np.ndarray
    speed: np.ndarray
    seen: np.ndarray
    time: np.ndarray

    def rows(self, which: np.ndarray) -> _Tracks:
        return _Tracks(*(values[which] for values in self))


class Smoother:
    """Smooth the keypoints of people with ids. One per video; call `update` with every frame."""

    def __init__(self, options: SmoothOptions = SmoothOptions()) -> None:
        self.options = options
        self._people: _Tracks | None = None
        self._time = -math.inf

    def update(self, poses: Poses, seconds: float) -> Poses:
        """The same people with smoothed keypoints; missing keypoints stay as they are.

        seconds: time of the frame in the video. Keypoints of new people, and of all if the time
        goes back (the video starts again), are returned unchanged.
        Raises LitePoseError without ids, if an id is repeated, or if the time is not a number.
        """
        if not math.isfinite(seconds):
            raise LitePoseError(f"a frame's time must be a number of seconds; got {seconds}")
        if poses.track_ids is None:
            raise LitePoseError("smoothing needs track ids; give it the result of a Tracker")
        if len(np.unique(poses.track_ids)) < len(poses):
            raise LitePoseError(
                f"an id may belong to one person of a frame only; got {poses.track_ids.tolist()}"
            )
        if seconds < self._time - STEP_BACK:
            self.forget()
        now = self._time = max(seconds, self._time)
        new = _as_seen(poses, now)
        old = new.rows(np.arange(0)) if self._people is None else self._people
        row_of = {name: row for row, name in enumerate(old.ids.tolist())}
        known = np.array(
            [i for i, name in enumerate(poses.track_ids.tolist()) if name in row_of], int
        )
        before = old.rows(np.array([row_of[name] for name in poses.track_ids[known].tolist()], int))
        sizes = np.sqrt(pose_area(poses.keypoints_xy, poses.scores))[known]
        smooth, speed = self._filtered(before, new.keypoints_xy[known], poses.scores[known], sizes)
        new.keypoints_xy[known], new.speed[known] = smooth, speed
        new.seen[known] = np.maximum(new.seen[known], before.seen)
        waiting = (old.time >= now - self.options.keep_seconds) & ~np.isin(old.ids, poses.track_ids)
        self._people = _Tracks(*map(np.concatenate, zip(old.rows(waiting), new, strict=True)))
        shown = np.where(poses.found[..., None], new.keypoints_xy, poses.keypoints_xy)
        return replace(poses, keypoints_xy=shown)

    def forget(self) -> None:
        """Drop all people, as at a scene cut."""
        self._people, self._time = None, -math.inf

    def _filtered(
        self, old: _Tracks, points: np.ndarray, scores: np.ndarray, sizes: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Positions and speeds, both (P, K, 2), of people `old` after detections with scores."""
        dt = (self._time - old.time)[:, None, None]  # (P, 1, 1)
        fresh = ((scores > 0) & (self._time - old.seen > self.options.keep_seconds))[..., None]
        sure = np.minimum(scores / self.options.sure_score, 1)[..., None] * ~fresh  # (P, K, 1)
        change = points - old.keypoints_xy
        now = np.divide(change, dt, out=old.speed.copy(), where=dt > 0)
        speed = old.speed + sure * _gain(SPEED_CUTOFF_HZ, dt) * (now - old.speed)
        fast = np.sqrt((speed**2).sum(axis=2, keepdims=True)) / sizes[:, None, None]
        cutoff = self.options.cutoff + self.options.speed_cutoff * fast
        step = sure * _gain(cutoff, dt) * change
        # Uncertain keypoints move with the body.
        body = (sure * step).sum(axis=1, keepdims=True)
        along = (1 - sure) * body / np.maximum(sure.sum(axis=1, keepdims=True), 1e-9)
        smooth = old.keypoints_xy + step + along
        return np.where(fresh, points, smooth), np.where(fresh, 0, speed)


def _as_seen(poses: Poses, now: float) -> _Tracks:
    assert poses.track_ids is not None
    points = poses.keypoints_xy.astype(np.float64)
    return _Tracks(
        ids=poses.track_ids,
        keypoints_xy=points,
        speed=np.zeros_like(points),
        seen=np.where(poses.found, now, -math.inf),
        time=np.full(len(poses), now),
    )


def _gain(cutoff_hz: np.ndarray | float, dt: np.ndarray) -> np.ndarray:
    """Share of a change that passes a first-order low-pass filter in dt seconds."""
    return 1 - 1 / (1 + 2 * math.pi * dt * cutoff_hz)
