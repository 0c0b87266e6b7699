"""Initial weights: the layout computes what P's trunk does, the narrow network is PM with less."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from benchmarks import starts
from litepose.data.augment import AugmentSettings
from litepose.data.layouts import find_dataset
from litepose.data.loader import Loader, LoaderSettings
from litepose.data.pack import pack
from litepose.data.synthetic import synthesize
from litepose.models import zoo
from litepose.models.checkpoint import load_checkpoint
from litepose.models.from_pyramid import with_trunk_of
from litepose.training.objective import normalized

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    synthesize(folder, 16, 0, "train")
    pack(find_dataset(folder, "train"), folder / "a.lpc")
    return folder / "a.lpc"


def start(kind: str, packed: Path, monkeypatch):
    monkeypatch.setattr(starts, "BATCHES", 1)
    output = packed.with_name(f"{kind}.safetensors")
    words = ["starts.py", kind, "--data", str(packed), "--output", str(output)]
    monkeypatch.setattr(sys, "argv", words)
    starts.main()
    return load_checkpoint(output)


def stages(network, images: torch.Tensor) -> list[torch.Tensor]:
    x = network.stem(images)
    found = []
    for stage in network.stages[:3]:
        x = stage(x)
        found.append(x)
    return found


def test_the_layout_computes_what_the_trunk_does_in_training_too(packed, monkeypatch) -> None:
    network, info = start("layout", packed, monkeypatch)
    assert info.input.size == 256 and info.strides == (4, 2)
    data = find_dataset(packed.parent, "train")
    settings = LoaderSettings(16, 256, seed=3)
    batch = next(Loader(data, AugmentSettings(rotation=10), settings).epoch(0))
    images = normalized(batch.images, info.input)
    with torch.no_grad():
        expected = stages(with_trunk_of(zoo.load("p")[0]), images)
        found = stages(network, images)
        trained = stages(network.train(), images)
    for one, other, third in zip(expected, found, trained, strict=True):
        assert (one - other).std() < 0.01 * one.std()
        assert (one - third).std() < 0.5 * one.std()


def test_the_narrow_network_is_cheaper_and_keeps_the_stages(packed, monkeypatch) -> None:
    network, _ = start("narrow", packed, monkeypatch)
    whole, _ = zoo.load("litepose-pm")
    assert [s.expansion for s in network.arch.stages] == list(starts.EXPANSIONS)
    assert [s.width for s in network.arch.stages] == [s.width for s in whole.arch.stages]
    assert network.arch.tag_width == starts.TAG_WIDTH and network.arch.norm
    maps = network(torch.zeros(1, 3, 64, 64))
    assert torch.isfinite(maps.heatmaps[0]).all() and maps.tags.shape == (1, 17, 2, 16, 16)
