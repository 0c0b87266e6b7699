"""Find heatmap peaks, their sub-pixel positions and tags.

Source: the official decoder's NMS and top-k. Differences: maps are not enlarged to image size; only
blocks with a cell above the threshold are read, and only such cells are compared with neighbors; a
plateau gives one peak; the sub-pixel shift is the vertex of a parabola, not a fixed quarter.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from litepose.decode.merge import MergedMaps


class Candidates(NamedTuple):
    """M peaks, sorted by keypoint, strongest first within a keypoint.

    keypoint: (M,) int; cells_xy: (M, 2) float32, heatmap cells, center of cell i at i + 0.5;
    scores: (M,) float32; tags: (M, T) float32
    """

    keypoint: np.ndarray
    cells_xy: np.ndarray
    scores: np.ndarray
    tags: np.ndarray


def find_candidates(field: MergedMaps, threshold: float, most: int) -> Candidates:
    """Local maxima (3x3) above `threshold`, at most `most` per keypoint."""
    _, rows, columns = field.cells.shape
    flat = field.cells.reshape(-1)
    at = _row_maxima(field, threshold * field.summed)
    value = flat.take(at)
    for step in (1, columns - 1, columns + 1):
        # Later neighbors may be equal, earlier ones must be lower: a plateau gives one peak.
        keep = np.flatnonzero((value >= flat.take(at + step)) & (value > flat.take(at - step)))
        at, value = at.take(keep), value.take(keep)
    keypoint, cell = np.divmod(at, rows * columns)
    order = np.lexsort((at, -value, keypoint))
    rank = np.arange(len(at)) - np.searchsorted(keypoint, keypoint, sorter=order)[order]
    strong = order[rank < most]
    keypoint, at, cell, value = keypoint[strong], at[strong], cell[strong], value[strong]
    y, x = np.divmod(cell, columns)
    middle = np.stack([x, y], axis=1).astype(np.float32) + np.float32(0.5)
    cells_xy = middle + subpixel(flat, at, columns)
    scores = value / np.float32(field.summed)
    return Candidates(keypoint, cells_xy, scores, sample_tags(field, keypoint, cells_xy))


def _row_maxima(field: MergedMaps, floor: float) -> np.ndarray:
    """Flat places of cells above `floor`, above the cell over them and not below the next one.

    Only blocks with such a cell are read, row by row: a row of a block is one piece of memory.
    """
    block, (_, _, columns) = field.block, field.peaks.shape
    row, column = np.divmod(np.flatnonzero(field.peaks > floor), columns)
    first = row * (block * columns) + column
    pieces = first + columns * np.arange(-1, block + 1)[:, None]  # (block + 2, M)
    heat = field.cells.reshape(-1, block).take(pieces, axis=0, mode="wrap")
    middle = heat[1:-1]  # (block, M, block)
    maxima = (middle > floor) & (middle > heat[:-2]) & (middle >= heat[2:])
    piece, inside = np.divmod(np.flatnonzero(maxima), block)
    return pieces[1:-1].reshape(-1).take(piece) * block + inside


def subpixel(flat: np.ndarray, at: np.ndarray, columns: int) -> np.ndarray:
    """(M, 2) shift of each peak in x, y: vertex of the parabola through it and two neighbors."""
    step = np.array([[1], [columns]])
    before, after = flat.take(at - step), flat.take(at + step)  # (2, M)
    bend = 2 * flat.take(at) - before - after
    curved = (bend > 1e-6) & (bend < np.inf)  # infinite at the border
    shifts = np.zeros_like(bend)
    np.subtract(after, before, out=shifts, where=curved)
    np.divide(shifts, 2 * bend, out=shifts, where=curved)
    return np.clip(shifts, -0.5, 0.5).T


def sample_tags(field: MergedMaps, keypoint: np.ndarray, cells_xy: np.ndarray) -> np.ndarray:
    """Tags (..., T) at heatmap places (..., 2), read bilinearly from the tag map, edges repeated.

    keypoint: (...) int, broadcast against the places.
    """
    size, rows, columns = field.tags.shape[1:]
    ratio = np.float32(field.stride / field.tag_stride)
    x = np.clip(cells_xy[..., 0] * ratio - np.float32(0.5), 0, columns - 1)
    y = np.clip(cells_xy[..., 1] * ratio - np.float32(0.5), 0, rows - 1)
    left = np.minimum(x.astype(np.int32), max(columns - 2, 0))
    top = np.minimum(y.astype(np.int32), max(rows - 2, 0))
    u, v = (x - left).astype(np.float32), (y - top).astype(np.float32)
    at = keypoint * (size * rows * columns) + top * columns + left
    flat = field.tags.reshape(-1)
    right, down = min(1, columns - 1), columns if rows > 1 else 0
    tags = np.empty((*at.shape, size), dtype=np.float32)
    for t in range(size):
        corner = at + t * (rows * columns)
        upper, lower = flat.take(corner), flat.take(corner + down)
        upper += u * (flat.take(corner + right) - upper)
        lower += u * (flat.take(corner + (down + right)) - lower)
        tags[..., t] = upper + v * (lower - upper)
    return tags


def nearest_tags(
    field: MergedMaps, keypoint: np.ndarray, x: np.ndarray, y: np.ndarray
) -> np.ndarray:
    """As `sample_tags`, but the tags (..., T) of the tag cell with the center of heatmap cell x, y
    (ints, cells of the border included): quicker, and enough where distances are rounded.
    """
    size, rows, columns = field.tags.shape[1:]
    column = np.minimum((2 * x + 1) * field.stride // (2 * field.tag_stride), columns - 1)
    row = np.minimum((2 * y + 1) * field.stride // (2 * field.tag_stride), rows - 1)
    at = keypoint * (size * rows * columns) + row * columns + column
    flat = field.tags.reshape(-1)
    if size == 1:
        return flat.take(at)[..., None]
    return np.stack([flat.take(at + t * (rows * columns)) for t in range(size)], axis=-1)
