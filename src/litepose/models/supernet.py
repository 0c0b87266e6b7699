"""Supernet: one set of weights that holds every architecture of a space.

Source: Lite Pose's supernet (paper, section 4.3), once-for-all kernels (Cai et al., 2020). The
weights of a smaller network are slices of the largest's: the first channels, the first blocks of
each stage, the middle of each kernel times a learned matrix. Ours differs in having no elastic
layers: the slices are put into the plain network of that architecture, so that what is trained is
what `extract` gives, residual connections included (the official supernet has none where two
stages are equally wide, the extracted network has one).
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call

from litepose.core.errors import LitePoseError
from litepose.core.maps import Maps
from litepose.core.model_info import ModelInfo
from litepose.core.read_text import parse_json
from litepose.models.arch import Arch
from litepose.models.build import build_network, space_from_dict
from litepose.models.checkpoint import read_header, read_tensors, take_tensors, write_tensors
from litepose.models.network import Network
from litepose.models.space import Space

SPACE_KEY = "litepose_space"  # of the space in a supernet's file
MOST_PLAINS = 256  # architectures whose empty networks are kept


class Plain(NamedTuple):
    """A smaller network without numbers; sources: the names of its modules and tensors in the
    largest."""

    network: Network
    sources: dict[str, str]


class Supernet(nn.Module):
    """Images (B, 3, H, W) -> Maps of any architecture of the space.

    network: the largest, whose weights all others share; info: its settings.
    Raises LitePoseError where the network is not the space's largest.
    """

    def __init__(self, network: Network, info: ModelInfo, space: Space) -> None:
        super().__init__()
        if network.arch != space.largest:
            raise LitePoseError("the network of a supernet must be the largest of its space")
        self.network, self.info, self.space = network, info, space
        genes = space.genes()
        self.transforms = nn.ModuleDict()  # of middle parts of kernels, by stage, block and size
        for i, stage in enumerate(space.stages):
            for kernel in genes[f"stages.{i}.kernel"][1:]:
                for block in range(stage.depth):
                    self.transforms[f"{i}_{block}_{kernel}"] = _identity(kernel * kernel)
        self._plains: OrderedDict[Arch, Plain] = OrderedDict()

    def __deepcopy__(self, memo: dict[int, Any]) -> Supernet:
        from copy import deepcopy

        copy = Supernet(deepcopy(self.network, memo), self.info, self.space)
        copy.load_state_dict(self.state_dict())
        return copy.train(self.training)

    def forward(self, images: Tensor, arch: Arch | None = None) -> Maps:
        """arch: None is the largest, whose batch norms alone keep running statistics."""
        if arch is None or arch == self.space.largest:
            maps: Maps = self.network(images)
            return maps
        plain, sources = self._plain(arch)
        for name, module in plain.named_modules():
            module.training = self.network.get_submodule(sources[name]).training
        weights = self.weights(arch)
        result: Maps = functional_call(plain, weights, (images,), strict=True)
        return result

    def weights(self, arch: Arch) -> dict[str, Tensor]:
        """The state dict of that architecture; parameters are views, buffers are copies."""
        plain, sources = self._plain(arch)
        own: dict[str, Tensor] = {
            **dict(self.network.named_parameters()),
            **dict(self.network.named_buffers()),
        }
        weights: dict[str, Tensor] = {}
        for name, parameter in plain.named_parameters():
            source = sources[name]
            part = _first_channels(own[source], parameter.shape)
            weights[name] = self._transformed(part, own[source], source)
        for name, buffer in plain.named_buffers():
            weights[name] = _first_channels(own[sources[name]], buffer.shape).clone()
        return weights

    def settings(self, arch: Arch) -> ModelInfo:
        """The supernet's settings for that architecture."""
        info = replace(self.info, arch=arch.to_dict())
        return info.with_input_size(arch.input_size)

    def extract(self, arch: Arch) -> Network:
        """A plain network with copies of the weights, in eval mode.

        Its batch norms want `recalibrate`: their statistics are those of the largest network.
        """
        network = build_network(self.settings(arch))
        weights = {name: tensor.detach().clone() for name, tensor in self.weights(arch).items()}
        network.load_state_dict(weights)
        return network.eval()

    def _plain(self, arch: Arch) -> Plain:
        """The network of that architecture without numbers, kept for the next time."""
        if arch not in self._plains:
            with torch.device("meta"):
                network = build_network(self.settings(arch))
            names = [*(name for name, _ in network.named_modules()), *network.state_dict()]
            sources = {name: self._source(network, name) for name in names}
            self._plains[arch] = Plain(network, sources)
            if len(self._plains) > MOST_PLAINS:
                self._plains.popitem(last=False)
        self._plains.move_to_end(arch)
        return self._plains[arch]

    def _source(self, plain: Network, name: str) -> str:
        """The name in the largest network of a module or tensor of a smaller one."""
        for i, stage in enumerate(getattr(plain.arch, "stages", ())):
            for block in range(stage.depth):
                own = plain.block_name(i, block)
                if name == own or name.startswith(f"{own}."):
                    return self.network.block_name(i, block) + name[len(own) :]
        return name

    def _transformed(self, part: Tensor, whole: Tensor, source: str) -> Tensor:
        if part.ndim != 4 or part.shape[-1] == whole.shape[-1]:
            return part
        key = self._block_of(source) + f"_{part.shape[-1]}"
        changed: Tensor = self.transforms[key](part.flatten(1))
        return changed.view(part.shape)

    def _block_of(self, source: str) -> str:
        for i, stage in enumerate(self.space.stages):
            for block in range(stage.depth):
                if source.startswith(f"{self.network.block_name(i, block)}."):
                    return f"{i}_{block}"
        raise AssertionError(f"{source} is no block's")


