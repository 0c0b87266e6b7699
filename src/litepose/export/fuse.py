"""The network as it is deployed: batch norms folded, transposed convolutions as plain ones.

A 4x4 transposed convolution of stride 2 gives each input cell's four output cells from 2x2 inputs.
So it is a 2x2 convolution to four times the channels, whose channels are then laid side by side
(depth to space), less one cell on each side: the same products and sums, without the scattered
writes that make transposed convolutions slow on CPUs. Source: our own; docs/export.md has the
measurements, also of the wasteful 3x3 form, which needs no cropping.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from litepose.models.layers import fold_batch_norms
from litepose.models.litepose import FusionStep, LitePose, Network

# Output cell 2i sums kernel rows 3 and 1 over input rows i-1 and i; cell 2i+1 rows 2 and 0 over i
# and i+1. Cropping one cell moves the second kind to the front.
_ROWS = ((2, 0), (3, 1))


def deployable(network: Network) -> Network:
    """A folded copy in eval mode on the CPU, float32: the same maps, in less time."""
    copy = fold_batch_norms(network).cpu().float()
    if isinstance(copy, LitePose):
        copy.head.steps = nn.ModuleList(ShuffledFusion(step) for step in copy.head.steps)
    return copy


class ShuffledFusion(nn.Module):
    """A folded FusionStep as one convolution: (B, deep, H, W), (B, skip, H, W) ->
    (B, outputs, 2H, 2W)."""

    def __init__(self, step: nn.Module) -> None:
        super().__init__()
        assert isinstance(step, FusionStep) and step.deep.bias is not None
        kernel = torch.cat((step.deep.weight.data, step.skip.weight.data))  # (inputs, O, 4, 4)
        inputs, outputs = kernel.shape[:2]
        self.conv = nn.Conv2d(inputs, 4 * outputs, 2, padding=1)
        self.conv.weight.data = phases(kernel)
        self.conv.bias = nn.Parameter(step.deep.bias.data.repeat_interleave(4))

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        four = F.relu(self.conv(torch.cat((deep, skip), dim=1)))  # (B, 4 outputs, H + 1, W + 1)
        return F.pixel_shuffle(four, 2)[:, :, 1:-1, 1:-1]


def phases(kernel: Tensor) -> Tensor:
    """Transposed kernel (I, O, 4, 4), stride 2, padding 1 -> kernel (4 O, I, 2, 2) of the plain
    convolution, its four output channels of each of the O in depth-to-space order."""
    rows = torch.tensor(_ROWS)
    split = kernel[:, :, rows][..., rows]  # (I, O, row phase, 2, column phase, 2)
    return split.permute(1, 2, 4, 0, 3, 5).reshape(-1, kernel.shape[0], 2, 2).contiguous()
