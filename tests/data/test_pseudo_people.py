"""People found by a teacher join the labeled ones; those shown at a wrong size are left out."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from litepose.core.errors import LitePoseError
from litepose.core.skeleton import COCO17
from litepose.data.augment import mask_sizes
from litepose.data.pseudo_people import WithPseudoPeople, read_people
from litepose.data.sample import Sample


def person(left: float, top: float, side: float) -> np.ndarray:
    """(17, 2): keypoints on a spiral inside a square of that side."""
    turn = np.linspace(0, 4 * np.pi, 17)
    spiral = np.stack([np.cos(turn), np.sin(turn)], -1) * np.linspace(0.2, 1, 17)[:, None]
    low, high = spiral.min(axis=0), spiral.max(axis=0)
    return ((spiral - low) / (high - low) * side + [left, top]).astype(np.float32)


def sample_of(*people: np.ndarray) -> Sample:
    points = np.stack(people)
    return Sample(
        image=np.zeros((200, 300, 3), np.uint8),
        keypoints_xy=points,
        visibility=np.full(points.shape[:2], 2, np.uint8),
        areas=np.full(len(points), 900, np.float32),
        valid_mask=np.ones((200, 300), bool),
        labeled=np.ones(17, bool),
        image_id=7,
    )


class One:
    """A dataset of one sample."""

    skeleton = COCO17

    def __init__(self, sample: Sample) -> None:
        self.sample, self.records = sample, [SimpleNamespace(image_id=sample.image_id)]

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Sample:
        return self.sample


def found(points: np.ndarray, score: float) -> np.ndarray:
    return np.concatenate([points, np.full((17, 1), score, np.float32)], axis=1)


def test_who_is_not_labeled_joins_with_scores_as_confidence() -> None:
    labeled, other = person(20, 20, 80), person(180, 60, 60)
    again = found(labeled + 2, 0.9)  # the labeled person, as the teacher places it
    new = found(other, 0.6)
    new[3, 2] = 0.05  # not found
    joined = WithPseudoPeople(One(sample_of(labeled)), {7: np.stack([again, new])})[0]
    np.testing.assert_array_equal(joined.keypoints_xy, np.stack([labeled, other]))
    assert joined.visibility[0].tolist() == [2] * 17
    assert joined.visibility[1].tolist() == [1] * 3 + [0] + [1] * 13
    assert joined.confidence[0].tolist() == [1] * 17
    assert joined.confidence[1, 0] == pytest.approx(0.6) and joined.confidence[1, 3] == 0
    assert 0 < joined.areas[1] < 60 * 60


def test_images_without_found_people_stay_as_they_are() -> None:
    sample = sample_of(person(20, 20, 80))
    assert WithPseudoPeople(One(sample), {8: np.zeros((1, 17, 3), np.float32)})[0] is sample


def test_results_are_read_from_a_score_on(tmp_path: Path) -> None:
    entries = [
        {"image_id": 7, "score": score, "keypoints": found(person(0, 0, 9), 0.5).ravel().tolist()}
        for score in (0.2, 0.3, 0.8)
    ]
    path = tmp_path / "results.json"
    path.write_text(json.dumps(entries))
    assert read_people(path, 17, 0.3)[7].shape == (2, 17, 3)
    with pytest.raises(LitePoseError, match="no COCO results of 14 keypoints"):
        read_people(path, 14, 0.3)


def test_people_of_a_wrong_size_are_masked_and_left_out() -> None:
    small, right, large = person(10, 10, 20), person(60, 60, 60), person(130, 20, 150)
    kept = mask_sizes(sample_of(small, right, large), (28, 100))
    np.testing.assert_array_equal(kept.keypoints_xy, right[None])
    assert len(kept.areas) == len(kept.visibility) == 1
    assert not kept.valid_mask[10:31, 10:31].any() and not kept.valid_mask[20:170, 130:280].any()
    assert kept.valid_mask[60:100, 60:100].all()


def test_two_keypoints_say_nothing_about_a_size() -> None:
    sample = sample_of(person(10, 10, 20))
    sample.visibility[0, 2:] = 0
    assert mask_sizes(sample, (28, 100)) is sample
