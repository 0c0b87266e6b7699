"""The P family: trunk, light feature pyramid, heatmap and tag heads.

Source: MobileNetV2 trunk, pyramid and heatmap head as in MoveNet Lightning (Apache-2.0), read from
its published graph; the tag head is ours. It differs from Lite Pose in having a pyramid of bilinear
steps instead of transposed convolutions, heatmaps at stride 4 only (through a sigmoid, so in 0..1),
and positional tags: two numbers that start as the cell's own place.
"""

from __future__ import annotations

import math
from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from litepose.core.maps import Maps
from litepose.core.model_info import TagKind
from litepose.models.arch import PyramidArch
from litepose.models.layers import (
    ConvNorm,
    ConvStyle,
    Stem,
    add_position,
    check_sides,
    stage_blocks,
    upsample,
)
from litepose.models.network import Network

STRIDE = 4
RARE = 0.01  # a new heatmap head starts by saying that one cell in a hundred holds a keypoint


class Top(nn.Module):
    """Last stage -> widest layer -> the pyramid's top, at stride 32."""

    def __init__(self, inputs: int, hidden: int, outputs: int, style: ConvStyle) -> None:
        super().__init__()
        self.expand = ConvNorm(inputs, hidden, style=style)
        self.project = ConvNorm(hidden, outputs, style=style)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(F.relu6(self.expand(x)))


class Fuse(nn.Module):
    """A sum of two features -> depthwise 3x3 (linear) -> 1x1 -> ReLU."""

    def __init__(self, inputs: int, outputs: int, style: ConvStyle) -> None:
        super().__init__()
        self.depthwise = ConvNorm(inputs, inputs, 3, groups=inputs, style=ConvStyle(norm=False))
        self.project = ConvNorm(inputs, outputs, style=style)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.project(self.depthwise(x)))


class HeatmapHead(nn.Module):
    """(B, C, H, W) -> (B, K, H, W) in 0..1."""

    def __init__(self, inputs: int, hidden: int, num_keypoints: int, style: ConvStyle) -> None:
        super().__init__()
        self.depthwise = ConvNorm(inputs, inputs, 3, groups=inputs, style=ConvStyle(norm=False))
        self.expand = ConvNorm(inputs, hidden, style=style)
        self.project = nn.Conv2d(hidden, num_keypoints, 1)
        nn.init.normal_(self.project.weight, std=1e-3)
        nn.init.constant_(self.project.bias, math.log(RARE / (1 - RARE)))  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        logits = self.project(F.relu(self.expand(self.depthwise(x))))
        return torch.sigmoid(logits.float())  # half precision has no room near 0 and 1


class TagBlock(nn.Module):
    """A residual of depthwise 7x7 and 1x1: context, cheaply."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = ConvNorm(width, width, 7, groups=width)
        self.project = ConvNorm(width, width)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.project(F.relu(self.depthwise(x))))


class TagHead(nn.Module):
    """Features of all strides, gathered at stride 8 -> positional tags (B, K, 2, H/4, W/4)."""

    def __init__(self, arch: PyramidArch, num_keypoints: int) -> None:
        super().__init__()
        skip16, skip32 = arch.tag_skips
        p8, p4 = arch.pyramid[1:]
        self.num_keypoints = num_keypoints
        self.from_stage16 = nn.Conv2d(arch.stages[3].width, skip16, 1, bias=False)
        self.from_stage32 = nn.Conv2d(arch.stages[5].width, skip32, 1, bias=False)
        self.input = ConvNorm(p8 + p4 + p4 + skip16 + skip32, arch.tag_width)
        self.blocks = nn.Sequential(*(TagBlock(arch.tag_width) for _ in range(arch.tag_depth)))
        self.output = nn.Conv2d(arch.tag_width, 2 * num_keypoints, 1)
        nn.init.normal_(self.output.weight, std=1e-3)  # at first a tag is just a place
        nn.init.zeros_(self.output.bias)  # type: ignore[arg-type]

    def forward(self, pyramid: tuple[Tensor, Tensor, Tensor], stages: list[Tensor]) -> Tensor:
        a16, a8, a4 = pyramid
        stage16, stage32 = self.from_stage16(stages[3]), self.from_stage32(stages[5])
        gathered = torch.cat(
            (
                upsample(a16),
                a8,
                F.avg_pool2d(a4, 2),
                upsample(stage16),
                upsample(upsample(stage32)),
            ),
            dim=1,
        )
        x = self.output(self.blocks(F.relu(self.input(gathered))))
        x = upsample(x).unflatten(1, (2, self.num_keypoints))  # (B, 2, K, H, W)
        return add_position(x.transpose(1, 2), STRIDE)  # (B, K, 2, H, W)


class Pyramid(Network):
    """Images (B, 3, H, W), `pixel / 127.5 - 1`, sides multiples of 32 -> Maps at stride 4.

    Raises LitePoseError for other shapes.
    """

    output_names = ("heatmap.project", "tag.output")

    def __init__(
        self, arch: PyramidArch, num_keypoints: int, tag_kind: TagKind = "positional"
    ) -> None:
        super().__init__()
        style = ConvStyle(norm=arch.norm, pad_after=True)
        self.arch: PyramidArch = arch
        self.num_keypoints = num_keypoints
        self.stem = Stem(*arch.stem, style)
        widths = [arch.stem[1], *(stage.width for stage in arch.stages)]
        self.blocks = nn.ModuleList(
            block
            for inputs, stage in zip(widths, arch.stages, strict=False)
            for block in stage_blocks(inputs, stage, style)
        )
        self.stage_ends = [end - 1 for end in accumulate(s.depth for s in arch.stages)]
        p16, p8, p4 = arch.pyramid
        self.top = Top(widths[-1], arch.top, p16, style)
        self.lateral16 = ConvNorm(arch.stages[2].width, p16, style=style)
        self.lateral8 = ConvNorm(arch.stages[1].width, p8, style=style)
        self.lateral4 = ConvNorm(arch.stages[0].width, p4, style=style)
        self.fuse16 = Fuse(p16, p8, style)
        self.fuse8 = Fuse(p8, p4, style)
        self.fuse4 = Fuse(p4, p4, style)
        self.heatmap = HeatmapHead(p4, arch.heatmap, num_keypoints, style)
        self.tag = TagHead(arch, num_keypoints)

    def block_name(self, stage: int, block: int) -> str:
        return f"blocks.{sum(s.depth for s in self.arch.stages[:stage]) + block}"

    def stage_features(self, images: Tensor) -> list[Tensor]:
        """What each of the six stages puts out, at strides 4, 8, 16, 16, 32, 32."""
        x, features = self.stem(images), []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in self.stage_ends:
                features.append(x)
        return features

    def forward(self, images: Tensor) -> Maps:
        if not torch.compiler.is_exporting():
            check_sides(images, self.arch.multiple)
        stages = self.stage_features(images)
        a16 = self.fuse16(upsample(self.top(stages[5])) + self.lateral16(stages[2]))
        a8 = self.fuse8(upsample(a16) + self.lateral8(stages[1]))
        a4 = self.fuse4(upsample(a8) + self.lateral4(stages[0]))
        tags = self.tag((a16, a8, a4), stages)
        return Maps((self.heatmap(a4),), (STRIDE,), tags, STRIDE)
