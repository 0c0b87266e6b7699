"""The pieces of the networks."""

from __future__ import annotations

import torch

from litepose.models.layers import ConvNorm, ConvStyle


def test_depthwise_convolutions_leave_autocast_where_they_are_trained():
    """Their backward pass in bfloat16 is slow on CPUs; results stay those of float32, rounded."""
    torch.manual_seed(0)
    conv = ConvNorm(8, 8, 7, groups=8, style=ConvStyle(norm=False))
    x = torch.randn(1, 8, 16, 16).bfloat16()
    exact = conv(x.float())
    exact.sum().backward()
    wanted, conv.weight.grad = conv.weight.grad, None
    with torch.autocast("cpu", torch.bfloat16):
        trained = conv(x)
    trained.sum().backward()
    assert trained.dtype == torch.bfloat16
    assert torch.equal(trained, exact.bfloat16())
    assert torch.equal(conv.weight.grad, wanted)
