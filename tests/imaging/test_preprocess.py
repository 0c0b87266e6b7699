"""The network's input: one pixel and one keypoint travel together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from litepose.core.geometry import Letterbox, letterbox
from litepose.imaging.preprocess import shrink, to_input

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


def input_of(image: np.ndarray, box: Letterbox, mean=MEAN, std=STD) -> np.ndarray:
    out = np.full((3, box.input_wh[1], box.input_wh[0]), np.nan, np.float32)
    to_input(image, box, mean, std, out)
    return out


@pytest.mark.slow
@given(
    st.integers(40, 700), st.integers(40, 700), st.sampled_from([48, 96, 160]),
    st.floats(0.1, 0.9), st.floats(0.1, 0.9),
)  # fmt: skip
def test_a_blob_and_its_keypoint_travel_together(w, h, short_side, across, down) -> None:
    box = letterbox((w, h), short_side, 32)
    spread = max(w / box.content_wh[0], h / box.content_wh[1], 1.0) * 2
    place = np.array([w * across, h * down])
    x, y = np.meshgrid(np.arange(w) + 0.5, np.arange(h) + 0.5)
    blob = 255 * np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / (2 * spread**2))
    image = np.repeat(blob.astype(np.uint8)[..., None], 3, axis=2)
    plane = input_of(image, box, mean=(0, 0, 0), std=(1, 1, 1))[1]
    rows, columns = np.indices(plane.shape) + 0.5
    found = np.array([(columns * plane).sum(), (rows * plane).sum()]) / plane.sum()
    # Where the border cuts the blob, its middle is not its keypoint.
    inside = (place > 3 * spread).all() and (place < np.array([w, h]) - 3 * spread).all()
    if inside:
        assert np.abs(found - box.to_input(place)).max() < 0.5


@pytest.mark.parametrize("image_wh", [(640, 480), (480, 640), (1, 1), (1, 300), (1001, 333)])
def test_values_and_padding(image_wh: tuple[int, int]) -> None:
    box = letterbox(image_wh, 64, 32)
    image = np.empty((image_wh[1], image_wh[0], 3), np.uint8)
    image[:] = (200, 100, 50)
    out = input_of(image, box)
    w, h = box.content_wh
    for c, level in enumerate((200, 100, 50)):
        assert np.allclose(out[c, :h, :w], (level - MEAN[c]) / STD[c], atol=1e-6)
        assert (out[c, h:] == np.float32(-np.float32(MEAN[c]) / np.float32(STD[c]))).all()
        assert np.allclose(out[c, :, w:], -MEAN[c] / STD[c], atol=1e-6)


def test_every_pixel_is_written_exactly_when_nothing_is_resized() -> None:
    image = np.random.default_rng(1).integers(0, 256, (64, 96, 3), np.uint8)
    out = input_of(image, letterbox((96, 64), 64, 32))
    assert np.allclose(out, ((image - np.array(MEAN)) / STD).transpose(2, 0, 1), atol=1e-6)


@pytest.mark.parametrize("size_wh", [(800, 640), (801, 639), (640, 640)])
def test_shrinking_does_not_alias(size_wh: tuple[int, int]) -> None:
    """A fine checkerboard becomes its mean gray, not a coarse pattern."""
    w, h = size_wh
    image = np.zeros((h, w, 3), np.uint8)
    image[::2, ::2] = image[1::2, 1::2] = 255
    small = shrink(image, (w // 5, h // 5))
    assert np.abs(small.astype(int) - 127).max() < 20


def test_the_input_image_is_not_changed() -> None:
    image = np.random.default_rng(2).integers(0, 256, (200, 300, 3), np.uint8)
    before = image.copy()
    input_of(image, letterbox((300, 200), 64, 32))
    assert np.array_equal(image, before)
