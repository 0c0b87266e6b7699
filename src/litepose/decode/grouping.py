"""Candidates -> people by associative embedding, missing keypoints filled, duplicates removed.

Source: Newell et al. 2017 and the official decoder. Ours differs (docs/fidelity.md): matching looks
only at pairs within the tag threshold, by connected components; people are rows, never keyed by a
float tag; there is no limit of 30 groups; filling searches blocks of cells for all people at once;
two people that end up alike (OKS) are one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from litepose.core.assignment import match_within
from litepose.core.poses import pose_similarity
from litepose.core.skeleton import Skeleton
from litepose.decode.candidates import Candidates, Field, sample_tags, subpixel


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
    """(C, G) cost of giving a candidate to a person: official rounding, ties broken by distance."""
    return np.round(distance) * 100 - scores[:, None] + 1e-3 * distance


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
        mine = np.arange(starts[joint], starts[joint + 1])
        if not len(mine):
            continue
        tags = candidates.tags[mine]
        if people:
            distance = tag_distance(tags, tag_sum[:people] / size[:people])
            cost = pair_cost(distance, candidates.scores[mine])
            person = match_within(cost, distance < tag_threshold)
        else:
            person = np.full(len(mine), -1)
        fresh = person < 0
        born = int(fresh.sum())
        person[fresh] = np.arange(people, people + born)
        people += born
        member[person, joint] = mine
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

    The map is cut into blocks of `block` x `block` cells. The hottest cell of each block competes
    with `heat - round(tag distance)`; in the block that wins, all its cells compete. Only cells
    with heat above 0 are taken.
    """
    person, joint = np.nonzero(people.scores <= 0)
    if not len(person):
        return people
    heat, block = field.heat, min(block, *field.heat.shape[1:])
    rows, columns = heat.shape[1] // block, heat.shape[2] // block
    needed, slot = np.unique(joint, return_inverse=True)  # (J,) keypoints, (R,) place among them
    cut = heat[needed, : rows * block, : columns * block].reshape(-1, rows, block, columns, block)
    cut = cut.transpose(0, 1, 3, 2, 4).reshape(len(needed), rows * columns, block * block)
    hottest = cut.argmax(axis=2)  # (J, blocks)
    corner = block * np.stack(np.divmod(np.arange(rows * columns), columns)[::-1], axis=1)

    def centre(at_block: np.ndarray, cell: np.ndarray) -> np.ndarray:
        inside = np.stack(np.divmod(cell, block)[::-1], axis=-1)
        return corner[at_block] + inside + np.float32(0.5)

    all_blocks = np.broadcast_to(np.arange(rows * columns), hottest.shape)
    places = centre(all_blocks, hottest).reshape(-1, 2).astype(np.float32)
    block_tags = sample_tags(field, np.repeat(needed, rows * columns), places)
    block_tags = block_tags.reshape(len(needed), rows * columns, -1)
    block_heat = np.take_along_axis(cut, hottest[..., None], axis=2)[..., 0]
    apart = _distance(block_tags[slot], people.tags[person])  # (R, blocks)
    chosen = (block_heat[slot] - np.round(apart)).argmax(axis=1)  # (R,)

    cell_heat = cut[slot, chosen]  # (R, block * block)
    cells = np.broadcast_to(np.arange(block * block), cell_heat.shape)
    places = centre(np.repeat(chosen, block * block), cells.reshape(-1)).astype(np.float32)
    cell_tags = sample_tags(field, np.repeat(joint, block * block), places)
    apart = _distance(cell_tags.reshape(*cell_heat.shape, -1), people.tags[person])
    best = (cell_heat - np.round(apart)).argmax(axis=1)
    heat_there = np.take_along_axis(cell_heat, best[:, None], axis=1)[:, 0]
    hot = heat_there > 0
    cells_xy, scores = people.cells_xy.copy(), people.scores.copy()
    at = centre(chosen, best)[hot]
    cells_xy[person[hot], joint[hot]] = at + _shift(field, joint[hot], at)
    scores[person[hot], joint[hot]] = heat_there[hot]
    return People(cells_xy, scores, people.tags, people.person_scores)


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
    alike = pose_similarity(people.cells_xy, people.scores, skeleton) > most_alike
    keep = np.ones(len(alike), dtype=bool)
    for better in np.flatnonzero(np.triu(alike, 1).any(axis=1)):
        if keep[better]:
            keep[better + 1 :] &= ~alike[better, better + 1 :]
    return people.take(np.flatnonzero(keep))
