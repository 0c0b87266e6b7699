"""A network of the published layout whose trunk computes what a pyramid network's trunk computes.

Each layer of P's trunk has a place in the four stages of Lite Pose: a 3x3 kernel lies within a 7x7
one; two stages of different width at stride 16 share the third; the stage of stride 32 becomes the
fourth at stride 16, with gaps in its kernels, so that every second cell holds what P's has. Only
P's last projection has no place, because a stage has one width, and the head is new: both start
from random weights.
Source: wider kernels and channels as in Net2Net (Chen et al., 2016), gaps in place of strides as
in DeepLab (Chen et al., 2017).
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from litepose.core.errors import LitePoseError
from litepose.core.model_info import DecodeSettings, ModelInfo
from litepose.models.arch import LitePoseArch, PyramidArch, Stage
from litepose.models.layers import ConvNorm, InvertedBottleneck, fold_batch_norms
from litepose.models.litepose import STEM_HIDDEN, LitePose
from litepose.models.pyramid import Pyramid

LARGEST = 60.0  # magnitude up to which a carried feature is exact; P's stay below on images


def published_arch(source: PyramidArch, deconv: tuple[int, int, int]) -> LitePoseArch:
    """The architecture with room for the source's trunk.

    Raises LitePoseError for a source that has none: only P's layout, of any widths, does.
    """
    blocks = {block for stage in source.stages for block in stage.blocks}
    if source.stem[0] != STEM_HIDDEN or blocks != {(3, 6)} or source.norm:
        raise LitePoseError(
            f"a trunk for the published layout has {STEM_HIDDEN} channels in its stem, 3x3 kernels,"
            f" sixfold expansion and folded norms, as litepose-p; got {source}"
        )
    at4, at8, narrow, wide, at32, last = source.stages
    kept, carried = 6 * narrow.width / wide.width, 7 * narrow.width / wide.width
    return LitePoseArch(
        input_size=256,
        stem=source.stem[1],
        deconv=deconv,
        stages=(
            Stage(at4.depth, at4.width, 2),
            Stage(at8.depth, at8.width, 2),
            Stage(
                narrow.depth + wide.depth,
                wide.width,
                2,
                expansion=(6, *[kept] * (narrow.depth - 1), carried, *[6] * (wide.depth - 1)),
            ),
            Stage(at32.depth + last.depth, at32.width, 1),
        ),
    )


@torch.no_grad()
def with_trunk_of(source: Pyramid, deconv: tuple[int, int, int] = (32, 24, 24)) -> LitePose:
    """A Lite Pose network with positional tags, in eval mode; `source` stays as it is.

    It takes pixels normalized as the source does. Its features lie one input pixel further right
    and below, because its stem pads on all sides. Raises LitePoseError, see `published_arch`.
    """
    source = fold_batch_norms(source)
    network = LitePose(published_arch(source.arch, deconv), source.num_keypoints, "positional")
    for name in ("conv", "depthwise", "project"):
        _put(getattr(network.stem, name), getattr(source.stem, name))
    blocks = [b for b in network.modules() if isinstance(b, InvertedBottleneck)]
    ends = source.stage_ends
    for i, (own, theirs) in enumerate(zip(blocks, source.blocks, strict=True)):
        assert isinstance(theirs, InvertedBottleneck)
        _put(own.expand, theirs.expand)
        # After the block that loses its stride, kernels have gaps; a stride of 2 pads only after.
        gap = 2 if i > ends[3] + 1 else 1
        first = 3 if theirs.depthwise.stride[0] == 2 else 3 - gap
        _put(own.depthwise, theirs.depthwise, taps=range(first, first + 3 * gap, gap))
        if i <= ends[4]:
            _put(own.project, theirs.project)
        if i == ends[2] + 1:
            _cancel_residual(own, theirs.expand.in_channels)
    return network.eval()


def layout_info(source: ModelInfo, arch: LitePoseArch) -> ModelInfo:
    """Settings of a network of that architecture from `source`'s trunk."""
    return replace(
        source,
        name="litepose-layout",
        input=replace(source.input, size=arch.input_size, views=()),
        strides=(4, 2),
        arch=arch.to_dict(),
        decode=DecodeSettings(heat_threshold=0.1, tag_threshold=1.4),
        source=f"Trunk of {source.name}; {source.source}",
    )


def _put(own: ConvNorm, theirs: ConvNorm, taps: range | None = None) -> None:
    """Their weights in the first channels, zero in the rest; taps: places of a depthwise kernel's
    rows and columns."""
    weight, norm = theirs.weight, own.norm
    assert norm is not None and norm.running_var is not None and theirs.bias is not None
    outputs, inputs = weight.shape[:2]
    own.weight.zero_()
    if taps is None:
        own.weight[:outputs, :inputs] = weight
    else:
        rows = torch.tensor(taps)
        own.weight[:outputs, :, rows[:, None], rows] = weight
    norm.weight.copy_((norm.running_var + norm.eps).sqrt())
    norm.bias.zero_()
    norm.bias[:outputs] = theirs.bias


def _cancel_residual(block: InvertedBottleneck, inputs: int) -> None:
    """The block adds its input, which the source does not: hidden channels carry it to be
    subtracted. Scaled to the middle of 0..6 it passes ReLU6 unchanged."""
    first = block.expand.out_channels - inputs
    scale, middle, center = 3 / LARGEST, 3.0, block.depthwise.kernel_size[0] // 2
    same: Tensor = torch.eye(inputs)[:, :, None, None]
    assert block.expand.norm is not None and block.project.norm is not None
    block.expand.weight[first:, :inputs] = same * scale
    block.expand.norm.bias[first:] = middle
    block.depthwise.weight[first:, 0, center, center] = 1
    block.project.weight[:inputs, first:] = -same / scale
    block.project.norm.bias[:inputs] += middle / scale
