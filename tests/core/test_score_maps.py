"""Score maps: rising, read from JSON, and scores of people and keypoints become probabilities."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from litepose.core.errors import LitePoseError
from litepose.core.poses import Poses
from litepose.core.score_maps import ScoreMap, ScoreMaps, read_score_maps
from litepose.core.skeleton import COCO17

KNOTS = {"map": [[0.1, 0.4], [0.3, 0.8]]}


def poses() -> Poses:
    scores = np.full((2, 17), 0.2)
    scores[0, 3] = 0
    return Poses(np.ones((2, 17, 2)), scores, np.array([0.9, 0.2]), COCO17)


def test_scores_become_probabilities_and_missing_keypoints_stay_missing() -> None:
    maps = ScoreMaps.from_dict({"people": KNOTS, "keypoints": KNOTS}, "here")
    found = maps(poses())
    np.testing.assert_allclose(found.person_scores, [0.8, 0.6], rtol=1e-6)
    assert found.keypoint_scores[0, 3] == 0
    np.testing.assert_allclose(found.keypoint_scores[1], 0.6, rtol=1e-6)


def test_a_kind_without_a_map_stays(tmp_path: Path) -> None:
    (tmp_path / "calibration.json").write_text(json.dumps({"keypoints": KNOTS}))
    found = read_score_maps(tmp_path / "calibration.json")(poses())
    np.testing.assert_array_equal(found.person_scores, poses().person_scores)


def test_knots_survive_json() -> None:
    curve = ScoreMap(np.array([0.1, 0.2000000001, 0.2000000002]), np.array([0.0, 0.5, 1.0]))
    again = ScoreMaps.from_dict({"people": {"map": curve.knots()}}, "here").people
    assert again is not None
    np.testing.assert_allclose(again(np.array([0.15, 0.9])), [0.5, 1.0], atol=1e-5)


@pytest.mark.parametrize(
    "knots",
    [
        [], [[0.1, 0.5], [0.1, 0.6]], [[0.1, 0.5], [0.2, 0.4]], [[0.1, 1.5]], [[0.1, None]], "x",
        [[0.1, float("nan")]], [[0.1]], {"a": 1},
    ],
)  # fmt: skip
def test_curves_that_are_none_are_a_sentence(knots) -> None:
    with pytest.raises(LitePoseError, match="here holds no score map for people"):
        ScoreMaps.from_dict({"people": {"map": knots}}, "here")


def test_a_file_without_maps_is_a_sentence(tmp_path: Path) -> None:
    for content in ("{}", "[]", '{"people": 3}'):
        (tmp_path / "a.json").write_text(content)
        with pytest.raises(LitePoseError, match=r"a.json holds no score map"):
            read_score_maps(tmp_path / "a.json")
