"""Breakdowns of hand-made scenes with known answers."""

from __future__ import annotations

import numpy as np
import pytest

from litepose.core.skeleton import COCO17
from litepose.evaluation.breakdown import (
    PeopleAt,
    ap_by_people,
    mean_oks,
    pck,
    people_at,
    score_keypoints,
)
from litepose.evaluation.ground_truth import ImageFound, ImageTruth
from litepose.evaluation.matching import match_images

SIZE = 100.0
NOSE, LEFT_WRIST = COCO17.index("nose"), COCO17.index("left_wrist")
RNG = np.random.default_rng(0)


def people(count: int, image_id: int = 1) -> ImageTruth:
    points = RNG.uniform(0, SIZE, (count, 17, 2)) + 300 * np.arange(count)[:, None, None]
    boxes = np.array([[300.0 * i, 300.0 * i, SIZE, SIZE] for i in range(count)])
    visible = np.full((count, 17), 2)
    areas, crowd = np.full(count, SIZE**2), np.zeros(count, bool)
    return ImageTruth(image_id, points, visible, areas, boxes, crowd)


def found(truth: ImageTruth, scores: list[float], shift: float = 0.0) -> ImageFound:
    """The first people of the truth, moved."""
    count = len(scores)
    return ImageFound(truth.keypoints_xy[:count] + shift, np.ones((count, 17)), np.array(scores))


def test_people_groups_hold_their_limits() -> None:
    truths = [people(n, n) for n in (0, 1, 2, 3, 4, 9, 10, 12)]
    every = [found(t, [0.9] * t.num_people) for t in truths]
    every[1] = found(truths[1], [0.5], shift=1000.0)
    rows = ap_by_people(match_images(truths, every, COCO17), resamples=20)
    assert [(r.people, r.images) for r in rows] == [("1", 1), ("2-3", 2), ("4-9", 2), ("10+", 2)]
    assert [r.ap.value for r in rows] == pytest.approx([0, 100, 100, 100])
    assert ap_by_people([])[0].ap is None


def test_few_images_have_no_interval() -> None:
    truths = [people(1, n) for n in range(4)] + [people(2, 10 + n) for n in range(5)]
    every = [found(t, [0.9] * t.num_people, 1000.0 * (t.image_id % 2)) for t in truths]
    one, two, *_ = ap_by_people(match_images(truths, every, COCO17), resamples=20)
    assert (one.images, one.ap.low, one.ap.high) == (4, None, None) and one.ap.value > 0
    assert two.images == 5 and two.ap.low < two.ap.value < two.ap.high


def test_keypoint_errors_are_in_units_of_oks() -> None:
    truth = people(2)
    predicted = found(truth, [0.9, 0.8])
    unit = 2 * COCO17.oks_sigmas[NOSE] * SIZE
    predicted.keypoints_xy[0, NOSE] += (0.5 * unit, 0)
    predicted.keypoints_xy[1, NOSE] += (0, 1.5 * unit)
    predicted.keypoint_scores[0, LEFT_WRIST] = 0
    truth.visibility[1, LEFT_WRIST] = 0
    rows = score_keypoints([truth], [predicted], match_images([truth], [predicted], COCO17), COCO17)
    nose, wrist = rows[NOSE], rows[LEFT_WRIST]
    assert (nose.labels, nose.within_1, nose.within_2, nose.missed) == (2, 50, 100, 0)
    assert nose.error == pytest.approx(100 * unit / SIZE)  # mean of 0.5 and 1.5 units
    assert (wrist.labels, wrist.error, wrist.within_2, wrist.missed) == (1, None, 0, 100)


def test_precision_and_recall_at_score_thresholds() -> None:
    truth = people(4)
    predicted = found(truth, [0.9, 0.6, 0.3])
    predicted.keypoints_xy[1] += 5000
    matches = match_images([truth], [predicted], COCO17)
    assert people_at(matches, [0.0, 0.6, 0.7, 0.95]) == [
        PeopleAt(0.0, 3, 100 * 2 / 3, 50),
        PeopleAt(0.6, 2, 50, 25),
        PeopleAt(0.7, 1, 100, 25),
        PeopleAt(0.95, 0, 0, 0),
    ]
    assert people_at(matches, [0.7])[0].f1 == pytest.approx(40)
    assert people_at(matches, [0.95])[0].f1 == 0


def test_mean_oks_is_of_matched_people() -> None:
    truth = people(2)
    predicted = found(truth, [0.9, 0.8])
    predicted.keypoints_xy[1] += 5000
    assert mean_oks(match_images([truth], [predicted], COCO17)) == pytest.approx(100)
    assert mean_oks(match_images([truth], [found(truth, [])], COCO17)) is None


def test_pck_counts_missed_people_as_wrong() -> None:
    truth = people(2)
    ends = [COCO17.index("left_shoulder"), COCO17.index("right_hip")]
    truth.keypoints_xy[:, ends[0]] = truth.boxes_xywh[:, :2]
    truth.keypoints_xy[:, ends[1]] = truth.boxes_xywh[:, :2] + (30, 40)  # a torso of 50
    predicted = found(truth, [0.9])
    predicted.keypoints_xy[0, NOSE] += (10.5, 0)  # beyond 0.2 of it
    predicted.keypoint_scores[0, LEFT_WRIST] = 0
    matches = match_images([truth], [predicted], COCO17)
    assert pck([truth], [predicted], matches, COCO17) == pytest.approx(100 * 15 / 34)
    assert pck([truth], [predicted], matches, COCO17, reference="head") is None
