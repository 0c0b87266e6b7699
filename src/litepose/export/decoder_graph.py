"""The first half of the decoder as part of the graph: maps to candidates, fixed shapes.

Computes the same numbers as `decode/merge.py` and `decode/peaks.py`: merged strides and passes, 3x3
peaks, the strongest M, sub-pixel positions, interpolated tags. Only the form differs: each keypoint
has M candidates, unused ones with score 0. `decoded.py` groups them; missing keypoints cannot be
filled, because that needs the maps.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from litepose.core.maps import TAG_UNIT_PX
from litepose.core.model_info import ModelInfo
from litepose.models.network import Network

OUTPUTS = ("scores", "xy", "tags")


class DecoderHalf(nn.Module):
    """Images (B, 3, H, W) -> scores (B, K, M), xy (B, K, M, 2) in input pixels, tags (B, K, M, T).

    M is `max_candidates` of the settings, strongest first; score 0 marks an unused place.
    """

    def __init__(self, network: Network, info: ModelInfo, flip: bool = False) -> None:
        super().__init__()
        self.network, self.info, self.flip = network, info, flip
        self.register_buffer("flip_index", torch.from_numpy(info.skeleton.flip_index.copy()))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        heat, tags = self._maps(images)
        if self.flip:
            mirrored_heat, mirrored_tags = self._unflip(*self._maps(images.flip(3)))
            heat = (heat + mirrored_heat) / 2
            if self.info.tag_kind == "positional":
                tags = (tags + mirrored_tags) / 2
            else:
                tags = torch.cat((tags, mirrored_tags), dim=2)
        stride = self.info.strides[-1]
        scores, column, row = peaks(heat, self.info.decode.heat_threshold, self._most)
        cells_xy = torch.stack((column, row), dim=-1) + 0.5 + subpixel(heat, column, row)
        sampled = sample_tags(tags, cells_xy * (stride / self.info.tag_stride))
        return scores, cells_xy * stride, sampled

    @property
    def _most(self) -> int:
        return self.info.decode.max_candidates

    def _maps(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Heatmaps (B, K, H, W) at the finest stride, the mean of all strides; tags."""
        maps = self.network(images)
        *coarse, finest = maps.heatmaps
        for heatmaps in coarse:
            finest = finest + F.interpolate(
                heatmaps, size=finest.shape[-2:], mode="bilinear", align_corners=False
            )
        return finest / len(maps.heatmaps), maps.tags

    def _unflip(self, heat: Tensor, tags: Tensor) -> tuple[Tensor, Tensor]:
        index = self.flip_index
        assert isinstance(index, Tensor)
        heat, tags = heat[:, index].flip(3), tags[:, index].flip(4)
        if self.info.tag_kind == "positional":
            last = (tags.shape[-1] - 1) * (self.info.tag_stride / TAG_UNIT_PX)
            tags = torch.stack((last - tags[:, :, 0], tags[:, :, 1]), dim=2)
        return heat, tags


def peaks(heat: Tensor, threshold: float, most: int) -> tuple[Tensor, Tensor, Tensor]:
    """(B, K, H, W) -> scores, column and row (B, K, M) of the strongest 3x3 maxima.

    Earlier neighbors must be lower, later ones may be equal, so a plateau gives one peak.
    """
    height, width = heat.shape[-2:]
    triple = F.max_pool2d(heat, (1, 3), 1, (0, 1))
    around = F.max_pool2d(triple, (3, 1), 1, (1, 0))
    # Padding is 0, and no candidate is below 0.
    above, left = F.pad(triple, (0, 0, 1, 0))[:, :, :-1], F.pad(heat, (1, 0))[..., :-1]
    peak = (heat > threshold) & (heat >= around) & (heat > torch.maximum(above, left))
    flat = torch.where(peak, heat, 0.0).flatten(2)
    flat = F.pad(flat, (0, most))  # small maps have fewer than M cells
    scores, at = flat.topk(most, dim=2)
    at = at.clamp(max=height * width - 1)
    row = at // width
    return scores, at - row * width, row


def subpixel(heat: Tensor, column: Tensor, row: Tensor) -> Tensor:
    """(B, K, M, 2) shift of each cell: vertex of the parabola through it and two neighbors."""
    height, width = heat.shape[-2:]
    flat = heat.flatten(2)
    middle = flat.gather(2, row * width + column)
    shifts = []
    for at, end, step in ((column, width, (0, 1)), (row, height, (1, 0))):
        inside = (at > 0) & (at < end - 1)
        down, right = step
        before = flat.gather(2, (row - down).clamp(min=0) * width + (column - right).clamp(min=0))
        after = flat.gather(
            2,
            (row + down).clamp(max=height - 1) * width + (column + right).clamp(max=width - 1),
        )
        bend = 2 * middle - before - after
        curved = inside & (bend > 1e-6)
        shift = (after - before) / torch.where(curved, 2 * bend, 1.0)
        shifts.append(torch.where(curved, shift, 0.0).clamp(-0.5, 0.5))
    return torch.stack(shifts, dim=-1)


def sample_tags(tags: Tensor, places_xy: Tensor) -> Tensor:
    """(B, K, T, H, W) at positions (B, K, M, 2) in tag cells -> (B, K, M, T), bilinear."""
    size, height, width = tags.shape[2:]
    x = (places_xy[..., 0] - 0.5).clamp(min=0).clamp(max=width - 1)
    y = (places_xy[..., 1] - 0.5).clamp(min=0).clamp(max=height - 1)
    left, top = x.long().clamp(max=width - 2), y.long().clamp(max=height - 2)
    u, v = (x - left)[:, :, None], (y - top)[:, :, None]  # (B, K, 1, M)
    flat = tags.flatten(3)

    def read(row: Tensor, column: Tensor) -> Tensor:  # (B, K, T, M)
        at = (row * width + column)[:, :, None].expand(-1, -1, size, -1)
        return flat.gather(3, at)

    upper, lower = read(top, left), read(top + 1, left)
    upper = upper + u * (read(top, left + 1) - upper)
    lower = lower + u * (read(top + 1, left + 1) - lower)
    return (upper + v * (lower - upper)).transpose(2, 3)
