"""Drawn poses: where, how opaque, how wide, and whether left can be told from right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from litepose.core.poses import Poses
from litepose.core.skeleton import COCO17, CROWDPOSE14, LSP14, Skeleton
from litepose.imaging.draw import INKS, DrawStyle, draw_poses, region_of, side_of

GRAY = np.full((240, 320, 3), 120, np.uint8)
PAIR = Skeleton("pair", ("left_elbow", "left_wrist"), (("left_elbow", "left_wrist"),), (0.1, 0.1))


def pair(a=(60.0, 120.0), b=(260.0, 120.0), scores=(1.0, 1.0), **more) -> Poses:
    return Poses(np.array([[a, b]]), np.array([scores]), np.ones(1), PAIR, **more)


DOWN = {"shoulder": 0.2, "elbow": 0.35, "wrist": 0.5, "hip": 0.55, "knee": 0.78, "ankle": 1.0}
ACROSS = {"left": 0.12, "right": -0.12, "middle": 0.0}


def standing(height: float, middle_x: float = 160.0, **more) -> Poses:
    points = [
        (
            middle_x + height * ACROSS[side_of(name)],
            10 + height * DOWN.get(name.partition("_")[2], 0.05),
        )
        for name in COCO17.keypoints
    ]
    return Poses(np.array([points]), np.ones((1, 17)), np.full(1, 0.87), COCO17, **more)


def changed(drawn: np.ndarray, image: np.ndarray = GRAY) -> np.ndarray:
    return (drawn != image).any(axis=2)


def test_the_input_is_not_changed_and_no_people_give_a_copy() -> None:
    before = GRAY.copy()
    drawn = draw_poses(GRAY, standing(200))
    assert np.array_equal(GRAY, before) and changed(drawn).any()
    copy = draw_poses(GRAY, Poses.empty(COCO17))
    assert np.array_equal(copy, GRAY) and copy is not GRAY


def test_a_limb_lies_where_its_keypoints_are() -> None:
    """By the weight of what changed; OpenCV's soft rims are not quite even."""
    for y in (100.0, 100.5, 100.8):
        drawn = draw_poses(GRAY, pair((100.0, y), (220.0, y)), style=DrawStyle(dot_scale=0))
        column = np.abs(drawn[:, 160].astype(float) - 120).sum(axis=1)
        weight = column / column.sum()
        assert (weight * (np.arange(240) + 0.5)).sum() == pytest.approx(y, abs=0.3)


@pytest.mark.parametrize("score", [0.15, 0.25, 0.4])
def test_low_scores_let_the_image_through(score: float) -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, GRAY.shape, np.uint8)
    drawn = draw_poses(image, pair(scores=(1.0, score)))
    inside = np.s_[119:121, 140:180]  # the limb's core takes the opacity of its fainter end
    core = np.array(INKS["left", "arm"].core)
    expected = image[inside] + (core - image[inside].astype(float)) * 2 * score
    assert np.abs(drawn[inside] - expected).max() <= 3


def test_absent_and_unsure_keypoints_are_not_drawn() -> None:
    assert not changed(draw_poses(GRAY, pair(scores=(0.0, 0.0)), threshold=0.0)).any()
    assert not changed(draw_poses(GRAY, pair(scores=(0.3, 0.3)), threshold=0.3)).any()
    one = changed(draw_poses(GRAY, pair(scores=(1.0, 0.0)), threshold=0.0))
    assert one[:, :80].any() and not one[:, 80:].any()


def test_widths_follow_the_size_of_the_person() -> None:
    def width(length: float) -> int:
        drawn = draw_poses(GRAY, pair((20, 20), (20 + length, 20 + length)), threshold=0.0)
        at = round(20 + length / 2)
        return int(changed(drawn)[at].sum())

    assert 3 <= width(20) < width(100) < width(200) < 30


def test_who_shows_a_single_keypoint_is_marked_by_the_size_of_the_image() -> None:
    def marked(side: int) -> int:
        gray = np.full((side, side, 3), 128, np.uint8)
        one = pair((side / 2, side / 2), (side / 2, side / 2), scores=(1.0, 0.0))
        return int((draw_poses(gray, one, threshold=0.0) != gray).any(axis=2).sum())

    assert 15 < marked(100) < marked(500) < marked(2000) < 2000


