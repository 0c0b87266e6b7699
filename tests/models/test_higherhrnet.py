"""HigherHRNet is the official network, its checkpoints load, and it shrinks to a single branch."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.models.conftest import wave
from torch.utils.flop_counter import FlopCounterMode

from litepose.core.errors import LitePoseError
from litepose.core.skeleton import COCO17, CROWDPOSE14
from litepose.models import zoo
from litepose.models.build import build_network
from litepose.models.checkpoint import load_checkpoint
from litepose.models.higherhrnet import HigherHRNet, official_name, our_name
from litepose.models.higherhrnet_arch import HigherHRNetArch, higherhrnet_info
from litepose.models.official import convert_official, load_official
from litepose.models.zoo_archs import HIGHER_W32

SHRUNK = [(0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 2), (1, 2, 3)]


@pytest.fixture(scope="module")
def official_w32(shared: Path) -> dict:
    """The official state dict of W32, filled by the formula of the reference numbers."""
    layout = json.loads((shared / "reference/state_dict_layout_higherhrnet.json").read_text())
    return {
        name: torch.from_numpy(wave(name, shape)) if shape else torch.tensor(0)
        for name, shape in layout["w32_512"]["state_dict"].items()
    }


@pytest.mark.slow
def test_equals_the_official_network(shared: Path, official_w32: dict, tmp_path: Path) -> None:
    path = tmp_path / "w32.pth.tar"
    torch.save({f"module.1.{name}": tensor for name, tensor in official_w32.items()}, path)
    network, info = load_official(path)
    assert info == zoo.find_model("higherhrnet-w32").info
    with np.load(shared / "reference/formula_higherhrnet_w32_512.npz") as case:
        with torch.inference_mode():
            maps = network(torch.from_numpy(case["image"]))
        official = [*np.split(case["stride4"], [17], axis=1), case["stride2"]]
        ours = maps.heatmaps[0], maps.tags[:, :, 0], maps.heatmaps[1]
        for own, theirs in zip(ours, official, strict=True):
            np.testing.assert_allclose(own.numpy(), theirs, rtol=0, atol=1e-4 * abs(theirs).max())


def test_w48_has_the_official_parameters(shared: Path) -> None:
    layout = json.loads((shared / "reference/state_dict_layout_higherhrnet.json").read_text())
    with torch.device("meta"):
        network, _ = zoo.create("higherhrnet-w48")
    official = {our_name(name): shape for name, shape in layout["w48_640"]["state_dict"].items()}
    assert {name: list(t.shape) for name, t in network.state_dict().items()} == official


@pytest.mark.slow
def test_a_missing_parameter_is_named(official_w32: dict, tmp_path: Path) -> None:
    state = dict(official_w32)
    del state["stage3.2.branches.1.0.bn1.bias"]
    torch.save(state, tmp_path / "cut.pth.tar")
    with pytest.raises(LitePoseError, match=r"misses stage3\.2\.branches\.1\.0\.bn1\.bias \(1 "):
        load_official(tmp_path / "cut.pth.tar")


def test_another_width_is_named(tmp_path: Path) -> None:
    network = HigherHRNet(HigherHRNetArch(input_size=64, width=8, modules=(1, 1, 1)), 17)
    torch.save(network.state_dict(), tmp_path / "w8.pth.tar")
    with pytest.raises(LitePoseError, match="width 8; W32 and W48 are known"):
        load_official(tmp_path / "w8.pth.tar")


@pytest.mark.slow
def test_crowdpose_checkpoints_convert(tmp_path: Path, monkeypatch) -> None:
    """With one module a stage, so that the test is quick; official names for our parameters."""
    small = replace(HIGHER_W32, modules=(1, 1, 1))
    monkeypatch.setattr("litepose.models.official.HIGHER_W32", small)
    network = build_network(higherhrnet_info(small, CROWDPOSE14))
    state = {official_name(name): tensor for name, tensor in network.state_dict().items()}
    assert {our_name(name) for name in state} == set(network.state_dict())
    torch.save(state, tmp_path / "crowd.pth.tar")
    info = convert_official(tmp_path / "crowd.pth.tar", tmp_path / "crowd.safetensors")
    assert info.name == "higherhrnet-w32-crowdpose" and info.skeleton == CROWDPOSE14
    loaded, _ = load_checkpoint(tmp_path / "crowd.safetensors")
    for name, tensor in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor), name


@pytest.mark.slow
def test_shrinking_takes_work_away_and_keeps_the_form() -> None:
    macs = []
    for finest in SHRUNK:
        arch = HigherHRNetArch(input_size=64, width=8, modules=(1, 2, 1), finest=finest)
        network = build_network(higherhrnet_info(arch, COCO17)).eval()
        with FlopCounterMode(display=False) as count, torch.inference_mode():
            maps = network(torch.zeros(1, 3, 64, 96))
        assert [tuple(h.shape) for h in maps.heatmaps] == [(1, 17, 16, 24), (1, 17, 32, 48)]
        assert tuple(maps.tags.shape) == (1, 17, 1, 16, 24)
        assert HigherHRNetArch.from_dict(json.loads(json.dumps(arch.to_dict()))) == arch
        macs.append(count.get_total_flops())
    assert macs == sorted(macs, reverse=True) and len(set(macs)) == len(macs)


def test_every_parameter_of_a_shrunk_network_learns() -> None:
    arch = HigherHRNetArch(input_size=64, width=8, modules=(1, 1, 1), finest=(0, 1, 2))
    network = build_network(higherhrnet_info(arch, COCO17))
    maps = network(torch.randn(2, 3, 64, 64))
    (maps.tags.std() + sum(h.std() for h in maps.heatmaps)).backward()
    without = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert not [name for name in without if not name.endswith("bias")]


@pytest.mark.parametrize("finest", [(1, 0, 0), (2, 2, 2), (0, 0, 4), (-1, 0, 0)])
def test_branches_that_cannot_be_are_said(finest: tuple[int, int, int]) -> None:
    with pytest.raises(LitePoseError, match=r"rise\s+from stage to stage up to \(1, 2, 3\)"):
        HigherHRNetArch(input_size=512, width=32, finest=finest)


@pytest.mark.parametrize(
    "fields", [{"width": 10**9}, {"width": "32"}, {"modules": (1, 10**9, 1)}, {"finest": (0, 0)}]
)
def test_sizes_in_a_file_are_limited(fields: dict) -> None:
    data = {**HIGHER_W32.to_dict(), **fields}
    with pytest.raises(LitePoseError):
        HigherHRNetArch.from_dict(data)
