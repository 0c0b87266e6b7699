"""AdamW with parameter groups, learning rate schedules, and averaged weights.

Source: the paper trains with Adam and a step schedule; its code configures a weight decay but never
applies it. Here it is applied, to convolutions only. The rate depends only on the progress of the
run, so a resumed run needs no schedule state.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from litepose.core.errors import LitePoseError, did_you_mean
from litepose.training.config import OptimizerConfig

NORMS = (nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm)


def make_optimizer(model: nn.Module, config: OptimizerConfig) -> AdamW:
    """One group per learning rate and decay; norms and biases do not decay.

    A parameter's rate is that of the longest matching part, times the root mean square of its own
    values if rates are relative. Frozen parameters are left out.
    """
    check_parts(model, config.lr_overrides)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        own = [part for part in config.lr_overrides if within(name, part)]
        rate = config.lr_overrides[max(own, key=len)] if own else config.lr
        if config.relative_lr:
            rate *= _root_mean_square(parameter)
        decay = config.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    return AdamW(
        [
            {"params": parameters, "lr": rate, "peak_lr": rate, "weight_decay": decay}
            for (rate, decay), parameters in groups.items()
        ],
        betas=config.betas,
    )


def _root_mean_square(parameter: Tensor) -> float:
    """Root mean square of the initial values; 1 if all of them are zero."""
    return float(parameter.detach().square().mean().sqrt()) or 1.0


def rate_factor(config: OptimizerConfig, epochs: float, at: float) -> float:
    """Factor of the peak learning rate after `at` of `epochs` epochs."""
    if at < config.warmup:
        rise = at / config.warmup
        if config.schedule == "one-cycle":
            return config.final_lr_ratio + (1 - config.final_lr_ratio) * 0.5 * (
                1 - math.cos(math.pi * rise)
            )
        return max(config.final_lr_ratio, rise)
    if config.schedule == "constant":
        return 1.0
    if config.schedule == "step":
        return config.step_factor ** sum(at >= step for step in config.steps)
    fallen = min(1.0, (at - config.warmup) / max(epochs - config.warmup, 1e-9))
    return config.final_lr_ratio + (1 - config.final_lr_ratio) * 0.5 * (
        1 + math.cos(math.pi * fallen)
    )


def set_rates(optimizer: Optimizer, factor: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = group["peak_lr"] * factor


def average_weights(model: nn.Module) -> AveragedModel:
    """A copy of the model for `update_average`: exponential mean of weights and norm statistics."""
    return AveragedModel(model, use_buffers=True)


def update_average(average: AveragedModel, model: nn.Module, decay: float, step: int) -> None:
    """Move the average toward the model, faster early in a run so that initial weights fade."""
    average.multi_avg_fn = get_ema_multi_avg_fn(min(decay, (1 + step) / (10 + step)))
    average.update_parameters(model)


def interpolate_weights(model: nn.Module, start: Mapping[str, Tensor], share: float) -> nn.Module:
    """A copy of the model with weights interpolated from initial (share 0) to trained (1).

    A network fine-tuned on a few thousand images finds more people but less exactly; interpolated
    weights (WiSE-FT: Wortsman et al., 2022) are better in both respects than either end.
    """
    between = deepcopy(model)
    with torch.no_grad():
        for name, value in between.state_dict().items():
            if value.is_floating_point():
                value.copy_(torch.lerp(start[name].to(value), value, share))
    return between


def expand(part: str) -> list[str]:
    """`blocks.0-2` -> blocks.0, blocks.1, blocks.2; anything else is itself."""
    spread = re.fullmatch(r"(.*\.)(\d+)-(\d+)", part)
    if spread is None:
        return [part]
    return [f"{spread[1]}{i}" for i in range(int(spread[2]), int(spread[3]) + 1)]


def within(name: str, part: str) -> bool:
    """Whether a parameter or module of that name belongs to the part."""
    return any(name == module or name.startswith(f"{module}.") for module in expand(part))


def check_parts(model: nn.Module, parts: Iterable[str]) -> None:
    """Raise LitePoseError for a part, or one of a range, without parameters."""
    names = [name for name, _ in model.named_parameters()]
    prefixes = {".".join(n.split(".")[:depth]) for n in names for depth in (1, 2, 3)}
    for part in parts:
        for module in expand(part):
            if not any(within(name, module) for name in names):
                tops = sorted({name.split(".")[0] for name in names})
                raise LitePoseError(
                    f"the network has no part {module!r}{did_you_mean(module, prefixes)}"
                    f" (it has {tops})"
                )


def freeze(model: nn.Module, parts: Sequence[str]) -> int:
    """Disable gradients of the parts' parameters; returns the number of frozen weights."""
    check_parts(model, parts)
    frozen = 0
    for name, parameter in model.named_parameters():
        if any(within(name, part) for part in parts):
            parameter.requires_grad_(False)
            frozen += parameter.numel()
    if not any(p.requires_grad for p in model.parameters()):
        raise LitePoseError("every part of the network is frozen; nothing is left to train")
    return frozen


def train_mode(model: nn.Module, frozen: Sequence[str], freeze_norms: bool) -> None:
    """Set training mode, except in frozen parts and, optionally, all batch norms."""
    model.train()
    for name, module in model.named_modules():
        part_is_frozen = any(within(name, part) for part in frozen)
        if part_is_frozen or (freeze_norms and isinstance(module, NORMS)):
            module.eval()
