"""Several views of one image: who stays, whose keypoints, and where a larger view looks at all."""

from __future__ import annotations

import numpy as np
import pytest

from litepose.core.geometry import letterbox
from litepose.core.model_info import MergeSettings
from litepose.core.poses import Poses
from litepose.core.skeleton import COCO17
from litepose.decode.focus import LARGE_PX, MARGIN_PX, focus
from litepose.decode.merge import MergedMaps, block_side
from litepose.decode.merge_views import ViewPoses, merge_views, person_sides

SETTINGS = MergeSettings()


def person(x: float, y: float, side: float, score: float, keypoint_score: float = 0.8) -> Poses:
    """One person whose keypoints fill a square of that side with its corner at x, y."""
    grid = np.stack(np.meshgrid(np.linspace(0, 1, 5), np.linspace(0, 1, 4)), -1).reshape(-1, 2)
    points = grid[:17] * side
    points[16] = side, side
    return Poses(
        keypoints_xy=(points + np.array([x, y]))[None],
        keypoint_scores=np.full((1, 17), keypoint_score),
        person_scores=np.array([score]),
        skeleton=COCO17,
        image_wh=(640, 480),
    )


def together(*people: Poses) -> Poses:
    return Poses(
        keypoints_xy=np.concatenate([p.keypoints_xy for p in people]),
        keypoint_scores=np.concatenate([p.scores for p in people]),
        person_scores=np.concatenate([p.person_scores for p in people]),
        skeleton=COCO17,
        image_wh=(640, 480),
    )


def test_one_view_is_left_as_it_is() -> None:
    poses = person(10, 10, 20, 0.9)
    assert merge_views([ViewPoses(poses, 0.5)], SETTINGS) is poses


def test_the_view_that_shows_a_small_person_large_enough_wins() -> None:
    small, large = person(50, 50, 40, 0.6), person(52, 50, 40, 0.5)
    merged = merge_views([ViewPoses(small, 0.5), ViewPoses(large, 1.6)], SETTINGS)
    assert len(merged) == 1
    assert merged.person_scores[0] == pytest.approx(0.5), "40 px * 1.6 count whole"
    # Weights: 0.8 * 0.6 * 20 / 64 and 0.8 * 0.5; their squares are the shares.
    assert merged.keypoints_xy[0, 0, 0] == pytest.approx(51.753, abs=0.01)


def test_scores_are_lowered_by_size_and_never_raised() -> None:
    merged = merge_views(
        [ViewPoses(person(50, 50, 32, 0.8), 1.0), ViewPoses(person(400, 50, 300, 0.7), 1.0)],
        SETTINGS,
    )
    assert merged.person_scores.tolist() == pytest.approx([0.7, 0.4])


def test_the_surer_view_of_a_person_gives_the_keypoint() -> None:
    first, second = person(50, 50, 200, 0.8), person(54, 50, 200, 0.7)
    first.scores[0, 3], second.scores[0, 3] = 0.3, 0.9
    merged = merge_views([ViewPoses(first, 1.0), ViewPoses(second, 1.0)], SETTINGS)
    apart = merged.keypoints_xy[0, :, 0] - first.keypoints_xy[0, :, 0]
    assert np.delete(apart, 3) == pytest.approx(4 * 0.56**2 / (0.56**2 + 0.64**2), abs=1e-3)
    assert apart[3] == pytest.approx(4 * 0.63**2 / (0.63**2 + 0.24**2), abs=1e-3)
    assert merged.scores[0, 3] == np.float32(0.9)
    assert first.scores[0, 3] == np.float32(0.3), "the views are not changed"


def test_views_that_agree_on_a_place_are_averaged_and_others_are_not() -> None:
    first, second = person(50, 50, 200, 0.8), person(54, 50, 200, 0.8)
    second.keypoints_xy[0, 3] += 60
    merged = merge_views([ViewPoses(first, 1.0), ViewPoses(second, 1.0)], SETTINGS)
    apart = merged.keypoints_xy[0, :, 0] - first.keypoints_xy[0, :, 0]
    assert abs(apart[3]) < 1e-3 and np.delete(apart, 3) == pytest.approx(2, abs=1e-3)
    second.scores[0, :] = 0.4
    merged = merge_views([ViewPoses(first, 1.0), ViewPoses(second, 1.0)], SETTINGS)
    apart = merged.keypoints_xy[0, :, 0] - first.keypoints_xy[0, :, 0]
    assert np.delete(apart, 3) == pytest.approx(4 / 5, abs=1e-3), "squares of scores"


