"""Layers shared by all network families.

Source: MobileNetV2's inverted bottleneck and Lite Pose's separable 5x5 convolution (paper,
section 3). A convolution owns its batch norm, so that folding is one method.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from litepose.core.errors import LitePoseError
from litepose.core.maps import TAG_UNIT_PX
from litepose.models.arch import Stage
from litepose.models.widths import make_divisible

AnyModule = TypeVar("AnyModule", bound=nn.Module)


@dataclass(frozen=True)
class ConvStyle:
    """norm: batch norm after each convolution, else a bias.

    pad_after: a 3x3 convolution of stride 2 pads one pixel right and below only, like TensorFlow,
    where P's trunk comes from; else kernel // 2 on all sides.
    """

    norm: bool = True
    pad_after: bool = False


class ConvNorm(nn.Conv2d):
    """Convolution with its batch norm as a child: `weight`, then `norm.*` or `bias`."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        style: ConvStyle = ConvStyle(),
    ) -> None:
        self.pads_after = style.pad_after and stride == 2
        padding = 0 if self.pads_after else kernel // 2
        super().__init__(
            inputs, outputs, kernel, stride, padding, groups=groups, bias=not style.norm
        )
        self.norm = nn.BatchNorm2d(outputs) if style.norm else None

    def forward(self, x: Tensor) -> Tensor:
        if self.pads_after:
            before, after = (self.kernel_size[0] - 2) // 2, (self.kernel_size[0] - 1) // 2
            x = F.pad(x, (before, after, before, after))
        x = self._convolve(x)
        return x if self.norm is None else self.norm(x)

    def _convolve(self, x: Tensor) -> Tensor:
        reduced = x.device.type == "cpu" and torch.is_autocast_enabled("cpu")
        if self.groups == 1 or not reduced or not torch.is_grad_enabled():
            return super().forward(x)
        # On a CPU the backward pass of a depthwise convolution in bfloat16 takes 1.5 to 5 times as
        # long as in float32, that of all others less: these alone stay in float32.
        with torch.autocast("cpu", enabled=False):
            return super().forward(x.float()).to(x.dtype)

    def fold(self) -> None:
        """Fold the batch norm (eval mode) into weight and bias."""
        if self.norm is not None:
            scale, shift = scale_and_shift(self.norm)
            self.weight.data = self.weight * scale[:, None, None, None]
            self.bias = nn.Parameter(shift)
            self.norm = None


def scale_and_shift(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """(C,) and (C,): batch norm in eval mode is `x * scale + shift`."""
    assert norm.running_var is not None and norm.running_mean is not None
    scale = norm.weight.data / torch.sqrt(norm.running_var + norm.eps)
    return scale, norm.bias.data - norm.running_mean * scale


def fold_batch_norms(model: AnyModule) -> AnyModule:
    """A copy in eval mode with batch norms folded into the convolutions: same maps, faster."""
    folded = deepcopy(model).eval()
    for module in list(folded.modules()):
        fold = getattr(module, "fold", None)
        if fold is not None:
            fold()
    return folded


class Stem(nn.Module):
    """(B, 3, H, W) -> (B, outputs, H/2, W/2): 3x3 of stride 2, depthwise 3x3, linear 1x1."""

    def __init__(self, hidden: int, outputs: int, style: ConvStyle) -> None:
        super().__init__()
        self.conv = ConvNorm(3, hidden, 3, stride=2, style=style)
        self.depthwise = ConvNorm(hidden, hidden, 3, groups=hidden, style=style)
        self.project = ConvNorm(hidden, outputs, style=style)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(F.relu6(self.depthwise(F.relu6(self.conv(x)))))


class InvertedBottleneck(nn.Module):
    """Widen, depthwise kernel x kernel, narrow; residual where stride is 1 and width is kept."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        stride: int,
        kernel_and_expansion: tuple[int, float],
        style: ConvStyle,
    ) -> None:
        super().__init__()
        kernel, expansion = kernel_and_expansion
        hidden = make_divisible(round(inputs * expansion))
        self.residual = stride == 1 and inputs == outputs
        self.expand = ConvNorm(inputs, hidden, style=style)
        self.depthwise = ConvNorm(hidden, hidden, kernel, stride, groups=hidden, style=style)
        self.project = ConvNorm(hidden, outputs, style=style)

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(F.relu6(self.depthwise(F.relu6(self.expand(x)))))
        return x + y if self.residual else y


def stage_blocks(inputs: int, stage: Stage, style: ConvStyle) -> list[InvertedBottleneck]:
    """The blocks of one stage; the first has its stride."""
    return [
        InvertedBottleneck(
            inputs if i == 0 else stage.width,
            stage.width,
            stage.stride if i == 0 else 1,
            block,
            style,
        )
        for i, block in enumerate(stage.blocks)
    ]


class SeparableConv(nn.Module):
    """Depthwise 5x5, batch norm, ReLU, 1x1 without bias."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.depthwise = ConvNorm(inputs, inputs, 5, groups=inputs)
        self.project = nn.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(F.relu(self.depthwise(x)))


def upsample(x: Tensor) -> Tensor:
    """Twice as wide and high, bilinear between cell centers."""
    return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def add_position(displacements: Tensor, stride: int) -> Tensor:
    """(B, K, 2, H, W): positional tags = learned displacement + position of the cell.

    x then y, in units of 32 input pixels, so `stride * column / 32`.
    """
    height, width = displacements.shape[-2:]
    x = torch.arange(width, device=displacements.device) * (stride / TAG_UNIT_PX)
    y = torch.arange(height, device=displacements.device) * (stride / TAG_UNIT_PX)
    place = torch.stack((x.expand(height, width), y[:, None].expand(height, width)))
    return displacements.float() + place  # (B, K, 2, H, W); positions need more than half precision


def check_sides(images: Tensor, multiple: int) -> None:
    """Raise LitePoseError for a batch of images of a wrong shape."""
    if images.ndim != 4 or images.shape[1] != 3:
        raise LitePoseError(
            f"a network takes images as (B, 3, H, W); got shape {tuple(images.shape)}"
        )
    height, width = images.shape[-2:]
    if height % multiple or width % multiple or not height or not width:
        raise LitePoseError(
            f"width and height of the input must be multiples of {multiple}; got"
            f" {width}x{height}: pad it (letterbox does)"
        )
