"""Candidates -> people by associative embedding, missing keypoints filled, duplicates removed.

Source: Newell et al. 2017 and the official decoder. Ours differs (docs/fidelity.md): matching looks
only at pairs within the tag threshold, by connected components; people are rows, never keyed by a
float tag; there is no limit of 30 groups; filling searches blocks of cells for all people at once;
two people that end up alike (OKS) are one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from litepose.core.assignment import has_choices, match_edges, match_pairs
from litepose.core.poses import pose_area, pose_box, pose_similarity
from litepose.core.skeleton import Skeleton
from litepose.decode.candidates import Candidates, nearest_tags, subpixel
from litepose.decode.passes import Field

# Blocks searched per keypoint when filling, besides two for each person. Few is fast, and better: a
# person's keypoint is a hot place with roughly its tag rather than a cold one with exactly its tag.
FILL_BLOCKS = 16


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
    total, k = len(candidates.scores), skeleton.num_keypoints
    starts = np.searchsorted(candidates.keypoint, np.arange(k + 1)).tolist()
    member = np.full((total, k), -1)  # candidate of each person and keypoint
    counted = np.column_stack([candidates.tags, np.ones(total, np.float32)])  # (M, T + 1)
    sums = np.zeros_like(counted)  # of each person's members: their tags, how many they are
    everyone = np.arange(total)
    people = 0
    for joint in skeleton.grouping_index.tolist():
        here = slice(starts[joint], starts[joint + 1])
        count = here.stop - here.start
        if not count:
            continue
        distance = tag_distance(
            candidates.tags[here, None], sums[:people, :-1] / sums[:people, -1:]
        )
        row, column = np.nonzero(distance < tag_threshold)
        if has_choices(row, column):
            cost = pair_cost(distance[row, column], candidates.scores[here][row])
            person = match_edges(row, column, cost, count)
        else:
            person = match_pairs(row, column, count)
        if len(row) < count or person.min() < 0:
            fresh = np.flatnonzero(person < 0)
            person[fresh] = everyone[people : people + len(fresh)]
            people += len(fresh)
        member[person, joint] = everyone[here]
        sums[person] += counted[here]
    return _assemble(candidates, member[:people], sums[:people, :-1] / sums[:people, -1:])


def _assemble(candidates: Candidates, member: np.ndarray, tags: np.ndarray) -> People:
    found = member >= 0
    scores = np.where(found, candidates.scores[member], 0).astype(np.float32)
    cells = np.where(found[..., None], candidates.cells_xy[member], 0).astype(np.float32)
    person_scores = scores.sum(axis=1) / np.float32(scores.shape[1])
    order = np.argsort(-person_scores, kind="stable")
    return People(cells[order], scores[order], tags[order], person_scores[order])


def fill_missing(people: People, field: Field) -> People:
    """Give each missing keypoint the hottest cell whose tag is the person's.

    The hottest blocks of each keypoint are searched: their hottest cells compete with
    `heat - round(tag distance)`, then all cells of the block that won. Only cells with heat above 0
    are taken.
    """
    person, joint = np.nonzero(people.scores <= 0)
    if not len(person):
        return people
    own = people.tags[person][:, None]  # (Q, 1, T) of the Q missing keypoints
    needed = np.flatnonzero((people.scores <= 0).any(axis=0))  # (J,)
    slot = np.searchsorted(needed, joint)  # (Q,) place among them
    blocks = _hot_blocks(field, needed, FILL_BLOCKS + 2 * len(people.scores))
    down, right = np.divmod(blocks.heat.argmax(axis=2), field.block)  # (J, B)
    tags = nearest_tags(field, needed[:, None], blocks.x + right, blocks.y + down)  # (J, B, T)
    chosen = _best(blocks.peak[slot], tags[slot], own)

    heat = blocks.heat[slot, chosen]  # (Q, block * block)
    x, y, inside = blocks.x[slot, chosen], blocks.y[slot, chosen], np.arange(field.block)
    tags = nearest_tags(
        field, joint[:, None, None], x[:, None, None] + inside, y[:, None, None] + inside[:, None]
    )  # (Q, block, block, T)
    best = _best(heat, tags.reshape(*heat.shape, -1), own)
    down, right = np.divmod(best, field.block)
    heat, x, y = heat[np.arange(len(best)), best], x + right, y + down

    hot = heat > 0
    person, joint, heat, x, y = person[hot], joint[hot], heat[hot], x[hot], y[hot]
    cells_xy, scores = people.cells_xy.copy(), people.scores.copy()
    cells_xy[person, joint] = np.stack([x, y], axis=1) + np.float32(0.5)
    _, rows, columns = field.cells.shape
    cells_xy[person, joint] += subpixel(
        field.cells.reshape(-1), (joint * rows + y) * columns + x, columns
    )
    scores[person, joint] = heat
    return People(cells_xy, scores, people.tags, people.person_scores)


class _Blocks(NamedTuple):
    """x, y: (J, B) first cell of each block; heat: (J, B, block * block) its cells, peak: (J, B)
    the hottest of them."""

    x: np.ndarray
    y: np.ndarray
    heat: np.ndarray
    peak: np.ndarray


def _hot_blocks(field: Field, joints: np.ndarray, most: int) -> _Blocks:
    """The blocks with the hottest cells, at most `most` for each of the J joints."""
    block, (_, rows, columns) = field.block, field.peaks.shape
    peaks = field.peaks.reshape(-1, rows * columns)[joints]
    most = min(most, rows * columns)
    hot = np.argpartition(peaks, -most, axis=1)[:, -most:]  # (J, B)
    row, column = np.divmod(hot, columns)
    first = (joints[:, None] * rows + row) * (block * columns) + column
    pieces = first[..., None] + columns * np.arange(block)  # (J, B, block) rows of blocks
    heat = field.cells.reshape(-1, block).take(pieces, axis=0)
    return _Blocks(
        x=column * block,
        y=row * block,
        heat=heat.reshape(*hot.shape, block * block),
        peak=np.take_along_axis(peaks, hot, axis=1),
    )


def _best(heat: np.ndarray, tags: np.ndarray, own: np.ndarray) -> np.ndarray:
    """(Q,) which of M places suits best. heat: (Q, M); tags: (Q, M, T); own: (Q, 1, T)."""
    far = tag_distance(tags, own)
    np.rint(far, out=far)
    return np.subtract(heat, far, out=far).argmax(axis=1)


def drop_duplicates(people: People, skeleton: Skeleton, most_alike: float) -> People:
    """Of two people with OKS above `most_alike` only the better stays. People come best first."""
    if len(people.scores) < 2 or most_alike > 1:
        return people
    first, second = _overlapping(people)
    area = pose_area(people.cells_xy, people.scores)
    cells, scores = people.cells_xy, people.scores
    alike = most_alike < pose_similarity(
        cells[first],
        scores[first],
        cells[second],
        scores[second],
        np.maximum(area[first], area[second]),
        skeleton,
    )
    keep = np.ones(len(people.scores), dtype=bool)
    for better, worse in zip(first[alike], second[alike], strict=True):
        keep[worse] &= not keep[better]
    return people.take(np.flatnonzero(keep))


def _overlapping(people: People) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of people, the better first, whose boxes overlap: only those can be the same."""
    low, high = pose_box(people.cells_xy, people.scores)
    before = low[:, :, None] - 1 < high[:, None] + 1  # (2, N, N) each begins before the other ends
    overlap = (before & before.transpose(0, 2, 1)).all(axis=0)
    better, worse = np.nonzero(np.triu(overlap, 1))
    return better, worse
