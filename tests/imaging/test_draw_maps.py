"""Heatmaps and tag maps over the image."""

from __future__ import annotations

import numpy as np
import pytest

from litepose.core.geometry import letterbox
from litepose.imaging.draw_maps import draw_heatmaps, draw_tags

BOX = letterbox((400, 300), 192, 64)  # content 256x192 fills the input
PADDED = letterbox((400, 330), 192, 64)  # content 233x192 in 256x192
IMAGE = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)


def blobs(box=BOX, stride: int = 4, cells=((10, 12), (40, 30))) -> np.ndarray:
    w, h = box.input_wh[0] // stride, box.input_wh[1] // stride
    x, y = np.meshgrid(np.arange(w), np.arange(h))
    return np.stack([np.exp(-((x - a) ** 2 + (y - b) ** 2) / 8) for a, b in cells])


@pytest.mark.parametrize("box", [BOX, PADDED])
def test_a_peak_lies_where_its_keypoint_is_decoded(box) -> None:
    for keypoint, cell in enumerate(((10, 12), (40, 30))):
        drawn = draw_heatmaps(None, blobs(box), box, keypoint)
        assert drawn.shape == (*box.image_wh[::-1], 3) and drawn.dtype == np.uint8
        light = drawn.sum(axis=2, dtype=float) ** 4
        rows, columns = np.indices(light.shape) + 0.5
        found = np.array([(light * columns).sum(), (light * rows).sum()]) / light.sum()
        expected = box.to_image((np.array(cell, float) + 0.5) * 4)
        assert np.abs(found - expected).max() < 0.5


def test_all_keypoints_are_the_strongest_of_each() -> None:
    each = [draw_heatmaps(None, blobs(), BOX, k).astype(int) for k in range(2)]
    merged = draw_heatmaps(None, blobs(), BOX).astype(int)
    assert np.abs(merged - np.maximum(*each)).max() <= 40
    assert merged.sum() > 1.5 * each[0].sum()


def test_superimposed_is_lighter_where_it_is_hot_and_leaves_the_input_alone() -> None:
    before = IMAGE.copy()
    drawn = draw_heatmaps(IMAGE, blobs(), BOX).astype(int)
    cold = draw_heatmaps(IMAGE, np.zeros_like(blobs()), BOX).astype(int)
    assert np.array_equal(IMAGE, before)
    hot = draw_heatmaps(None, blobs(), BOX).sum(axis=2) > 300
    assert (drawn - cold)[hot].mean() > 60 and np.abs(drawn - cold)[~hot].mean() < 40


@pytest.mark.parametrize("numbers", [1, 2, 3])
def test_people_with_different_tags_differ_in_color(numbers: int) -> None:
    tags = np.zeros((2, numbers, 48, 64), np.float32)
    tags[..., 32:] = 5.0
    drawn = draw_tags(None, tags, BOX).astype(int)
    left, right = drawn[150, 100], drawn[150, 300]
    assert np.abs(left - right).max() > 60
    assert (drawn[:, :190] == left).all() and (drawn[:, 210:] == right).all()
    one = draw_tags(None, tags[0], BOX)
    assert np.array_equal(one, drawn) and np.array_equal(
        one, draw_tags(None, tags, BOX, keypoint=1)
    )


def test_tags_fade_where_the_heatmap_is_cold() -> None:
    tags = np.random.default_rng(1).normal(size=(2, 2, 48, 64)).astype(np.float32)
    before = IMAGE.copy()
    drawn = draw_tags(IMAGE, tags, BOX, blobs())
    assert np.array_equal(IMAGE, before)
    x, y = BOX.to_image(np.array([42.0, 50.0])).astype(int)
    colorful = np.ptp(drawn.astype(int), axis=2)
    assert colorful[y, x] > 30 and colorful[250, 380] == 0  # plain gray image
    assert np.ptp(draw_tags(None, tags, BOX, blobs(), keypoint=1).astype(int)[y, x]) < 30


def test_each_place_shows_the_tag_of_its_hottest_keypoint() -> None:
    heatmaps = np.full((2, 48, 64), 0.6)
    heatmaps[0, :, :32] = heatmaps[1, :, 32:] = 0.9
    tags = np.zeros((2, 1, 48, 64))
    tags[1] = 5.0
    expected = np.where(np.arange(64) < 32, 0.0, 5.0) * np.ones((1, 48, 1))
    assert np.array_equal(draw_tags(None, tags, BOX, heatmaps), draw_tags(None, expected, BOX))


def test_flat_tags_are_one_color() -> None:
    drawn = draw_tags(None, np.full((1, 1, 48, 64), 3.0), BOX)
    assert (drawn == drawn[0, 0]).all()