def test_a_partial_double_goes() -> None:
    """Half of a person, found once more as somebody: OKS over all shared keypoints lets it pass."""
    whole, part = person(50, 50, 200, 0.8), person(50, 50, 200, 0.5)
    part.keypoints_xy[0, 9:] += 150
    part.scores[0, 15:] = 0.0
    alone = merge_views([ViewPoses(whole, 1.0), ViewPoses(part, 1.0)], SETTINGS)
    assert len(alone) == 1 and alone.person_scores[0] == np.float32(0.8)


def test_neighbors_stay() -> None:
    views = [
        together(person(50, 50, 100, 0.8), person(170, 50, 100, 0.6)),
        person(400, 50, 90, 0.5),
    ]
    merged = merge_views([ViewPoses(views[0], 1.0), ViewPoses(views[1], 1.0)], SETTINGS)
    assert merged.person_scores.tolist() == pytest.approx([0.8, 0.6, 0.5])


def test_no_people_in_any_view() -> None:
    empty = Poses.empty(COCO17, (640, 480))
    assert len(merge_views([ViewPoses(empty, 1.0), ViewPoses(empty, 2.0)], SETTINGS)) == 0
    some = merge_views([ViewPoses(empty, 1.0), ViewPoses(person(9, 9, 99, 0.5), 2.0)], SETTINGS)
    assert len(some) == 1


@pytest.mark.parametrize("seed", range(20))
def test_order_of_views_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    views = []
    for zoom in (0.5, 1.0, 2.0):
        places = rng.uniform(0, 300, size=(4, 2))
        people = [person(x, y, rng.uniform(20, 200), rng.uniform(0.2, 1)) for x, y in places]
        views.append(ViewPoses(together(*people), zoom))
    forward, backward = merge_views(views, SETTINGS), merge_views(views[::-1], SETTINGS)
    assert forward.person_scores.tolist() == backward.person_scores.tolist()
    assert forward.keypoints_xy.tolist() == backward.keypoints_xy.tolist()


def test_person_sides_come_from_sure_keypoints() -> None:
    poses = person(10, 10, 50, 0.5)
    poses.scores[0, 16] = 0.04
    poses.keypoints_xy[0, 16] = 600
    assert person_sides(poses)[0] == pytest.approx(50, rel=0.1)


def maps_with(hot: list[tuple[int, int]], input_wh: tuple[int, int]) -> MergedMaps:
    """Maps at stride 4 that are hot in these cells (x, y) only."""
    w, h = input_wh[0] // 4, input_wh[1] // 4
    block = block_side(4)
    cells = np.full((17, (h // block + 1) * block, (w // block + 1) * block), -np.inf, np.float32)
    cells[:, :h, :w] = 0
    for x, y in hot:
        cells[3, y, x] = 0.9
    peaks = cells.reshape(17, -1, block, cells.shape[2] // block, block).max(axis=(2, 4))
    return MergedMaps(cells, peaks, 1, np.zeros((17, 2, h, w), np.float32), (w, h), 4, 4)


def test_a_cold_map_needs_no_second_view() -> None:
    box = letterbox((640, 480), 256, 32)
    assert focus(maps_with([], box.input_wh), box, Poses.empty(COCO17, (640, 480))) is None


def test_focus_holds_what_is_hot_and_little_more() -> None:
    box = letterbox((640, 480), 256, 32)
    left, top, right, bottom = focus(
        maps_with([(20, 20), (30, 25)], box.input_wh), box, Poses.empty(COCO17, (640, 480))
    )
    scale = 480 / 256
    assert left <= 80 * scale and top <= 80 * scale
    assert right >= 124 * scale and bottom >= 104 * scale
    most = (16 + MARGIN_PX) * scale + 1
    assert 80 * scale - left <= most and right - 124 * scale <= most


def test_large_people_who_were_read_well_need_no_second_view() -> None:
    box = letterbox((640, 480), 256, 32)
    scale = 480 / 256
    side = 1.2 * LARGE_PX * scale
    maps = maps_with([(20, 20)], box.input_wh)
    there = person(80 * scale - side / 2, 80 * scale - side / 2, side, 0.8)
    assert focus(maps, box, there) is None
    unsure = person(80 * scale - side / 2, 80 * scale - side / 2, side, 0.2)
    assert focus(maps, box, unsure) is not None
