"""Sheets, and the bridge to FiftyOne against a stand-in for it."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from litepose.core.errors import LitePoseError
from litepose.data.show import (
    contact_sheet,
    draw_sample,
    readable_samples,
    sample_poses,
    to_fiftyone,
)


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


def test_the_bridge_gives_shares_of_the_picture(drawn, monkeypatch):
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
