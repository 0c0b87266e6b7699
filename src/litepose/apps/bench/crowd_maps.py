"""Synthetic maps of a chosen number of people, to time decoders with.

People stand on a grid, each keypoint somewhere in its person's cell, some missing;
Gaussians of the official width over a noisy floor; tags that keep people well apart.
"""

from __future__ import annotations

import math

import numpy as np

from litepose.core.maps import TAG_UNIT_PX, Maps
from litepose.core.model_info import ModelInfo

MISSING = 0.2  # of the keypoints
_SIGMA = 2.0  # cells
_TAGS_APART = 3.0  # learned tags of any two people


def crowd_maps(info: ModelInfo, input_wh: tuple[int, int], people: int, seed: int = 0) -> Maps:
    """Maps (B = 1) as the model of `info` would output for `people` people.

    The same seed gives the same maps. More than about one person per 32x32 input pixels overlap.
    """
    rng = np.random.default_rng(seed)
    keypoints = info.skeleton.num_keypoints
    places_xy = _stand(rng, people, input_wh)
    reach = min(input_wh) / (2 * math.sqrt(max(people, 1)) + 2)
    points_xy = places_xy[:, None] + rng.uniform(-reach, reach, (people, keypoints, 2))
    points_xy = np.clip(points_xy, 4, np.subtract(input_wh, 5))
    present = rng.random((people, keypoints)) >= MISSING
    heatmaps = []
    for stride in info.strides:
        heat = _floor(rng, keypoints, input_wh, stride, 0.01)
        for n, k in np.argwhere(present):
            _draw(heat[k], points_xy[n, k] / stride, rng.uniform(0.6, 1.0))
        heatmaps.append(heat[None])
    own_tags: np.ndarray = places_xy / TAG_UNIT_PX  # (N, 2): each person's middle
    if info.tag_kind == "learned":
        own_tags = rng.permutation(people)[:, None] * _TAGS_APART
    layers = [_floor(rng, keypoints, input_wh, info.tag_stride, 0.05) for _ in own_tags[:1].T]
    tags = np.stack(layers or [_floor(rng, keypoints, input_wh, info.tag_stride, 0.05)], axis=1)
    for n, k in np.argwhere(present):
        x, y = (points_xy[n, k] / info.tag_stride).astype(int)
        near = tags[k, :, max(y - 2, 0) : y + 3, max(x - 2, 0) : x + 3]
        near[:] = own_tags[n][:, None, None] + rng.normal(0, 0.05, near.shape)
    return Maps(tuple(heatmaps), info.strides, tags[None], info.tag_stride)


def _stand(rng: np.random.Generator, people: int, input_wh: tuple[int, int]) -> np.ndarray:
    """(N, 2) middles of cells of a grid just large enough, in input pixels."""
    w, h = input_wh
    columns = max(1, math.ceil(math.sqrt(people * w / h)))
    rows = max(1, math.ceil(people / columns))
    place = rng.permutation(columns * rows)[:people]
    middle = np.stack([place % columns + 0.5, place // columns + 0.5], axis=1)
    return middle * (w / columns, h / rows)


def _floor(
    rng: np.random.Generator, keypoints: int, input_wh: tuple[int, int], stride: int, height: float
) -> np.ndarray:
    shape = (keypoints, input_wh[1] // stride, input_wh[0] // stride)
    return rng.normal(0, height, shape).astype(np.float32)


def _draw(heat: np.ndarray, center_xy: np.ndarray, height: float) -> None:
    """A Gaussian into one heatmap, in place, cut at seven cells."""
    x, y = center_xy
    rows = np.arange(max(int(y) - 7, 0), min(int(y) + 8, heat.shape[0]))
    columns = np.arange(max(int(x) - 7, 0), min(int(x) + 8, heat.shape[1]))
    window = heat[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    away = (columns[None] + 0.5 - x) ** 2 + (rows[:, None] + 0.5 - y) ** 2
    np.maximum(window, height * np.exp(-away / (2 * _SIGMA**2)), out=window)
