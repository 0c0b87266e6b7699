"""Rank layers by how much rounding each alone to 8 bits changes the maps.

It asks PyTorch and not a converter, so the order serves every quantized format.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn


def most_sensitive_first(module: nn.Module, images: Sequence[np.ndarray]) -> list[str]:
    """Names of the convolutions of `module`, the one whose rounding moves the outputs most first.

    images: inputs (1, 3, H, W) to measure on; a few are enough.
    """
    layers = {name: m for name, m in module.named_modules() if isinstance(m, nn.Conv2d)}
    inputs = [torch.from_numpy(one) for one in images]
    errors = dict.fromkeys(layers, 0.0)
    with torch.inference_mode():
        for one in inputs:
            exact = module(one)
            for name, layer in layers.items():
                errors[name] += _distance(_with_rounded(module, layer, one), exact)
    return sorted(layers, key=lambda name: -errors[name])


def rounded(values: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Nearest of 256 steps between `low` and `high`, which broadcast against the values."""
    step = (high - low).clamp(min=1e-9) / 255
    return ((values - low) / step).round().clamp(0, 255) * step + low


def _with_rounded(module: nn.Module, layer: nn.Conv2d, images: Tensor) -> Sequence[Tensor]:
    """Outputs with one layer's weights (per channel) and input (as a whole) in 8 bits."""
    weight = layer.weight.data
    most = weight.abs().amax(dim=(1, 2, 3), keepdim=True)
    hook = layer.register_forward_pre_hook(
        lambda _, given: (rounded(given[0], given[0].min(), given[0].max()),)
    )
    layer.weight.data = rounded(weight, -most, most)
    try:
        return module(images)
    finally:
        layer.weight.data = weight
        hook.remove()


def _distance(outputs: Sequence[Tensor], exact: Sequence[Tensor]) -> float:
    """Root mean square error as a share of each output's spread, summed over the outputs."""
    return sum(
        float((ours - theirs).square().mean().sqrt() / theirs.std().clamp(min=1e-9))
        for ours, theirs in zip(outputs, exact, strict=True)
    )
