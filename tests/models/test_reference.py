"""Our networks give the numbers of the official ones, and P those it was handed over with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from safetensors.torch import load_file  # noqa: E402

from litepose.core.maps import Maps  # noqa: E402
from litepose.models import zoo  # noqa: E402
from litepose.models.network import Network  # noqa: E402
from litepose.models.official import load_official  # noqa: E402


def _maps(network: Network, image: np.ndarray) -> Maps:
    with torch.inference_mode():
        return network(torch.from_numpy(image))


def _check_official(maps: Maps, case: Path) -> None:
    with np.load(case) as numbers:
        coarse = torch.cat((maps.heatmaps[0], maps.tags[:, :, 0]), dim=1).numpy()
        for ours, theirs in (
            (coarse, numbers["stride4"]),
            (maps.heatmaps[1].numpy(), numbers["stride2"]),
        ):
            assert np.abs(ours - theirs).max() <= 1e-4 * np.abs(theirs).max()


@pytest.mark.slow
@pytest.mark.parametrize("data", ["coco", "crowdpose"])
def test_official_xs_checkpoints(shared: Path, data: str) -> None:
    network, info = load_official(shared / f"reference/xs_{data}.pth.tar")
    case = shared / f"reference/network_xs_{data}.npz"
    assert info.arch == zoo.find_model("xs").info.arch and info.input.size == 256
    assert info.skeleton.num_keypoints == {"coco": 17, "crowdpose": 14}[data]
    with np.load(case) as numbers:
        _check_official(_maps(network, numbers["image"]), case)


@pytest.mark.parametrize(
    "size",
    ["S", pytest.param("M", marks=pytest.mark.slow), pytest.param("L", marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("data", ["coco", "crowdpose"])
def test_formula_networks(
    shared: Path, formula_state: Callable[[str], dict], tmp_path: Path, size: str, data: str
) -> None:
    path = tmp_path / "network.pth.tar"
    torch.save(formula_state(f"{size}-{data}"), path)
    network, info = load_official(path)
    name = size.lower() + ("-crowdpose" if data == "crowdpose" else "")
    assert info == zoo.find_model(name).info
    case = shared / f"reference/formula_litepose_{size.lower()}_{data}.npz"
    with np.load(case) as numbers:
        _check_official(_maps(network, numbers["image"]), case)


def test_p_gives_the_numbers_it_came_with(shared: Path) -> None:
    """From the weights it came with, which name some parts otherwise; ours are tuned from them."""
    given = load_file(shared / "weights/litepose_p_coco17.safetensors")
    network, _ = zoo.create("p")
    network.load_state_dict({_our_name(name): value for name, value in given.items()})
    with np.load(shared / "weights/litepose_p_case.npz") as case:
        maps = _maps(network.eval(), case["image"])
        assert np.abs(maps.heatmaps[0].numpy() - case["heatmaps"]).max() <= 1e-4
        assert np.abs(maps.tags.numpy() - case["tags"]).max() <= 1e-4


def _our_name(name: str) -> str:
    for theirs, ours in (
        ("tag.input.conv.", "tag.input."),
        (".norm1.", ".depthwise.norm."),
        (".norm2.", ".project.norm."),
    ):
        name = name.replace(theirs, ours)
    return name


def test_p_keeps_the_first_blocks_it_came_with(shared: Path) -> None:
    given = load_file(shared / "weights/litepose_p_coco17.safetensors")
    network, info = zoo.load("p")
    assert info == zoo.P_INFO
    ours = network.state_dict()
    frozen = ("stem.", *(f"blocks.{i}." for i in range(5)))
    kept = [name for name in given if name.startswith(frozen)]
    assert len(kept) > 20 and all(
        torch.equal(ours[name], given[name].half().float()) for name in kept
    ), "stored as float16"
