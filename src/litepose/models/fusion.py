"""One step of the fusion deconvolution head, as trained and as deployed.

A 4x4 transposed convolution of stride 2 computes four output cells per input cell from 2x2 inputs.
So it equals a 2x2 convolution to four times the channels, followed by depth to space and a crop of
one
cell on each side: the same products and sums, without the scattered writes that make transposed
convolutions slow on CPUs. docs/export.md has measurements, also of a 3x3 form without the crop.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from litepose.models.layers import scale_and_shift

# Output cell 2i sums kernel rows 3 and 1 over input rows i-1 and i; cell 2i+1 rows 2 and 0 over i
# and i+1. Cropping one cell moves the second kind to the front.
_ROWS = ((2, 0), (3, 1))


class FusionStep(nn.Module):
    """Deep and skip path, each doubled in size by a transposed convolution, summed."""

    def __init__(self, deep: int, skip: int, outputs: int) -> None:
        super().__init__()
        self.deep = nn.ConvTranspose2d(deep, outputs, 4, stride=2, padding=1, bias=False)
        self.skip = nn.ConvTranspose2d(skip, outputs, 4, stride=2, padding=1, bias=False)
        self.norm: nn.BatchNorm2d | None = nn.BatchNorm2d(outputs)

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        x = self.deep(deep) + self.skip(skip)
        return F.relu(x if self.norm is None else self.norm(x))

    def fold(self) -> None:
        """Fold the batch norm (eval mode) into both paths; the shift into one."""
        if self.norm is not None:
            scale, shift = scale_and_shift(self.norm)
            for path in (self.deep, self.skip):
                path.weight.data = path.weight * scale[None, :, None, None]
            self.deep.bias = nn.Parameter(shift)
            self.norm = None


class ShuffledFusion(nn.Module):
    """A folded FusionStep as one convolution: (B, deep, H, W), (B, skip, H, W) ->
    (B, outputs, 2H, 2W)."""

    def __init__(self, step: FusionStep) -> None:
        super().__init__()
        assert step.deep.bias is not None, "only a folded step has one"
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
