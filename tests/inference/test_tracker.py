"""People keep their ids: standing, crossing, leaving and coming back, in any order."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from litepose.core.errors import LitePoseError
from litepose.core.poses import Poses
from litepose.core.skeleton import COCO17, CROWDPOSE14
from litepose.inference.tracker import Tracker, TrackOptions, _partners

FPS = 25
SHAPE = np.random.default_rng(5).uniform((0, 0), (40, 120), (17, 2))


def people(*places_xy: tuple[float, float], centers: bool = True, **fields) -> Poses:
    """People of one shape, 120 px tall, at these places."""
    places = np.array(places_xy, float).reshape(-1, 2)
    points = SHAPE + places[:, None]
    n = len(places)
    middles = points.mean(axis=1) if centers else None
    return Poses(points, np.full((n, 17), 0.8), np.full(n, 0.8), COCO17, centers_xy=middles,
                 **fields)  # fmt: skip


def ids_of(frames: list[Poses], tracker: Tracker | None = None, fps: float = FPS) -> list[list]:
    tracker = tracker or Tracker()
    return [tracker.update(poses, i / fps).track_ids.tolist() for i, poses in enumerate(frames)]


def test_the_first_frame_has_ids_from_one_and_nothing_else_changes():
    poses = people((0, 0), (300, 0))
    tracked = Tracker().update(poses, 0.0)
    assert sorted(tracked.track_ids) == [1, 2] and poses.track_ids is None
    assert np.array_equal(tracked.keypoints_xy, poses.keypoints_xy)
    assert np.array_equal(tracked.scores, poses.scores)


@pytest.mark.parametrize("centers", [True, False])
def test_a_still_scene_keeps_its_ids(centers):
    frames = [people((0, 0), (90, 10), (300, 0), centers=centers)] * 40
    first, *rest = ids_of(frames)
    assert sorted(first) == [1, 2, 3] and all(ids == first for ids in rest)


@pytest.mark.parametrize("fps, speed", [(8, 60), (8, 120), (25, 60), (25, 300), (60, 300)])
def test_people_who_cross_keep_their_ids(fps, speed):
    """Toward each other, through one another, at up to 2.5 heights a second."""
    times = np.arange(0, 400 / speed, 1 / fps)
    frames = [people((speed * t, 0), (400 - speed * t, 6)) for t in times]
    first, *rest = ids_of(frames, fps=fps)
    assert all(ids == first for ids in rest)


def test_a_person_hidden_while_crossing_is_found_again_behind():
    frames = []
    for i in range(60):
        left, right = (4.0 * i, 0), (240 - 4.0 * i, 8)
        frames.append(people(left, right) if abs(left[0] - right[0]) > 40 else people(left))
    ids = ids_of(frames)
    assert ids[-1] == ids[0]


def test_who_comes_back_in_time_keeps_the_id_and_who_comes_late_has_a_new_one():
    for away, same in ((0.8, True), (1.5, False)):
        frames = [people((50, 0), (400, 0))] * 10 + [people((400, 0))] * round(away * FPS)
        ids = ids_of([*frames, people((50, 0), (400, 0))])
        assert (ids[-1][0] == ids[0][0]) is same
        assert ids[-1][1] == ids[0][1]
    assert ids[-1][0] == 3


def test_half_a_person_is_the_same_by_its_center():
    """First only upper halves are seen, then only lower ones: they share the tags' center alone."""
    whole = people((0, 0), (60, 0))
    upper = np.where(np.arange(17) < 11, 0.8, 0)
    for centerd in (True, False):
        tracker = Tracker()
        for i, scores in enumerate([upper] * 5 + [0.8 - upper] * 2):
            half = replace(whole, keypoint_scores=np.tile(scores, (2, 1)))
            half = half if centerd else replace(half, centers_xy=None)
            last = tracker.update(half[[1, 0]] if i == 5 else half, i / FPS).track_ids.tolist()
        assert (sorted(last) == [1, 2]) is centerd


def test_a_false_positive_is_forgotten_at_once_and_takes_no_id():
    quiet, haunted = people((0, 0)), people((0, 0), (300, 0))
    ids = ids_of([quiet, quiet, quiet, haunted, quiet, haunted, quiet])
    assert [i[0] for i in ids] == [1] * 7
    assert ids[3][1] == 2 and ids[5][1] == 3
    tracker = Tracker(TrackOptions(confirm_hits=2))
    seen = [
        tracker.confirmed(tracker.update(haunted, i / FPS).track_ids).tolist() for i in range(3)
    ]
    assert seen == [[False, False], [True, True], [True, True]]


