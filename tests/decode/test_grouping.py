"""Grouping: who belongs together by tags, what is filled in, who is there twice."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from litepose.core.skeleton import COCO17
from litepose.decode import grouping, refine
from litepose.decode.decoder import decode
from litepose.decode.merge import ForwardPass, merge_passes
from litepose.decode.peaks import Candidates, find_candidates
from litepose.decode.pose_nms import drop_duplicates
from tests.decode.crowd import BOX, draw_crowd, info, one_pass

seeds = st.integers(0, 2**31)


@pytest.mark.slow
@given(seeds, st.integers(1, 20))
@settings(max_examples=15)
def test_the_order_of_candidates_does_not_matter(seed: int, people: int) -> None:
    crowd = draw_crowd(people, seed)
    field = merge_passes(one_pass(crowd), "learned")
    found = find_candidates(field, 0.1, 200)
    straight = grouping.group(found, COCO17, 1.0)
    shuffled = np.random.default_rng(seed).permutation(len(found.scores))
    shuffled = shuffled[np.argsort(found.keypoint[shuffled], kind="stable")]
    other = grouping.group(Candidates(*(column[shuffled] for column in found)), COCO17, 1.0)
    assert np.allclose(straight.person_scores, other.person_scores)
    assert np.allclose(straight.cells_xy, other.cells_xy)


def people_of_tags(tags: np.ndarray, there: np.ndarray, seed: int = 0) -> Candidates:
    """Candidates of people with these tags (N, 17, T), where they are there (N, 17)."""
    rng = np.random.default_rng(seed)
    keypoint, person = np.nonzero(there.T)
    return Candidates(
        keypoint,
        rng.uniform(0, 50, (len(person), 2)).astype(np.float32),
        rng.uniform(0.1, 1, len(person)).astype(np.float32),
        tags[person, keypoint].astype(np.float32),
    )


@pytest.mark.slow
@given(
    seeds,
    st.integers(0, 12),
    st.sampled_from([1, 2, 4]),
    st.sampled_from([0.05, 0.3, 0.6, 1.0]),
    st.sampled_from([0.1, 0.7]),
)
@settings(max_examples=100)
def test_people_who_need_no_matching_are_those_that_matching_finds(
    seed: int, people: int, tag_size: int, noise: float, presence: float
) -> None:
    """Tags clear, blurred, equal in some of their numbers; T = 1, 2 and 4 (two passes of 2)."""
    rng = np.random.default_rng(seed)
    own = rng.uniform(0, 2 * people + 1, (people, 1, tag_size)) * rng.integers(0, 2, tag_size)
    tags = own + rng.uniform(-noise, noise, (people, 17, tag_size))
    found = people_of_tags(tags, rng.random((people, 17)) < presence, seed)
    usual = grouping.group(found, COCO17, 1.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouping, "_tag_clusters", lambda c, k, t: (np.full(len(c.scores), -1), 0))
        matched = grouping.group(found, COCO17, 1.0)
    assert np.array_equal(usual.cells_xy, matched.cells_xy)
    assert np.array_equal(usual.scores, matched.scores)
    assert np.allclose(usual.tags, matched.tags, atol=1e-5)


def test_who_needs_no_matching() -> None:
    everything = np.ones((3, 17), bool)
    tags = np.zeros((3, 17, 2))
    tags[:, :, 0] = np.array([0, 3, 6])[:, None]
    person, people = grouping._tag_clusters(people_of_tags(tags, everything), 17, 1.0)
    assert people == 3 and np.array_equal(np.bincount(person), [17, 17, 17])

    half = np.zeros((2, 17), bool)
    half[0, :8] = half[1, 8:] = True
    second = np.zeros((2, 17, 2))
    second[1, :, 1] = 5  # one in their first number, apart in the second
    found = people_of_tags(second, half)
    assert grouping._tag_clusters(found, 17, 1.0)[1] == 2
    assert len(grouping.group(found, COCO17, 1.0).scores) == 2

    same_tags = people_of_tags(np.zeros((2, 17, 2)), everything[:2])  # each keypoint twice
    assert grouping._tag_clusters(same_tags, 17, 1.0)[1] == 0
    assert len(grouping.group(same_tags, COCO17, 1.0).scores) == 2


def test_filling_a_few_at_a_time_changes_nothing(monkeypatch) -> None:
    crowd = draw_crowd(40, seed=9, missing=0.4)
    several = []
    for at_once in (3, 10**6):
        monkeypatch.setattr(refine, "CHUNK", at_once)
        several.append(decode(one_pass(crowd), info(duplicate_oks=2)))
    assert (several[0].scores > 0).sum() > crowd.present.sum(), "or nothing was filled"
    assert np.array_equal(several[0].keypoints_xy, several[1].keypoints_xy)
    assert np.array_equal(several[0].scores, several[1].scores)


@pytest.mark.slow
def test_matchings_cost_what_scipys_optimum_costs_over_1000_crowds(monkeypatch) -> None:
    """Every matching that grouping makes, over crowds of 0 to 100 people with tags that overlap."""
    rng = np.random.default_rng(7)
    checked = 0

    def checking(rows, columns, cost, num_rows) -> np.ndarray:
        nonlocal checked
        found = match_edges(rows, columns, cost, num_rows)
        table = np.full((num_rows, columns.max() + 1 if len(columns) else 0), 1e5)
        table[rows, columns] = cost
        best = linear_sum_assignment(table)
        theirs = table[best][table[best] < 1e5]
        matched = np.flatnonzero(found >= 0)
        ours = table[matched, found[matched]]
        assert len(ours) == len(theirs), "as many pairs as can be"
        assert np.isclose(ours.sum(), theirs.sum(), rtol=0, atol=1e-6)
        checked += 1
        return found

    match_edges = grouping.match_edges
    monkeypatch.setattr(grouping, "match_edges", checking)
    for _ in range(1000):
        people = int(rng.integers(0, 101))
        count = rng.integers(0, people + 1, 3) if people else np.zeros(3, int)
        total = int(count.sum())
        tags = rng.uniform(0, max(1.0, 0.8 * people), (total, 1)).astype(np.float32)
        keypoint = np.repeat(np.arange(3), count)
        cells = rng.uniform(0, 50, (total, 2)).astype(np.float32)
        scores = rng.uniform(0.1, 1, total).astype(np.float32)
        found = grouping.group(Candidates(keypoint, cells, scores, tags), COCO17, 1.0)
        assert np.isclose(found.scores.sum(), scores.sum(), rtol=1e-4), "no person is lost"
    assert checked > 1500


def test_equal_tags_do_not_merge_people() -> None:
    """Two noses with the very same tag are two people."""
    crowd = draw_crowd(2, seed=3, missing=0)
    same = crowd.maps._replace(tags=np.zeros_like(crowd.maps.tags))
    poses = decode([ForwardPass(same, BOX)], info(fill=False, duplicate_oks=2))
    assert len(poses) == 2 and poses.found.all()


def test_near_duplicates_are_one_and_the_better_stays() -> None:
    rng = np.random.default_rng(0)
    cells = rng.uniform(0, 40, (3, 17, 2)).astype(np.float32)
    cells[1] = cells[0] + 0.3
    scores = np.full((3, 17), 0.5, np.float32)
    people = grouping.People(cells, scores, np.zeros((3, 1)), np.array([0.9, 0.8, 0.7]))
    kept = drop_duplicates(people, COCO17, 0.6)
    assert kept.person_scores.tolist() == [0.9, 0.7]
    assert len(drop_duplicates(people, COCO17, 1.1).scores) == 3
