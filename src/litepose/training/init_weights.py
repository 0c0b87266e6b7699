"""Initial weights of a run: random, from the zoo, a checkpoint or an official file."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import nn

from litepose.core.errors import LitePoseError
from litepose.core.model_info import ModelInfo
from litepose.core.skeleton import Skeleton
from litepose.models import zoo
from litepose.models.build import arch_from_dict, build_network
from litepose.models.network import Network
from litepose.training.config import ModelConfig, TrainConfig
from litepose.training.optimizer import freeze


@dataclass(frozen=True)
class Start:
    """The model, frozen parts applied, and its settings; notes: sentences for the user."""

    model: nn.Module
    info: ModelInfo
    notes: tuple[str, ...]


def make_start(config: TrainConfig, skeleton: Skeleton | None) -> Start:
    """The network of a configuration.

    skeleton: to train; None keeps that of the initial weights.
    Raises LitePoseError if weights, network and settings do not fit each other.
    """
    wanted = config.model
    given, info = zoo.load(wanted.init) if wanted.init else (None, zoo.find_model(wanted.name).info)
    source = info
    if wanted.init and wanted.name:
        _same_network(wanted, info)
    if wanted.arch:
        info = replace(info, arch=arch_from_dict({**(info.arch or {}), **wanted.arch}).to_dict())
    info = replace(info, name=config.name, skeleton=skeleton or info.skeleton)
    if wanted.tags:
        info = replace(info, tag_kind=wanted.tags)
    info = replace(info, target_rounding=config.targets.rounding)
    decode = info.decode
    if wanted.heat_threshold is not None:
        decode = replace(decode, heat_threshold=wanted.heat_threshold)
    if wanted.tag_threshold is not None:
        decode = replace(decode, tag_threshold=wanted.tag_threshold)
    info = replace(info, decode=decode)
    if wanted.input_size is not None:
        info = info.with_input_size(wanted.input_size)

    if config.loss.heatmap == "focal" and not arch_from_dict(info.arch or {}).sigmoid:
        raise LitePoseError(
            f"loss.heatmap focal needs a network that ends in a sigmoid, as litepose-p; heatmaps"
            f" of {info.name} are linear: use mse"
        )
    model = build_network(info)
    parameters = sum(p.numel() for p in model.parameters())
    notes = [f"{info.name}: {parameters / 1e6:.2f} M weights, {info.skeleton.name}"]
    if given is not None:
        notes += _take_over(model, given, wanted, source.skeleton != info.skeleton)
    frozen = freeze(model, wanted.freeze)
    if frozen:
        notes.append(
            f"frozen: {frozen / parameters:.0%} of the weights ({', '.join(wanted.freeze)})"
        )
    return Start(model, info, tuple(notes))


def _same_network(wanted: ModelConfig, info: ModelInfo) -> None:
    if zoo.find_model(wanted.name).info.arch != info.arch:
        raise LitePoseError(
            f"model.init {wanted.init!r} is another network than model.name {wanted.name!r};"
            " leave model.name out to train the network of the start"
        )


def _take_over(
    model: Network, given: nn.Module, wanted: ModelConfig, other_skeleton: bool
) -> list[str]:
    """Copy all weights whose shapes fit; others are reinitialized and listed in a note.

    With another skeleton the last layers are reinitialized even where shapes fit: their channels
    mean other keypoints.
    """
    own, theirs = model.state_dict(), given.state_dict()
    remade = {name.rpartition(".")[0] for name in own if own[name].shape != theirs[name].shape}
    if other_skeleton:
        remade |= set(model.output_layers())
    own.update({k: v for k, v in theirs.items() if k.rpartition(".")[0] not in remade})
    model.load_state_dict(own)
    notes = [f"weights from {wanted.init}"]
    if wanted.weight_interpolation < 1:
        if remade:
            raise LitePoseError(
                f"model.weight_interpolation mixes trained weights with those of {wanted.init},"
                f" but these layers start from random weights: {', '.join(sorted(remade))};"
                " leave weight_interpolation at 1"
            )
        notes.append(
            f"kept weights: {wanted.weight_interpolation:.0%} of the way to the trained ones"
        )
    if remade:
        notes.append(f"reinitialized for this skeleton: {', '.join(sorted(remade))}")
    return notes
