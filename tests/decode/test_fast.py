"""The fast decoder: against the truth, against the reference, and its invariants."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from litepose.core.errors import LitePoseError
from litepose.core.geometry import Affine, Letterbox
from litepose.core.maps import Maps
from litepose.core.skeleton import COCO17
from litepose.decode import peaks as candidates
from litepose.decode.decoder import decode
from litepose.decode.merge import ForwardPass, merge_passes, unflip
from litepose.decode.peaks import find_candidates
from litepose.decode.reference import decode_reference, enlarge
from tests.decode.crowd import BOX, INPUT_WH, Crowd, draw_crowd, info, one_pass
from tests.mirror import mirror_keypoints

KINDS = [((4, 2), 1), ((4,), 1), ((4,), 2), ((4, 2), 2)]
seeds = st.integers(0, 2**31)


def in_order_of(truth: np.ndarray, found: np.ndarray) -> np.ndarray:
    """For each true person the found one whose keypoint 0 is nearest."""
    return np.linalg.norm(truth[:, None, 0] - found[None, :, 0], axis=2).argmin(axis=1)


@pytest.mark.parametrize(("strides", "tag_size"), KINDS)
@pytest.mark.parametrize("people", [0, 1, 5, 40])
def test_all_people_are_found_where_they_are(people: int, strides, tag_size) -> None:
    crowd = draw_crowd(people, seed=people, strides=strides, tag_size=tag_size)
    poses = decode(one_pass(crowd), info(strides, fill=False, duplicate_oks=2))
    assert len(poses) == people, "and more than 30, which the official limit forbids"
    if people:
        at = in_order_of(crowd.points_xy, poses.keypoints_xy)
        assert sorted(at) == list(range(people))
        assert np.array_equal(poses.found[at], crowd.present)
        off = np.linalg.norm(poses.keypoints_xy[at] - crowd.points_xy, axis=2)
        assert off[crowd.present].max() < 0.35 * strides[-1] + 0.2, "true sub-pixel"


def has_tied_peaks(crowd: Crowd) -> bool:
    """Whether two neighboring cells of the enlarged heatmaps are equally hot and a peak."""
    heat, _ = enlarge(one_pass(crowd), per_pass_tags=True)
    peak = (heat > 0.1) & (heat == [cv2.dilate(h, np.ones((5, 5))) for h in heat])
    return bool((peak[:, 1:] & peak[:, :-1]).any() or (peak[:, :, 1:] & peak[:, :, :-1]).any())


@given(seeds, st.sampled_from(KINDS), st.integers(1, 25))
@example(seed=14813105, kind=((4, 2), 1), people=3)
@settings(max_examples=15)
def test_same_people_as_the_reference(seed: int, kind, people: int) -> None:
    crowd = draw_crowd(people, seed, strides=kind[0], tag_size=kind[1])
    how = info(kind[0], fill=False, duplicate_oks=2)
    fast = decode(one_pass(crowd), how)
    assert sorted(fast.found.sum(axis=1)) == sorted(crowd.present.sum(axis=1))
    if has_tied_peaks(crowd):  # the official parser takes both: docs/fidelity.md
        return
    slow = decode_reference(one_pass(crowd), how)
    assert len(fast) == len(slow) == people
    at = in_order_of(slow.keypoints_xy, fast.keypoints_xy)
    assert np.array_equal(fast.found[at], slow.found)
    apart = np.linalg.norm(fast.keypoints_xy[at] - slow.keypoints_xy, axis=2)
    limit = 0.6 * kind[0][-1]
    assert apart[slow.found].max() < limit, "quarter offset and parabola differ by little"
    assert np.abs(fast.scores[at] - slow.scores).max() < 0.1, "the mean of the strides, not the sum"


def test_the_reference_makes_two_people_of_a_peak_between_two_cells_and_ours_does_not() -> None:
    """A keypoint 3e-7 px from the border of two cells, found by chance; officially it is two."""
    crowd = draw_crowd(3, seed=14813105)
    assert has_tied_peaks(crowd) and not has_tied_peaks(draw_crowd(3, seed=0))
    how = info(fill=False, duplicate_oks=2)
    fast, slow = decode(one_pass(crowd), how), decode_reference(one_pass(crowd), how)
    assert len(fast) == 3 and len(slow) == 4
    assert slow.found.sum(axis=1).tolist() == [*fast.found.sum(axis=1), 1]
    assert slow.scores[3, 8] in slow.scores[:3, 8]


@pytest.mark.slow
@given(seeds, st.integers(2, 8))  # a bump may lie in 4 blocks: 16 + 2 * 8 hold them all
@settings(max_examples=15)
def test_filling_finds_the_keypoint_the_grouping_was_not_shown(seed: int, people: int) -> None:
    """A keypoint below the heat threshold is found again through the tag."""
    crowd = draw_crowd(people, seed, missing=0)
    faint = [h.copy() for h in crowd.maps.heatmaps]
    for h in faint:
        h[0, 9] *= 0.08  # twice that, the sum of two strides, would be above the threshold
    passes = [ForwardPass(crowd.maps._replace(heatmaps=tuple(faint)), BOX)]
    for how in (decode, decode_reference):
        poses = how(passes, info(duplicate_oks=2))
        at = in_order_of(crowd.points_xy, poses.keypoints_xy)
        off = np.linalg.norm(poses.keypoints_xy[at, 9] - crowd.points_xy[:, 9], axis=1)
        assert off.max() < 2.5
        assert (poses.scores[:, 9] > 0).all() and poses.scores[:, 9].max() <= 0.08
    unfilled = decode(passes, info(fill=False, duplicate_oks=2))
    assert (unfilled.scores[:, 9] == 0).all()
    assert np.allclose(unfilled.person_scores, decode(passes, info(duplicate_oks=2)).person_scores)


@pytest.mark.slow
@given(seeds, st.sampled_from(KINDS), st.integers(1, 25))
@settings(max_examples=15)
def test_a_mirrored_image_gives_mirrored_people(seed: int, kind, people: int) -> None:
    crowd = draw_crowd(people, seed, strides=kind[0], tag_size=kind[1])
    how = info(kind[0], "positional" if kind[1] == 2 else "learned", duplicate_oks=2)
    straight = decode(one_pass(crowd), how)
    mirrored = decode([ForwardPass(unflip(crowd.maps, COCO17, how.tag_kind), BOX)], how)
    back = mirror_keypoints(mirrored.keypoints_xy, INPUT_WH[0], COCO17.flip_index)
    at = in_order_of(straight.keypoints_xy, back)
    matched = straight.scores > how.decode.heat_threshold
    assert np.abs(back[at] - straight.keypoints_xy)[matched].max() < 1e-3
    if kind[1] == 2:
        centers = Affine.mirror(INPUT_WH[0])(mirrored.centers_xy)
        assert np.abs(centers[at] - straight.centers_xy).max() < 1e-3
    assert np.allclose(mirrored.person_scores, straight.person_scores, atol=1e-6)


@pytest.mark.slow
@given(seeds)
def test_unflipping_twice_changes_nothing(seed: int) -> None:
    crowd = draw_crowd(3, seed, tag_size=2)
    for kind in ("learned", "positional"):
        twice = unflip(unflip(crowd.maps, COCO17, kind), COCO17, kind)
        assert np.allclose(twice.tags, crowd.maps.tags, atol=1e-5)
        assert all(map(np.array_equal, twice.heatmaps, crowd.maps.heatmaps))


def test_a_plateau_gives_one_peak_and_the_border_counts() -> None:
    heat = np.zeros((17, 12, 16), np.float32)
    heat[0, 4:6, 4:7] = 0.7
    heat[1, 0, 0] = heat[1, 11, 15] = 0.9
    field = merge_passes(
        [ForwardPass(Maps((heat[None],), (4,), heat[None, :, None], 4), BOX)], "learned"
    )
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
    field = merge_passes(
        [ForwardPass(Maps((heat[None],), (stride,), tags, stride), BOX)], "learned"
    )
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


@pytest.mark.parametrize("strides", [(4,), (4, 2), (8, 4, 2)])
@pytest.mark.parametrize("kinds", [("f4", "f4"), ("f8", "f4"), ("f4", "f8"), ("f8", "f8")])
def test_merged_heat_is_the_mean_of_all_strides_and_passes(strides, kinds) -> None:
    crowd = draw_crowd(9, seed=6, strides=strides)
    flipped = unflip(crowd.maps, COCO17, "learned")
    passes, total = [], 0
    for maps, kind in zip((crowd.maps, flipped), kinds, strict=True):
        heatmaps = tuple(h.astype(kind) for h in maps.heatmaps)
        passes.append(ForwardPass(maps._replace(heatmaps=heatmaps), BOX))
        size_wh = heatmaps[-1].shape[:1:-1]
        total += np.stack(
            [[cv2.resize(one.astype("f8"), size_wh) for one in heat[0]] for heat in heatmaps]
        ).mean(axis=0)
        mean = total / len(passes)
        assert np.allclose(merge_passes(passes, "learned").heat, mean, atol=1e-6)


def test_flip_passes_average_positional_tags_and_append_learned_ones() -> None:
    crowd = draw_crowd(2, seed=1, tag_size=2)
    tags = crowd.maps.tags
    twice = [ForwardPass(crowd.maps, BOX), ForwardPass(crowd.maps._replace(tags=tags + 1), BOX)]
    assert np.allclose(merge_passes(twice, "positional").tags, tags[0] + 0.5)
    assert np.allclose(
        merge_passes(twice, "learned").tags, np.concatenate([tags, tags + 1], axis=2)[0]
    )


def test_another_scale_lends_its_heat_at_the_right_place() -> None:
    crowd = draw_crowd(6, seed=5)
    half = Maps((crowd.maps.heatmaps[0],), (8,), crowd.maps.tags, 8)  # the same, as if twice as far
    larger = Letterbox(INPUT_WH, (512, 384), (512, 384))
    passes = [ForwardPass(crowd.maps, BOX), ForwardPass(half, larger)]
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
    passes = [ForwardPass(crowd.maps._replace(tags=tags), twice_as_large)]
    poses = decode(passes, info(tag_kind="positional"))
    at = in_order_of(2 * crowd.points_xy, poses.keypoints_xy)
    assert np.abs(poses.centers_xy[at] - 2 * middle).max() < 0.5
    assert decode(passes, info(tag_kind="learned")).centers_xy is None


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
        decode([ForwardPass(Maps((heat,), (4,), np.zeros((1, 17, 1, 13, 17)), 4), BOX)], info((4,)))


def test_the_reference_has_the_official_limit_of_30_people_and_ours_has_not() -> None:
    """Officially only the first 30 groups take further joints, so 40 people fall to pieces."""
    crowd = draw_crowd(40, seed=4, missing=0)
    how = info(fill=False, duplicate_oks=2)
    whole = decode_reference(one_pass(crowd), how).found.all(axis=1).sum()
    assert whole <= 30
    assert decode(one_pass(crowd), how).found.all(axis=1).sum() == 40
