"""One pixel and one keypoint travel together, whatever is done to the image."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.mirror import mirror_keypoints

from litepose.core.errors import LitePoseError
from litepose.core.geometry import Affine
from litepose.core.skeleton import COCO17
from litepose.data.augment import (
    AugmentSettings,
    _color_map,
    augment,
    cut_out,
    draw,
    to_input,
    warp,
)
from litepose.data.mosaic import mosaic
from litepose.data.sample import Sample

FLIP = COCO17.flip_index
NOSE, WRIST = COCO17.index("nose"), COCO17.index("left_wrist")


def marked(wh=(96, 64), at=(40.5, 30.5), k=NOSE, radius=3) -> Sample:
    """A white dot on black, with one keypoint in its middle."""
    image = np.zeros((wh[1], wh[0], 3), np.uint8)
    yy, xx = np.mgrid[: wh[1], : wh[0]] + 0.5
    image[(xx - at[0]) ** 2 + (yy - at[1]) ** 2 <= radius**2] = 255
    points = np.zeros((1, 17, 2), np.float32)
    points[0, k] = at
    visibility = np.zeros((1, 17), np.uint8)
    visibility[0, k] = 2
    return Sample(
        image=image,
        keypoints_xy=points,
        visibility=visibility,
        areas=np.array([28.0], np.float32),
        valid_mask=np.ones((wh[1], wh[0]), bool),
        labeled=np.ones(17, bool),
        image_id=1,
    )


def centroid(image: np.ndarray) -> np.ndarray:
    weight = image[..., 0].astype(float)
    yy, xx = np.mgrid[: image.shape[0], : image.shape[1]] + 0.5
    return np.array([(xx * weight).sum(), (yy * weight).sum()]) / weight.sum()


@given(st.integers(0, 10_000), st.sampled_from([(96, 64), (64, 96), (300, 200), (65, 131)]))
def test_pixel_keypoint_and_area_travel_together(seed, wh):
    sample = marked(wh, at=(wh[0] / 2 - 4, wh[1] / 2 + 3), k=WRIST, radius=max(3, min(wh) // 20))
    moved = augment(sample, np.random.default_rng(seed), AugmentSettings(shift=0.1), (80, 80), FLIP)
    k = int(np.flatnonzero(moved.visibility[0])[0])
    assert k in (WRIST, FLIP[WRIST])
    assert np.abs(moved.keypoints_xy[0, k] - centroid(moved.image)).max() < 0.25
    brightness = moved.image[..., 0].sum() / sample.image[..., 0].sum()
    assert brightness == pytest.approx(moved.areas[0] / sample.areas[0], rel=0.1)


def test_mirroring_exchanges_sides_exactly():
    sample = marked(k=WRIST)
    settings = AugmentSettings(rotation=0, scale=(1, 1), shift=0, flip=1)
    moved = augment(sample, np.random.default_rng(0), settings, (64, 64), FLIP)
    plain = augment(sample, np.random.default_rng(0), replace(settings, flip=0), (64, 64), FLIP)
    assert np.array_equal(moved.image, plain.image[:, ::-1])
    assert np.array_equal(moved.visibility, plain.visibility[:, FLIP])
    expected = mirror_keypoints(plain.keypoints_xy, 64, FLIP)
    seen = moved.visibility > 0
    assert np.allclose(moved.keypoints_xy[seen], expected[seen])


def test_what_is_labeled_changes_sides_too():
    labeled = np.ones(17, bool)
    labeled[WRIST] = False
    settings = AugmentSettings(flip=1)
    sample = replace(marked(), labeled=labeled)
    moved = augment(sample, np.random.default_rng(0), settings, (64, 64), FLIP)
    assert moved.labeled[WRIST] and not moved.labeled[FLIP[WRIST]]


def test_the_crop_is_shifted_in_both_directions():
    settings = AugmentSettings(rotation=0, scale=(1, 1), shift=0.2, flip=0)
    drawn = draw(settings, np.random.default_rng(1))
    middle = to_input(drawn, settings, (300, 200), (100, 100)).inverse()(np.array([50.0, 50.0]))
    assert np.allclose(middle, np.array([150, 100]) + 200 * np.array(drawn.shift_xy))
    assert min(np.abs(drawn.shift_xy)) > 0.01


@given(st.floats(1, 500), st.lists(st.floats(-50, 600), min_size=34, max_size=34))
def test_mirroring_twice_changes_nothing(width, numbers):
    points = np.array(numbers).reshape(1, 17, 2)
    twice = mirror_keypoints(mirror_keypoints(points, width, FLIP), width, FLIP)
    assert np.allclose(twice, points)


@given(st.integers(0, 10_000))
def test_the_affine_has_its_way_back(seed):
    settings = AugmentSettings()
    affine = to_input(draw(settings, np.random.default_rng(seed)), settings, (640, 480), (256, 256))
    points = np.array([[0.0, 0.0], [640.0, 480.0], [17.5, 300.25]])
    assert np.allclose(affine.inverse()(affine(points)), points)
    back = (affine.inverse() @ affine).matrix
    assert np.allclose(back, [[1, 0, 0], [0, 1, 0]], atol=1e-9)


def test_the_official_ranges_are_the_defaults():
    settings = AugmentSettings()
    drawn = [draw(settings, np.random.default_rng(i)) for i in range(400)]
    for values, low, high in (
        ([d.rotation for d in drawn], -30, 30),
        ([d.scale for d in drawn], 0.75, 1.5),
        ([d.shift_xy[0] for d in drawn], -0.2, 0.2),  # 40 px at 200 px
        ([d.shift_xy[1] for d in drawn], -0.2, 0.2),
    ):
        assert low <= min(values) < low + 0.03 * (high - low)
        assert high >= max(values) > high - 0.03 * (high - low)
    assert 0.4 < np.mean([d.mirrored for d in drawn]) < 0.6


def test_without_augmentation_the_whole_image_is_centerd():
    sample = marked(wh=(96, 64))
    moved = augment(sample, np.random.default_rng(5), AugmentSettings.none(), (96, 96), FLIP)
    assert np.array_equal(moved.image[16:80], sample.image)
    assert np.allclose(moved.keypoints_xy[0, NOSE], sample.keypoints_xy[0, NOSE] + [0, 16])
    assert moved.valid_mask[16:80].all() and not moved.valid_mask[:16].any()


def test_who_leaves_the_image_is_no_longer_labeled():
    sample = marked(at=(40.5, 30.5))
    gone = warp(sample, Affine.scale_shift((1, 1), (60, 0)), (96, 64))
    assert len(gone.keypoints_xy) == len(gone.visibility) == len(gone.areas) == 0
    half = warp(sample, Affine.scale_shift((1, 1), (55.4, 0)), (96, 64))
    assert len(half.keypoints_xy) == 1
    assert not half.valid_mask[:, :55].any() and half.valid_mask[:, 56:].all()


def test_the_mask_travels_with_the_pixels():
    sample = marked()
    sample.image[:] = 255
    sample.image[28:33, 38:43] = 0
    sample.valid_mask[28:33, 38:43] = False
    turned = warp(sample, Affine.rotation(30, (48, 32)), (96, 64))
    bright = turned.image[..., 0]
    assert not turned.valid_mask[bright < 100].any()
    assert turned.valid_mask[bright == 255].all()


def test_color_changes_colors_and_nothing_else():
    rng = np.random.default_rng(0)
    image = rng.integers(60, 200, size=(64, 96, 3), dtype=np.uint8)
    sample = replace(marked(), image=image)
    settings = AugmentSettings(color=0.5)
    moved = augment(sample, np.random.default_rng(9), settings, (64, 64), FLIP)
    plain = augment(sample, np.random.default_rng(9), replace(settings, color=0.0), (64, 64), FLIP)
    assert np.array_equal(moved.keypoints_xy, plain.keypoints_xy)
    assert np.abs(moved.image.astype(int) - plain.image).mean() > 3
    assert moved.image.dtype == np.uint8 and moved.image.shape == plain.image.shape


def test_no_color_change_is_the_identity():
    assert np.allclose(_color_map(0, 0, 0, 0), np.eye(3, 4))
    gray = np.array([90.0, 90.0, 90.0, 1.0])
    assert np.allclose(_color_map(0, 0, 0.7, -0.9) @ gray, 90)  # saturation, hue keep grays


def test_cut_out_hides_keypoints():
    settings = AugmentSettings(cutout=1)
    seeds = (np.random.default_rng(i) for i in range(50))
    drawn = next(d for d in (draw(settings, rng) for rng in seeds) if len(d.patches))
    x, y, w, h = drawn.patches[0]
    middle = ((x + w / 2) * 96, y * 64 + h * 96 / 2)
    hidden = cut_out(marked(at=middle), drawn)
    assert hidden.visibility[0, NOSE] == 1
    seen = cut_out(marked(at=(middle[0], (middle[1] + 45) % 64)), drawn)
    assert seen.visibility[0, NOSE] in (1, 2) and hidden.image.max() <= 255
    assert not np.array_equal(hidden.image, marked(at=middle).image)


def test_a_mosaic_holds_four_images():
    samples = [marked(at=(48.5, 32.5)) for _ in range(4)]
    labeled = np.ones(17, bool)
    labeled[3] = False
    samples[2] = replace(samples[2], labeled=labeled, people_complete=False)
    whole = AugmentSettings.none()
    made = mosaic(samples, np.random.default_rng(3), whole, (128, 128), FLIP)
    assert made.image.shape == (128, 128, 3) and len(made.keypoints_xy) == 4
    assert not made.labeled[3] and not made.people_complete
    for point in made.keypoints_xy[:, NOSE]:
        x, y = point.astype(int)
        assert made.image[y, x, 0] == 255


@pytest.mark.parametrize(
    "wrong", [{"scale": (0, 1)}, {"scale": (2, 1)}, {"flip": 1.5}, {"rotation": -1}, {"side": "x"}]
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(LitePoseError):
        AugmentSettings(**wrong)
