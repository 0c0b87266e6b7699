"""HigherHRNet: Lite Pose's ancestor, and the network that gradual shrinking starts from.

Source: Cheng et al., "HigherHRNet" (CVPR 2020), W32 and W48, and the official code; shrinking after
section 3 of "Lite Pose". It computes the same function as the official network. Names differ only
in batch norms, which belong to their convolutions here so that folding is one method (`our_name`
translates). In networks with removed branches, which have no official code, a 1x1 convolution
brings the finest features to stride 4, where they are added to those of the first stage.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from litepose.core.maps import Maps
from litepose.core.model_info import TagKind
from litepose.models.higherhrnet_arch import HigherHRNetArch
from litepose.models.layers import ConvNorm, add_position, check_sides, scale_and_shift
from litepose.models.network import Network

COARSE, FINE = 4, 2  # strides of the two outputs
STEM_WIDTH, FIRST_WIDTH = 64, 256  # of the stem and of the first stage
BLOCKS = 4  # residual blocks of every branch, of the first stage and behind the deconvolution


def our_name(official: str) -> str:
    """The name in this network of an official parameter."""
    name = re.sub(r"\bbn(\d)\.", r"conv\1.norm.", official)
    if re.search(r"transition|fuse_layers|downsample|deconv_layers\.\d\.0\.", name):
        step, _, parameter = name.rpartition(".")  # each a Sequential of convolution and norm
        name = f"{step[:-2]}{'.norm' if step.endswith('.1') else ''}.{parameter}"
    return name


def official_name(ours: str) -> str:
    """The inverse of `our_name`."""
    module, _, parameter = ours.rpartition(".")
    norm = module.endswith(".norm")
    module = module.removesuffix(".norm")
    last = module.rpartition(".")[2]
    if last.startswith("conv") and last[4:].isdigit():
        return f"{module[:-5]}bn{last[4:]}.{parameter}" if norm else ours
    if module.startswith("final_layers"):
        return ours
    return f"{module}.{int(norm)}.{parameter}"


class DeconvNorm(nn.ConvTranspose2d):
    """4x4 transposed convolution of stride 2 with its batch norm as a child, and ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 4, stride=2, padding=1, bias=False)
        self.norm: nn.BatchNorm2d | None = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        x = super().forward(x)
        return F.relu(x if self.norm is None else self.norm(x))

    def fold(self) -> None:
        """Fold the batch norm (eval mode) into weight and bias."""
        if self.norm is not None:
            scale, shift = scale_and_shift(self.norm)
            self.weight.data = self.weight * scale[None, :, None, None]
            self.bias = nn.Parameter(shift)
            self.norm = None


class Basic(nn.Module):
    """Two 3x3 convolutions and the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(width, width, 3)
        self.conv2 = ConvNorm(width, width, 3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.conv2(F.relu(self.conv1(x))))


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 to four times the width, and the identity or a 1x1."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(inputs, width)
        self.conv2 = ConvNorm(width, width, 3)
        self.conv3 = ConvNorm(width, 4 * width)
        self.downsample = ConvNorm(inputs, 4 * width) if inputs != 4 * width else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv3(F.relu(self.conv2(F.relu(self.conv1(x)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class Exchange(nn.Module):
    """One module of a stage: residual blocks on each branch, then every branch gets all others.

    widths: of the branches, each at half the resolution of the previous one; targets: indices of
    the branches that continue
    """

    def __init__(self, widths: Sequence[int], targets: Sequence[int]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(*(Basic(width) for _ in range(BLOCKS))) for width in widths
        )
        self.targets = tuple(targets)
        if len(widths) > 1:
            self.fuse_layers = nn.ModuleList(
                nn.ModuleList(_path(widths, source, target) for source in range(len(widths)))
                for target in targets
            )

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        features = [branch(x) for branch, x in zip(self.branches, features, strict=True)]
        if len(features) == 1:
            return features
        outputs = []
        for target, paths in zip(self.targets, self.fuse_layers.children(), strict=True):
            total = features[target]
            for source, path in enumerate(paths.children()):
                if source < target:
                    total = total + path(features[source])
                elif source > target:
                    scale = 2 ** (source - target)
                    total = total + F.interpolate(path(features[source]), scale_factor=scale)
            outputs.append(F.relu(total))
        return outputs


def _path(widths: Sequence[int], source: int, target: int) -> nn.Module:
    if source == target:
        return nn.Identity()
    if source > target:
        return ConvNorm(widths[source], widths[target])
    width = widths[source]
    halved = (ConvRelu(width, width, stride=2) for _ in range(target - source - 1))
    return nn.Sequential(*halved, ConvNorm(width, widths[target], 3, stride=2))


class ConvRelu(ConvNorm):
    """3x3 convolution and ReLU."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__(inputs, outputs, 3, stride=stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(super().forward(x))


