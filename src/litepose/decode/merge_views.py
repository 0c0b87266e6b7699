"""Merge the people found in several views of one image, person by person.

A view is one look of the network at one input size. Large people are read well at small inputs and
small people at large ones, hardly anybody at both, so averaging the maps of several sizes lets the
wrong size spoil the right one. Here each view is decoded by itself: scores of people too small to
be read well in their view are lowered, the people of all views go through one suppression, best
first, and whoever stays takes over the keypoints that another view of the same person is surer of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from litepose.core.model_info import MergeSettings
from litepose.core.poses import Poses

SURE = 0.2  # keypoints scoring below are guesses: they say nothing about how large a person is
SHARED = 0.5  # who shares this much of their sure keypoints with a better person is part of it


class ViewPoses(NamedTuple):
    """People found in one view, in image pixels; zoom: input pixels per image pixel."""

    poses: Poses
    zoom: float


def merge_views(views: Sequence[ViewPoses], settings: MergeSettings) -> Poses:
    """The people of all views, each once, best first; person scores are the lowered ones."""
    if len(views) == 1:
        return views[0].poses
    people = _joined([view.poses for view in views])
    counts = [len(view.poses) for view in views]
    view_of = np.repeat(np.arange(len(views)), counts)  # (N,)
    zoom = np.repeat([view.zoom for view in views], counts)
    sides = person_sides(people)
    trust = np.minimum(1, sides * zoom / settings.full_trust_px).astype(np.float32)
    person_scores = people.person_scores * trust
    same, part = _doubles(people, sides, settings.same_person_oks)
    points, scores = people.keypoints_xy.copy(), people.scores.copy()
    kept: list[int] = []
    left = np.ones(len(people), bool)
    for i in np.argsort(-person_scores, kind="stable").tolist():
        if not left[i]:
            continue
        kept.append(i)
        left[i] = False
        for j in np.flatnonzero(left & same[i] & (view_of != view_of[i])):
            surer = people.scores[j] * person_scores[j] > scores[i] * person_scores[i]
            points[i, surer] = people.keypoints_xy[j, surer]
            scores[i, surer] = people.scores[j, surer]
        left &= ~(same[i] | part[i])
    merged = replace(people, keypoints_xy=points, scores=scores, person_scores=person_scores)
    return merged[kept]


def person_sides(poses: Poses) -> np.ndarray:
    """(N,) square root of width x height of the box around each person's sure keypoints, at least
    1 px; around all that were found where fewer than two are sure."""
    sure = poses.scores > SURE
    few = sure.sum(axis=1, keepdims=True) < 2
    used = np.where(few, poses.scores > 0, sure)[..., None]  # (N, K, 1)
    low = np.where(used, poses.keypoints_xy, np.inf).min(axis=1, initial=np.inf)
    high = np.where(used, poses.keypoints_xy, -np.inf).max(axis=1, initial=-np.inf)
    return np.sqrt(np.maximum(high - low, 0).prod(axis=1).clip(min=1))


def _doubles(
    people: Poses, sides: np.ndarray, same_person_oks: float
) -> tuple[np.ndarray, np.ndarray]:
    """(N, N) bool: whether two are the same person; whether [i, j] much of j is part of i.

    OKS alone lets partial doubles pass, such as a crouching person of whom one view made two.
    """
    found, sure = people.scores > 0, people.scores > SURE
    both = found[:, None] & found  # (N, N, K)
    area = np.maximum(sides[:, None], sides) ** 2  # (N, N)
    apart = ((people.keypoints_xy[:, None] - people.keypoints_xy) ** 2).sum(axis=-1)  # (N, N, K)
    near = np.exp(apart / (-8 * area[..., None] * people.skeleton.sigmas**2))
    oks = (near * both).sum(axis=-1) / np.maximum(both.sum(axis=-1), 1)
    shared = ((near > 0.5) & sure[:, None] & sure).sum(axis=-1)
    count = sure.sum(axis=-1)
    return oks >= same_person_oks, (shared >= SHARED * count) & (count > 0)


def _joined(parts: Sequence[Poses]) -> Poses:
    """The people of several `Poses` of one image in one."""
    centers = [part.centers_xy for part in parts if part.centers_xy is not None]
    return replace(
        parts[0],
        keypoints_xy=np.concatenate([part.keypoints_xy for part in parts]),
        scores=np.concatenate([part.scores for part in parts]),
        person_scores=np.concatenate([part.person_scores for part in parts]),
        centers_xy=np.concatenate(centers) if len(centers) == len(parts) else None,
    )
