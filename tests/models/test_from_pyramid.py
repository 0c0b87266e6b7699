"""The trunk of P in the published layout."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from litepose.core.errors import LitePoseError
from litepose.models import zoo
from litepose.models.build import build_network
from litepose.models.from_pyramid import published_arch, with_trunk_of
from litepose.models.zoo_archs import PM, TINY, P


def test_every_stage_computes_what_the_source_computes() -> None:
    torch.manual_seed(0)
    source, _ = zoo.load("p")
    network = with_trunk_of(source, (16, 24, 24))
    # The network's stem pads before, too: the source sees the same one pixel further.
    image = F.interpolate(torch.randn(1, 3, 9, 9), size=(128, 160), mode="bicubic")
    image[..., -1] = image[..., -1, :] = 0  # as beyond the border
    shifted = F.pad(image, (1, 0, 1, 0))[..., :-1, :-1]
    with torch.no_grad():
        theirs = source.stage_features(shifted)
        x, own = network.stem(image), []
        for stage in network.stages[:3]:
            x = stage(x)
            own.append(x)
        for block in network.stages[3][:3]:
            x = block(x)
        own.append(x[..., ::2, ::2])
        maps = network(image)
    for found, expected in zip(own, (*theirs[:2], theirs[3], theirs[4]), strict=True):
        assert found.shape == expected.shape and expected.std() > 0.1
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=2e-2)
    assert maps.tags.shape == (1, 17, 2, 32, 40) and maps.heatmaps[1].shape == (1, 17, 64, 80)


def test_its_settings_build_it() -> None:
    arch = published_arch(P, (32, 24, 24))
    info = replace(
        zoo.P_INFO, arch=arch.to_dict(), strides=(4, 2), input=replace(zoo.P_INFO.input, size=256)
    )
    assert sum(p.numel() for p in build_network(info).parameters()) == sum(
        p.numel() for p in with_trunk_of(zoo.create("p")[0]).parameters()
    )


@pytest.mark.parametrize("arch", [PM, TINY])
def test_a_trunk_without_a_place_is_refused(arch) -> None:
    with pytest.raises(LitePoseError, match="as litepose-p"):
        published_arch(arch, (32, 24, 24))
