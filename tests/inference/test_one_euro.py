"""Smoothing calms what trembles, follows what moves, and is not led by unsure keypoints."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from litepose.core.errors import LitePoseError
from litepose.core.poses import Poses
from litepose.core.skeleton import COCO17
from litepose.inference.one_euro import Smoother, SmoothOptions

FPS = 25
RIGHT = np.array([1.0, 0.0])
SHAPE = np.random.default_rng(5).uniform((0, 0), (40, 120), (17, 2))


def pose(points=SHAPE, scores=0.8, ids=(1,)) -> Poses:
    """One person, or several with points (N, 17, 2)."""
    points = np.broadcast_to(points, (len(ids), 17, 2))
    scores = np.broadcast_to(scores, (len(ids), 17))
    return Poses(points, scores, scores.mean(axis=1), COCO17, track_ids=np.array(ids))


def smoothed(frames: list[Poses], fps: float = FPS) -> list[np.ndarray]:
    smoother = Smoother()
    return [smoother.update(p, i / fps).keypoints_xy for i, p in enumerate(frames)]


def test_what_stands_still_comes_back_unchanged():
    for points in smoothed([pose()] * 20):
        assert np.array_equal(points[0], SHAPE.astype(np.float32))


def test_a_step_is_followed():
    after = smoothed([pose()] * 10 + [pose(SHAPE + RIGHT * 60)] * 10)
    rest = [1 - (p[0, :, 0] - SHAPE[:, 0]).mean() / 60 for p in after[10:]]
    assert rest[0] < 0.5 and rest[5] < 0.03 and min(rest) > -1e-6


@pytest.mark.parametrize("fps", [10, 25, 60])
def test_jitter_is_lowered_and_walking_does_not_lag(fps):
    rng = np.random.default_rng(0)
    count = 4 * fps
    noise = rng.normal(0, 1, (count, 17, 2))
    still = smoothed([pose(SHAPE + n) for n in noise], fps)
    trembling = [np.abs(np.diff(np.array(x)[fps:], axis=0)).mean() for x in (noise, still)]
    assert trembling[1] < 0.65 * trembling[0]
    speed = 100.0  # px/s, two sizes a second: a brisk walk
    walk = [SHAPE + RIGHT * speed * i / fps for i in range(count)]
    lag = (np.array(walk) - np.array(smoothed([pose(p) for p in walk], fps))[:, 0])[-1, :, 0]
    assert 0 <= lag.mean() < 0.02 * speed + 1e-3


def test_an_unsure_keypoint_neither_jumps_nor_drags():
    wrist = COCO17.index("left_wrist")
    low = np.full(17, 0.8)
    low[wrist] = 0.02
    outlier = SHAPE.copy()
    outlier[wrist] += 50 * RIGHT
    after = smoothed([pose()] * 10 + [pose(outlier, low)])
    assert np.abs(after[-1][0, wrist] - SHAPE[wrist]).max() < 5, "it does not jump"
    walk = [SHAPE + RIGHT * 4 * i for i in range(30)]
    stuck = [p.copy() for p in walk]
    for i in range(10, 30):
        stuck[i][wrist] = walk[9][wrist]  # a guess that stays behind
    frames = [pose(p, low if i >= 10 else 0.8) for i, p in enumerate(stuck)]
    behind = walk[-1][wrist, 0] - smoothed(frames)[-1][0, wrist, 0]
    assert behind < 0.35 * (walk[-1] - walk[9])[wrist, 0], "it goes along with the body"


def test_absent_keypoints_are_left_alone_and_restart_when_they_return():
    scores = np.full(17, 0.8)
    scores[3] = 0
    absent = pose(np.where((np.arange(17) == 3)[:, None], SHAPE.mean(axis=0), SHAPE), scores)
    smoother = Smoother()
    first = smoother.update(absent, 0.0).keypoints_xy
    assert np.array_equal(first, absent.keypoints_xy)
    assert np.array_equal(smoother.update(absent, 0.04).keypoints_xy, absent.keypoints_xy)
    assert np.array_equal(smoother.update(pose(), 0.08).keypoints_xy, pose().keypoints_xy)


def test_a_person_who_was_gone_restarts_and_is_forgotten():
    far = pose(SHAPE + 300)
    smoother = Smoother()
    smoother.update(pose(), 0.0)
    smoother.update(pose(ids=()), 1.5)
    assert not len(smoother._people.ids)
    assert np.array_equal(smoother.update(far, 1.6).keypoints_xy, far.keypoints_xy)
    assert np.array_equal(smoother.update(pose(), 0.2).keypoints_xy, pose().keypoints_xy)
    for i in range(300):  # ever new people
        smoother.update(pose(ids=(i + 10,)), 1 + i / FPS)
    assert len(smoother._people.ids) <= FPS + 1


def test_a_frame_given_twice_or_a_little_late_changes_nothing():
    smoother = Smoother()
    smoother.update(pose(), 0.0)
    once = smoother.update(pose(SHAPE + 5), 0.04).keypoints_xy
    assert np.array_equal(smoother.update(pose(SHAPE + 9), 0.04).keypoints_xy, once)
    assert np.array_equal(smoother.update(pose(SHAPE + 9), 0.01).keypoints_xy, once)


@settings(max_examples=25)
@given(st.integers(0, 2**31))
def test_neither_order_nor_neighbors_matter(seed):
    rng = np.random.default_rng(seed)
    together, shuffled, alone = Smoother(), Smoother(), Smoother()
    ids = np.array([4, 9, 2])
    for i in range(6):
        points = SHAPE + rng.normal(0, 20, (3, 17, 2))
        scores = rng.uniform(0, 1, (3, 17)) * (rng.uniform(size=(3, 17)) < 0.9)
        frame = replace(pose(points, ids=ids), keypoint_scores=scores)
        out = together.update(frame, i / 10).keypoints_xy
        order = rng.permutation(3)
        assert np.array_equal(shuffled.update(frame[order], i / 10).keypoints_xy, out[order])
        assert np.array_equal(alone.update(frame[1], i / 10).keypoints_xy[0], out[1])


def test_wrong_use_is_refused():
    smoother = Smoother()
    with pytest.raises(LitePoseError, match="Tracker"):
        smoother.update(replace(pose(), track_ids=None), 0.0)
    with pytest.raises(LitePoseError, match="one person"):
        smoother.update(pose(np.array([SHAPE, SHAPE]), ids=(1, 1)), 0.0)
    with pytest.raises(LitePoseError, match="seconds"):
        smoother.update(pose(), float("nan"))
    for wrong in ({"cutoff": 0}, {"speed_cutoff": -1}, {"sure_score": 0}, {"keep_seconds": -1}):
        with pytest.raises(LitePoseError):
            SmoothOptions(**wrong)
