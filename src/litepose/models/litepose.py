"""Lite Pose: stem, four stages of inverted bottlenecks, fusion deconvolution head.

Source: Wang et al., "Lite Pose" (CVPR 2022), sections 3 and 4, in all four published sizes. It
computes the same function as the official network. Differences: names of weights; tags are an
output apart from heatmaps; positional tags (two numbers) as an alternative to learned ones.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from litepose.core.maps import Maps
from litepose.core.model_info import TagKind
from litepose.models.arch import LitePoseArch
from litepose.models.fusion import FusionStep, ShuffledFusion
from litepose.models.layers import (
    ConvStyle,
    SeparableConv,
    Stem,
    add_position,
    check_sides,
    stage_blocks,
)
from litepose.models.network import Network

STEM_HIDDEN = 32
COARSE, FINE = 4, 2  # strides of the two outputs


class Output(nn.Module):
    """A separable convolution on each path, summed; no activation.

    The first `heatmaps` channels start near zero (std 1e-3), and also the tags of `quiet` networks.
    One-number tags must start different: equal tags get no gradient from the push loss.
    """

    def __init__(self, deep: int, skip: int, heatmaps: int, tags: int = 0, quiet: bool = True):
        super().__init__()
        self.deep = SeparableConv(deep, heatmaps + tags)
        self.skip = SeparableConv(skip, heatmaps + tags)
        for path in (self.deep, self.skip):
            near_zero = path.project.weight if quiet else path.project.weight[:heatmaps]
            nn.init.normal_(near_zero.data, std=1e-3)

    def forward(self, deep: Tensor, skip: Tensor) -> Tensor:
        return self.deep(deep) + self.skip(skip)


class FusionDeconvHead(nn.Module):
    """Features at strides 2, 4, 8, 16, 16 -> outputs at strides 4 (with tags) and 2."""

    def __init__(
        self,
        widths: list[int],
        deconv: tuple[int, int, int],
        num_keypoints: int,
        tag_kind: TagKind,
    ) -> None:
        super().__init__()
        tags = (2 if tag_kind == "positional" else 1) * num_keypoints
        self.steps = nn.ModuleList(
            FusionStep(deep, skip, outputs)
            for deep, skip, outputs in zip(
                (widths[4], *deconv[:2]), widths[3:0:-1], deconv, strict=True
            )
        )
        quiet = tag_kind == "positional"
        self.coarse = Output(deconv[1], widths[1], num_keypoints, tags, quiet)
        self.fine = Output(deconv[2], widths[0], num_keypoints)

    def forward(self, features: list[Tensor]) -> tuple[Tensor, Tensor]:
        f0, f1, f2, f3, f4 = features
        x0 = self.steps[0](f4, f3)  # stride 8
        x1 = self.steps[1](x0, f2)  # stride 4
        x2 = self.steps[2](x1, f1)  # stride 2
        return self.coarse(x1, f1), self.fine(x2, f0)


class LitePose(Network):
    """Normalized images (B, 3, H, W), sides multiples of 16 -> Maps at strides 4 and 2.

    Tags (B, K, 1, H/4, W/4), or with `tag_kind="positional"` (B, K, 2, H/4, W/4).
    Raises LitePoseError for other shapes.
    """

    output_names = (".deep.project", ".skip.project")

    def __init__(
        self, arch: LitePoseArch, num_keypoints: int, tag_kind: TagKind = "learned"
    ) -> None:
        super().__init__()
        self.arch = arch
        self.num_keypoints = num_keypoints
        self.tag_kind: Literal["learned", "positional"] = tag_kind
        self.stem = Stem(STEM_HIDDEN, arch.stem, ConvStyle())
        widths = [arch.stem, *(stage.width for stage in arch.stages)]
        self.stages = nn.ModuleList(
            nn.Sequential(*stage_blocks(inputs, stage, ConvStyle()))
            for inputs, stage in zip(widths, arch.stages, strict=False)
        )
        self.head = FusionDeconvHead(widths, arch.deconv, num_keypoints, tag_kind)

    def forward(self, images: Tensor) -> Maps:
        if not torch.compiler.is_exporting():
            check_sides(images, self.arch.multiple)
        features = [self.stem(images)]
        for stage in self.stages:
            features.append(stage(features[-1]))
        coarse, fine = self.head(features)
        heatmaps, tags = coarse[:, : self.num_keypoints], coarse[:, self.num_keypoints :]
        tags = tags.unflatten(1, (self.num_keypoints, -1))  # (B, K, T, H, W)
        if self.tag_kind == "positional":
            tags = add_position(tags, COARSE)
        return Maps((heatmaps, fine), (COARSE, FINE), tags, COARSE)

    def block_name(self, stage: int, block: int) -> str:
        return f"stages.{stage}.{block}"

    def deployable(self) -> LitePose:
        """Like `Network.deployable`; transposed convolutions become plain ones, see fusion.py."""
        copy = super().deployable()
        steps = (step for step in copy.head.steps if isinstance(step, FusionStep))
        copy.head.steps = nn.ModuleList(ShuffledFusion(step) for step in steps)
        return copy
