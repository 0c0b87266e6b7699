"""Keypoints to target heatmaps and tag cells, batched, on the device.

Source: the target generator of HigherHRNet and Lite Pose (facts in docs/fidelity.md): per keypoint
a Gaussian of `heatmap_sigma` cells, cut at 3 sigma + 1 cells, the maximum where people overlap.
Differences: one scatter of small patches for the whole batch instead of a loop over people; any
number of people; optionally a sigma per keypoint; and besides the official Gaussian about the
truncated cell (`floor`) one about the exact position (`none`), which has no half-cell bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor

Rounding = Literal["floor", "none"]


class Targets(NamedTuple):
    """Target maps of a batch.

    heatmaps:   one (B, K, H, W) float32 in [0, 1] per stride
    tag_cells:  (B, P, K) int64, `y * W + x` of each keypoint's cell on the tag map; 0 where absent
    tag_labeled: (B, P, K) bool, False for absent keypoints and those outside the tag map
    """

    heatmaps: tuple[Tensor, ...]
    tag_cells: Tensor
    tag_labeled: Tensor


def make_targets(
    keypoints_xy: Tensor,
    visibility: Tensor,
    size_hw: tuple[int, int],
    strides: Sequence[int],
    heatmap_sigma: float | Sequence[float] = 2.0,
    rounding: Rounding = "floor",
    confidence: Tensor | None = None,
) -> Targets:
    """Targets of B inputs with at most P people each.

    keypoints_xy: (B, P, K, 2), input pixels; visibility: (B, P, K), 0 where absent;
    size_hw: of the input; strides: input pixels per cell, one per heatmap, the first also of tags;
    heatmap_sigma: cells, one number or one per keypoint; rounding: of the Gaussian's center;
    confidence: (B, P, K) height of each Gaussian, None for 1.
    """
    h, w = size_hw
    present, k = visibility > 0, keypoints_xy.shape[2]
    sigmas = [heatmap_sigma] * k if isinstance(heatmap_sigma, int | float) else heatmap_sigma
    maps = tuple(
        draw_heatmaps(
            keypoints_xy / stride,
            present,
            (h // stride, w // stride),
            sigmas,
            rounding,
            confidence,
        )
        for stride in strides
    )
    tag_hw = (h // strides[0], w // strides[0])
    cells, labeled = map_cells(keypoints_xy / strides[0], present, tag_hw, rounding)
    index = cells[..., 1] * tag_hw[1] + cells[..., 0]  # (B, P, K)
    return Targets(maps, torch.where(labeled, index, 0), labeled)


def map_cells(
    points_xy: Tensor, present: Tensor, map_hw: tuple[int, int], rounding: Rounding
) -> tuple[Tensor, Tensor]:
    """Cells (..., 2) int64 that points in map units fall in, and which are present and inside.

    `floor` truncates toward zero like the official `int()`: -0.9 is in cell 0. With `none` such a
    point is outside.
    """
    cells = (points_xy.trunc() if rounding == "floor" else points_xy.floor()).long()
    limit = torch.tensor((map_hw[1], map_hw[0]), device=cells.device)
    return cells, present & ((cells >= 0) & (cells < limit)).all(dim=-1)


def draw_heatmaps(
    points_xy: Tensor,
    present: Tensor,
    map_hw: tuple[int, int],
    sigmas: Sequence[float],
    rounding: Rounding,
    confidence: Tensor | None = None,
) -> Tensor:
    """(B, K, H, W): the Gaussians of points (B, P, K, 2) in map units, their maximum over people.

    One scatter with maximum writes a patch of (2 r + 1)^2 cells per present point, so the cost
    depends on the number of people, not on the size of a (B, P, K, H, W) array.
    """
    batch, _, k, _ = points_xy.shape
    h, w = map_hw
    all_cells, inside = map_cells(points_xy, present, map_hw, rounding)
    b, _, which = inside.nonzero(as_tuple=True)  # (M,) each
    cells = all_cells[inside]  # (M, 2)
    sigma = torch.tensor(sigmas, dtype=torch.float32, device=cells.device)[which]  # (M,)
    # A cell's center is at + 0.5, so a position minus 0.5 is in units of cell indices.
    center = cells.float() if rounding == "floor" else points_xy[inside].float() - 0.5  # (M, 2)

    reach = 3 * sigma + 1
    r = int(3 * max(sigmas) + 1)
    offset = torch.arange(-r, r + 1, device=cells.device)  # (D,)
    place = cells[:, :, None] + offset  # (M, 2, D)
    away = place - center[:, :, None]
    bell = torch.exp(-(away**2) / (2 * sigma[:, None, None] ** 2))
    limit = torch.tensor((w, h), device=cells.device)[:, None]
    bell *= (away.abs() <= reach[:, None, None]) & (place >= 0) & (place < limit)
    patch = bell[:, 1, :, None] * bell[:, 0, None, :]  # (M, D, D), rows are y
    if confidence is not None:
        patch *= confidence[inside][:, None, None]

    place = torch.minimum(place.clamp_(min=0), limit - 1)
    row = (b * k + which)[:, None] * h + place[:, 1]  # (M, D)
    index = row[:, :, None] * w + place[:, 0, None, :]  # (M, D, D)
    flat = points_xy.new_zeros(batch * k * h * w, dtype=torch.float32)
    flat.scatter_reduce_(0, index.flatten(), patch.flatten(), "amax")
    return flat.view(batch, k, h, w)