class HigherHRNet(Network):
    """Normalized images (B, 3, H, W), sides multiples of 32 -> Maps at strides 4 and 2.

    Tags (B, K, 1, H/4, W/4), or (B, K, 2, H/4, W/4) with `tag_kind="positional"`, which the
    official network does not have. Raises LitePoseError for other shapes.
    """

    output_names = ("final_layers.0", "final_layers.1")
    arch: HigherHRNetArch

    def __init__(
        self, arch: HigherHRNetArch, num_keypoints: int, tag_kind: TagKind = "learned"
    ) -> None:
        super().__init__()
        self.arch, self.num_keypoints, self.tag_kind = arch, num_keypoints, tag_kind
        self.conv1 = ConvNorm(3, STEM_WIDTH, 3, stride=2)
        self.conv2 = ConvNorm(STEM_WIDTH, STEM_WIDTH, 3, stride=2)
        self.layer1 = nn.Sequential(
            *(Bottleneck(FIRST_WIDTH if i else STEM_WIDTH, STEM_WIDTH) for i in range(BLOCKS))
        )
        before: dict[int, int] = {0: FIRST_WIDTH}
        for number, (branches, modules) in enumerate(arch.stages, start=1):
            widths = {branch: arch.width << branch for branch in branches}
            self.add_module(f"transition{number}", _transition(before, widths))
            every = list(range(len(widths)))
            on = [b - branches[0] for b in _going_on(arch, number)]
            stage = nn.ModuleList(
                Exchange(list(widths.values()), every if i < modules - 1 else on)
                for i in range(modules)
            )
            self.add_module(f"stage{number + 1}", stage)
            before = {branch: widths[branch] for branch in _going_on(arch, number)}
        self.finest = min(before)
        if self.finest:
            self.lift = ConvNorm(before[self.finest], arch.width)
            self.skip = ConvNorm(FIRST_WIDTH, arch.width)
        k, width = num_keypoints, arch.width
        maps = 3 * k if tag_kind == "positional" else 2 * k
        self.final_layers = nn.ModuleList([nn.Conv2d(width, maps, 1), nn.Conv2d(width, k, 1)])
        refine = (nn.Sequential(Basic(width)) for _ in range(BLOCKS))
        deconv = nn.Sequential(DeconvNorm(width + maps, width), *refine)
        self.deconv_layers = nn.ModuleList([deconv])

    def forward(self, images: Tensor) -> Maps:
        if not torch.compiler.is_exporting():
            check_sides(images, self.arch.multiple)
        first = self.layer1(F.relu(self.conv2(F.relu(self.conv1(images)))))
        x = self._stages({0: first})
        if self.finest:
            up = F.interpolate(self.lift(x), scale_factor=2**self.finest)
            x = F.relu(up + self.skip(first))
        coarse = self.final_layers[0](x)
        x = self.deconv_layers[0](torch.cat([x, coarse], dim=1))
        heatmaps, tags = coarse[:, : self.num_keypoints], coarse[:, self.num_keypoints :]
        tags = tags.unflatten(1, (self.num_keypoints, -1))  # (B, K, T, H, W)
        if self.tag_kind == "positional":
            tags = add_position(tags, COARSE)
        return Maps((heatmaps, self.final_layers[1](x)), (COARSE, FINE), tags, COARSE)

    def _stages(self, features: dict[int, Tensor]) -> Tensor:
        """The finest features of the last stage. features: by branch, 0 has stride 4."""
        for number, (branches, _) in enumerate(self.arch.stages, start=1):
            transition = self.get_submodule(f"transition{number}")
            coarsest = max(features)
            inputs = []
            for branch, path in zip(branches, transition.children(), strict=True):
                inputs.append(path(features.get(branch, features[coarsest])))
            for module in self.get_submodule(f"stage{number + 1}").children():
                inputs = module(inputs)
            features = dict(zip(_going_on(self.arch, number), inputs, strict=True))
        return features[self.finest]


def _going_on(arch: HigherHRNetArch, number: int) -> list[int]:
    """Branches of stage `number` + 1 in use afterwards; of the last stage only the finest."""
    branches = arch.stages[number - 1][0]
    if number == len(arch.stages):
        return [branches[0]]
    following = arch.stages[number][0]
    return [branch for branch in branches if branch in following] or [branches[-1]]


def _transition(before: dict[int, int], widths: dict[int, int]) -> nn.ModuleList:
    """Connect the branches of two stages; a new branch comes from the coarsest."""
    paths: list[nn.Module] = []
    coarsest = max(before)
    for branch, width in widths.items():
        if branch in before:
            same = before[branch] == width
            paths.append(nn.Identity() if same else ConvRelu(before[branch], width, stride=1))
        else:
            paths.append(nn.Sequential(ConvRelu(before[coarsest], width, stride=2)))
    return nn.ModuleList(paths)
