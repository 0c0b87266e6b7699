"""Geometry: every way in has its way back, and pixels move with points."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.mirror import mirror_keypoints

from litepose.core.errors import LitePoseError
from litepose.core.geometry import Affine, letterbox
from litepose.core.skeleton import COCO17

numbers = st.floats(-100, 100, allow_nan=False, width=32)
sides = st.integers(1, 3000)


@given(st.floats(-180, 180), st.floats(0.1, 5), numbers, numbers, numbers, numbers)
def test_affine_inverse_and_composition(angle, scale, dx, dy, x, y) -> None:
    turn = Affine.rotation(angle, (3, 4))
    zoom = Affine.scale_shift((scale, 2 * scale), (dx, dy))
    point = np.array([[x, y]])
    assert np.allclose((zoom @ turn)(point), zoom(turn(point)), atol=1e-6)
    assert np.allclose((zoom @ turn).inverse()((zoom @ turn)(point)), point, atol=1e-4)


def test_flat_affine_has_no_inverse() -> None:
    with pytest.raises(LitePoseError, match="flattens"):
        Affine.scale_shift((0, 1)).inverse()


@given(st.integers(3, 27), st.integers(3, 27), st.floats(-40, 40))
def test_one_pixel_and_one_keypoint_travel_together(column, row, angle) -> None:
    image = np.zeros((31, 31), np.float32)
    image[row, column] = 1
    image = cv2.GaussianBlur(image, (0, 0), 1)
    move = Affine.scale_shift((3, 3), (20, 20)) @ Affine.rotation(angle, (15.5, 15.5))
    warped = cv2.warpAffine(image, move.for_warp(), (140, 140), flags=cv2.INTER_LINEAR)
    y, x = np.mgrid[:140, :140] + 0.5
    seen = np.array([(warped * x).sum(), (warped * y).sum()]) / warped.sum()
    meant = move(np.array([column + 0.5, row + 0.5]))
    inside = meant.min() > 12 and meant.max() < 128
    assert not inside or np.abs(seen - meant).max() < 0.15


@given(sides, sides, st.integers(32, 640), st.sampled_from([1, 16, 32, 64]))
def test_letterbox_fits_and_comes_back(w, h, short, multiple) -> None:
    box = letterbox((w, h), short, multiple)
    assert all(side % multiple == 0 for side in box.input_wh)
    assert all(c <= i < c + multiple for c, i in zip(box.content_wh, box.input_wh, strict=True))
    assert max(box.content_wh) <= 4 * short + 1
    corner = np.array([[w, h], [w / 3, h / 7]], dtype=float)
    assert np.allclose(box.to_input(corner)[0], box.content_wh)
    assert np.allclose(box.to_image(box.to_input(corner)), corner)


def test_letterbox_of_a_strip_stays_small_and_nothing_is_refused() -> None:
    assert letterbox((1, 10000), 384, 32).input_wh == (32, 1536)
    assert letterbox((1, 1), 384, 32).input_wh == (384, 384)
    with pytest.raises(LitePoseError, match="0x5"):
        letterbox((0, 5), 384, 32)


@given(st.integers(0, 1000))
def test_mirroring_twice_changes_nothing(seed: int) -> None:
    points = np.random.default_rng(seed).uniform(0, 50, (4, 17, 2))
    once = mirror_keypoints(points, 50, COCO17.flip_index)
    assert np.allclose(mirror_keypoints(once, 50, COCO17.flip_index), points)
    assert np.allclose(once[:, 5, 0], 50 - points[:, 6, 0]), "left and right are exchanged"
    assert np.allclose(Affine.mirror(50)(points)[..., 0], 50 - points[..., 0])
