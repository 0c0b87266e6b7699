"""Losses: heatmaps, pull and push of tags, a teacher's heatmaps and tags.

Source: associative embedding (Newell et al., 2017) as Lite Pose trains it (formulas and reference
numbers in docs/fidelity.md); the focal loss is the quality focal loss of Li et al., 2020.
How ours differs: no loop over people; tags of T numbers with Euclidean distance; keypoints that a
dataset never labels and cells that hold unlabeled people are ignored; each part has a name.
Every loss of an image depends on that image alone and a batch's is their mean, so that several
processes with equal shares of a batch find the same number as one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from litepose.core.errors import LitePoseError
from litepose.core.maps import Maps
from litepose.training.targets import Targets

SEEN = 0.1  # a teacher's heatmap below says nothing of a keypoint


class Losses(NamedTuple):
    """Scalars; `total` is what is minimized, the others are parts before their weights."""

    total: Tensor
    heatmap: Tensor
    pull: Tensor
    push: Tensor
    dense: Tensor
    features: Tensor
    teacher_tags: Tensor


@dataclass(frozen=True)
class LossRule:
    """Weights of the parts of the total: each part times its weight, and the heatmap loss.

    heatmap:    "mse" (linear heads), "focal" (heads that end in a sigmoid)
    foreground: extra weight of a cell whose target is 1; official 0. A large one makes every
                doubtful place hot
    push:       "exp" or "max", the two official forms
    dense_weight: weight of the heatmap loss against a teacher's heatmaps
    feature_weight: weight of the difference from a teacher's features
    teacher_tag_weight: weight of the difference from a teacher's positional tags
    """

    heatmap: Literal["mse", "focal"] = "mse"
    foreground: float = 0.0
    push: Literal["exp", "max"] = "exp"
    pull_weight: float = 1e-3
    push_weight: float = 1e-3
    dense_weight: float = 0.0
    feature_weight: float = 0.0
    teacher_tag_weight: float = 0.0


def pose_losses(
    maps: Maps,
    targets: Targets,
    weights: tuple[Tensor, ...],
    rule: LossRule,
    teacher: tuple[Tensor, ...] | None = None,
    teacher_weights: tuple[Tensor, ...] | None = None,
) -> Losses:
    """Losses of a batch. `weights`: one (B, K, H, W) per stride, from `cell_weights`.

    teacher: one (B, K, H, W) per stride, dense targets in [0, 1]; teacher_weights: theirs, else
    `weights`
    """
    measure = focal_heatmap if rule.heatmap == "focal" else heatmap_mse
    trusted = weights if teacher_weights is None else teacher_weights
    zero = targets.heatmaps[0].new_zeros(())
    heatmap, dense = zero, zero
    for i, (predicted, target) in enumerate(zip(maps.heatmaps, targets.heatmaps, strict=True)):
        weight = weights[i] * (1 + rule.foreground * target) if rule.foreground else weights[i]
        heatmap = heatmap + measure(predicted.float(), target, weight).mean()
        if teacher is not None:
            dense = dense + measure(predicted.float(), teacher[i], trusted[i]).mean()
    tags = gather_tags(maps.tags.float(), targets.tag_cells)  # (B, P, K, T)
    pull, push = (part.mean() for part in pull_push(tags, targets.tag_labeled, rule.push))
    total = heatmap + rule.pull_weight * pull + rule.push_weight * push + rule.dense_weight * dense
    return Losses(total, heatmap, pull, push, dense, zero, zero)


def heatmap_mse(predicted: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """(B,): weighted squared error, mean over all K * H * W cells, counted or not."""
    return ((predicted - target) ** 2 * weight).mean(dim=(1, 2, 3))


def focal_heatmap(predicted: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """(B,): cross-entropy weighted by (target - predicted)^2, per unit of the targets' mass.

    predicted: probabilities. Its least value is at predicted = target for soft targets too, so it
    serves sub-pixel Gaussians and a teacher's heatmaps. An image without people counts as if it
    held a mass of K.
    """
    p = predicted.clamp(1e-6, 1 - 1e-6)
    entropy = -(target * p.log() + (1 - target) * (-p).log1p())
    sums = ((target - predicted) ** 2 * entropy * weight).sum(dim=(1, 2, 3))
    return sums / (target * weight).sum(dim=(1, 2, 3)).clamp(min=target.shape[1])


def teacher_tag_loss(tags: Tensor, teacher: Tensor, heat: Tensor) -> Tensor:
    """(B,): smooth absolute difference of positional tags (B, K, 2, H, W), in their units.

    A mean over the cells where the teacher sees the keypoint: `heat` (B, K, H, W), its heatmaps,
    above SEEN, is the weight. Labels name one cell for each keypoint, a teacher all around it.
    """
    weight = heat * (heat > SEEN)
    apart = F.smooth_l1_loss(tags.float(), teacher.float(), reduction="none", beta=0.5).sum(dim=2)
    return (apart * weight).sum(dim=(1, 2, 3)) / weight.sum(dim=(1, 2, 3)).clamp(min=1)


def gather_tags(tags: Tensor, cells: Tensor) -> Tensor:
    """(B, P, K, T): tags (B, K, T, H, W) at the cells (B, P, K) of people's keypoints."""
    flat = tags.flatten(start_dim=3)  # (B, K, T, H * W)
    index = cells.transpose(1, 2)[:, :, None].expand(-1, -1, flat.shape[2], -1)  # (B, K, T, P)
    return flat.gather(3, index).permute(0, 3, 1, 2)


