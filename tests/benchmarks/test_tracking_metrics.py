"""IDF1, MOTA and switches: cases worked by hand, and laws that hold for any clip."""

from __future__ import annotations

import numpy as np
import pytest
from benchmarks.tracking.disturb import Disturber
from benchmarks.tracking.metrics import Sighting, TrackingScore, score_tracking, together
from benchmarks.tracking.walking import ClipSettings, walk
from hypothesis import given, settings
from hypothesis import strategies as st

from litepose.core.errors import LitePoseError
from litepose.core.oks import compute_oks
from litepose.core.skeleton import COCO17
from litepose.inference.tracker import Tracker


def frame(true: dict[int, int | None], ghosts: tuple[int, ...] = ()) -> Sighting:
    """true: id -> id it was found under, or None; ghosts: found ids that are nobody."""
    found = [f for f in true.values() if f is not None] + list(ghosts)
    alike = np.array([[float(f == t) for f in found] for t in true.values()])
    return Sighting(np.array(list(true)), np.array(found), alike.reshape(len(true), len(found)))


def test_a_perfect_clip_scores_one():
    score = score_tracking([frame({1: 7, 2: 8})] * 5)
    assert score == TrackingScore(people=10, found=10, misses=0, ghosts=0, switches=0, same=10)
    assert score.mota == score.idf1 == 1


def test_an_id_lost_half_way():
    """Six frames, one person, found as 7 for four of them and as 9 for two."""
    score = score_tracking([frame({1: 7})] * 4 + [frame({1: 9})] * 2)
    assert score == TrackingScore(people=6, found=6, misses=0, ghosts=0, switches=1, same=4)
    assert score.mota == pytest.approx(5 / 6) and score.idf1 == pytest.approx(8 / 12)


def test_two_people_exchange_ids():
    """Two frames right, three exchanged: the ids belong where they were longer."""
    score = score_tracking([frame({1: 7, 2: 8})] * 2 + [frame({1: 8, 2: 7})] * 3)
    assert score == TrackingScore(people=10, found=10, misses=0, ghosts=0, switches=2, same=6)


def test_misses_ghosts_and_a_switch_across_a_gap():
    frames = [frame({1: 7}), frame({1: None}, ghosts=(5,)), frame({1: 8}), frame({}, ghosts=(8,))]
    score = score_tracking(frames)
    assert score == TrackingScore(people=3, found=4, misses=1, ghosts=2, switches=1, same=1)
    assert score.mota == pytest.approx(1 - 4 / 3)


def test_an_old_pair_is_kept_while_it_is_alike_enough():
    """A better stranger does not count as a switch (CLEAR MOT)."""
    first = Sighting(np.array([1]), np.array([7]), np.array([[0.9]]))
    then = Sighting(np.array([1]), np.array([7, 8]), np.array([[0.6, 0.9]]))
    score = score_tracking([first, then])
    assert (score.switches, score.ghosts, score.same) == (0, 1, 2)


def test_who_does_not_count_takes_its_finding_along():
    alike = np.array([[0.9, 0.0, 0.0], [0.0, 0.8, 0.0]])
    counted = np.array([True, False])
    score = score_tracking([Sighting(np.array([1, 2]), np.array([7, 8, 9]), alike, counted)])
    assert score == TrackingScore(people=1, found=2, misses=0, ghosts=1, switches=0, same=1)


def test_clips_are_added_up_and_nothing_scores_zero_errors():
    one = score_tracking([frame({1: 7})] * 3)
    both = together([one, one])
    assert (both.people, both.same, both.idf1) == (6, 6, 1)
    assert together([]) == score_tracking([]) == TrackingScore(0, 0, 0, 0, 0, 0)


@pytest.mark.slow
@settings(max_examples=60)
@given(st.integers(0, 2**31))
def test_renaming_changes_nothing_and_counts_add_up(seed):
    rng = np.random.default_rng(seed)
    frames, renamed = [], []
    names = rng.permutation(50) + 100
    for _ in range(rng.integers(1, 12)):
        m, n = rng.integers(0, 5, size=2)
        alike = rng.uniform(size=(m, n))
        true, found = rng.permutation(6)[:m], rng.permutation(8)[:n]
        frames.append(Sighting(true, found, alike))
        order = rng.permutation(n)
        renamed.append(Sighting(true, names[found][order], alike[:, order]))
    score = score_tracking(frames)
    assert score == score_tracking(renamed)
    assert score.people - score.misses == score.found - score.ghosts >= score.switches
    assert 0 <= score.idf1 <= 1 and score.mota <= 1
    assert score.same <= min(score.people, score.found)


def test_impossible_frames_are_refused():
    with pytest.raises(LitePoseError, match="twice"):
        score_tracking([Sighting(np.array([1]), np.array([7, 7]), np.ones((1, 2)))])
    with pytest.raises(LitePoseError, match="shape"):
        score_tracking([Sighting(np.array([1]), np.array([7]), np.ones((2, 1)))])


@pytest.mark.slow
def test_our_tracker_on_disturbed_clips():
    """Guards the tracker's settings as a whole; benchmarks/track.py measures them."""
    settings = ClipSettings(size_wh=(200, 80), people=4, seconds=5, fps=12)
    scores = []
    for seed in (200, 201):
        tracker, disturber, frames = Tracker(), Disturber(seed), []
        for moment in walk(seed, settings):
            truth, seen = moment.truth, moment.truth.visibility == 2
            found = tracker.update(disturber.see(truth, settings.size_wh), moment.seconds)
            alike = compute_oks(found, truth.keypoints_xy, truth.areas, COCO17.sigmas, seen).T
            frames.append(Sighting(truth.ids, found.track_ids, alike, seen.sum(axis=1) >= 3))
        scores.append(score_tracking(frames))
    score = together(scores)
    assert score.idf1 > 0.6 and score.mota > 0.7, score
