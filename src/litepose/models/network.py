"""Network: the interface of every family."""

from __future__ import annotations

from typing import ClassVar, Self

from torch import Tensor, nn

from litepose.core.maps import Maps
from litepose.models.arch import Arch
from litepose.models.layers import fold_batch_norms


class Network(nn.Module):
    """Normalized images (B, 3, H, W), sides multiples of `arch.multiple` -> Maps.

    output_names: endings of the names of layers whose output channels are keypoints
    """

    output_names: ClassVar[tuple[str, ...]]
    arch: Arch
    num_keypoints: int

    def forward(self, images: Tensor) -> Maps:
        raise AssertionError("each family has its own")

    def output_layers(self) -> list[str]:
        """Names of the layers whose output channels are keypoints: new for another skeleton."""
        return [name for name, _ in self.named_modules() if name.endswith(self.output_names)]

    def block_name(self, stage: int, block: int) -> str:
        """The name of a stage's block."""
        raise AssertionError("each family with stages has its own")

    def deployable(self) -> Self:
        """A copy in eval mode on the CPU, float32, batch norms folded: the same maps, in less
        time."""
        return fold_batch_norms(self).cpu().float()
