"""Features of a teacher as targets: outputs of layers that both networks have, by name.

Source: FitNets (Romero et al., 2015). Ours differs in having no regressor between them, so the
layers must have equal shapes, as those of a network have whose blocks were narrowed inside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from litepose.core.errors import LitePoseError, did_you_mean


class FeatureTap:
    """Keeps what the named layers of a network put out in its last forward pass."""

    def __init__(self, network: nn.Module, names: Sequence[str], whose: str) -> None:
        """Raises LitePoseError where the network has no such layer; `whose` names it."""
        self._seen: dict[str, Tensor] = {}
        self._names = tuple(names)
        layers = dict(network.named_modules())
        for name in names:
            if name not in layers:
                hint = did_you_mean(name, [layer for layer in layers if layer])
                raise LitePoseError(f"teacher.features: {whose} has no layer {name!r}{hint}")
            layers[name].register_forward_hook(self._keep(name))

    def _keep(self, name: str) -> Callable[..., None]:
        def keep(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            self._seen[name] = output

        return keep

    def take(self) -> tuple[Tensor, ...]:
        """The outputs in the names' order, once; empty where the network has not run since."""
        seen, self._seen = self._seen, {}
        return tuple(seen[name] for name in self._names) if seen else ()


def feature_loss(own: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
    """Squared difference over the variance of the teacher's, mean over images and layers.

    own, teacher: (B, C, ...) of each layer, in equal shapes. Raises LitePoseError for others.
    """
    parts = []
    for one, other in zip(own, teacher, strict=True):
        if one.shape != other.shape:
            raise LitePoseError(
                f"teacher.features: a layer puts out {tuple(one.shape)}, the teacher's"
                f" {tuple(other.shape)}; only layers of equal width can be compared"
            )
        a, b = one.float().flatten(2), other.float().flatten(2)
        spread = (b - b.mean(dim=2, keepdim=True)).square().mean(dim=(1, 2)).clamp(min=1e-6)
        parts.append(((a - b).square().mean(dim=(1, 2)) / spread).mean())
    return torch.stack(parts).mean()
