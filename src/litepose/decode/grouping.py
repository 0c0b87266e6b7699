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

from litepose.core.assignment import match_edges
from litepose.core.poses import pose_area, pose_similarity
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
    """(C, T) and (G, T) -> (C, G) Euclidean distances."""
    if tags.shape[1] == 1:
        return np.abs(tags - others[:, 0])
    total = np.zeros((len(tags), len(others)), dtype=np.float32)
    for t in range(tags.shape[1]):
        apart = tags[:, t, None] - others[:, t]
        total += apart * apart
    return np.sqrt(total)


def pair_cost(distance: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(E,) cost of giving a candidate to a person: official rounding, ties broken by distance."""
    return np.round(distance) * 100 - scores + 1e-3 * distance


def group(candidates: Candidates, skeleton: Skeleton, tag_threshold: float) -> People:
    """Keypoint by keypoint in grouping order: each candidate joins a person near in tag, or starts
    one. People come out best first."""
    total, k = len(candidates.scores), skeleton.num_keypoints
    starts = np.searchsorted(candidates.keypoint, np.arange(k + 1))
    member = np.full((total, k), -1)  # candidate of each person and keypoint
    tag_sum = np.zeros((total, candidates.tags.shape[1]), dtype=np.float32)
    size = np.zeros((total, 1), dtype=np.float32)
    people = 0
    for joint in skeleton.grouping_index:
        first, last = starts[joint], starts[joint + 1]
        if first == last:
            continue
        tags, scores = candidates.tags[first:last], candidates.scores[first:last]
        distance = tag_distance(tags, tag_sum[:people] / size[:people])
        row, column = np.nonzero(distance < tag_threshold)
        cost = pair_cost(distance[row, column], scores[row])
        person = match_edges(row, column, cost, len(tags))
        fresh = np.flatnonzero(person < 0)
        person[fresh] = np.arange(people, people + len(fresh))
        people += len(fresh)
        member[person, joint] = np.arange(first, last)
        tag_sum[person] += tags
        size[person] += 1
    return _assemble(candidates, member[:people], tag_sum[:people] / np.maximum(size[:people], 1))


def _assemble(candidates: Candidates, member: np.ndarray, tags: np.ndarray) -> People:
    found = member >= 0
    scores = np.where(found, candidates.scores[member], 0).astype(np.float32)
    cells = np.where(found[..., None], candidates.cells_xy[member], 0).astype(np.float32)
    person_scores = scores.mean(axis=1)
    order = np.argsort(-person_scores, kind="stable")
    return People(cells[order], scores[order], tags[order], person_scores[order])


def fill_missing(people: People, field: Field, block: int) -> People:
    """Give each missing keypoint the hottest cell whose tag is the person's.

    The map is cut into blocks of `block` x `block` cells, and the hottest blocks of each keypoint
    are searched: their hottest cells compete with `heat - round(tag distance)`, then all cells of
    the block that won. Only cells with heat above 0 are taken.
    """
    person, joint = np.nonzero(people.scores <= 0)
    if not len(person):
        return people
    block = min(block, *field.heat.shape[1:])
    own = people.tags[person]  # (R, T)
    needed, slot = np.unique(joint, return_inverse=True)  # (J,) keypoints, (R,) place among them
    blocks = _hot_blocks(field, needed, block, FILL_BLOCKS + 2 * len(people.scores))
    hottest = blocks.heat.argmax(axis=2)  # (J, B)
    places = blocks.corner_xy + _inside(hottest, block)
    tags = nearest_tags(field, needed[:, None], places)  # (J, B, T)
    heat = np.take_along_axis(blocks.heat, hottest[..., None], axis=2)[..., 0]
    chosen = (heat[slot] - np.round(_distance(tags[slot], own))).argmax(axis=1)  # (R,)

    heat = blocks.heat[slot, chosen]  # (R, block * block)
    places = blocks.corner_xy[slot, chosen][:, None] + _inside(np.arange(block * block), block)
    tags = nearest_tags(field, joint[:, None], places)
    best = (heat - np.round(_distance(tags, own))).argmax(axis=1)
    row = np.arange(len(best))
    heat, places = heat[row, best], places[row, best]

    hot = heat > 0
    person, joint, places = person[hot], joint[hot], places[hot]
    cells_xy, scores = people.cells_xy.copy(), people.scores.copy()
    cells_xy[person, joint] = places + _shift(field, joint, places)
    scores[person, joint] = heat[hot]
    return People(cells_xy, scores, people.tags, people.person_scores)


class _Blocks(NamedTuple):
    """corner_xy: (J, B, 2) first cell of each block; heat: (J, B, block * block) its cells."""

    corner_xy: np.ndarray
    heat: np.ndarray


def _hot_blocks(field: Field, joints: np.ndarray, block: int, most: int) -> _Blocks:
    """The blocks with the hottest cells, at most `most` for each of the J joints."""
    heat = field.heat if len(joints) == len(field.heat) else field.heat[joints]
    rows, columns = heat.shape[1] // block, heat.shape[2] // block
    by_row = heat[:, : rows * block : block].copy()
    for inside in range(1, block):  # quicker than reductions over short axes
        np.maximum(by_row, heat[:, inside : rows * block : block], out=by_row)
    peak = by_row[..., : columns * block : block].copy()
    for inside in range(1, block):
        np.maximum(peak, by_row[..., inside : columns * block : block], out=peak)
    peak = peak.reshape(len(joints), rows * columns)
    most = min(most, rows * columns)
    hot = np.argpartition(-peak, most - 1, axis=1)[:, :most]  # (J, B)
    row, column = np.divmod(hot, columns)
    _, height, width = field.padded.shape
    down, right = np.divmod(np.arange(block * block), block)
    first = (joints[:, None] * height + row * block + 1) * width + column * block + 1
    cells = field.padded.reshape(-1)[first[..., None] + (down * width + right)]
    corner_xy = (block * np.stack([column, row], axis=-1)).astype(np.float32)
    return _Blocks(corner_xy, cells)


def _inside(cell: np.ndarray, block: int) -> np.ndarray:
    """Centre (..., 2) of a cell of a block, from the block's corner."""
    row, column = np.divmod(cell, block)
    return np.stack([column, row], axis=-1).astype(np.float32) + np.float32(0.5)


def _shift(field: Field, joint: np.ndarray, centres_xy: np.ndarray) -> np.ndarray:
    """Sub-pixel shift at cells given by their centres."""
    _, rows, columns = field.padded.shape
    x, y = centres_xy.astype(np.int64).T + 1  # the border
    return subpixel(field.padded.reshape(-1), (joint * rows + y) * columns + x, columns)


def _distance(tags: np.ndarray, own: np.ndarray) -> np.ndarray:
    """(R, M, T) and (R, T) -> (R, M) Euclidean distances."""
    apart = tags - own[:, None]
    if apart.shape[2] == 1:
        return np.abs(apart[..., 0])
    return np.sqrt(np.einsum("rmt,rmt->rm", apart, apart))


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
    found = (people.scores > 0)[..., None]
    low = np.where(found, people.cells_xy, np.inf).min(axis=1) - 1
    high = np.where(found, people.cells_xy, -np.inf).max(axis=1) + 1
    overlap = ((low[:, None] < high) & (low < high[:, None])).all(axis=2)
    better, worse = np.nonzero(np.triu(overlap, 1))
    return better, worse
