"""Fill missing keypoints of found people: search near their tags."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from litepose.decode.grouping import People, tag_distance
from litepose.decode.merge import MergedMaps
from litepose.decode.peaks import nearest_tags, subpixel

# Blocks searched per keypoint, besides two for each person. Few blocks are faster and better: a hot
# cell with roughly the person's tag is more often right than a cold cell with exactly this tag.
FILL_BLOCKS = 16
CHUNK = 128  # missing keypoints compared at a time, to bound memory


def fill_missing(people: People, field: MergedMaps) -> People:
    """Give each missing keypoint the highest cell with the person's tag.

    The hottest blocks of each keypoint are searched: their hottest cells compete with
    `heat - round(tag distance)`, then all cells of the block that won. Only cells with heat above 0
    are used. The score is the heat / (1 + round(tag distance))^2: the best cell for a missing
    keypoint may belong to a neighbor, which its tag shows.
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
    pieces = [slice(start, start + CHUNK) for start in range(0, len(slot), CHUNK)]
    chosen = np.concatenate([_best(blocks.peak[slot[q]], tags[slot[q]], own[q]) for q in pieces])

    heat = blocks.heat[slot, chosen]  # (Q, block * block)
    x, y, inside = blocks.x[slot, chosen], blocks.y[slot, chosen], np.arange(field.block)
    tags = nearest_tags(
        field, joint[:, None, None], x[:, None, None] + inside, y[:, None, None] + inside[:, None]
    )  # (Q, block, block, T)
    tags = tags.reshape(*heat.shape, -1)
    best = _best(heat, tags, own)
    down, right = np.divmod(best, field.block)
    every = np.arange(len(best))
    far = np.rint(tag_distance(tags[every, best], own[:, 0]))
    heat, x, y = heat[every, best] / (1 + far) ** 2, x + right, y + down

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


def _hot_blocks(field: MergedMaps, joints: np.ndarray, most: int) -> _Blocks:
    """The blocks with the hottest cells, at most `most` for each of the J joints."""
    share = np.float32(1 / field.summed)
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
        heat=heat.reshape(*hot.shape, block * block) * share,
        peak=np.take_along_axis(peaks, hot, axis=1) * share,
    )


def _best(heat: np.ndarray, tags: np.ndarray, own: np.ndarray) -> np.ndarray:
    """(Q,) which of M places suits best. heat: (Q, M); tags: (Q, M, T); own: (Q, 1, T)."""
    far = tag_distance(tags, own)
    np.rint(far, out=far)
    return np.subtract(heat, far, out=far).argmax(axis=1)
