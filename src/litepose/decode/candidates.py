"""Heatmap peaks with sub-pixel places and tags, at the resolution that the maps have.

Source: the official decoder's NMS and top-k. Ours never enlarges the maps to picture size: cells
above the threshold are found first, and only those look at their eight neighbours; a plateau gives
one peak; the sub-pixel shift is the vertex of a parabola instead of a fixed quarter.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from litepose.decode.passes import Field


class Candidates(NamedTuple):
    """M peaks, sorted by keypoint, strongest first within a keypoint.

    keypoint: (M,) int; cells_xy: (M, 2) float32, heatmap cells, centre of cell i at i + 0.5;
    scores: (M,) float32; tags: (M, T) float32
    """

    keypoint: np.ndarray
    cells_xy: np.ndarray
    scores: np.ndarray
    tags: np.ndarray


def find_candidates(field: Field, threshold: float, most: int) -> Candidates:
    """Local maxima (3x3) above `threshold`, at most `most` per keypoint."""
    _, rows, columns = field.padded.shape
    flat = field.padded.reshape(-1)
    at = np.flatnonzero(flat > threshold)
    value = flat[at]
    for step in (1, columns - 1, columns, columns + 1):
        # Later neighbours may be equal, earlier ones must be lower: a plateau gives one peak.
        keep = (value >= flat[at + step]) & (value > flat[at - step])
        at, value = at[keep], value[keep]
    keypoint, cell = np.divmod(at, rows * columns)
    order = np.lexsort((at, -value, keypoint))
    keypoint, at, cell, value = keypoint[order], at[order], cell[order], value[order]
    rank = np.arange(len(at)) - np.searchsorted(keypoint, keypoint)
    strong = rank < most
    keypoint, at, cell, value = keypoint[strong], at[strong], cell[strong], value[strong]
    y, x = np.divmod(cell, columns)
    shift = subpixel(flat, at, columns)
    cells_xy = np.stack([x - 0.5, y - 0.5], axis=1) + shift  # the border takes one cell off
    cells_xy = cells_xy.astype(np.float32)
    return Candidates(keypoint, cells_xy, value, sample_tags(field, keypoint, cells_xy))


def subpixel(flat: np.ndarray, at: np.ndarray, columns: int) -> np.ndarray:
    """(M, 2) shift of each peak in x, y: vertex of the parabola through it and two neighbours."""
    middle = flat[at]
    shifts = np.zeros((len(at), 2), dtype=np.float32)
    for axis, step in enumerate((1, columns)):
        before, after = flat[at - step], flat[at + step]
        inside = np.isfinite(before) & np.isfinite(after)  # not at the border
        bend = np.where(inside, 2 * middle - before - after, 0)
        lean = np.where(inside, after - before, 0)
        curved = bend > 1e-6
        np.divide(lean, 2 * bend, out=shifts[:, axis], where=curved)
    return np.clip(shifts, -0.5, 0.5)


def sample_tags(field: Field, keypoint: np.ndarray, cells_xy: np.ndarray) -> np.ndarray:
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
        upper, lower = flat[corner], flat[corner + down]
        upper = upper + u * (flat[corner + right] - upper)
        lower = lower + u * (flat[corner + (down + right)] - lower)
        tags[..., t] = upper + v * (lower - upper)
    return tags


def nearest_tags(field: Field, keypoint: np.ndarray, cells_xy: np.ndarray) -> np.ndarray:
    """As `sample_tags`, but the tags (..., T) of the tag cell that a place lies in: four times as
    quick, and enough where distances are rounded."""
    size, rows, columns = field.tags.shape[1:]
    ratio = np.float32(field.stride / field.tag_stride)
    cell = (cells_xy * ratio).astype(np.int32)
    at = keypoint * (size * rows * columns) + cell[..., 1] * columns + cell[..., 0]
    flat = field.tags.reshape(-1)
    return np.stack([flat[at + t * (rows * columns)] for t in range(size)], axis=-1)