def test_empty_frames_and_uneven_times():
    no_people = Poses.empty(COCO17)
    tracker = Tracker()
    assert tracker.update(no_people, 0.0).track_ids.shape == (0,)
    for now in (0.1, 0.14, 0.18, 0.21):
        tracker.update(people((100 * now, 0)), now)
    for now in (0.3, 0.3, 0.42, 0.9):
        assert tracker.update(people((100 * now, 0)), now).track_ids.tolist() == [1], now
        assert len(tracker.update(no_people, now + 0.01).track_ids) == 0


def test_a_restarted_video_and_a_cut_forget_all_tracks():
    here, there = people((0, 0), (200, 0)), people((90, 0), (330, 0))
    tracker = Tracker()
    for i in range(10):
        tracker.update(here, i / FPS)
    assert min(tracker.update(here, 10 / FPS - 0.02).track_ids) == 1, "an untidy clock"
    assert sorted(tracker.update(there, 11 / FPS).track_ids) == [3, 4], "a cut"
    ids = tracker.update(people((90, 0), (330, 0), (0, 0)), 11.5 / FPS).track_ids
    assert sorted(ids) == [3, 4, 5], "no track from before the cut is kept"
    for i in range(10):
        tracker.update(there, 12 / FPS + i / FPS)
    assert sorted(tracker.update(there, -3.0).track_ids) == [6, 7], "from the start"


def test_a_stream_that_changes_its_resolution_keeps_its_ids():
    places = [(0, 0), (200, 0)]
    frames = [people(*places, image_wh=(640, 480))] * 5
    half = frames[0].keypoints_xy / 2
    small = replace(frames[0], keypoints_xy=half, image_wh=(320, 240),
                    centers_xy=half.mean(axis=1))  # fmt: skip
    ids = ids_of([*frames, small, small])
    assert ids[-1] == ids[0]


@pytest.mark.slow
@settings(max_examples=25)
@given(st.integers(0, 2**31))
def test_order_does_not_matter_and_ids_are_never_used_again(seed):
    rng = np.random.default_rng(seed)
    plain, shuffled = Tracker(), Tracker()
    places = rng.uniform(0, 600, (6, 2))
    speeds = rng.normal(0, 80, (6, 2))
    last_seen: dict[int, float] = {}
    for i in range(30):
        there = rng.uniform(size=6) < 0.7
        now = i / 10
        frame = people(*(places + speeds * now + rng.normal(0, 2, (6, 2)))[there])
        ids = plain.update(frame, now).track_ids
        order = rng.permutation(len(frame))
        assert np.array_equal(shuffled.update(frame[order], now).track_ids, ids[order])
        assert len(set(ids.tolist())) == len(ids) and (ids >= 1).all()
        for name in ids.tolist():
            assert now - last_seen.get(name, now) <= 1.0 + 1e-9
            assert name in last_seen or name > max(last_seen, default=0)
        last_seen |= dict.fromkeys(ids.tolist(), now)


@settings(max_examples=150)
@given(st.integers(0, 2**31), st.integers(0, 8), st.integers(0, 8), st.floats(0.05, 1))
def test_the_matching_gains_as_much_as_any_can(seed, old, new, share):
    rng = np.random.default_rng(seed)
    gain = np.where(rng.uniform(size=(old, new)) < share, rng.uniform(-0.2, 1, (old, new)), -0.05)
    gain = np.round(gain, 1) if seed % 2 else gain  # ties
    partner = _partners(gain)
    met = np.flatnonzero(partner >= 0)
    assert len(set(partner[met].tolist())) == len(met) and (gain[met, partner[met]] > 0).all()
    best = linear_sum_assignment(-np.maximum(gain, 0))
    assert np.isclose(gain[met, partner[met]].sum(), np.maximum(gain, 0)[best].sum())


@pytest.mark.slow
def test_a_long_run_does_not_grow():
    tracker = Tracker()
    rng = np.random.default_rng(0)
    most = 0
    for i in range(400):
        tracker.update(people(*rng.uniform(0, 4000, (20, 2))), i / FPS)
        most = max(most, len(tracker._people))
    assert most <= 60


def test_wrong_use_is_refused():
    tracker = Tracker()
    tracker.update(people((0, 0)), 0.0)
    with pytest.raises(LitePoseError, match="coco17"):
        tracker.update(Poses.empty(CROWDPOSE14), 0.1)
    for wrong in (math.nan, math.inf):
        with pytest.raises(LitePoseError, match="seconds"):
            tracker.update(people((0, 0)), wrong)
    for options in ({"keep_seconds": -1}, {"confirm_hits": 0}, {"min_similarity": 1.0}):
        with pytest.raises(LitePoseError):
            TrackOptions(**options)
