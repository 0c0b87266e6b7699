"""The trained network of the published layout, in weights/."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import litepose
from litepose.models import zoo
from litepose.models.from_pyramid import published_arch
from litepose.models.zoo_archs import P

ROOT = Path(__file__).parents[2]
FILE = ROOT / "weights/litepose_layout_coco17.safetensors"
if not FILE.is_file():
    pytest.skip("weights/ is only in a checkout", allow_module_level=True)


def test_it_has_the_layout_with_room_for_p() -> None:
    network, info = zoo.load(str(FILE))
    assert network.arch == published_arch(P, (32, 24, 24))
    assert info.strides == (4, 2) and info.tag_kind == "positional"
    assert all(torch.isfinite(p).all() for p in network.parameters())


@pytest.mark.slow
def test_it_sees_the_people_of_the_scene() -> None:
    model = litepose.load(str(FILE), crops=8)
    poses = model.predict(ROOT / "examples/images/scene.jpg")
    assert len(poses) >= 8
    assert (poses.found.sum(axis=1) >= 8).sum() >= 5
