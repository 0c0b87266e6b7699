"""The fast decoder: against the truth, against the reference, and its invariants."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from litepose.core.errors import LitePoseError
from litepose.core.geometry import Affine, Letterbox, mirror_keypoints
from litepose.core.maps import Maps
from litepose.core.skeleton import COCO17
from litepose.decode import candidates, grouping
from litepose.decode.candidates import Candidates, find_candidates
from litepose.decode.decoder import decode
from litepose.decode.passes import Pass, combine, unflip
from litepose.decode.reference import decode_reference
from tests.decode.crowd import BOX, INPUT_WH, draw_crowd, info, one_pass

KINDS = [((4, 2), 1), ((4,), 1), ((4,), 2), ((4, 2), 2)]
seeds = st.integers(0, 2**31)


def in_order_of(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    """For each true person the found one whose keypoint 0 is nearest."""
    return np.linalg.norm(truth[:, None, 0] - found[None, :, 0], axis=2).argmin(axis=1)


@pytest.mark.parametrize(("strides", "tag_size"), KINDS)
@pytest.mark.parametrize("people", [0, 1, 5, 40])
def test_everybody_is_found_where_they_are(people: int, strides, tag_size) -> None:
    crowd = draw_crowd(people, seed=people, strides=strides, tag_size=tag_size)
    poses = decode(one_pass(crowd), info(strides, fill=False, duplicate_oks=2))
    assert len(poses) == people, "and more than 30, which the official limit forbids"
    if people:
        at = in_order_of(crowd.points_xy, poses.keypoints_xy)
        assert sorted(at) == list(range(people))
        assert np.array_equal(poses.found[at], crowd.present)
        off = np.linalg.norm(poses.keypoints_xy[at] - crowd.points_xy, axis=2)
        assert off[crowd.present].max() < 0.35 * strides[-1] + 0.2, "true sub-pixel"


@given(seeds, st.sampled_from(KINDS), st.integers(1, 25))
@settings(max_examples=15)
def test_same_people_as_the_reference(seed: int, kind, people: int) -> None:
    crowd = draw_crowd(people, seed, strides=kind[0], tag_size=kind[1])
    how = info(kind[0], fill=False, duplicate_oks=2)
    fast, slow = decode(one_pass(crowd), how), decode_reference(one_pass(crowd), how)
    assert len(fast) == len(slow) == people
    at = in_order_of(slow.keypoints_xy, fast.keypoints_xy)
    assert np.array_equal(fast.found[at], slow.found)
    apart = np.linalg.norm(fast.keypoints_xy[at] - slow.keypoints_xy, axis=2)
    limit = 0.6 * kind[0][-1]
    assert apart[slow.found].max() < limit, "quarter offset and parabola differ by little"


@given(seeds, st.integers(2, 8))  # a bump may lie in 4 blocks: 16 + 2 * 8 hold them all
@settings(max_examples=15)
def test_filling_finds_the_keypoint_the_grouping_was_not_shown(seed: int, people: int) -> None:
    """A keypoint below the heat threshold is found again through the tag."""
    crowd = draw_crowd(people, seed, missing=0)
    faint = [h.copy() for h in crowd.maps.heatmaps]
    for h in faint:
        h[0, 9] *= 0.05
    passes = [Pass(crowd.maps._replace(heatmaps=tuple(faint)), BOX)]
    for how in (decode, decode_reference):
        poses = how(passes, info(duplicate_oks=2))
        at = in_order_of(crowd.points_xy, poses.keypoints_xy)
        off = np.linalg.norm(poses.keypoints_xy[at, 9] - crowd.points_xy[:, 9], axis=1)
        assert off.max() < 2.5 and (poses.scores[:, 9] > 0).all()
    unfilled = decode(passes, info(fill=False, duplicate_oks=2))
    assert (unfilled.scores[:, 9] == 0).all()
    assert np.allclose(unfilled.person_scores, decode(passes, info(duplicate_oks=2)).person_scores)


@given(seeds, st.sampled_from(KINDS), st.integers(1, 25))
@settings(max_examples=15)
def test_a_mirrored_picture_gives_mirrored_people(seed: int, kind, people: int) -> None:
    crowd = draw_crowd(people, seed, strides=kind[0], tag_size=kind[1])
    how = info(kind[0], "positional" if kind[1] == 2 else "learned", duplicate_oks=2)
    straight = decode(one_pass(crowd), how)
    mirrored = decode([Pass(unflip(crowd.maps, COCO17, how.tag_kind), BOX)], how)
    back = mirror_keypoints(mirrored.keypoints_xy, INPUT_WH[0], COCO17.flip_index)
    at = in_order_of(straight.keypoints_xy, back)
    matched = straight.scores > how.decode.heat_threshold
    assert np.abs(back[at] - straight.keypoints_xy)[matched].max() < 1e-3
    if kind[1] == 2:
        centres = Affine.mirror(INPUT_WH[0])(mirrored.centres_xy)
        assert np.abs(centres[at] - straight.centres_xy).max() < 1e-3
    assert np.allclose(mirrored.person_scores, straight.person_scores, atol=1e-6)


@given(seeds)
def test_unflipping_twice_changes_nothing(seed: int) -> None:
    crowd = draw_crowd(3, seed, tag_size=2)
    for kind in ("learned", "positional"):
        twice = unflip(unflip(crowd.maps, COCO17, kind), COCO17, kind)
        assert np.allclose(twice.tags, crowd.maps.tags, atol=1e-5)
        assert all(map(np.array_equal, twice.heatmaps, crowd.maps.heatmaps))


@given(seeds, st.integers(1, 20))
@settings(max_examples=15)
def test_the_order_of_candidates_does_not_matter(seed: int, people: int) -> None:
    crowd = draw_crowd(people, seed)
    field = combine(one_pass(crowd), "learned")
    found = find_candidates(field, 0.1, 200)
    straight = grouping.group(found, COCO17, 1.0)
    shuffled = np.random.default_rng(seed).permutation(len(found.scores))
    shuffled = shuffled[np.argsort(found.keypoint[shuffled], kind="stable")]
    other = grouping.group(Candidates(*(column[shuffled] for column in found)), COCO17, 1.0)
    assert np.allclose(straight.person_scores, other.person_scores)
    assert np.allclose(straight.cells_xy, other.cells_xy)


@given(seeds, st.integers(0, 12), st.sampled_from([1, 2, 4]), st.sampled_from([0.05, 0.3, 1.0]))
@settings(max_examples=60)
def test_people_who_need_no_matching_are_those_that_matching_finds(
    seed: int, people: int, tag_size: int, noise: float
) -> None:
    """Tags clear, blurred and everything between, T = 1, 2 and 4 (two passes of 2)."""
    rng = np.random.default_rng(seed)
    own = rng.uniform(0, 2 * people + 1, (people, 1, tag_size))
    tags = own + rng.uniform(-noise, noise, (people, 17, tag_size))
    there = rng.random((people, 17)) < 0.7
    keypoint, person = np.nonzero(there.T)
    found = Candidates(
        keypoint,
        rng.uniform(0, 50, (len(person), 2)).astype(np.float32),
        rng.uniform(0.1, 1, len(person)).astype(np.float32),
        tags[person, keypoint].astype(np.float32),
    )
    usual = grouping.group(found, COCO17, 1.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouping, "_clumps", lambda c, k, t: (np.full(len(c.scores), -1), 0))
        matched = grouping.group(found, COCO17, 1.0)
    assert np.array_equal(usual.cells_xy, matched.cells_xy)
    assert np.array_equal(usual.scores, matched.scores)
    assert np.allclose(usual.tags, matched.tags, atol=1e-5)
    if noise < 0.1 and tag_size == 1 and len(own) < 2:
        assert (grouping._clumps(found, 17, 1.0)[0] >= 0).all(), "or the test proves nothing"


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
        assert np.isclose(found.scores.sum(), scores.sum(), rtol=1e-4), "nobody is lost"
    assert checked > 1500


def test_equal_tags_do_not_merge_people() -> None:
    """Two noses with the very same tag are two people."""
    crowd = draw_crowd(2, seed=3, missing=0)
    same = crowd.maps._replace(tags=np.zeros_like(crowd.maps.tags))
    poses = decode([Pass(same, BOX)], info(fill=False, duplicate_oks=2))
    assert len(poses) == 2 and poses.found.all()


def test_near_duplicates_are_one_and_the_better_stays() -> None:
    rng = np.random.default_rng(0)
    cells = rng.uniform(0, 40, (3, 17, 2)).astype(np.float32)
    cells[1] = cells[0] + 0.3
    scores = np.full((3, 17), 0.5, np.float32)
    people = grouping.People(cells, scores, np.zeros((3, 1)), np.array([0.9, 0.8, 0.7]))
    kept = grouping.drop_duplicates(people, COCO17, 0.6)
    assert kept.person_scores.tolist() == [0.9, 0.7]
    assert len(grouping.drop_duplicates(people, COCO17, 1.1).scores) == 3


def test_a_plateau_gives_one_peak_and_the_border_counts() -> None:
    heat = np.zeros((17, 12, 16), np.float32)
    heat[0, 4:6, 4:7] = 0.7
    heat[1, 0, 0] = heat[1, 11, 15] = 0.9
    field = combine([Pass(Maps((heat[None],), (4,), heat[None, :, None], 4), BOX)], "learned")
    found = find_candidates(field, 0.1, 30)
    assert found.keypoint.tolist() == [0, 1, 1]
    assert found.cells_xy[1:].tolist() == [[0.5, 0.5], [15.5, 11.5]]
    assert len(find_candidates(field, 0.1, 1).scores) == 2


@pytest.mark.parametrize("size_wh", [(16, 12), (17, 13), (3, 30), (1, 1), (40, 24)])
@pytest.mark.parametrize("stride", [1, 2, 4, 5, 32])
def test_candidates_are_the_local_maxima_whatever_the_size(
    monkeypatch, size_wh: tuple[int, int], stride: int
) -> None:
    """The shortcut through blocks against a plain loop over all cells."""
    w, h = size_wh
    heat = np.random.default_rng(w * stride).integers(0, 9, (17, h, w)).astype(np.float32) / 10
    tags = np.zeros((1, 17, 1, h, w), np.float32)
    field = combine([Pass(Maps((heat[None],), (stride,), tags, stride), BOX)], "learned")
    assert np.array_equal(field.heat, heat)
    wanted = set()
    for k, y, x in np.argwhere(heat > 0.45).tolist():
        around = [(v, u) for v in (y - 1, y, y + 1) for u in (x - 1, x, x + 1)]
        if all(
            heat[k, y, x] > heat[k, v, u] if (v, u) < (y, x) else heat[k, y, x] >= heat[k, v, u]
            for v, u in around
            if 0 <= v < h and 0 <= u < w
        ):
            wanted.add((k, x, y))
    monkeypatch.setattr(candidates, "subpixel", lambda flat, at, columns: np.zeros((len(at), 2)))
    found = find_candidates(field, 0.45, 10**6)
    x, y = np.floor(found.cells_xy).astype(int).T.tolist()
    assert sorted(zip(found.keypoint.tolist(), x, y, strict=True)) == sorted(wanted)


def test_merged_heat_is_the_mean_of_all_strides_and_passes() -> None:
    crowd = draw_crowd(9, seed=6)
    coarse, fine = crowd.maps.heatmaps
    twice = [Pass(crowd.maps, BOX), Pass(unflip(crowd.maps, COCO17, "learned"), BOX)]
    mean = [(cv2.resize(c, f.shape[::-1]) + f) / 2 for c, f in zip(coarse[0], fine[0], strict=True)]
    assert np.allclose(combine(twice[:1], "learned").heat, mean, atol=1e-6)
    other = combine([Pass(twice[1].maps, BOX)], "learned").heat
    assert np.allclose(combine(twice, "learned").heat, (mean + other) / 2, atol=1e-6)


def test_flip_passes_average_positional_tags_and_append_learned_ones() -> None:
    crowd = draw_crowd(2, seed=1, tag_size=2)
    twice = [Pass(crowd.maps, BOX), Pass(crowd.maps, BOX)]
    assert combine(twice, "positional").tags.shape[1] == 2
    assert combine(twice, "learned").tags.shape[1] == 4
    assert np.allclose(combine(twice, "learned").heat, combine(twice[:1], "learned").heat)


def test_another_scale_lends_its_heat_at_the_right_place() -> None:
    crowd = draw_crowd(6, seed=5)
    half = Maps((crowd.maps.heatmaps[0],), (8,), crowd.maps.tags, 8)  # the same, as if twice as far
    larger = Letterbox(INPUT_WH, (512, 384), (512, 384))
    passes = [Pass(crowd.maps, BOX), Pass(half, larger)]
    for how in (decode, decode_reference):
        poses = how(passes, info(fill=False, duplicate_oks=2))
        at = in_order_of(crowd.points_xy, poses.keypoints_xy)
        off = np.linalg.norm(poses.keypoints_xy[at] - crowd.points_xy, axis=2)[crowd.present]
        assert off.max() < 2.5


def test_absent_keypoints_lie_in_the_middle_of_the_found_ones() -> None:
    crowd = draw_crowd(4, seed=2, missing=0.5)
    poses = decode(one_pass(crowd), info(fill=False, duplicate_oks=2))
    for n in range(4):
        found = poses.found[n]
        middle = poses.keypoints_xy[n, found].mean(axis=0)
        assert np.allclose(poses.keypoints_xy[n, ~found], middle, atol=1e-2)


def test_positional_tags_say_where_each_persons_middle_is_and_learned_ones_do_not() -> None:
    crowd = draw_crowd(5, seed=8, tag_size=2, missing=0)
    middle = crowd.points_xy.mean(axis=1)
    tags = crowd.maps.tags.copy()
    for own, place in zip(crowd.own_tags, (middle - 2) / 32, strict=True):  # cells of 4 pixels
        here = (crowd.maps.tags == own[:, None, None]).all(axis=2)[0, 0]
        tags[0, :, :, here] = place
    twice_as_large = Letterbox((2 * INPUT_WH[0], 2 * INPUT_WH[1]), INPUT_WH, INPUT_WH)
    passes = [Pass(crowd.maps._replace(tags=tags), twice_as_large)]
    poses = decode(passes, info(tag_kind="positional"))
    at = in_order_of(2 * crowd.points_xy, poses.keypoints_xy)
    assert np.abs(poses.centres_xy[at] - 2 * middle).max() < 0.5
    assert decode(passes, info(tag_kind="learned")).centres_xy is None


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["heatmaps", "tags"])
@pytest.mark.parametrize("how", [decode, decode_reference])
def test_numbers_that_are_not_finite_are_refused(bad, where, how) -> None:
    crowd = draw_crowd(1, seed=0)
    spoilt = crowd.maps.tags if where == "tags" else crowd.maps.heatmaps[0]
    spoilt.reshape(-1)[5] = bad
    with pytest.raises(LitePoseError, match="not finite"):
        how(one_pass(crowd), info())


def test_a_number_that_is_not_finite_is_seen_in_the_last_cell_of_a_map_of_odd_size() -> None:
    heat = np.zeros((1, 17, 13, 17), np.float32)
    heat[0, 16, 12, 16] = np.nan
    with pytest.raises(LitePoseError, match="heatmap"):
        decode([Pass(Maps((heat,), (4,), np.zeros((1, 17, 1, 13, 17)), 4), BOX)], info((4,)))


def test_the_reference_has_the_official_limit_of_30_people_and_ours_has_not() -> None:
    """Officially only the first 30 groups take further joints, so 40 people fall to pieces."""
    crowd = draw_crowd(40, seed=4, missing=0)
    how = info(fill=False, duplicate_oks=2)
    whole = decode_reference(one_pass(crowd), how).found.all(axis=1).sum()
    assert whole <= 30
    assert decode(one_pass(crowd), how).found.all(axis=1).sum() == 40