def _identity(size: int) -> nn.Linear:
    linear = nn.Linear(size, size)
    nn.init.eye_(linear.weight)
    nn.init.zeros_(linear.bias)
    return linear


def _first_channels(tensor: Tensor, shape: torch.Size) -> Tensor:
    """The first channels of a tensor, and the middle of its kernel."""
    if tensor.shape == shape:
        return tensor
    parts = []
    for i, (have, want) in enumerate(zip(tensor.shape, shape, strict=True)):
        start = (have - want) // 2 if i >= 2 else 0
        parts.append(slice(start, start + want))
    return tensor[tuple(parts)]


@torch.no_grad()
def recalibrate(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set the batch norms' statistics to the means over batches (B, 3, H, W) of normalized images.

    Slices of a larger network see other inputs than it does, so its statistics are not theirs.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    training = network.training
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over all batches
    network.train()
    for batch in batches:
        network(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.train(training)


def save_supernet(path: str | Path, supernet: Supernet, extra: Mapping[str, str]) -> None:
    """Write weights, settings and space to one safetensors file, whole or not at all."""
    space = json.dumps(supernet.space.to_dict(), separators=(",", ":"))
    write_tensors(path, supernet.state_dict(), supernet.info, {**extra, SPACE_KEY: space})


def load_supernet(path: str | Path) -> Supernet:
    """In eval mode. Raises LitePoseError for a file that is missing, damaged, no supernet's, or of
    weights that do not fit its space."""
    header = read_header(path)
    if SPACE_KEY not in header.extra:
        raise LitePoseError(
            f"{path} is a plain network; training with a [supernet] section writes the supernet"
            " beside it, as best.supernet.safetensors"
        )
    space = space_from_dict(parse_json(header.extra[SPACE_KEY], f"the space in {path}"))
    supernet = Supernet(build_network(header.info), header.info, space)
    state = read_tensors(path)
    expected = {name: tuple(tensor.shape) for name, tensor in supernet.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in state.items()}
    for name in sorted(expected.keys() | found.keys()):
        if expected.get(name) != found.get(name):
            raise LitePoseError(
                f"{path} does not fit its space: {name} should have shape {expected.get(name)};"
                f" got {found.get(name)}"
            )
    take_tensors(supernet, state, path)
    return supernet.eval()
