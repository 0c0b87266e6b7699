"""Official checkpoints in all their forms, and files that are none."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from litepose.core.errors import LitePoseError  # noqa: E402
from litepose.core.model_info import ModelInfo  # noqa: E402
from litepose.core.skeleton import COCO17, CROWDPOSE14, Skeleton  # noqa: E402
from litepose.models import zoo  # noqa: E402
from litepose.models.arch import LitePoseArch, Stage, litepose_info  # noqa: E402
from litepose.models.build import build_network  # noqa: E402
from litepose.models.checkpoint import load_checkpoint  # noqa: E402
from litepose.models.litepose import LitePose  # noqa: E402
from litepose.models.network import Network  # noqa: E402
from litepose.models.official import (  # noqa: E402
    convert_official,
    load_official,
    load_official_supernet,
    official_name,
    our_name,
)
from litepose.models.supernet import load_supernet  # noqa: E402


@pytest.fixture(scope="module")
def official(shared: Path) -> dict:
    return torch.load(shared / "reference/xs_coco.pth.tar", weights_only=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "model.pth.tar"


@pytest.mark.slow
@pytest.mark.parametrize(
    "form",
    [
        lambda state: {f"1.{name}": tensor for name, tensor in state.items()},
        lambda state: {f"module.{name}": tensor for name, tensor in state.items()},
        lambda state: {f"module.1.{name}": tensor for name, tensor in state.items()},
        lambda state: OrderedDict(state),
        lambda state: {"state_dict": state},
        lambda state: {
            "epoch": 500,
            "model": "pose_mobilenet",
            "perf": np.float64(0.406),
            "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]},
            "state_dict": {f"module.{name}": tensor for name, tensor in state.items()},
            "best_state_dict": state,
        },
    ],
    ids=["1.", "module.", "both", "ordered", "nested", "training"],
)
def test_all_forms(official: dict, path: Path, form: object) -> None:
    torch.save(form(official), path)  # type: ignore[operator]
    network, info = load_official(path)
    assert (info.name, info.skeleton) == ("litepose-xs", COCO17) and not network.training
    state = network.state_dict()
    assert all(torch.equal(state[our_name(name)], tensor) for name, tensor in official.items())


def test_the_old_file_format(official: dict, path: Path) -> None:
    torch.save(official, path, _use_new_zipfile_serialization=False)
    assert load_official(path)[1].name == "litepose-xs"


@pytest.mark.slow
def test_convert_and_load_again(shared: Path, tmp_path: Path) -> None:
    source = shared / "reference/xs_crowdpose.pth.tar"
    info = convert_official(source, tmp_path / "xs.safetensors")
    ours, loaded = load_checkpoint(tmp_path / "xs.safetensors")
    theirs, _ = zoo.load(source)
    assert loaded == info and info.skeleton == CROWDPOSE14 and source.name in info.source
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(ours(images).tags, theirs(images).tags)


def test_a_searched_subnet_is_inferred_from_its_shapes(path: Path) -> None:
    arch = LitePoseArch(
        input_size=448,
        stem=8,
        stages=(
            Stage(2, 16, 2, kernel=(7, 5), expansion=(6, 4)),
            Stage(1, 24, 2, kernel=3),
            Stage(1, 32, 2),
            Stage(1, 40, 1),
        ),
        deconv=(16, 8, 24),
    )
    network = LitePose(arch, 14)
    torch.save({official_name(k): v for k, v in network.state_dict().items()}, path)
    loaded, info = load_official(path)
    assert loaded.arch == arch and info.name == "litepose-custom-crowdpose"


@pytest.mark.parametrize("network", ["XS-coco", "L-crowdpose"])
def test_every_official_name_has_one_of_ours_and_back(
    formula_state: Callable[[str], dict], network: str
) -> None:
    names = list(formula_state(network))
    assert [official_name(our_name(name)) for name in names] == names
    assert len({our_name(name) for name in names} | set(names)) == 2 * len(names)


@pytest.mark.slow
def test_the_first_parameter_that_does_not_fit_is_named(official: dict, path: Path) -> None:
    for change, message in (
        ({"first.0.0.weight": torch.zeros(16, 3, 3, 3)}, r"first.0.0.weight should have shape"),
        ({"stage.1.2.inv.1.bias": torch.zeros(7)}, r"stage.1.2.inv.1.bias should have shape"),
        ({"teacher.weight": torch.zeros(7)}, r"teacher.weight has no place"),
        ({"first.2.weight": torch.zeros(7)}, r"first.2.weight is missing or no convolution"),
        ({"deconv_raw.1.weight": 3}, r"deconv_raw.1.weight should have shape"),
    ):
        torch.save(official | change, path)
        with pytest.raises(LitePoseError, match=message):
            load_official(path)
    torch.save({k: v for k, v in official.items() if k != "first.3.bias"}, path)
    with pytest.raises(LitePoseError, match=r"misses first.3.bias \(1 missing in all\)"):
        load_official(path)


@pytest.mark.slow
def test_another_skeleton(official: dict, path: Path) -> None:
    five = Skeleton("five", ("a", "b", "c", "d", "e"), (), (0.1,) * 5)
    changed = dict(official)
    for name, tensor in official.items():
        if name.startswith("final_") and name.endswith("conv.3.weight"):
            changed[name] = tensor[: 10 if ".0.conv" in name else 5].clone()
    torch.save(changed, path)
    with pytest.raises(LitePoseError, match="finds 5 keypoints, neither 17 nor 14"):
        load_official(path)
    assert load_official(path, five)[1].skeleton == five
    with pytest.raises(LitePoseError, match="crowdpose14 has 14"):
        load_official(path, CROWDPOSE14)


class Harmful:
    """Pickled, it would write a file when it is read."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple:
        return Path.touch, (self.target,)


