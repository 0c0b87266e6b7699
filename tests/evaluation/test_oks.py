"""OKS and PCK against numbers worked out by hand and against COCO's own code."""

from __future__ import annotations

import math

import numpy as np
import pytest

from litepose.core.errors import LitePoseError
from litepose.core.oks import compute_oks
from litepose.core.poses import Poses
from litepose.core.skeleton import COCO17, CROWDPOSE14
from litepose.evaluation.ground_truth import ImageTruth
from litepose.evaluation.pck import compute_pck, pck_lengths

SIGMAS = np.array([0.05, 0.1])


def test_one_unit_away_is_exp_of_minus_half() -> None:
    truth = np.array([[[0.0, 0.0], [50.0, 0.0]]])
    # A unit is 2 sigma sqrt(area): 10 px for the first keypoint, 20 px for the second.
    people = np.array([[[0.0, 0.0], [50.0, 0.0]], [[10.0, 0.0], [50.0, 20.0]]])
    oks = compute_oks(people, truth, np.array([100.0**2]), SIGMAS)
    np.testing.assert_allclose(oks[:, 0], [1.0, math.exp(-0.5)], rtol=1e-12)


def test_only_labeled_keypoints_count() -> None:
    truth = np.array([[[0.0, 0.0], [999.0, 999.0]]])
    oks = compute_oks(
        np.zeros((1, 2, 2)), truth, np.array([100.0]), SIGMAS, visibility=np.array([[1, 0]])
    )
    assert oks[0, 0] == 1.0


def test_person_without_keypoints_is_compared_by_the_box_grown_by_its_own_size() -> None:
    no_people = np.zeros((1, 2), int)
    box = np.array([[100.0, 100.0, 50.0, 80.0]])  # grown: x 50..200, y 20..260
    inside, outside = np.array([[[60.0, 30.0]] * 2]), np.array([[[210.0, 100.0], [60.0, 30.0]]])
    truth, area = np.zeros((1, 2, 2)), np.array([100.0**2])
    assert compute_oks(inside, truth, area, SIGMAS, no_people, box)[0, 0] == 1.0
    expected = (math.exp(-0.5) + 1) / 2  # 10 px outside: one unit of the first keypoint
    assert compute_oks(outside, truth, area, SIGMAS, no_people, box)[0, 0] == pytest.approx(
        expected
    )
    assert compute_oks(inside, truth, area, SIGMAS, no_people)[0, 0] == 0.0


def test_poses_of_two_models_compare_where_the_second_found_something() -> None:
    points = np.arange(34.0).reshape(1, 17, 2)
    scores = np.ones((1, 17))
    scores[0, 3] = 0
    poses = Poses(points, scores, np.ones(1), COCO17)
    moved = points.copy()
    moved[0, 3] = 500
    oks = compute_oks(Poses(moved, scores, np.ones(1), COCO17), poses, np.ones(1), COCO17.sigmas)
    assert oks[0, 0] == 1.0


def test_no_people_give_an_empty_table_and_shapes_that_do_not_fit_are_named() -> None:
    empty = np.zeros((0, 2, 2))
    assert compute_oks(empty, np.zeros((3, 2, 2)), np.ones(3), SIGMAS).shape == (0, 3)
    assert compute_oks(np.zeros((3, 2, 2)), empty, np.ones(0), SIGMAS).shape == (3, 0)
    with pytest.raises(LitePoseError, match=r"areas \(M,\).*\(1,\)"):
        compute_oks(empty, np.zeros((3, 2, 2)), np.ones(1), SIGMAS)


def person(**points: tuple[float, float]) -> ImageTruth:
    xy, visibility = np.zeros((1, 14, 2)), np.zeros((1, 14), int)
    for name, at in points.items():
        xy[0, CROWDPOSE14.index(name)], visibility[0, CROWDPOSE14.index(name)] = at, 2
    box = np.array([[0.0, 0.0, 30.0, 70.0]])
    return ImageTruth(1, xy, visibility, np.ones(1), box, np.zeros(1, bool))


def test_pck_lengths_are_head_torso_and_box() -> None:
    whole = person(head=(0, 0), neck=(0, 20), left_shoulder=(10, 20), right_hip=(-20, 60))
    assert pck_lengths(whole, CROWDPOSE14, "head") == [20]
    assert pck_lengths(whole, CROWDPOSE14, "torso") == [50]
    assert pck_lengths(whole, CROWDPOSE14, "box") == [70]
    assert np.isnan(pck_lengths(person(head=(0, 0)), CROWDPOSE14, "head")[0])
    with pytest.raises(LitePoseError, match="has no keypoint 'head'"):
        pck_lengths(whole, COCO17, "head")


def test_pck_counts_the_limit_as_right_and_no_person_as_wrong() -> None:
    truth = np.zeros((3, 2, 2))
    found = np.zeros((3, 2, 2))
    found[0, 0] = 10.0, 0.0  # exactly at 0.2 of 50
    found[0, 1] = 10.1, 0.0
    found[1] = np.nan
    visibility = np.array([[2, 2], [2, 0], [2, 2]])
    pck = compute_pck(found, truth, visibility, np.array([50.0, 50.0, np.nan]), 0.2)
    np.testing.assert_allclose(pck, [50.0, 0.0])
    assert np.isnan(compute_pck(found, truth, 0 * visibility, np.full(3, 50.0), 0.2)).all()
