"""Poses: checks, slicing, JSON and COCO forms and back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest

from litepose.core.errors import LitePoseError
from litepose.core.geometry import Affine
from litepose.core.oks import pose_area, pose_similarity
from litepose.core.poses import Poses
from litepose.core.skeleton import COCO17, Skeleton

SCHEMA = Path(__file__).parents[2] / "docs" / "poses.schema.json"


def some_poses(
    n: int = 3, skeleton: Skeleton = COCO17, ids: bool = False, centers: bool = False
) -> Poses:
    rng = np.random.default_rng(n)
    k = skeleton.num_keypoints
    scores = rng.uniform(0.1, 1, (n, k)).round(3)
    scores[:, 1] = 0
    return Poses(
        rng.uniform(0, 100, (n, k, 2)).round(2),
        scores,
        rng.random(n).round(3),
        skeleton,
        (120, 100),
        np.arange(7, 7 + n) if ids else None,
        rng.uniform(-9, 100, (n, 2)).round(2) if centers else None,
    )


@pytest.mark.parametrize("more", [False, True])
@pytest.mark.parametrize("n", [0, 1, 4])
def test_json_comes_back_and_follows_the_published_schema(n: int, more: bool) -> None:
    """`more`: with ids and centers, which an empty record cannot say that it had."""
    poses = some_poses(n, ids=more and n > 0, centers=more and n > 0)
    again = Poses.from_json(poses.to_json())
    assert np.allclose(again.keypoints_xy, poses.keypoints_xy)
    assert np.allclose(again.scores, poses.scores)
    assert again.to_json() == poses.to_json()
    if poses.centers_xy is None:
        assert again.centers_xy is None and '"center"' not in poses.to_json()
    else:
        assert np.allclose(again.centers_xy, poses.centers_xy)
    jsonschema.validate(json.loads(poses.to_json()), json.loads(SCHEMA.read_text()))


def test_json_carries_a_skeleton_of_its_own() -> None:
    pair = Skeleton("pair", ("left_end", "right_end"), (("left_end", "right_end"),), (0.1, 0.1))
    poses = some_poses(2, pair)
    assert Poses.from_json(poses.to_json()).skeleton == pair
    jsonschema.validate(json.loads(poses.to_json()), json.loads(SCHEMA.read_text()))


def test_coco_results_come_back() -> None:
    poses = some_poses(3)
    entries = poses.to_coco(image_id=42)
    assert {e["image_id"] for e in entries} == {42} and len(entries[0]["keypoints"]) == 51
    again = Poses.from_coco(entries, COCO17)
    assert np.allclose(again.keypoints_xy, poses.keypoints_xy, atol=1e-3)
    assert np.allclose(again.person_scores, poses.person_scores, atol=1e-6)
    with pytest.raises(LitePoseError, match="several images"):
        Poses.from_coco(entries + poses.to_coco(43), COCO17)


def test_slicing_and_iteration() -> None:
    poses = some_poses(4, ids=True, centers=True)
    assert np.array_equal(poses[[2, 0]].centers_xy, poses.centers_xy[[2, 0]])
    assert len(poses[1]) == 1 and poses[1].track_ids.tolist() == [8]
    assert len(poses[1:]) == 3 and len(poses[poses.track_ids > 8]) == 2
    assert [p.track_ids[0] for p in poses] == [7, 8, 9, 10]
    assert poses.keypoint("nose").shape == (4, 3)


def test_boxes_hold_only_found_keypoints_and_move_along() -> None:
    points = np.full((1, 17, 2), 50.0)
    points[0, 0], points[0, 1], points[0, 2] = (10, 20), (30, 60), (0, 0)
    scores = np.zeros((1, 17))
    scores[0, :2] = 0.5
    poses = Poses(points, scores, [0.5], COCO17)
    assert poses.boxes_xyxy.tolist() == [[10, 20, 30, 60]]
    assert poses.moved(Affine.scale_shift((2, 1))).boxes_xyxy.tolist() == [[20, 20, 60, 60]]
    assert Poses.empty(COCO17).boxes_xyxy.shape == (0, 4)
    centerd = replace(poses, centers_xy=np.array([[15.0, 30.0]]))
    assert centerd.moved(Affine.scale_shift((2, 1))).centers_xy.tolist() == [[30, 30]]


@pytest.mark.parametrize(
    ("points", "scores", "people", "said"),
    [
        (np.zeros((1, 16, 2)), np.zeros((1, 17)), [0.1], "17"),
        (np.full((1, 17, 2), np.nan), np.zeros((1, 17)), [0.1], "finite"),
        (np.zeros((1, 17, 2)), np.full((1, 17), 1.5), [0.1], r"\[0, 1\]"),
        (np.zeros((1, 17, 2)), np.zeros((1, 17)), [np.nan], r"\[0, 1\]"),
    ],
)
def test_wrong_poses_are_refused(points, scores, people, said) -> None:
    with pytest.raises(LitePoseError, match=said):
        Poses(points, scores, np.array(people), COCO17)


@pytest.mark.parametrize("centers", [np.zeros((2, 2)), np.full((1, 2), np.nan)])
def test_wrong_centers_are_refused(centers: np.ndarray) -> None:
    with pytest.raises(LitePoseError, match=r"centers \(1, 2\)"):
        replace(some_poses(1), centers_xy=centers)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"schema":2}', '{"schema":1,"skeleton":"coco17"}',
             '{"schema":1,"skeleton":"coco17","people":[{"score":1,"keypoints":[[1,2,1]]}]}'],
)  # fmt: skip
def test_wrong_json_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(LitePoseError, match="poses record"):
        Poses.from_json(text)


def test_similarity_is_one_for_the_same_pose_and_falls_with_distance() -> None:
    poses = some_poses(2)
    xy, scores = poses.keypoints_xy, poses.scores
    area = pose_area(xy, scores)
    assert np.allclose(pose_similarity(xy, scores, xy, scores, area, COCO17), 1)
    near = pose_similarity(xy, scores, xy + 1, scores, area, COCO17)
    far = pose_similarity(xy, scores, xy + 9, scores, area, COCO17)
    assert (near < 1).all() and (far < near).all()
    square = pose_similarity(xy[:, None], scores[:, None], xy, scores, area[:, None], COCO17)
    assert square.shape == (2, 2) and np.allclose(np.diag(square), 1)
    none = pose_similarity(xy, scores, xy, np.zeros_like(scores), area, COCO17)
    assert (none == 0).all()


def test_records_of_the_first_schema_are_read() -> None:
    record = some_poses(2, ids=True, centers=True).to_dict()
    old = record | {"schema": 1}
    old["people"] = [{("centre" if k == "center" else k): v for k, v in p.items()}
                     for p in record["people"]]  # fmt: skip
    assert Poses.from_dict(old).to_dict() == record


def test_scores_is_the_same_as_keypoint_scores() -> None:
    poses = some_poses(2)
    assert poses.scores is poses.keypoint_scores


def test_a_table_has_a_row_for_each_keypoint() -> None:
    pytest.importorskip("pandas")
    poses = some_poses(3, ids=True)
    table = poses.to_dataframe()
    assert len(table) == 3 * 17 and table.loc[17, "keypoint"] == "nose"
    assert table.loc[17, "track_id"] == poses.track_ids[1]
    assert table.loc[17, "x"] == poses.keypoints_xy[1, 0, 0]


def test_what_other_packages_need_is_said(monkeypatch) -> None:
    monkeypatch.setattr("litepose.core.packages.find_spec", lambda name: None)
    for convert in (some_poses(1).to_dataframe, some_poses(1).to_supervision):
        with pytest.raises(LitePoseError, match="pip install"):
            convert()
