"""The corrector: mirrored people alike, no keypoint far, best first; files are checked."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import litepose
from litepose.core.errors import LitePoseError
from litepose.core.poses import Poses
from litepose.core.skeleton import COCO17, CROWDPOSE14
from litepose.decode.corrector import FARTHEST, Corrector, correct, read_corrector
from litepose.decode.merge_views import person_sides
from litepose.inference.load import find_corrector
from litepose.models import zoo

K = COCO17.num_keypoints
SCENE = Path(__file__).parents[2] / "examples/images/astronaut.jpg"
WIDTHS = (3 * K + 2, 8, 8, 2 * K + 1)


def a_corrector(scale: float = 0.3) -> Corrector:
    rng = np.random.default_rng(3)
    shapes = list(pairwise(WIDTHS))
    weights = tuple(rng.normal(0, scale, shape).astype(np.float32) for shape in shapes)
    return Corrector(weights, tuple(np.zeros(w, np.float32) for w in WIDTHS[1:]))


def some_people(n: int = 5) -> Poses:
    rng = np.random.default_rng(4)
    points = rng.uniform(0, 100, (n, K, 2)) + 300 * np.arange(n)[:, None, None]
    scores = rng.uniform(0.1, 1, (n, K))
    scores[:, 3] = 0  # nobody's fourth keypoint was found
    return Poses(points, scores, np.sort(rng.uniform(0.2, 0.9, n))[::-1], COCO17, (2000, 400))


def same_people(poses: Poses, by: Poses) -> Poses:
    """The people in the order of `by`, whose last keypoint tells them apart here."""
    return poses[np.argsort(poses.scores[:, -1])[np.argsort(np.argsort(by.scores[:, -1]))]]


def test_keypoints_move_a_little_and_those_not_found_stay() -> None:
    people = some_people()
    got = same_people(correct(people, a_corrector(100.0)), people)
    moved = np.abs(got.keypoints_xy - people.keypoints_xy).max(axis=2)
    sides = person_sides(people)[:, None]
    assert (moved <= FARTHEST * sides + 1e-3).all()
    assert moved.max() > 0.09 * sides.min()
    assert not moved[:, 3].any()
    np.testing.assert_array_equal(got.scores, people.scores)


def test_people_are_best_first_with_scores_from_zero_to_one() -> None:
    got = correct(some_people(), a_corrector(100.0))
    assert (np.diff(got.person_scores) <= 0).all()
    assert got.person_scores.min() >= 0 and got.person_scores.max() <= 1


def test_a_mirrored_person_is_corrected_alike() -> None:
    people, flip = some_people(), COCO17.flip_index
    turned = replace(
        people,
        keypoints_xy=(people.keypoints_xy * [-1, 1] + [2000, 0])[:, flip],
        keypoint_scores=people.scores[:, flip],
    )
    got, other = correct(people, a_corrector()), correct(turned, a_corrector())
    np.testing.assert_allclose(other.person_scores, got.person_scores, atol=1e-5)
    mirrored = (other.keypoints_xy * [-1, 1] + [2000, 0])[:, flip]
    np.testing.assert_allclose(mirrored, got.keypoints_xy, atol=2e-2)


def test_a_person_elsewhere_is_corrected_alike() -> None:
    people = some_people()
    moved = replace(people, keypoints_xy=people.keypoints_xy + np.array([70, 30]))
    got, other = correct(people, a_corrector()), correct(moved, a_corrector())
    np.testing.assert_allclose(other.keypoints_xy - [70, 30], got.keypoints_xy, atol=2e-2)


def test_the_score_is_a_power_of_score_times_expected_oks() -> None:
    people, silent = some_people(), a_corrector(0.0)
    surer = Corrector(silent.weights, (*silent.biases[:2], np.full(2 * K + 1, 3.0)))
    got = correct(people, surer)
    expected = (people.person_scores / (1 + np.exp(-3.0))) ** 0.75
    np.testing.assert_allclose(got.person_scores, expected, rtol=1e-5)


def test_nobody_stays_nobody() -> None:
    assert len(correct(Poses.empty(COCO17, (10, 10)), a_corrector())) == 0


@pytest.mark.parametrize("name", ["litepose-p", "litepose-pm"])
def test_the_bundled_ones_open(name: str) -> None:
    corrector = find_corrector(zoo.MODELS[name].info)
    assert corrector is not None and corrector.weights[0].shape[0] == WIDTHS[0]


def test_other_models_have_none() -> None:
    info = zoo.MODELS["litepose-pm"].info
    assert find_corrector(replace(info, name="mine")) is None
    assert find_corrector(replace(info, skeleton=CROWDPOSE14)) is None
    assert find_corrector(zoo.MODELS["litepose-xs"].info) is None


def test_a_damaged_file_or_another_skeleton_is_named(tmp_path: Path) -> None:
    bundled = zoo.find_weights("pm", ".corrector.npz")
    assert bundled is not None
    with pytest.raises(LitePoseError, match="other skeletons than crowdpose14"):
        read_corrector(bundled, CROWDPOSE14)
    damaged = tmp_path / "x.npz"
    damaged.write_bytes(bundled.read_bytes()[:-300])
    with pytest.raises(LitePoseError, match="holds no corrector"):
        read_corrector(damaged, COCO17)
    np.savez(damaged, weight0=np.array({"a": 1}, dtype=object))
    with pytest.raises(LitePoseError, match="holds no corrector"):
        read_corrector(damaged, COCO17)


@pytest.mark.slow
def test_it_corrects_what_crops_find_and_nothing_else() -> None:
    model = litepose.load("p", views=(288,), crops=8)
    with_it, without_crops = model.predict(SCENE), model.predict(SCENE, crops=0)
    (many, *_) = model.predict_many([SCENE] * 6)
    model.corrector = None
    plain, same = model.predict(SCENE), model.predict(SCENE, crops=0)
    (many_plain, *_) = model.predict_many([SCENE] * 6)
    assert len(with_it) and not np.array_equal(with_it.person_scores, plain.person_scores)
    np.testing.assert_array_equal(without_crops.keypoints_xy, same.keypoints_xy)
    assert many.poses is not None and many_plain.poses is not None
    np.testing.assert_allclose(many.poses.person_scores, with_it.person_scores, atol=1e-4)
    np.testing.assert_allclose(many_plain.poses.person_scores, plain.person_scores, atol=1e-4)
