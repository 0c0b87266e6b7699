"""Architectures as plain data, without torch.

In the official code an architecture is a JSON file beside the checkpoint; here it is a frozen value
inside it. `LitePoseArch.from_official_json` reads the official files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Self

from litepose.core.errors import LitePoseError
from litepose.core.kinds import check_kinds
from litepose.core.model_info import DecodeSettings, InputRule, ModelInfo, TagKind
from litepose.core.skeleton import CROWDPOSE14, Skeleton

PREFIX = "litepose-"  # of the names of Lite Pose and pyramid models in the zoo
MOST_BLOCKS = 100  # of a stage
MOST_CHANNELS = 65536  # of a layer; limits what an untrusted file can request


def check_widths(arch: Any) -> None:
    """Raise LitePoseError if a whole number of a dataclass, or in its tuples, is below 1 or too
    large to build a network with."""
    for field in fields(arch):
        value = getattr(arch, field.name)
        numbers = value if isinstance(value, tuple) else (value,)
        for number in numbers:
            whole = isinstance(number, int) and not isinstance(number, bool)
            if whole and not 1 <= number <= MOST_CHANNELS:
                raise LitePoseError(
                    f"{field.name} of an architecture must be in 1..{MOST_CHANNELS}; got {number}"
                )


@dataclass(frozen=True)
class Stage:
    """`depth` inverted bottlenecks of one width; the first has the stride.

    kernel, expansion: one number for all blocks, or one per block.
    """

    depth: int
    width: int
    stride: int
    kernel: int | tuple[int, ...] = 7
    expansion: float | tuple[float, ...] = 6

    def __post_init__(self) -> None:
        check_kinds(self)
        check_widths(self)
        if self.depth > MOST_BLOCKS or self.stride not in (1, 2):
            raise LitePoseError(
                f"a stage needs a depth of {MOST_BLOCKS} at most and stride 1 or 2; got {self}"
            )
        for name in ("kernel", "expansion"):
            value = getattr(self, name)
            values = value if isinstance(value, tuple) else (value,)
            if isinstance(value, tuple) and len(value) != self.depth:
                raise LitePoseError(f"{self.depth} blocks need as many {name}s; got {value}")
            if (
                min(values) <= 0
                or max(values) > MOST_BLOCKS
                or (name == "kernel" and any(k % 2 == 0 for k in values))
            ):
                raise LitePoseError(f"{name} must be positive, kernels odd; got {value}")

    @property
    def blocks(self) -> list[tuple[int, float]]:
        """(kernel, expansion) of each block."""
        kernels = self.kernel if isinstance(self.kernel, tuple) else (self.kernel,) * self.depth
        expansions = (
            self.expansion if isinstance(self.expansion, tuple) else (self.expansion,) * self.depth
        )
        return list(zip(kernels, expansions, strict=True))

    @classmethod
    def from_blocks(
        cls, width: int, stride: int, kernels: Sequence[int], expansions: Sequence[float]
    ) -> Stage:
        """A stage from each block's settings; one number where all blocks agree."""
        return cls(
            depth=len(kernels),
            width=width,
            stride=stride,
            kernel=kernels[0] if len(set(kernels)) == 1 else tuple(kernels),
            expansion=expansions[0] if len(set(expansions)) == 1 else tuple(expansions),
        )

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Stage:
        return cls(**_tuples(data))


def _tuples(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}


@dataclass(frozen=True)
class Arch:
    """Base of all families: an architecture is a frozen value, stored in the checkpoint.

    input_size: short side it was designed for
    """

    family: ClassVar[str]
    multiple: ClassVar[int]  # input sides must be a multiple of this: the coarsest stride
    tag_kinds: ClassVar[tuple[TagKind, ...]]  # kinds of tags that its networks can have
    sigmoid: ClassVar[bool]  # whether heatmaps are probabilities, not linear
    elastic: ClassVar[tuple[str, ...]] = ()  # widths outside the stages that a search may vary
    input_size: int

    def __post_init__(self) -> None:
        check_kinds(self)
        check_widths(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, `family` included; `from_dict` reads them back."""
        # through JSON, so that a dict from memory equals the one read from a file
        return {"family": self.family, **json.loads(json.dumps(asdict(self)))}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The inverse of `to_dict`, also after a trip through JSON.

        Raises LitePoseError for a missing or unknown field.
        """
        fields = {key: value for key, value in _tuples(data).items() if key != "family"}
        try:
            if "stages" in fields:
                fields["stages"] = tuple(Stage.from_dict(stage) for stage in fields["stages"])
            return cls(**fields)
        except LitePoseError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError) as exc:
            raise LitePoseError(
                f"a field of this {cls.family} architecture is missing or misnamed: {exc}"
            ) from None


