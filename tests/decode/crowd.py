"""Crowds drawn as maps, with the truth beside them: material for the decoder's tests."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from litepose.core.geometry import Letterbox
from litepose.core.maps import Maps
from litepose.core.model_info import DecodeSettings, InputRule, ModelInfo
from litepose.core.skeleton import COCO17
from litepose.decode.merge import ForwardPass

INPUT_WH = (256, 192)
BOX = Letterbox(INPUT_WH, INPUT_WH, INPUT_WH)


class Crowd(NamedTuple):
    """points_xy (N, K, 2) in input pixels, present (N, K), own_tags (N, T), maps."""

    points_xy: np.ndarray
    present: np.ndarray
    own_tags: np.ndarray
    maps: Maps


def info(strides=(4, 2), tag_kind="learned", **decode) -> ModelInfo:
    settings = DecodeSettings(**{"heat_threshold": 0.1, **decode})
    return ModelInfo("test", COCO17, InputRule(192), strides, 4, tag_kind, settings)


def draw_crowd(
    people: int,
    seed: int,
    *,
    strides=(4, 2),
    tag_size: int = 1,
    missing: float = 0.2,
    keypoints: int = 17,
) -> Crowd:
    """People on a grid of 32 px cells, each keypoint somewhere in its person's cell."""
    rng = np.random.default_rng(seed)
    columns, rows = INPUT_WH[0] // 32, INPUT_WH[1] // 32
    assert people <= columns * rows
    place = rng.permutation(columns * rows)[:people]
    corner = 32.0 * np.stack([place % columns, place // columns], axis=1)
    points = corner[:, None] + rng.uniform(11, 21, (people, keypoints, 2))
    present = rng.random((people, keypoints)) >= missing
    present[:, 0] = True  # a person without any keypoint is none
    own_tags = np.zeros((people, tag_size))
    own_tags[:, 0] = rng.permutation(people) * 3.0
    heatmaps = []
    tags = np.zeros((1, keypoints, tag_size, INPUT_WH[1] // 4, INPUT_WH[0] // 4), np.float32)
    for stride in strides:
        y, x = np.mgrid[: INPUT_WH[1] // stride, : INPUT_WH[0] // stride] + 0.5
        heat = np.zeros((1, keypoints, *x.shape), np.float32)
        for n, k in np.argwhere(present):
            px, py = points[n, k] / stride
            bump = rng.uniform(0.5, 1) * np.exp(-((x - px) ** 2 + (y - py) ** 2) / 4)
            heat[0, k] = np.maximum(heat[0, k], bump)
        heatmaps.append(heat)
    for n in range(people):
        left, top = (corner[n] / 4).astype(int)
        tags[0, :, :, top : top + 8, left : left + 8] = own_tags[n][:, None, None]
    return Crowd(points, present, own_tags, Maps(tuple(heatmaps), tuple(strides), tags, 4))


def one_pass(crowd: Crowd) -> list[ForwardPass]:
    return [ForwardPass(crowd.maps, BOX)]
