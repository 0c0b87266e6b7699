"""True poses made as imperfect as a network's: what a tracker is judged on, apart from any network.

Ours: keypoints tremble and stray to the neighbor, people are missed for some frames, more so when
half hidden; ghosts and doubles come and go; scores jitter. Seeded: the same seed, the same errors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmarks.tracking.walking import Truth
from litepose.core.poses import Poses
from litepose.core.skeleton import COCO17

FEWEST_SEEN = 3  # of whom less is seen, nobody is found
GHOST_STAYS = 0.5  # chance that a ghost is there in the next frame too
MISS_STAYS = 0.6


@dataclass(frozen=True)
class Disturbance:
    """How imperfect.

    tremble: of a keypoint, as a share of its OKS spread (2 sigmas times the person's size)
    stray:   chance that a hidden keypoint is found on the nearest person instead
    miss:    chance in a frame that a person fully seen begins to be missed; ten times that
             where nearly all is hidden
    ghosts:  people begun to be seen in a frame who are not there
    center:  tremble of centers, as a share of the person's size
    """

    tremble: float = 0.5
    stray: float = 0.3
    miss: float = 0.02
    ghosts: float = 0.15
    center: float = 0.08


class Disturber:
    """Turns the truth of a clip's frames, in order, into what a network might find."""

    def __init__(self, seed: int, how: Disturbance = Disturbance()) -> None:
        self._rng = np.random.default_rng((seed, 0x6469))
        self._how = how
        self._missed: set[int] = set()
        self._ghosts: list[tuple[np.ndarray, np.ndarray]] = []

    def see(self, truth: Truth, image_wh: tuple[int, int]) -> Poses:
        """People found, best first, with centers; without ids."""
        rng = self._rng
        people = [self._person(truth, i) for i in range(len(truth.ids)) if self._found(truth, i)]
        self._haunt(truth)
        for points, scores in self._ghosts:
            trembling = points + rng.normal(0, 2, points.shape)
            people.append((trembling, scores, trembling.mean(axis=0)))
        k = COCO17.num_keypoints
        points = np.array([p for p, _, _ in people]).reshape(-1, k, 2)
        scores = np.array([s for _, s, _ in people]).reshape(-1, k)
        centers = np.array([c for _, _, c in people]).reshape(-1, 2)
        best = np.argsort(-scores.mean(axis=1), kind="stable")
        found = Poses(points, scores, scores.mean(axis=1), COCO17, image_wh, centers_xy=centers)
        return found[best]

    def _found(self, truth: Truth, i: int) -> bool:
        name, seen = int(truth.ids[i]), int((truth.visibility[i] == 2).sum())
        hidden = 1 - seen / max(1, int((truth.visibility[i] > 0).sum()))
        chance = MISS_STAYS if name in self._missed else self._how.miss * (1 + 9 * hidden)
        self._missed.discard(name)
        if self._rng.uniform() < chance:
            self._missed.add(name)
        return name not in self._missed and seen >= FEWEST_SEEN

    def _person(self, truth: Truth, i: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Keypoints (17, 2), scores (17,), center (2,)."""
        rng, how = self._rng, self._how
        size = np.sqrt(truth.areas[i])
        spread = how.tremble * 2 * COCO17.sigmas * size
        points = truth.keypoints_xy[i] + rng.normal(0, 1, (len(spread), 2)) * spread[:, None]
        seen, there = truth.visibility[i] == 2, truth.visibility[i] > 0
        sureness = rng.uniform(0.3, 0.8)
        scores = np.clip(sureness + rng.normal(0, 0.12, len(seen)), 0.05, 1)
        scores = np.where(seen, scores, 0.35 * scores)
        hidden = np.flatnonzero(there & ~seen)
        strays = hidden[rng.uniform(size=len(hidden)) < how.stray]
        if len(truth.ids) > 1 and len(strays):
            apart = np.abs(truth.keypoints_xy - truth.keypoints_xy[i]).sum(axis=(1, 2))
            apart[i] = np.inf
            points[strays] = truth.keypoints_xy[np.argmin(apart), strays]
        scores[hidden[rng.uniform(size=len(hidden)) < 0.5]] = 0
        scores[~there] = 0
        points[scores == 0] = points[scores > 0].mean(axis=0)
        middle = truth.keypoints_xy[i, there].mean(axis=0)
        return points, scores, middle + rng.normal(0, how.center * size, 2)

    def _haunt(self, truth: Truth) -> None:
        """Old ghosts go, new ones come: half of them doubles of somebody there."""
        rng = self._rng
        self._ghosts = [g for g in self._ghosts if rng.uniform() < GHOST_STAYS]
        for _ in range(rng.poisson(self._how.ghosts) if len(truth.ids) else 0):
            i = rng.integers(len(truth.ids))
            size = np.sqrt(truth.areas[i])
            far = rng.choice([0.3, 3.0])
            points = truth.keypoints_xy[i] + rng.normal(0, far * size, 2)
            points = points + rng.normal(0, 0.15 * size, points.shape)
            scores = np.clip(rng.uniform(0.15, 0.5) + rng.normal(0, 0.15, len(points)), 0.02, 1)
            self._ghosts.append((points, scores))
