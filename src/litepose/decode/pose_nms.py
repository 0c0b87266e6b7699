"""Pose NMS: of people who are nearly the same by OKS, keep the best."""

from __future__ import annotations

import numpy as np

from litepose.core.oks import area_of_box, pose_box, pose_similarity
from litepose.core.skeleton import Skeleton
from litepose.decode.grouping import People


def drop_duplicates(people: People, skeleton: Skeleton, max_similarity: float) -> People:
    """Keep the better of two people with OKS above `max_similarity`. People come best first."""
    if len(people.scores) < 2 or max_similarity > 1:
        return people
    low, high = pose_box(people.cells_xy, people.scores)
    first, second = _overlapping(low, high)
    area = area_of_box(low, high)
    cells, scores = people.cells_xy, people.scores
    duplicates = max_similarity < pose_similarity(
        cells[first],
        scores[first],
        cells[second],
        scores[second],
        np.maximum(area[first], area[second]),
        skeleton,
    )
    keep = np.ones(len(people.scores), dtype=bool)
    for better, worse in zip(first[duplicates], second[duplicates], strict=True):
        keep[worse] &= not keep[better]
    return people.take(np.flatnonzero(keep))


def _overlapping(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of people, the better first, whose boxes overlap: only those can be the same.

    low, high: (2, N) least and greatest x, y.
    """
    before = low[:, :, None] - 1 < high[:, None] + 1  # (2, N, N) each begins before the other ends
    overlap = (before & before.transpose(0, 2, 1)).all(axis=0)
    better, worse = np.nonzero(np.triu(overlap, 1))
    return better, worse
