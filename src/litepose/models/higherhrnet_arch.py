"""HigherHRNet's architectures as plain data, without torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from litepose.core.errors import LitePoseError
from litepose.core.kinds import check_kinds
from litepose.core.model_info import ModelInfo, TagKind
from litepose.core.skeleton import Skeleton
from litepose.models.arch import Arch, official_info

MOST_WIDTH, MOST_MODULES = 512, 16  # limit what an untrusted file can request


@dataclass(frozen=True)
class HigherHRNetArch(Arch):
    """HigherHRNet: three stages of parallel branches behind the first, heatmaps at strides 4 and 2.

    width:   channels of the branch at stride 4; each coarser one has twice as many
    modules: of stages 2, 3 and 4
    finest:  index of the finest branch of each of these stages: 0 is stride 4, 3 is stride 32.
             (0, 0, 0) is the published network; (1, 2, 3), the end of gradual shrinking, has a
             single branch
    """

    family: ClassVar[str] = "higherhrnet"
    multiple: ClassVar[int] = 32
    tag_kinds: ClassVar[tuple[TagKind, ...]] = ("learned", "positional")
    sigmoid: ClassVar[bool] = False
    width: int
    modules: tuple[int, int, int] = (1, 4, 3)
    finest: tuple[int, int, int] = (0, 0, 0)

    def __post_init__(self) -> None:
        check_kinds(self)
        falls = any(b < a for a, b in zip((0, *self.finest), self.finest, strict=False))
        beyond = any(branch > stage for stage, branch in enumerate(self.finest, start=1))
        few = all(0 < modules <= MOST_MODULES for modules in self.modules)
        if not few or not 0 < self.width <= MOST_WIDTH or falls or beyond:
            raise LitePoseError(
                f"a HigherHRNet has a width of 1 to {MOST_WIDTH}, 1 to {MOST_MODULES} modules a"
                " stage and finest branches that rise from stage to stage up to (1, 2, 3);"
                f" got {self}"
            )

    @property
    def stages(self) -> list[tuple[range, int]]:
        """(branches, modules) of stages 2, 3 and 4."""
        coarsest = (1, 2, 3)
        return [
            (range(fine, last + 1), modules)
            for fine, last, modules in zip(self.finest, coarsest, self.modules, strict=True)
        ]


def higherhrnet_info(arch: HigherHRNetArch, skeleton: Skeleton) -> ModelInfo:
    """Settings of a network with the official input rule and decoding."""
    source = "HigherHRNet (Cheng et al., CVPR 2020)"
    return official_info(f"higherhrnet-w{arch.width}", arch, skeleton, source)