def test_ten_people_differ_only_inside_their_own_boxes() -> None:
    drawn = changed(draw_poses(GRAY, standing(150, middle_x=60)))
    assert drawn[:, :100].any() and not drawn[:, 120:].any()


def test_small_people_lie_on_top_of_large_ones() -> None:
    large, small = standing(220), standing(60)
    both = Poses(
        np.concatenate([small.keypoints_xy, large.keypoints_xy]),
        np.ones((2, 17)),
        np.ones(2),
        COCO17,
    )
    one_after_the_other = draw_poses(draw_poses(GRAY, large), small)
    assert np.array_equal(draw_poses(GRAY, both), one_after_the_other)


@pytest.mark.parametrize("skeleton", [COCO17, CROWDPOSE14, LSP14])
def test_every_skeleton_has_an_ink_for_every_limb(skeleton: Skeleton) -> None:
    k = skeleton.num_keypoints
    points = np.random.default_rng(k).uniform(20, 200, (1, k, 2))
    drawn = draw_poses(GRAY, Poses(points, np.ones((1, k)), np.ones(1), skeleton))
    for x, y in points[0]:
        assert changed(drawn)[int(y), int(x)]


def test_names_say_side_and_region() -> None:
    assert [side_of(n) for n in ("left_knee", "knee_right", "nose", "leftover")] == [
        "left", "right", "middle", "middle",
    ]  # fmt: skip
    assert region_of("left_hip", "left_knee") == "leg"
    assert region_of("left_shoulder", "left_elbow") == "arm"
    assert region_of("left_shoulder", "left_hip") == "torso"
    assert region_of("left_ear", "left_shoulder") == region_of("nose") == "head"
    assert region_of("left_forepaw") == "torso"


@pytest.mark.slow
@given(st.lists(st.tuples(*[st.floats(-1e9, 1e9, width=32)] * 2), min_size=17, max_size=17))
def test_places_far_outside_do_no_harm(points: list[tuple[float, float]]) -> None:
    poses = Poses(np.array([points]), np.ones((1, 17)), np.ones(1), COCO17)
    assert draw_poses(GRAY[:40, :60], poses).shape == (40, 60, 3)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 300, 3), (300, 2, 3)])
def test_tiny_images(shape: tuple[int, int, int]) -> None:
    style = DrawStyle(label="score")
    assert draw_poses(np.zeros(shape, np.uint8), standing(200), style=style).shape == shape


def test_labels() -> None:
    plain = draw_poses(GRAY, standing(150, track_ids=np.array([7])))
    labeled = draw_poses(GRAY, standing(150, track_ids=np.array([7])), style=DrawStyle(label="id"))
    scored = draw_poses(GRAY, standing(150), style=DrawStyle(label="score"))
    assert changed(labeled, plain).any() and changed(scored, labeled).any()
    without_id = draw_poses(GRAY, standing(150), style=DrawStyle(label="id"))
    assert np.array_equal(without_id, plain)


# How dichromats see linear RGB (Machado, Oliveira and Fernandes, 2009, severity 1.0).
SIGHT = {
    "everyone": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
         [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
         [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
         [0.004733, 0.691367, 0.303900]]
    ),
    "gray": np.tile([0.2126, 0.7152, 0.0722], (3, 1)),
}  # fmt: skip


def lab(rgb: tuple[int, int, int], sight: np.ndarray) -> np.ndarray:
    value = np.array(rgb) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    linear = (sight @ linear).clip(0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    t = xyz @ linear / (0.9505, 1.0, 1.089)
    f = np.where(t > 216 / 24389, np.cbrt(t), (24389 / 27 * t + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("sight", SIGHT)
@pytest.mark.parametrize("region", ["head", "arm", "leg"])
def test_color_blind_readers_can_tell_left_from_right(sight: str, region: str) -> None:
    left, right = INKS["left", region], INKS["right", region]
    for part in ("core", "casing"):
        a, b = lab(getattr(left, part), SIGHT[sight]), lab(getattr(right, part), SIGHT[sight])
        assert abs(a[0] - b[0]) > 25  # lightness alone is enough
        assert np.linalg.norm(a - b) > 35


@pytest.mark.parametrize("ink", sorted(set(INKS.values())))
def test_every_limb_stands_out_of_its_casing(ink) -> None:
    for sight in SIGHT.values():
        assert abs(lab(ink.core, sight)[0] - lab(ink.casing, sight)[0]) > 40
