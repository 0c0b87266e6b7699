"""Sheets, and the bridge to FiftyOne against a stand-in for it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from litepose.core.errors import LitePoseError
from litepose.core.skeleton import COCO17
from litepose.data.contact_sheet import (
    contact_sheet,
    draw_sample,
    readable_samples,
    sample_poses,
    to_fiftyone,
)
from litepose.data.datasets import UnreadableImageError
from litepose.data.sample import Sample


def test_labels_become_poses_without_magic_places(drawn):
    for i in range(len(drawn)):
        sample = drawn[i]
        poses = sample_poses(sample, drawn.skeleton)
        assert np.array_equal(poses.found, sample.visibility > 0)
        assert (poses.scores[sample.visibility == 1] < poses.scores.max()).all()
        assert np.array_equal(poses.keypoints_xy[poses.found], sample.keypoints_xy[poses.found])
        missing = poses.keypoints_xy[~poses.found]
        assert (missing > 0).all()  # in the person's middle, not in the corner


def test_what_is_masked_is_dark(drawn):
    masked = next(s for s in map(drawn.__getitem__, range(12)) if not s.valid_mask.all())
    shown = draw_sample(masked, drawn.skeleton)
    dark = ~masked.valid_mask
    assert np.median(shown[dark] / np.maximum(masked.image[dark], 1.0)) < 0.4
    assert shown.shape == masked.image.shape


def test_a_sheet_has_room_for_all(drawn):
    samples, reasons = readable_samples(drawn, 5)
    assert len(samples) == 5 and not reasons
    one_row = contact_sheet(samples[:3], drawn.skeleton, columns=3, side=96)
    two_rows = contact_sheet(samples, drawn.skeleton, columns=3, side=96)
    assert two_rows.shape == (2 * one_row.shape[0], one_row.shape[1], 3)
    with pytest.raises(LitePoseError, match="at least one sample"):
        contact_sheet([], drawn.skeleton)


@pytest.mark.parametrize("side", [64, 2000])
def test_a_single_keypoint_leaves_a_mark_on_the_sheet(side):
    visibility = np.zeros((1, 17), np.uint8)
    visibility[0, 9] = 2
    sample = Sample(
        image=np.full((side, side, 3), 128, np.uint8),
        keypoints_xy=np.full((1, 17, 2), 0.3 * side, np.float32),
        visibility=visibility,
        areas=np.ones(1, np.float32),
        valid_mask=np.ones((side, side), bool),
        labeled=np.ones(17, bool),
        image_id=1,
    )
    tiles = [
        contact_sheet([one], COCO17)
        for one in (sample, replace(sample, visibility=np.zeros_like(visibility)))
    ]
    far = np.abs(np.subtract(*tiles, dtype=int)).max(axis=2)
    y, x = np.nonzero(far > 50)
    assert len(x) >= 12 and np.ptp(x) >= 3 and np.ptp(y) >= 3


class Unreadable:
    def __init__(self, dataset):
        self.dataset, self.skeleton, self.records = dataset, dataset.skeleton, dataset.records

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        raise UnreadableImageError(f"image {index} is damaged")


def test_nothing_to_show_says_why(drawn):
    with pytest.raises(LitePoseError, match=r"none of the 12 .*12 times: image \d+ is damaged"):
        readable_samples(Unreadable(drawn), 3)
    with pytest.raises(LitePoseError, match="lists no images"):
        readable_samples(drawn.select([]), 3)
    with pytest.raises(LitePoseError, match="1 or more; got 0"):
        readable_samples(drawn, 0)


@dataclass
class StandIn:
    """Keeps what it is given under the names it is given."""

    args: tuple = ()
    values: dict[str, Any] = field(default_factory=dict)
    samples: list = field(default_factory=list)

    def add_samples(self, samples):
        self.samples += samples


def stand_in(*args, **values):
    return StandIn(args, values)


def test_the_bridge_gives_shares_of_the_image(drawn, monkeypatch):
    names = ("Dataset", "KeypointSkeleton", "Keypoint", "Keypoints", "Detection", "Detections")
    fake = SimpleNamespace(Sample=stand_in, **dict.fromkeys(names, stand_in))
    monkeypatch.setitem(sys.modules, "fiftyone", fake)
    shown = to_fiftyone(drawn, "drawn")
    assert len(shown.samples) == 12
    assert shown.default_skeleton.values["labels"] == list(drawn.skeleton.keypoints)
    record = drawn.records[0]
    person = shown.samples[0].values["keypoints"].values["keypoints"][0].values["points"]
    seen = record.visibility[0] > 0
    assert np.allclose(np.array(person)[seen] * record.image_wh, record.keypoints_xy[0][seen])
    assert np.isnan(np.array(person)[~seen]).all()


def test_absence_of_fiftyone_or_its_database_is_a_sentence(drawn, monkeypatch):
    monkeypatch.setitem(sys.modules, "fiftyone", None)
    with pytest.raises(LitePoseError, match="not installed"):
        to_fiftyone(drawn, "drawn")

    def no_database(*_, **__):
        raise ConnectionError("no mongod")

    monkeypatch.setitem(sys.modules, "fiftyone", SimpleNamespace(Dataset=no_database))
    with pytest.raises(LitePoseError, match=r"MongoDB running.*no mongod"):
        to_fiftyone(drawn, "drawn")
