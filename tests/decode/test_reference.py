"""The reference decoder equals the official numbers."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from litepose.core.skeleton import COCO17, CROWDPOSE14
from litepose.decode.reference import (
    OFFICIAL_ORDER,
    ReferenceSettings,
    nudge_to_neighbor,
    official_input,
    parse,
)

CASES = (
    "00_coco_1people", "01_coco_2people", "02_coco_3people", "03_coco_6people",
    "04_coco_10people", "05_coco_20people", "06_crowdpose_1people", "07_crowdpose_5people",
    "08_crowdpose_12people",
)  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_people_are_the_official_ones_in_the_same_order(shared: Path, case: str) -> None:
    with np.load(shared / "reference" / f"grouping_{case}.npz") as official:
        for nudge, fill in ((0, 0), (1, 0), (1, 1)):
            key = f"people_adjust{nudge}_refine{fill}"
            settings = ReferenceSettings(nudge=bool(nudge), fill=bool(fill))
            people, scores = parse(official["det"], official["tags"][:, None], settings)
            assert people.shape == official[key].shape
            assert np.abs(people[..., :3] - official[key][..., :3]).max() < 1e-3
            assert np.abs(scores - official["scores_" + key]).max() < 1e-5


def test_input_geometry_is_the_official_one(shared: Path) -> None:
    cases = json.loads((shared / "reference" / "resize_geometry.json").read_text())
    assert cases
    for case in cases:
        size, to_image = official_input(tuple(case["image_wh"]), case["input_size"])
        assert list(size) == case["network_wh"]
        points = to_image(np.array(case["points_network"], dtype=float))
        assert np.abs(points - np.array(case["points_image"])).max() < 1e-3


def test_official_orders_are_permutations_and_coco_names_say_ours_is_the_same() -> None:
    for k, order in OFFICIAL_ORDER.items():
        assert sorted(order) == list(range(k))
    assert COCO17.grouping_index.tolist() == list(OFFICIAL_ORDER[17])
    assert CROWDPOSE14.grouping_index.tolist() != list(OFFICIAL_ORDER[14])


def test_nudge_goes_to_the_hotter_side_and_equal_counts_as_lower() -> None:
    channel = np.zeros((5, 5))
    channel[2, 2], channel[2, 3] = 1, 0.5
    assert nudge_to_neighbor(channel, 2, 2) == (0.75, 0.25)
    assert nudge_to_neighbor(np.zeros((3, 3)), 0, 0) == (0.25, 0.25)
