"""Track people: a stable id for each person from frame to frame.

Each track is predicted by its velocity (`kalman.py`) and matched with detections by OKS, widened by
the uncertainty of its position. If the model has positional tags, the center counts as additional
keypoints, because it locates a person even when half of it is hidden. The assignment maximizes the
total similarity (Kuhn, 1955).

Source: SORT (Bewley et al., 2016) and the OKS matching of PoseFlow (Xiu et al., 2018). Differences:
times are seconds, not frames; poses and centers replace boxes; a person gets an id at the first
detection, and a track that may be a false positive is dropped early.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from litepose.core.assignment import min_cost_matching
from litepose.core.errors import LitePoseError
from litepose.core.poses import Poses
from litepose.core.skeleton import Skeleton
from litepose.inference.kalman import (
    Tracks,
    detections,
    pairwise_similarity,
    predict_tracks,
    update_tracks,
)

CUT = 0.3  # if no similarity to a person of the last frame is above this, the video was cut
FEWEST_IN_CUT = 2
STEP_BACK = 0.5  # seconds; a smaller step back in time is jitter of a camera's clock


@dataclass(frozen=True)
class TrackOptions:
    """How people are tracked.

    keep_seconds: time for which a track without detections is kept; ids are not used again
    confirm_hits: a track with fewer detections may be a false positive and is kept for less time;
        a track with only one is dropped at once
    min_similarity: least similarity (0..1) of a detection that matches a track
    """

    keep_seconds: float = 1.0
    confirm_hits: int = 3
    min_similarity: float = 0.05

    def __post_init__(self) -> None:
        if not (math.isfinite(self.keep_seconds) and self.keep_seconds >= 0):
            raise LitePoseError(f"keep_seconds must be 0 or more; got {self.keep_seconds}")
        if self.confirm_hits < 1:
            raise LitePoseError(f"confirm_hits must be 1 or more; got {self.confirm_hits}")
        if not 0 < self.min_similarity < 1:
            raise LitePoseError(
                f"min_similarity must lie between 0 and 1; got {self.min_similarity}"
            )


class Tracker:
    """Assign persistent ids to people. One per video; call `update` with every frame in order.

    Every person gets an id at the first detection, counted from 1 and never reused.
    """

    def __init__(self, options: TrackOptions = TrackOptions()) -> None:
        self.options = options
        self._people: Tracks | None = None
        self._skeleton: Skeleton | None = None
        self._image_wh: tuple[int, int] | None = None
        self._time = -math.inf
        self._next_id = 1

    def update(self, poses: Poses, seconds: float) -> Poses:
        """The same people, in the same order, with `track_ids`.

        seconds: time of the frame in the video. If it goes back (the video starts again) or all
        people change places at once (a scene cut), all tracks are dropped.
        Raises LitePoseError if the time is not a number or the skeleton changes.
        """
        if not math.isfinite(seconds):
            raise LitePoseError(f"a frame's time must be a number of seconds; got {seconds}")
        if self._skeleton is not None and self._skeleton != poses.skeleton:
            raise LitePoseError(
                f"this tracker follows {self._skeleton.name} people and was given"
                f" {poses.skeleton.name} ones; make another Tracker for them"
            )
        if seconds < self._time - STEP_BACK:
            self.forget()
        self._skeleton = poses.skeleton
        self._rescale(poses.image_wh)
        before, self._time = self._time, max(seconds, self._time)
        new = detections(poses, self._time)
        old = new[:0] if self._people is None else predict_tracks(self._people, self._time - before)
        similarity = pairwise_similarity(
            old, new, poses.skeleton.sigmas, poses.centers_xy is not None
        )
        known = (old.seen == before) & (old.hits >= self.options.confirm_hits)
        if _is_cut(similarity[known]):
            old, similarity = old[:0], similarity[:0]
        partner = _partners(similarity - self.options.min_similarity)
        return replace(poses, track_ids=self._take_over(old, new, partner))

    def forget(self) -> None:
        """Drop all tracks, as at a scene cut; ids are not used again."""
        self._people, self._skeleton, self._image_wh = None, None, None
        self._time = -math.inf

    def confirmed(self, ids: np.ndarray) -> np.ndarray:
        """(N,) bool: which ids of the last frame have `confirm_hits` detections or more."""
        if self._people is None:
            return np.zeros(len(ids), bool)
        sure = self._people.ids[self._people.hits >= self.options.confirm_hits]
        return np.isin(ids, sure)

    def _rescale(self, image_wh: tuple[int, int] | None) -> None:
        """Scale the tracks if a stream changes its resolution."""
        if self._people is not None and image_wh and self._image_wh and image_wh != self._image_wh:
            ratio = np.divide(image_wh, self._image_wh)
            people = self._people
            for places in (people.keypoints_xy, people.center_xy, people.velocity):
                places *= ratio
            people.size *= math.sqrt(ratio.prod())
        self._image_wh = image_wh or self._image_wh

    def _take_over(self, old: Tracks, new: Tracks, partner: np.ndarray) -> np.ndarray:
        """Update the tracks; returns the ids (N,) of the detections."""
        met = np.flatnonzero(partner >= 0)
        here = partner[met]
        old.put(met, update_tracks(old[met], new[here]))
        new.ids[here] = old.ids[met]
        # By visible keypoints, then position: the order of people must not change their ids.
        first = np.lexsort((*new.keypoints_xy[:, 0].T, -new.weights.sum(axis=1)))
        born = first[new.ids[first] == 0]
        new.ids[born] = self._next_id + np.arange(len(born))
        self._next_id += len(born)
        waited = self._time - old.seen
        patience = np.minimum((old.hits - 1) / self.options.confirm_hits, 1)
        kept = waited <= patience * self.options.keep_seconds
        self._people = old[kept].joined(new[born])
        return new.ids.copy()


def _partners(gain: np.ndarray) -> np.ndarray:
    """(T,) detection assigned to each track, or -1, with the largest total gain; gain: (T, N).

    If the gain of a pair exceeds the sum of the second best in its row and in its column, the pair
    belongs to the best matching. In most frames this solves almost all pairs.
    """
    old, new = gain.shape
    partner = np.full(old, -1)
    if not gain.size:
        return partner
    gain = np.maximum(gain, 0)
    rows, likes = np.arange(old), gain.argmax(axis=1)
    best = gain[rows, likes]
    elsewhere = gain.copy()
    elsewhere[rows, likes] = 0
    rivals = gain[:, likes]  # (T, T) gains of all tracks from the best detection of each track
    np.fill_diagonal(rivals, 0)
    sure = best > elsewhere.max(axis=1) + rivals.max(axis=0)
    partner[sure] = likes[sure]
    left, free = np.flatnonzero(~sure & (best > 0)), np.delete(np.arange(new), likes[sure])
    row, column = min_cost_matching(-gain[np.ix_(left, free)])
    row, column = left[row], free[column]
    real = gain[row, column] > 0
    partner[row[real]] = column[real]
    return partner


def _is_cut(similarity: np.ndarray) -> bool:
    """Whether no recent track matches any detection. similarity: (T, N)."""
    return min(similarity.shape) >= FEWEST_IN_CUT and bool(similarity.max() < CUT)
