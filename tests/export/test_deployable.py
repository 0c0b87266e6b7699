"""The deployed network gives the same maps without transposed convolutions."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

from litepose.models.fusion import phases  # noqa: E402


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (7, 4)])
def test_convolution_and_shuffle_equal_the_transposed_convolution(shape) -> None:
    make = torch.Generator().manual_seed(1)
    kernel = torch.randn(3, 5, 4, 4, generator=make)
    x = torch.randn(2, 3, *shape, generator=make)
    wanted = F.conv_transpose2d(x, kernel, stride=2, padding=1)
    four = F.conv2d(x, phases(kernel), padding=1)
    assert torch.allclose(F.pixel_shuffle(four, 2)[..., 1:-1, 1:-1], wanted, atol=1e-5)


def test_the_deployed_network_is_the_network(xs) -> None:
    network = xs.network
    ours = network.deployable()
    images = torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        found, wanted = ours(images), network(images)
    for a, b in zip((*found.heatmaps, found.tags), (*wanted.heatmaps, wanted.tags), strict=True):
        assert (a - b).abs().max() <= 1e-5 * b.abs().max()
    assert not any(isinstance(m, nn.ConvTranspose2d | nn.BatchNorm2d) for m in ours.modules())
    assert any(isinstance(m, nn.ConvTranspose2d) for m in network.modules())
