"""Give a network the batch norms back that were folded into its convolutions.

A norm that restores each channel's own mean and spread changes nothing; but measured again after
channels were cut (`supernet.recalibrate`), it restores them there too, and keeps training stable.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import torch
from torch import Tensor, nn

from litepose.core.errors import LitePoseError
from litepose.core.model_info import ModelInfo
from litepose.models.build import build_network
from litepose.models.layers import ConvNorm
from litepose.models.network import Network


@torch.no_grad()
def with_norms(
    network: Network, info: ModelInfo, batches: Iterable[Tensor]
) -> tuple[Network, ModelInfo]:
    """The same function with batch norms, in eval mode, and its settings.

    batches: normalized images (B, 3, H, W), to measure the channels on.
    Raises LitePoseError for a network whose norms are not folded.
    """
    if getattr(network.arch, "norm", True):
        raise LitePoseError(f"{info.name} has its batch norms; none were folded")
    info = replace(info, arch={**network.arch.to_dict(), "norm": True})
    normed = build_network(info).eval()
    own = network.state_dict()
    folded = {
        name: layer
        for name, layer in normed.named_modules()
        if isinstance(layer, ConvNorm) and layer.norm is not None and f"{name}.bias" in own
    }
    state = normed.state_dict()
    for name, tensor in own.items():
        part = name.removesuffix(".bias")
        state[f"{part}.norm.bias" if part in folded and part != name else name] = tensor
    for name, layer in folded.items():  # a norm that only adds the bias
        assert layer.norm is not None
        scale = (1 + layer.norm.eps) ** 0.5
        state[f"{name}.norm.weight"] = torch.full_like(layer.norm.weight, scale)
    normed.load_state_dict(state)
    measure_norms(normed, list(folded.values()), batches)
    return normed, info


@torch.no_grad()
def measure_norms(
    network: nn.Module, layers: Iterable[ConvNorm], batches: Iterable[Tensor]
) -> None:
    """Set the statistics of the layers' norms to those of their input, and weights and biases so
    that the network, in eval mode, computes what it did.

    batches: normalized images (B, 3, H, W)
    """
    norms = [layer.norm for layer in layers if layer.norm is not None]
    zero = torch.zeros((), dtype=torch.float64)
    sums: dict[nn.Module, tuple[int, Tensor, Tensor]] = dict.fromkeys(norms, (0, zero, zero))

    def add(norm: nn.Module, seen: tuple[Tensor, ...], _: Tensor) -> None:
        x = seen[0].double()
        count, total, squares = sums[norm]
        sums[norm] = (
            count + x.numel() // x.shape[1],
            total + x.sum((0, 2, 3)),
            squares + x.square().sum((0, 2, 3)),
        )

    hooks = [norm.register_forward_hook(add) for norm in norms]
    for batch in batches:
        network(batch)
    for hook in hooks:
        hook.remove()
    for norm in norms:
        count, total, squares = sums[norm]
        mean = total / count
        variance = (squares / count - mean.square()).clamp(min=1e-6)
        assert norm.running_mean is not None and norm.running_var is not None
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        norm.bias.copy_(norm.bias + scale * (mean - norm.running_mean))
        norm.weight.copy_(scale * (variance + norm.eps).sqrt())
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
