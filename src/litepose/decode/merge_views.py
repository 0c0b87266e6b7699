"""Merge the people found in several views of one image, person by person.

A view is one forward pass at one input size. The network is accurate for large people at small
inputs and for small people at large inputs, so averaging maps would mix good and bad sizes. Instead
each view is decoded alone; scores of people too small for their view are lowered; one NMS over the
people of all views keeps the best; and each keypoint of a kept person is taken from the view of the
same person where it scores highest, then averaged with the other views that agree on its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from litepose.core.model_info import MergeSettings
from litepose.core.poses import Poses

SURE = 0.05  # keypoints scoring below are guesses and do not count for a person's size
NEAR = 0.12  # of a person's side: views that place a keypoint so near agree, and are averaged
SHARED = 0.5  # a person sharing this much of its sure keypoints with a better one is part of it


class ViewPoses(NamedTuple):
    """People of one view, in image pixels; zoom: input pixels per image pixel."""

    poses: Poses
    zoom: float


def merge_views(views: Sequence[ViewPoses], settings: MergeSettings) -> Poses:
    """People of all views, each once, best first, with the lowered person scores."""
    if len(views) == 1:
        return views[0].poses
    people = _joined([view.poses for view in views])
    counts = [len(view.poses) for view in views]
    view_of = np.repeat(np.arange(len(views)), counts)  # (N,)
    zoom = np.repeat([view.zoom for view in views], counts)
    low, high = person_boxes(people)
    sides = _sides(low, high)
    trust = np.minimum(1, sides * zoom / settings.full_trust_px).astype(np.float32)
    person_scores = people.person_scores * trust
    same, part = _doubles(people, (low.T, high.T), sides, settings.same_person_oks)
    points, scores = people.keypoints_xy.copy(), people.scores.copy()
    kept: list[int] = []
    seen_again: list[list[int]] = []  # rows of one person in several views, its best first
    gone: set[int] = set()
    for i in np.argsort(-person_scores, kind="stable").tolist():
        if i in gone:
            continue
        kept.append(i)
        again = [i, *(j for j in same.get(i, ()) if j not in gone and view_of[j] != view_of[i])]
        if len(again) > 1:
            seen_again.append(again)
        gone.update(same.get(i, ()), part.get(i, ()))
    if seen_again:
        first = [again[0] for again in seen_again]
        weights = people.scores * person_scores[:, None]  # (N, K)
        points[first], scores[first] = _agreed(seen_again, people, weights, NEAR * sides[first])
    merged = replace(
        people, keypoints_xy=points, keypoint_scores=scores, person_scores=person_scores
    )
    return merged[kept]


def _agreed(
    groups: Sequence[Sequence[int]], people: Poses, weights: np.ndarray, near: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints (G, K, 2) and scores (G, K) of G people, each from its rows of `people`.

    Each keypoint's best view is averaged, by squared weight, with the views that place it within
    `near` (G,) pixels. weights: (N, K), of all people.
    """
    most = max(map(len, groups))
    rows = np.array([[*group, *[-1] * (most - len(group))] for group in groups])  # (G, V)
    seen = (rows >= 0)[..., None]  # (G, V, 1)
    points, weight = people.keypoints_xy[rows], weights[rows]
    best = np.where(seen, weight, -1).argmax(axis=1)[:, None]  # (G, 1, K); the first of equal ones
    chosen = np.take_along_axis(points, best[..., None], axis=1)  # (G, 1, K, 2)
    apart = np.sqrt(((points - chosen) ** 2).sum(axis=3))
    shares = np.where(seen & (apart < near[:, None, None]), weight, 0) ** 2
    total = shares.sum(axis=1)
    mean = (shares[..., None] * points).sum(axis=1) / np.maximum(total, 1e-12)[..., None]
    scores = np.take_along_axis(people.scores[rows], best, axis=1)[:, 0]
    return np.where((total > 0)[..., None], mean, chosen[:, 0]), scores


def person_sides(poses: Poses) -> np.ndarray:
    """(N,) square root of width x height of the box around each person's sure keypoints, at least
    1 px; around all that were found where fewer than two are sure."""
    return _sides(*person_boxes(poses))


def _sides(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(high - low, 0).prod(axis=1).clip(min=1))


def person_boxes(poses: Poses) -> tuple[np.ndarray, np.ndarray]:
    """(N, 2) least and greatest x, y of each person's sure keypoints, see `person_sides`."""
    sure = poses.scores > SURE
    few = sure.sum(axis=1, keepdims=True) < 2
    used = np.where(few, poses.scores > 0, sure)[..., None]  # (N, K, 1)
    low = np.where(used, poses.keypoints_xy, np.inf).min(axis=1, initial=np.inf)
    high = np.where(used, poses.keypoints_xy, -np.inf).max(axis=1, initial=-np.inf)
    return low, high


Pairs = dict[int, list[int]]


def _doubles(
    people: Poses, boxes: tuple[np.ndarray, np.ndarray], sides: np.ndarray, same_person_oks: float
) -> tuple[Pairs, Pairs]:
    """Which people are the same person as another, and which are a part of another.

    boxes: (2, N) least and (2, N) greatest x, y; sides: (N,).
    OKS alone misses partial duplicates, such as a crouching person split in two by one view. Only
    people with touching boxes are compared, because in a crowd most are far apart.
    """
    low, high = boxes
    margin = sides / 4
    before = (low - margin)[:, :, None] <= (high + margin)[:, None]  # (2, N, N)
    touch = (before & before.transpose(0, 2, 1)).all(axis=0)
    i, j = np.nonzero(np.triu(touch, 1))  # (E,) each, i before j
    x, y = people.keypoints_xy[..., 0], people.keypoints_xy[..., 1]
    apart = (x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2  # (E, K); quicker than a sum over a short axis
    area = np.maximum(sides[i], sides[j])[:, None] ** 2
    near = np.exp(apart / (-8 * area * people.skeleton.sigmas**2))
    found, sure = people.scores > 0, people.scores > SURE
    both = found[i] & found[j]
    oks = (near * both).sum(axis=-1) / np.maximum(both.sum(axis=-1), 1)
    shared = ((near > 0.5) & sure[i] & sure[j]).sum(axis=-1)
    i, j = np.concatenate((j, i)), np.concatenate((i, j))  # both ways, each person's in order
    count = sure.sum(axis=-1)[j]
    same = np.tile(oks >= same_person_oks, 2)
    part = (np.tile(shared, 2) >= SHARED * count) & (count > 0)
    return _by_first(i[same], j[same]), _by_first(i[part], j[part])


def _by_first(first: np.ndarray, second: np.ndarray) -> Pairs:
    pairs: Pairs = {}
    for i, j in zip(first.tolist(), second.tolist(), strict=True):
        pairs.setdefault(i, []).append(j)
    return pairs


def _joined(parts: Sequence[Poses]) -> Poses:
    """The people of several `Poses` of one image in one."""
    centers = [part.centers_xy for part in parts if part.centers_xy is not None]
    return replace(
        parts[0],
        keypoints_xy=np.concatenate([part.keypoints_xy for part in parts]),
        keypoint_scores=np.concatenate([part.scores for part in parts]),
        person_scores=np.concatenate([part.person_scores for part in parts]),
        centers_xy=np.concatenate(centers) if len(centers) == len(parts) else None,
    )
