"""Groups, rates over time, averaged weights, parts by name."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from litepose.core.errors import LitePoseError
from litepose.models import zoo
from litepose.training.config import OptimizerConfig
from litepose.training.optimizer import (
    average_weights,
    expand,
    freeze,
    make_optimizer,
    rate_factor,
    set_rates,
    train_mode,
    update_average,
    within,
)


@pytest.fixture
def tiny() -> nn.Module:
    return zoo.create("tiny")[0]


def test_weight_decay_shrinks_convolutions_and_nothing_else(tiny):
    """With no gradient at all, a step of AdamW is weight decay alone."""
    optimizer = make_optimizer(tiny, OptimizerConfig(lr=0.1, weight_decay=0.5))
    before = {name: p.detach().clone() for name, p in tiny.named_parameters()}
    for parameter in tiny.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, parameter in tiny.named_parameters():
        shrunk = 0.95 if parameter.ndim == 4 else 1.0
        torch.testing.assert_close(parameter.detach(), before[name] * shrunk)
    assert any(p.ndim == 1 and p.abs().max() > 0 for p in tiny.parameters())


def test_every_part_has_its_rate_and_frozen_ones_none(tiny):
    freeze(tiny, ["stem"])
    config = OptimizerConfig(lr=1.0, lr_overrides={"blocks": 0.1, "blocks.0-1": 0.01, "tag": 0.5})
    optimizer = make_optimizer(tiny, config)
    set_rates(optimizer, 0.5)
    name_of = {parameter: name for name, parameter in tiny.named_parameters()}
    rates = {name_of[p]: g["lr"] for g in optimizer.param_groups for p in g["params"]}
    assert rates["blocks.1.expand.weight"] == pytest.approx(0.005)
    assert rates["blocks.2.expand.weight"] == pytest.approx(0.05)
    assert rates["tag.output.bias"] == 0.25 and rates["fuse4.project.weight"] == 0.5
    trainable = {name for name, p in tiny.named_parameters() if p.requires_grad}
    assert set(rates) == trainable and not any(n.startswith("stem.") for n in trainable)


def test_relative_rates_move_small_and_large_weights_by_the_same_share(tiny):
    """AdamW's first step is the rate; relative to a tensor's size it is the same share of all."""
    with torch.no_grad():
        for number, parameter in enumerate(tiny.parameters()):
            parameter.copy_(torch.full_like(parameter, 10.0 ** (number % 5 - 3)))
        before = [p.clone() for p in tiny.parameters()]
    optimizer = make_optimizer(tiny, OptimizerConfig(lr=1e-3, relative_lr=True, weight_decay=0))
    for parameter in tiny.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    for old, new in zip(before, tiny.parameters(), strict=True):
        torch.testing.assert_close(new / old, torch.full_like(old, 1 - 1e-3))


def test_a_tensor_of_zeros_has_the_rate_itself():
    layer = nn.Linear(2, 2)
    nn.init.zeros_(layer.bias)
    nn.init.constant_(layer.weight, 0.5)
    optimizer = make_optimizer(layer, OptimizerConfig(lr=1e-3, relative_lr=True, weight_decay=0))
    assert sorted(group["lr"] for group in optimizer.param_groups) == [5e-4, 1e-3]


def test_one_cycle_rises_and_falls():
    config = OptimizerConfig(warmup=2, final_lr_ratio=0.01)
    at = [rate_factor(config, 10, epoch) for epoch in (0, 1, 2, 6, 10)]
    assert (
        at[0] == pytest.approx(0.01) and at[2] == pytest.approx(1) and at[4] == pytest.approx(0.01)
    )
    assert at[0] < at[1] < at[2] > at[3] > at[4]
    assert at[3] == pytest.approx(0.505)


def test_steps():
    config = OptimizerConfig(schedule="step", steps=(350, 480), warmup=1)
    at = [rate_factor(config, 500, epoch) for epoch in (0.5, 1, 349.9, 350, 480)]
    assert at == pytest.approx([0.5, 1, 1, 0.1, 0.01])


def test_the_average_follows_weights_and_norm_statistics(tiny):
    average = average_weights(tiny)
    norm = next(m for m in tiny.modules() if isinstance(m, nn.BatchNorm2d))
    twin = next(m for m in average.module.modules() if isinstance(m, nn.BatchNorm2d))
    expected_weight = norm.weight.detach().clone()
    expected_mean = norm.running_mean.clone()
    for step in range(30):
        with torch.no_grad():
            norm.weight.add_(1.0)
            norm.running_mean.add_(2.0)
        update_average(average, tiny, decay=0.7, step=step)
        decay = 0.0 if step == 0 else min(0.7, (1 + step) / (10 + step))
        expected_weight = decay * expected_weight + (1 - decay) * norm.weight.detach()
        expected_mean = decay * expected_mean + (1 - decay) * norm.running_mean
    torch.testing.assert_close(twin.weight.detach(), expected_weight)
    torch.testing.assert_close(twin.running_mean, expected_mean)
    assert not torch.allclose(twin.weight, norm.weight)


def test_names_of_parts():
    assert expand("blocks.0-2") == ["blocks.0", "blocks.1", "blocks.2"]
    assert within("blocks.1.expand.weight", "blocks.1")
    assert not within("blocks.10.expand.weight", "blocks.1")
    assert within("blocks.10.expand.weight", "blocks.9-11")


def test_a_part_that_names_nothing_is_an_error(tiny):
    with pytest.raises(LitePoseError, match="no part 'blcoks'; did you mean 'blocks'"):
        freeze(tiny, ["blcoks"])
    with pytest.raises(LitePoseError, match=r"no part 'blocks\.9'"):
        freeze(tiny, ["blocks.7-9"])
    with pytest.raises(LitePoseError, match="nothing is left to train"):
        freeze(tiny, sorted({name.split(".")[0] for name, _ in tiny.named_parameters()}))


def test_frozen_norms_stay_in_eval_mode(tiny):
    train_mode(tiny, ["blocks.0-3"], freeze_norms=False)
    norms = {n: m.training for n, m in tiny.named_modules() if isinstance(m, nn.BatchNorm2d)}
    frozen = [n for n in norms if within(n, "blocks.0-3")]
    assert frozen and not any(norms[n] for n in frozen)
    assert all(norms[n] for n in norms if n not in frozen)
    train_mode(tiny, [], freeze_norms=True)
    assert not any(m.training for m in tiny.modules() if isinstance(m, nn.BatchNorm2d))
    assert tiny.tag.training
