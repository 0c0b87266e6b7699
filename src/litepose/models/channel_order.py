"""Sort a network's channels by importance without changing what it computes.

A supernet's smaller networks use the first channels of the largest, so the most important channels
must come first. Source: once-for-all sorts by the weights that read a channel (Cai et al., 2020),
as does the official supernet, for the stem and the stages only. Here every elastic width is sorted,
by the norm of the weights that write a channel times the norm of those that read it, batch norms
folded.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from litepose.core.model_info import ModelInfo
from litepose.models.arch import Arch
from litepose.models.build import build_network
from litepose.models.layers import fold_batch_norms
from litepose.models.network import Network

Group = list[tuple[str, int]]  # tensors and their dimensions that share one channel order


@torch.no_grad()
def sort_channels(network: Network, info: ModelInfo) -> None:
    """Reorder the channels of `network`, in place, by decreasing importance in each group."""
    folded = fold_batch_norms(network)
    for group in channel_groups(network, info):
        order = torch.argsort(_importance(folded, group), descending=True, stable=True)
        for module in (network, folded):
            state = module.state_dict()
            for name, dim in group:
                if name in state:
                    state[name].copy_(state[name].index_select(dim, order))


def channel_groups(network: Network, info: ModelInfo) -> list[Group]:
    """For each elastic width and each block's inside: the tensors with that size.

    A width's tensors are found by building the network with one channel fewer.
    """
    shapes = _shapes(info, network.arch)
    groups = []
    for width, smaller in _one_fewer(network.arch):
        other = _shapes(info, smaller)
        groups.append(
            [
                (name, dim)
                for name, shape in shapes.items()
                for dim, size in enumerate(shape)
                if (size, other[name][dim]) == (width, width - 1)
            ]
        )
    for i, stage in enumerate(getattr(network.arch, "stages", ())):
        for block in range(stage.depth):
            groups.append(_inside(network.block_name(i, block), shapes))
    return groups


def _inside(block: str, shapes: dict[str, torch.Size]) -> Group:
    """An inverted bottleneck's widened channels."""
    written = (f"{block}.expand.", f"{block}.depthwise.")
    group = [(name, 0) for name, shape in shapes.items() if name.startswith(written) and shape]
    return [*group, (f"{block}.project.weight", 1)]


def _shapes(info: ModelInfo, arch: Arch) -> dict[str, torch.Size]:
    with torch.device("meta"):
        state = build_network(replace(info, arch=arch.to_dict())).state_dict()
    return {name: tensor.shape for name, tensor in state.items()}


def _one_fewer(arch: Arch) -> list[tuple[int, Arch]]:
    """(width, the architecture with one channel fewer there) for each elastic width."""
    found: list[tuple[int, Arch]] = []
    stages = list(getattr(arch, "stages", ()))
    for i, stage in enumerate(stages):
        tied = i > 0 and stage.stride == 1 and stage.width == stages[i - 1].width
        if tied:  # a residual connection to the previous stage: both share one order
            continue
        last = i + 1
        while last < len(stages) and stages[last].stride == 1 and stages[last].width == stage.width:
            last += 1
        fewer = [replace(s, width=s.width - 1) for s in stages[i:last]]
        changed: dict[str, Any] = {"stages": (*stages[:i], *fewer, *stages[last:])}
        found.append((stage.width, replace(arch, **changed)))
    for name in arch.elastic:
        value = getattr(arch, name)
        if not isinstance(value, tuple):
            found.append((value, replace(arch, **{name: value - 1})))
            continue
        for i, width in enumerate(value):
            others: dict[str, Any] = {name: (*value[:i], width - 1, *value[i + 1 :])}
            found.append((width, replace(arch, **others)))
    return found


def _importance(folded: Network, group: Group) -> Tensor:
    """(C,): the norm of the weights that write a channel times that of those that read it."""
    written: list[Tensor] = []
    read: list[Tensor] = []
    convolutions = (nn.Conv2d, nn.ConvTranspose2d)
    layers = {n: m for n, m in folded.named_modules() if isinstance(m, convolutions)}
    for name, dim in group:
        layer = layers.get(name.removesuffix(".weight"))
        if layer is None or layer.groups > 1:
            continue  # a norm, a bias, or a depthwise convolution, which does not mix channels
        squares = layer.weight.data.square().transpose(0, dim).flatten(1).sum(1)
        output = 1 if isinstance(layer, nn.ConvTranspose2d) else 0
        (written if dim == output else read).append(squares)
    norms = [torch.stack(squares).sum(0).sqrt() for squares in (written, read) if squares]
    return torch.stack(norms).prod(0)
