"""Group keypoint candidates into people by their tags; drop duplicates.

Source: Newell et al. 2017 and the official decoder. Differences (docs/fidelity.md): people with
tags far from all others need no matching; only pairs within the tag threshold are compared, by
connected components; people are rows, not keyed by a float tag; there is no limit of 30 groups;
missing keypoints are searched in blocks of cells for all people at once; of two people with a high
OKS one is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from litepose.core.assignment import match_edges
from litepose.core.skeleton import Skeleton
from litepose.decode.peaks import Candidates


@dataclass(frozen=True, eq=False)
class People:
    """N people in heatmap cells.

    cells_xy: (N, K, 2); scores: (N, K), 0 where missing; tags: (N, T) mean tag of the members;
    person_scores: (N,) mean over all K of the matched scores, before filling
    """

    cells_xy: np.ndarray
    scores: np.ndarray
    tags: np.ndarray
    person_scores: np.ndarray

    def take(self, which: np.ndarray) -> People:
        return People(
            self.cells_xy[which], self.scores[which], self.tags[which], self.person_scores[which]
        )


def tag_distance(tags: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(..., T) and (..., T), broadcast -> (...) Euclidean distances."""
    apart = tags[..., 0] - others[..., 0]
    if tags.shape[-1] == 1:
        return np.abs(apart, out=apart)
    total = apart * apart
    for t in range(1, tags.shape[-1]):  # quicker than a sum over a short axis
        apart = tags[..., t] - others[..., t]
        total += apart * apart
    return np.sqrt(total, out=total)


def pair_cost(distance: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(E,) cost of giving a candidate to a person: official rounding, ties broken by distance."""
    return np.rint(distance) * 100 - scores + 1e-3 * distance


def group(candidates: Candidates, skeleton: Skeleton, tag_threshold: float) -> People:
    """Keypoint by keypoint in grouping order: each candidate joins a person near in tag, or starts
    one. People come out best first."""
    k = skeleton.num_keypoints
    person, people = _tag_clusters(candidates, k, tag_threshold)
    rest = np.flatnonzero(person < 0)
    if len(rest):
        order = skeleton.grouping_index.tolist()
        matched, fresh = _match(Candidates(*(c[rest] for c in candidates)), order, tag_threshold)
        person[rest] = people + matched
        people += fresh
    return _assemble(candidates, person, people, k)


def _tag_clusters(candidates: Candidates, k: int, tag_threshold: float) -> tuple[np.ndarray, int]:
    """(M,) person of each candidate, and how many people; -1 for those who must be matched.

    Sorted along one tag number, candidates separate wherever two neighbors are `threshold` apart:
    across such a gap no candidate is near the mean of any person. The candidates of a part are
    sorted along the next number and separated again. A part whose candidates are all near each
    other, with no keypoint twice, is one person in any order. (Exact but for float32: a mean that
    should be just `threshold` away may round to less.)
    """
    total, numbers = candidates.tags.shape
    if not total:
        return np.zeros(0, int), 0
    part = np.zeros(total, int)
    for axis in (*range(numbers), *range(numbers - 1)):
        order = np.lexsort((candidates.tags[:, axis], part))
        along, parts = candidates.tags[order, axis], part[order]
        gap = (along[1:] - along[:-1] >= tag_threshold) | (parts[1:] > parts[:-1])
        parts = np.concatenate(([0], np.cumsum(gap)))
        part[order] = parts
    tags = candidates.tags[order]
    first = np.concatenate([[0], np.flatnonzero(gap) + 1])  # of each part
    spread = np.maximum.reduceat(tags, first) - np.minimum.reduceat(tags, first)
    one_person = tag_distance(spread, np.zeros_like(spread)) < tag_threshold
    twice = np.flatnonzero(np.bincount(part * k + candidates.keypoint) > 1)
    one_person[twice // k] = False
    number = np.where(one_person, np.cumsum(one_person) - 1, -1)
    return number[part], int(one_person.sum())


def _match(
    candidates: Candidates, grouping_order: list[int], tag_threshold: float
) -> tuple[np.ndarray, int]:
    """(M,) person of each candidate, and how many people."""
    total = len(candidates.scores)
    starts = np.searchsorted(candidates.keypoint, np.arange(len(grouping_order) + 1)).tolist()
    counted = np.column_stack([candidates.tags, np.ones(total, np.float32)])  # (M, T + 1)
    sums = np.zeros_like(counted)  # per person: sum of tags, number of members
    joined = np.empty(total, int)
    people = 0
    for joint in grouping_order:
        here = slice(starts[joint], starts[joint + 1])
        count = here.stop - here.start
        if not count:
            continue
        distance = tag_distance(
            candidates.tags[here, None], sums[:people, :-1] / sums[:people, -1:]
        )
        row, column = np.nonzero(distance < tag_threshold)
        cost = pair_cost(distance[row, column], candidates.scores[here][row])
        person = match_edges(row, column, cost, count)
        fresh = np.flatnonzero(person < 0)
        person[fresh] = np.arange(people, people + len(fresh))
        people += len(fresh)
        joined[here] = person
        sums[person] += counted[here]
    return joined, people


def _assemble(candidates: Candidates, person: np.ndarray, people: int, k: int) -> People:
    keypoint, tags = candidates.keypoint, candidates.tags
    scores = np.zeros((people, k), np.float32)
    scores[person, keypoint] = candidates.scores
    cells = np.zeros((people, k, 2), np.float32)
    cells[person, keypoint] = candidates.cells_xy
    members = np.bincount(person, minlength=people)
    sums = [np.bincount(person, along, minlength=people) for along in tags.T]
    means = np.stack(sums, axis=1) / members[:, None]
    person_scores = scores.sum(axis=1) / np.float32(k)
    order = np.argsort(-person_scores, kind="stable")
    return People(
        cells[order], scores[order], means[order].astype(np.float32), person_scores[order]
    )
