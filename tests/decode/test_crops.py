"""Crops around people: where they lie, and what they find."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import litepose
from litepose.core.errors import LitePoseError
from litepose.core.poses import Poses
from litepose.decode.crops import CROP_PX, MARGIN, lower_neighbors, person_crops
from litepose.inference.inspection import _crop
from litepose.inference.predictor import options_for
from tests.decode.test_merge_views import person, together

SCENE = Path(__file__).parents[2] / "examples" / "images" / "scene.jpg"


@pytest.fixture(scope="module")
def fast() -> litepose.Predictor:
    return litepose.load("p", views=(288,), crops=8, threads=1)


@pytest.mark.parametrize("side", [20, 100, 250])
def test_each_person_is_shown_at_the_same_size_in_the_middle(side: int) -> None:
    ((box, _),) = person_crops(person(320 - side / 2, 240 - side / 2, side, 0.9), 8)
    shown = box.to_input(np.array([[320.0, 240.0]]))[0]
    assert shown == pytest.approx(CROP_PX / 2, abs=1)
    assert side * box.zoom * (1 + 2 * MARGIN) == pytest.approx(CROP_PX, rel=0.02)
    assert box.input_wh == (CROP_PX, CROP_PX)


@pytest.mark.parametrize("corner", [(-5, -5), (600, -5), (-5, 440), (600, 440)])
def test_a_crop_lies_inside_the_image(corner: tuple[int, int]) -> None:
    ((box, _),) = person_crops(person(*corner, 60, 0.9), 8)
    left, top, right, bottom = box.part
    assert 0 <= left < right <= 640 and 0 <= top < bottom <= 480
    assert right - left == pytest.approx(60 * (1 + 2 * MARGIN))


def test_someone_larger_than_the_image_is_shown_as_large_as_others() -> None:
    ((box, _),) = person_crops(person(-50, -50, 700, 0.9), 8)
    assert box.part == (0, 0, 640, 480)
    assert 700 * box.zoom * (1 + 2 * MARGIN) == pytest.approx(CROP_PX, rel=0.02)


def test_the_best_people_have_crops_and_doubtful_ones_none() -> None:
    people = together(*(person(60 * i, 100, 50, 0.9 - 0.1 * i) for i in range(9)))
    assert len(person_crops(people, 3)) == 3
    assert len(person_crops(people, 30)) == 9, "of scores 0.9 to 0.1"
    people = together(person(0, 0, 50, 0.9), person(200, 0, 50, 0.05))
    assert len(person_crops(people, 30)) == 1


def test_crops_that_show_a_person_no_larger_than_the_view_are_left_out() -> None:
    people = together(person(100, 100, 100, 0.9), person(400, 200, 60, 0.8))  # 140 and 84 px crops
    sizes = [
        [crop.box.input_wh[0] for crop in person_crops(people, 8, 160, least_zoom)]
        for least_zoom in (0.0, 1.5, 2.0)
    ]
    assert sizes == [[160, 160], [160], []]
    (small,) = person_crops(people, 2, 160, 1.5)
    assert small.person.person_scores == pytest.approx([0.8])


def test_the_fast_effort_crops_around_small_people_only() -> None:
    fast = litepose.load(effort="fast", threads=1)
    (view,), crops = fast.inspect(SCENE).views, fast.inspect(SCENE).crops
    assert crops and all(crop.box.input_wh == (160, 160) for crop in crops)
    assert all(crop.box.zoom >= 1.2 * view.box.zoom for crop in crops)
    every = fast.inspect(SCENE, replace(fast.defaults, crop_gain=0.0)).crops
    assert len(every) > len(crops)


def test_neighbors_in_a_crop_count_less() -> None:
    own, neighbor = person(100, 100, 100, 0.8), person(180, 100, 100, 0.6)
    found = together(neighbor, person(103, 100, 100, 0.7))
    assert lower_neighbors(found, own).person_scores == pytest.approx([0.3, 0.7])
    assert lower_neighbors(neighbor, own).person_scores == pytest.approx([0.3])
    nobody = Poses.empty(own.skeleton, (640, 480))
    assert len(lower_neighbors(nobody, own)) == 0


def test_nobody_no_crops() -> None:
    assert person_crops(Poses.empty(person(0, 0, 9, 1).skeleton, (640, 480)), 8) == []


def test_crops_find_the_same_people_more_surely(fast: litepose.Predictor) -> None:
    poses, views, _, crops = fast.inspect(SCENE)
    assert len(views) == 1 and len(crops) >= 4
    without = fast.predict(SCENE, crops=0)
    assert len(poses) >= len(without)
    assert poses.person_scores.mean() > without.person_scores.mean() * 0.9
    nearest = np.linalg.norm(
        poses.keypoints_xy[:, None, 5] - without.keypoints_xy[None, :, 5], axis=-1
    ).min(axis=0)
    assert np.median(nearest) < 10, "left shoulders of the same people"


@pytest.mark.slow
def test_what_reproduces_published_results_has_no_crops(fast: litepose.Predictor) -> None:
    for how in ({"views": 256}, {"scales": (1.0, 0.5)}, {"decoder": "reference"}, {"crops": 0}):
        options = options_for(fast, **how)
        assert not fast.inspect(SCENE, options).crops and not options.crops_taken, how
    assert len(fast.inspect(SCENE, options_for(fast, views=256, crops=2)).crops) == 2


def test_a_reduced_image_gives_the_same_crop(fast: litepose.Predictor) -> None:
    """A large JPEG is read at an eighth, quarter or half of its size."""
    from litepose.imaging.read import LoadedImage, read_image

    image = read_image(SCENE)
    box = person_crops(fast.predict(SCENE), 1)[0].box
    whole = LoadedImage(image, box.image_wh)
    reduced = LoadedImage(np.ascontiguousarray(image[::2, ::2]), box.image_wh)
    a, at = _crop(fast, whole, box)
    b, bt = _crop(fast, reduced, box)
    assert a.shape == b.shape == (1, 3, CROP_PX, CROP_PX)
    corners = np.array([[0.0, 0.0], [CROP_PX, CROP_PX]])
    assert np.abs(at.to_image(corners) - bt.to_image(corners)).max() < 4


def test_a_wrong_number_is_a_sentence(fast: litepose.Predictor) -> None:
    with pytest.raises(LitePoseError, match="0 or more; got -1"):
        fast.predict(SCENE, crops=-1)
    with pytest.raises(LitePoseError, match="crops must be"):
        replace(fast.defaults, crops="all")
    with pytest.raises(LitePoseError, match=r"crop_px must lie in \[32"):
        replace(fast.defaults, crop_px=8)
    with pytest.raises(LitePoseError, match=r"crop_gain must be a number, 0 or more; got -1"):
        replace(fast.defaults, crop_gain=-1.0)
    with pytest.raises(LitePoseError, match="multiple of 32 with litepose-p; got 100"):
        fast.inspect(SCENE, replace(fast.defaults, crop_px=100))
