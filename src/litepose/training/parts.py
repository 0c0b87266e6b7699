"""Select parts of a network by parameter name: freezing, learning rates.

A part is a prefix of parameter names in whole words, the last one may be a range: `stem`, `blocks`,
`blocks.0-11`, `head.coarse`. A part that names nothing is an error, not a silent no-op.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from torch import nn

from litepose.core.errors import LitePoseError, did_you_mean

NORMS = (nn.BatchNorm2d, nn.GroupNorm, nn.LayerNorm)


def expand(part: str) -> list[str]:
    """`blocks.0-2` -> blocks.0, blocks.1, blocks.2; anything else is itself."""
    spread = re.fullmatch(r"(.*\.)(\d+)-(\d+)", part)
    if spread is None:
        return [part]
    return [f"{spread[1]}{i}" for i in range(int(spread[2]), int(spread[3]) + 1)]


def within(name: str, part: str) -> bool:
    """Whether a parameter or module of that name belongs to the part."""
    return any(name == one or name.startswith(f"{one}.") for one in expand(part))


def check_parts(model: nn.Module, parts: Iterable[str]) -> None:
    """Raises LitePoseError for a part, or one of a range, that names no parameter."""
    names = [name for name, _ in model.named_parameters()]
    prefixes = {".".join(n.split(".")[:depth]) for n in names for depth in (1, 2, 3)}
    for part in parts:
        for one in expand(part):
            if not any(within(name, one) for name in names):
                tops = sorted({name.split(".")[0] for name in names})
                raise LitePoseError(
                    f"the network has no part {one!r}{did_you_mean(one, prefixes)} (it has {tops})"
                )


def freeze(model: nn.Module, parts: Sequence[str]) -> int:
    """No gradient for the parts' parameters; how many numbers that keeps as they are."""
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
    """Training mode, except in frozen parts and, if wanted, all batch norms."""
    model.train()
    for name, module in model.named_modules():
        part_is_frozen = any(within(name, part) for part in frozen)
        if part_is_frozen or (freeze_norms and isinstance(module, NORMS)):
            module.eval()
