"""Targets: the official numbers, and what must hold beyond them."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from litepose.training.targets import make_targets


@pytest.mark.parametrize("case", [0, 1, 2])
def test_equal_to_the_official_targets(shared, case):
    reference = np.load(shared / "reference" / f"targets_{case}.npz")
    keypoints = torch.from_numpy(reference["keypoints"])[None]
    map_hw = reference["heatmaps"].shape[1:]
    targets = make_targets(keypoints[..., :2], keypoints[..., 2], map_hw, strides=(1,))
    np.testing.assert_allclose(targets.heatmaps[0][0], reference["heatmaps"], atol=1e-6)

    # The official list packs each person's keypoints to the front, as one index over (K, H, W).
    base = torch.arange(keypoints.shape[2]) * map_hw[0] * map_hw[1]
    for person, official in enumerate(reference["joints"][: keypoints.shape[1]]):
        ours = (targets.tag_cells[0, person] + base)[targets.tag_labeled[0, person]]
        assert ours.tolist() == official[official[:, 1] > 0, 0].tolist()


def one_point(x, y, rounding, sigma=2.0, size=64):
    points = torch.tensor([x, y], dtype=torch.float32).view(1, 1, 1, 2)
    return make_targets(points, torch.ones(1, 1, 1), (size, size), (4,), sigma, rounding)


def test_unbiased_center_is_the_true_place():
    """Fine Gaussians, summed up, weigh exactly at the point; the floored ones do not."""
    x, y = 33.0, 30.4
    cells = torch.arange(16) + 0.5
    for rounding, error in (("none", 0.02), ("floor", 2.1)):
        heat = one_point(x, y, rounding, sigma=1.5).heatmaps[0][0, 0]
        found = torch.stack([(heat.sum(0) * cells).sum(), (heat.sum(1) * cells).sum()]) / heat.sum()
        distance = (found * 4 - torch.tensor([x, y])).abs().max()
        assert distance < error
    assert distance > 0.5  # the last of the two, floor, is off by up to half a cell


def test_a_point_just_outside():
    assert one_point(-3.0, 8.0, "floor").tag_labeled.item()
    assert one_point(-3.0, 8.0, "floor").heatmaps[0].max() == 1
    assert not one_point(-3.0, 8.0, "none").tag_labeled.item()
    assert one_point(-3.0, 8.0, "none").heatmaps[0].max() == 0
    for rounding in ("floor", "none"):
        assert one_point(64.0, 8.0, rounding).heatmaps[0].max() == 0


def test_people_overlap_by_their_maximum_in_any_order():
    generator = torch.Generator().manual_seed(1)
    points = torch.rand(2, 40, 3, 2, generator=generator) * torch.tensor((96.0, 64.0))
    visibility = torch.randint(0, 3, (2, 40, 3), generator=generator)
    both = make_targets(points, visibility, (64, 96), (4, 2))
    assert [tuple(h.shape) for h in both.heatmaps] == [(2, 3, 16, 24), (2, 3, 32, 48)]
    order = torch.randperm(40, generator=generator)
    mixed = make_targets(points[:, order], visibility[:, order], (64, 96), (4, 2))
    assert all(map(torch.equal, both.heatmaps, mixed.heatmaps))
    alone = [
        make_targets(points[:, i : i + 1], visibility[:, i : i + 1], (64, 96), (4, 2)).heatmaps
        for i in range(40)
    ]
    for scale in (0, 1):
        expected = torch.stack([maps[scale] for maps in alone]).amax(dim=0)
        assert torch.equal(both.heatmaps[scale], expected)


def test_a_sigma_for_each_keypoint():
    points = torch.full((1, 1, 2, 2), 34.0)
    heat = make_targets(points, torch.ones(1, 1, 2), (64, 64), (4,), (0.9, 1.4)).heatmaps[0][0]
    for k, sigma in enumerate((0.9, 1.4)):
        assert heat[k, 8, 9].item() == pytest.approx(np.exp(-1 / (2 * sigma**2)), rel=1e-5)
        assert heat[k, 8, 8 + int(3 * sigma + 1)] > 0
        assert heat[k, 8, 8 + int(3 * sigma + 2)] == 0


def test_no_people_and_only_absent_people():
    for people in (0, 3):
        targets = make_targets(
            torch.zeros(2, people, 5, 2), torch.zeros(2, people, 5), (32, 32), (4,)
        )
        assert targets.heatmaps[0].shape == (2, 5, 8, 8)
        assert not targets.heatmaps[0].any() and not targets.tag_labeled.any()