@pytest.mark.parametrize("zipped", [True, False])
def test_pickled_code_is_not_run(official: dict, path: Path, tmp_path: Path, zipped: bool) -> None:
    target = tmp_path / "harm"
    torch.save(official | {"more": Harmful(target)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(LitePoseError, match="pickled code"):
        load_official(path)
    path.write_bytes(pickle.dumps(Harmful(target)))
    with pytest.raises(LitePoseError):
        load_official(path)
    assert not target.exists()


@pytest.mark.parametrize("kept", [0, 1, 100, 100_000, -1000])
@pytest.mark.parametrize("zipped", [True, False])
def test_cut_short(official: dict, path: Path, kept: int, zipped: bool) -> None:
    torch.save(official, path, _use_new_zipfile_serialization=zipped)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(LitePoseError, match=r"cut short|not a torch checkpoint"):
        load_official(path)


def _zip_of_text() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("readme.txt", "no weights here")
    return buffer.getvalue()


@pytest.mark.parametrize(
    "content",
    [b"Dear reader, this is a letter.\n" * 99, b"\x80\x02]q\x00.", _zip_of_text(), b"\xff" * 4096],
    ids=["text", "list", "zip", "noise"],
)
def test_not_a_checkpoint(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(LitePoseError):
        load_official(path)


def test_missing_folder_and_foreign_networks(path: Path, tmp_path: Path) -> None:
    with pytest.raises(LitePoseError, match="cannot read"):
        load_official(path)
    with pytest.raises(LitePoseError):
        load_official(tmp_path)
    states: list = [{"conv1.weight": torch.zeros(1)}, torch.zeros(3), [], {}, {"state_dict": None}]
    for state in states:
        torch.save(state, path)
        with pytest.raises(LitePoseError, match=r"no official Lite Pose|not a state dict"):
            load_official(path)


def official_supernet() -> tuple[dict, Network, ModelInfo]:
    """A state dict in the layout of the official supernet, small."""
    stages = (Stage(2, 16, 2), Stage(1, 24, 2), Stage(1, 32, 2), Stage(2, 40, 1))
    info = litepose_info("super", LitePoseArch(64, 16, stages, (32, 24, 24)), COCO17)
    network = build_network(info)
    state = {official_name(name): tensor for name, tensor in network.state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    for number, stage in enumerate(stages):
        for block in range(stage.depth):
            for kernel in (3, 5):
                side = kernel * kernel
                name = f"stage.{number}.{block}.Linear{kernel}x{kernel}"
                state[f"{name}.weight"] = torch.randn(side, side, generator=generator)
                state[f"{name}.bias"] = torch.randn(side, generator=generator)
    return state, network, info


def test_official_supernet(tmp_path) -> None:
    state, network, _ = official_supernet()
    path = tmp_path / "super.pth.tar"
    torch.save({f"1.{name}": tensor for name, tensor in state.items()}, path)
    supernet = load_official_supernet(path)
    arch = supernet.space.arch(supernet.space.smallest_genes())
    kernel = network.stages[1][0].depthwise.weight[:, :, 2:5, 2:5]  # the middle of 7 x 7
    weight, bias = (state[f"stage.1.0.Linear3x3.{part}"] for part in ("weight", "bias"))
    changed = (kernel.flatten(1) @ weight.T + bias).view(kernel.shape)
    own = supernet.weights(arch)["stages.1.0.depthwise.weight"]
    assert torch.allclose(own, changed[: len(own)], atol=1e-6)

    converted = tmp_path / "super.safetensors"
    convert_official(path, converted)
    assert load_supernet(converted).space == supernet.space


def test_official_supernet_with_other_transforms(tmp_path) -> None:
    state, *_ = official_supernet()
    state["stage.0.0.Linear3x3.weight"] = torch.zeros(4, 4)
    torch.save(state, tmp_path / "super.pth.tar")
    with pytest.raises(LitePoseError, match=r"transform 0_0_3\.weight should have shape"):
        load_official_supernet(tmp_path / "super.pth.tar")
