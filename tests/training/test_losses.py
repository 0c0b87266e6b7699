"""Losses: the official numbers, honest gradients, and what must not count."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from litepose.core.errors import LitePoseError
from litepose.core.maps import Maps
from litepose.training.losses import (
    LossRule,
    cell_weights,
    focal_heatmap,
    gather_tags,
    heatmap_mse,
    pose_losses,
    pull_push,
    require_finite,
    teacher_tag_loss,
    unlabeled_cells,
)
from litepose.training.targets import make_targets


@pytest.mark.parametrize("case", [0, 1, 2, 3])
def test_equal_to_the_official_losses(shared, case):
    reference = {
        name: torch.from_numpy(value)
        for name, value in np.load(shared / "reference" / f"loss_{case}.npz").items()
    }
    ours = heatmap_mse(reference["heatmaps"], reference["target"], reference["mask"][:, None])
    torch.testing.assert_close(ours, reference["heatmap_loss"], rtol=1e-5, atol=1e-6)

    # Joints are indices over (K, H, W); the recorded ones do not keep to their keypoint's map.
    flat, joints = reference["tags"].flatten(1), reference["joints"]
    tags = torch.stack([flat[b][joints[b, ..., 0]] for b in range(len(flat))])[..., None]
    for form in ("exp", "max"):
        pull, push = pull_push(tags, joints[..., 1] > 0, form)
        assert pull.mean().item() == pytest.approx(reference[f"pull_{form}"].item(), rel=1e-5)
        assert push.mean().item() == pytest.approx(reference[f"push_{form}"].item(), rel=1e-5)


def test_gathered_tags_are_those_of_their_own_map():
    tags = torch.arange(2 * 3 * 2 * 4 * 5.0).view(2, 3, 2, 4, 5)
    cells = torch.randint(0, 20, (2, 6, 3), generator=torch.Generator().manual_seed(0))
    got = gather_tags(tags, cells)
    assert got.shape == (2, 6, 3, 2)
    for b, p, k in np.ndindex(2, 6, 3):
        y, x = divmod(int(cells[b, p, k]), 5)
        assert torch.equal(got[b, p, k], tags[b, k, :, y, x])


@pytest.mark.parametrize("form", ["exp", "max"])
def test_tag_gradients(form):
    generator = torch.Generator().manual_seed(3)
    tags = torch.randn(2, 4, 3, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    labeled = torch.rand(2, 4, 3, generator=generator) < 0.6
    labeled[1, 1:] = False  # one person alone: no push
    assert torch.autograd.gradcheck(lambda t: pull_push(t, labeled, form), tags)
    pull, push = pull_push(tags, labeled, form)
    assert push[1] == 0
    (pull.sum() + push.sum()).backward()
    assert tags.grad[~labeled].abs().max() == 0


def test_equal_tags_have_a_finite_gradient():
    tags = torch.zeros(1, 3, 2, 2, requires_grad=True)
    sum(pull_push(tags, torch.ones(1, 3, 2, dtype=torch.bool), "max")).sum().backward()
    assert torch.isfinite(tags.grad).all()


def test_focal_is_least_at_the_target_and_at_certainty_stays_finite():
    target = torch.tensor([0.0, 0.3, 0.8, 1.0]).view(1, 1, 2, 2)
    logits = torch.zeros(1, 1, 2, 2, requires_grad=True)
    optimizer = torch.optim.Adam([logits], 0.05)
    for _ in range(400):
        optimizer.zero_grad()
        focal_heatmap(logits.sigmoid(), target, torch.ones_like(target)).sum().backward()
        optimizer.step()
    torch.testing.assert_close(logits.sigmoid(), target, atol=0.08, rtol=0)
    certain = torch.tensor([0.0, 1.0, 0.0, 1.0]).view(1, 1, 2, 2).requires_grad_()
    focal_heatmap(certain, target, torch.ones_like(target)).sum().backward()
    assert torch.isfinite(certain.grad).all()


def case(seed=0, people=3):
    generator = torch.Generator().manual_seed(seed)
    points = torch.rand(2, people, 4, 2, generator=generator) * 64
    targets = make_targets(points, torch.full((2, people, 4), 2), (64, 64), (4, 2))
    heatmaps = tuple(torch.rand(h.shape, generator=generator) for h in targets.heatmaps)
    tags = torch.randn(2, 4, 2, 16, 16, generator=generator)
    return Maps(heatmaps, (4, 2), tags, 4), targets


def weights_of(valid_mask, labeled, targets):
    return tuple(cell_weights(valid_mask, labeled, h.shape[-2:]) for h in targets.heatmaps)


def test_a_teachers_tags_count_where_it_sees_the_keypoint() -> None:
    heat = torch.zeros(2, 3, 4, 4)
    heat[0, 1, 2, 2], heat[0, 1, 2, 3], heat[0, 2, 0, 0] = 0.8, 0.4, 0.09
    teacher = torch.randn(2, 3, 2, 4, 4)
    tags = (teacher + 2).requires_grad_()
    losses = teacher_tag_loss(tags, teacher, heat)
    assert losses.tolist() == pytest.approx([2 * (2 - 0.25), 0]), "mean over the two hot cells"
    losses.sum().backward()
    hot = (heat > 0.1)[:, :, None].expand_as(tags)
    assert (tags.grad[hot] > 0).all() and not tags.grad[~hot].any()


@pytest.mark.parametrize("kind", ["mse", "focal"])
def test_masked_cells_and_unlabeled_keypoints_count_for_nothing(kind):
    maps, targets = case()
    valid = torch.ones(2, 16, 16, dtype=torch.bool)
    valid[:, :, 8:] = False
    labeled = torch.tensor([[True, True, True, False]] * 2)
    rule = LossRule(heatmap=kind, foreground=1.0, dense_weight=1.0)
    weights = weights_of(valid, labeled, targets)
    for heatmap in maps.heatmaps:
        heatmap.requires_grad_()
    losses = pose_losses(maps, targets, weights, rule, teacher=targets.heatmaps)
    losses.total.backward()
    for heatmap in maps.heatmaps:
        half = heatmap.shape[-1] // 2
        assert heatmap.grad[..., half:].abs().max() == 0
        assert heatmap.grad[:, 3].abs().max() == 0
        assert heatmap.grad[:, :3, :, :half].abs().max() > 0


def test_the_total_is_the_weighted_sum_and_halves_of_a_batch_average():
    maps, targets = case()
    rule = LossRule(pull_weight=0.5, push_weight=0.25, dense_weight=2.0)
    weights = weights_of(torch.ones(2, 16, 16, dtype=torch.bool), torch.ones(2, 4), targets)
    teacher = tuple(torch.rand_like(h) for h in targets.heatmaps)
    whole = pose_losses(maps, targets, weights, rule, teacher)
    expected = whole.heatmap + 0.5 * whole.pull + 0.25 * whole.push + 2 * whole.dense
    torch.testing.assert_close(whole.total, expected)

    def half(i):
        part = slice(i, i + 1)
        cut = [tuple(h[part] for h in maps_) for maps_ in (maps.heatmaps, weights, teacher)]
        own = targets._replace(
            heatmaps=tuple(h[part] for h in targets.heatmaps),
            tag_cells=targets.tag_cells[part],
            tag_labeled=targets.tag_labeled[part],
        )
        return pose_losses(
            maps._replace(heatmaps=cut[0], tags=maps.tags[part]), own, cut[1], rule, cut[2]
        )

    for name, value in whole._asdict().items():
        mean = (getattr(half(0), name) + getattr(half(1), name)) / 2
        torch.testing.assert_close(mean, value)


def test_doubtful_cells_spare_labeled_people():
    start = torch.tensor([0.9, 0.9, 0.1, 0.1])
    target = torch.tensor([0.0, 1.0, 0.0, 1.0])
    assert unlabeled_cells(start, target, 0.3).tolist() == [True, False, False, False]


def test_a_loss_that_is_not_finite_names_the_images():
    maps, targets = case()
    maps.heatmaps[0][0, 0, 0, 0] = torch.nan
    weights = weights_of(torch.ones(2, 16, 16, dtype=torch.bool), torch.ones(2, 4), targets)
    losses = pose_losses(maps, targets, weights, LossRule())
    with pytest.raises(LitePoseError, match="139, 785"):
        require_finite(losses, torch.tensor([139, 785]))