def pull_push(
    tags: Tensor, labeled: Tensor, form: Literal["exp", "max"] = "exp"
) -> tuple[Tensor, Tensor]:
    """(B,) pull and (B,) push of tags (B, P, K, T) where `labeled` (B, P, K).

    Pull: per person the mean squared distance of its tags from their mean, mean over people.
    Push: half the mean over ordered pairs of people of exp(-d^2) or max(0, 1 - d), d the distance
    of their mean tags; 0 below two people. People without a labeled keypoint do not count.
    """
    mark = labeled[..., None].to(tags.dtype)  # (B, P, K, 1)
    count = mark.sum(dim=2).clamp(min=1)  # (B, P, 1)
    middle = (tags * mark).sum(dim=2) / count  # (B, P, T)
    spread = ((tags - middle[:, :, None]) ** 2 * mark).sum(dim=(2, 3)) / count[..., 0]  # (B, P)
    present = labeled.any(dim=2)  # (B, P)
    n = present.sum(dim=1)  # (B,)
    pull = spread.sum(dim=1) / n.clamp(min=1)

    squared = ((middle[:, :, None] - middle[:, None]) ** 2).sum(dim=-1)  # (B, P, P)
    distance = squared.clamp(min=1e-12).sqrt()  # a root has no slope at 0
    similarity = torch.exp(-squared) if form == "exp" else F.relu(1 - distance)
    pair = present[:, :, None] & present[:, None]
    pair = pair & ~torch.eye(pair.shape[1], dtype=torch.bool, device=pair.device)
    push = 0.5 * (similarity * pair).sum(dim=(1, 2)) / (n * (n - 1)).clamp(min=1)
    return pull, push


def cell_weights(valid_mask: Tensor, labeled: Tensor, map_hw: tuple[int, int]) -> Tensor:
    """(B, K, H, W) float32: 0 over crowds and for keypoints never labeled, else 1.

    valid_mask: (B, h, w) bool at the coarse map's stride; labeled: (B, K) bool.
    """
    mask = valid_mask[:, None].float()
    if mask.shape[-2:] != map_hw:
        mask = F.interpolate(mask, size=map_hw, mode="nearest")
    return mask * labeled[:, :, None, None]


def unlabeled_cells(start: Tensor, target: Tensor, threshold: float) -> Tensor:
    """(B, K, H, W) bool: where the teacher predicts a person that is not labeled.

    In images whose people are not all labeled such cells probably hold one, and are ignored.
    """
    return (start > threshold) & (target < 0.01)


def require_finite(losses: Losses, image_ids: Tensor) -> None:
    """Raises LitePoseError that names the batch's images and the parts where a loss is not."""
    if not bool(torch.isfinite(losses.total)):
        parts = {name: round(value.item(), 6) for name, value in losses._asdict().items()}
        raise LitePoseError(
            f"the loss is not finite: {parts}; images of the batch: {image_ids.tolist()}."
            " Lower the learning rate, clip gradients, or check the annotations of these images"
        )
