"""Generated clips: what happens in them, truth that fits the paint, and seeded errors."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from benchmarks.tracking.disturb import Disturbance, Disturber
from benchmarks.tracking.walking import ClipSettings, walk

from litepose.core.errors import LitePoseError
from litepose.core.oks import compute_oks

SMALL = ClipSettings(size_wh=(160, 96), people=5, seconds=5, fps=12, pan=0.1)


@pytest.fixture(scope="module")
def clip():
    return list(walk(3, SMALL))


def test_the_same_seed_walks_the_same_way(clip):
    again = list(walk(3, SMALL))
    for one, other in zip(clip, again, strict=True):
        assert np.array_equal(one.image, other.image)
        assert np.array_equal(one.truth.keypoints_xy, other.truth.keypoints_xy)
    other = next(walk(4, SMALL))
    assert not np.array_equal(other.image, clip[0].image)


def test_people_walk_hide_one_another_leave_and_come_back(clip):
    assert len(clip) == 60 and clip[-1].seconds == pytest.approx(59 / 12)
    there = np.array([np.isin(np.arange(1, 6), f.truth.ids) for f in clip])
    changes = np.diff(there.astype(int), axis=0)
    assert (changes == -1).any() and (changes == 1).any()
    assert sum((f.truth.visibility == 1).sum() for f in clip) > 100
    for before, now in pairwise(clip):
        same = np.intersect1d(before.truth.ids, now.truth.ids)
        a, b = (f.truth.keypoints_xy[np.isin(f.truth.ids, same)] for f in (before, now))
        assert np.abs(a.mean(axis=1) - b.mean(axis=1)).max(initial=0) < 15, "nobody jumps"


def test_visibility_says_what_is_outside_and_what_is_hidden(clip):
    outside = 0
    for frame in clip:
        points, visibility = frame.truth.keypoints_xy, frame.truth.visibility
        inside = ((points >= 0) & (points < (160, 96))).all(axis=2)
        assert np.array_equal(visibility > 0, inside)
        assert (visibility == 2).any(axis=1).mean() > 0.3
        outside += (~inside).sum()
    assert outside > 20
    for frame in walk(6, ClipSettings(size_wh=(160, 96), people=1, pillars=0, seconds=0.5)):
        assert (frame.truth.visibility == 2).mean() > 0.5, "nothing hides somebody alone"


def test_frames_can_be_dropped_and_the_camera_can_pan(clip):
    uneven = list(walk(3, ClipSettings(size_wh=(64, 64), people=0, seconds=8, dropped=0.3)))
    steps = np.diff([f.seconds for f in uneven])
    assert 110 < len(uneven) < 170 and steps.min() < 0.05 < steps.max()
    assert any((a.image[:10] != b.image[:10]).any() for a, b in pairwise(clip))


def test_disturbed_poses_are_seeded_and_mostly_right(clip):
    def look(seed: int, how: Disturbance):
        disturber = Disturber(seed, how)
        return [disturber.see(frame.truth, SMALL.size_wh) for frame in clip]

    found, again, other = (look(seed, Disturbance()) for seed in (1, 1, 2))
    assert all(
        np.array_equal(a.keypoints_xy, b.keypoints_xy) for a, b in zip(found, again, strict=True)
    )
    assert any(len(a) != len(b) for a, b in zip(found, other, strict=True))
    right = total = 0
    for poses, frame in zip(found, clip, strict=True):
        seen = frame.truth.visibility == 2
        oks = compute_oks(poses, frame.truth.keypoints_xy, frame.truth.areas,
                          poses.skeleton.sigmas, seen)  # fmt: skip
        counted = seen.sum(axis=1) >= 3
        right += (oks.max(axis=0, initial=0)[counted] >= 0.5).sum()
        total += counted.sum()
        assert (np.diff(poses.person_scores) <= 0).all()
    assert 0.75 < right / total < 0.98
    calm = Disturbance(tremble=0, stray=0, miss=0, ghosts=0, center=0)
    for poses, frame in zip(look(1, calm), clip, strict=True):
        assert len(poses) == ((frame.truth.visibility == 2).sum(axis=1) >= 3).sum()


def test_impossible_clips_are_refused():
    for wrong in ({"size_wh": (8, 64)}, {"people": -1}, {"seconds": 0}, {"dropped": 1.0},
                  {"height": (0.5, 0.2)}):  # fmt: skip
        with pytest.raises(LitePoseError):
            ClipSettings(**wrong)
