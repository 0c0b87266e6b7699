"""Compose four samples into one mosaic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from litepose.data.augment import MAP_STRIDE, AugmentSettings, augment
from litepose.data.sample import Sample


def mosaic(
    samples: Sequence[Sample],
    rng: np.random.Generator,
    settings: AugmentSettings,
    size_wh: tuple[int, int],
    flip_index: np.ndarray,
) -> Sample:
    """Four augmented samples around a random center of one image.

    It has the id of the first; its `labeled` are the keypoints that all four label.
    """
    w, h = size_wh
    # Tiles meet at a border of map cells.
    x, y = (int(v) // MAP_STRIDE * MAP_STRIDE for v in rng.uniform(0.35, 0.65, size=2) * size_wh)
    corners = ((0, 0, x, y), (x, 0, w - x, y), (0, y, x, h - y), (x, y, w - x, h - y))
    image = np.zeros((h, w, 3), np.uint8)
    valid = np.zeros((h, w), bool)
    points = []
    tiles = [
        augment(sample, rng, settings, (tile_w, tile_h), flip_index)
        for sample, (_, _, tile_w, tile_h) in zip(samples, corners, strict=True)
    ]
    for tile, (left, top, tile_w, tile_h) in zip(tiles, corners, strict=True):
        image[top : top + tile_h, left : left + tile_w] = tile.image
        valid[top : top + tile_h, left : left + tile_w] = tile.valid_mask
        points.append(tile.keypoints_xy + np.array([left, top], np.float32))
    return replace(
        tiles[0],
        image=image,
        valid_mask=valid,
        keypoints_xy=np.concatenate(points),
        visibility=np.concatenate([tile.visibility for tile in tiles]),
        areas=np.concatenate([tile.areas for tile in tiles]),
        labeled=np.all([tile.labeled for tile in tiles], axis=0),
        people_complete=all(tile.people_complete for tile in tiles),
        teacher_heatmaps=_joined([tile.teacher_heatmaps for tile in tiles], corners, size_wh),
        confidence=joined_confidence(tiles),
    )


def _joined(
    teacher_heatmaps: Sequence[tuple[np.ndarray, ...]],
    corners: Sequence[tuple[int, int, int, int]],
    size_wh: tuple[int, int],
) -> tuple[np.ndarray, ...]:
    """Heatmaps of the four tiles as one; empty if a tile has none."""
    maps = [views[0] for views in teacher_heatmaps if views]
    if len(maps) < len(teacher_heatmaps):
        return ()
    w, h = (side // MAP_STRIDE for side in size_wh)
    joined = np.zeros((h, w, maps[0].shape[2]), np.uint8)
    for tile, (left, top, _, _) in zip(maps, corners, strict=True):
        x, y = left // MAP_STRIDE, top // MAP_STRIDE
        joined[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    return (joined,)


def joined_confidence(samples: Sequence[Sample]) -> np.ndarray | None:
    """Confidence of the people of all samples; None if all are labels."""
    if all(sample.confidence is None for sample in samples):
        return None
    return np.concatenate(
        [
            np.ones(sample.visibility.shape, np.float32)
            if sample.confidence is None
            else sample.confidence
            for sample in samples
        ]
    )