@dataclass(frozen=True)
class LitePoseArch(Arch):
    """Lite Pose: stem -> four stages -> fusion deconvolution head, heatmaps at strides 4 and 2.

    stem: channels after the stem;
    deconv: channels after each of the head's three transposed convolutions.
    """

    family: ClassVar[str] = "litepose"
    multiple: ClassVar[int] = 16
    tag_kinds: ClassVar[tuple[TagKind, ...]] = ("learned", "positional")
    sigmoid: ClassVar[bool] = False
    elastic: ClassVar[tuple[str, ...]] = ("stem", "deconv")
    stem: int
    stages: tuple[Stage, ...]
    deconv: tuple[int, int, int]

    def __post_init__(self) -> None:
        super().__post_init__()
        if [s.stride for s in self.stages] != [2, 2, 2, 1] or len(self.deconv) != 3:
            raise LitePoseError(
                "a Lite Pose network has four stages of strides 2, 2, 2, 1 and three deconvolution"
                f" widths; got strides {[s.stride for s in self.stages]} and {self.deconv}"
            )

    @classmethod
    def from_official_json(cls, data: Mapping[str, Any]) -> LitePoseArch:
        """Read the official `search-*.json` form. Raises LitePoseError naming a missing field."""
        try:
            return cls(
                input_size=data["img_size"],
                stem=data["input_channel"],
                stages=tuple(_official_stage(stage) for stage in data["backbone_setting"]),
                deconv=tuple(data["deconv_setting"]),
            )
        except (KeyError, TypeError, ValueError) as exc:
            if isinstance(exc, LitePoseError):
                raise
            raise LitePoseError(f"not an official architecture: {exc!r} is wrong") from None


def _official_stage(data: Mapping[str, Any]) -> Stage:
    settings = data["block_setting"][: data["num_blocks"]]
    if len(settings) != data["num_blocks"]:
        raise LitePoseError(f"{data['num_blocks']} blocks need as many settings; got {settings}")
    expansions, kernels = zip(*settings, strict=True)
    return Stage.from_blocks(data["channel"], data["stride"], kernels, expansions)


@dataclass(frozen=True)
class PyramidArch(Arch):
    """P's family: stem -> six stages -> light feature pyramid, heatmaps and tags at stride 4.

    stem:    channels of its first convolution and after it
    stages:  six, ending at strides 4, 8, 16, 16, 32, 32
    top:     hidden channels between the last stage and the pyramid
    pyramid: channels of the sums at strides 16, 8, 4
    heatmap: hidden channels of the heatmap head
    tag_width, tag_depth: channels and 7x7 blocks of the tag head, at stride 8
    tag_skips: channels of the tag head from the fourth and the sixth stage
    norm:    False if the trunk's batch norms are folded into its convolutions, as in P
    """

    family: ClassVar[str] = "pyramid"
    multiple: ClassVar[int] = 32
    tag_kinds: ClassVar[tuple[TagKind, ...]] = ("positional",)
    sigmoid: ClassVar[bool] = True
    elastic: ClassVar[tuple[str, ...]] = ("stem", "top", "heatmap", "tag_width")
    stem: tuple[int, int]
    stages: tuple[Stage, ...]
    top: int
    pyramid: tuple[int, int, int]
    heatmap: int
    tag_width: int
    tag_depth: int
    tag_skips: tuple[int, int]
    norm: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if [s.stride for s in self.stages] != [2, 2, 2, 1, 2, 1]:
            raise LitePoseError(
                "a pyramid network has six stages of strides 2, 2, 2, 1, 2, 1; got"
                f" {[s.stride for s in self.stages]}"
            )


def litepose_info(size: str, arch: LitePoseArch, skeleton: Skeleton) -> ModelInfo:
    """Settings of a network with the official layout, input rule and decoding."""
    source = "Lite Pose (Wang et al., CVPR 2022)"
    return official_info(f"{PREFIX}{size}", arch, skeleton, source)


def official_info(stem: str, arch: Arch, skeleton: Skeleton, source: str) -> ModelInfo:
    """Settings with the official code's input rule and decoding. stem: name without the dataset."""
    suffix = "-crowdpose" if skeleton == CROWDPOSE14 else ""
    return ModelInfo(
        name=f"{stem}{suffix}",
        skeleton=skeleton,
        input=InputRule(size=arch.input_size, multiple=64),
        decode=DecodeSettings(heat_threshold=0.1, tag_threshold=1.0),
        arch=arch.to_dict(),
        source=source,
    )
