"""Every network of the zoo keeps the same contract; names, numbers and weights are found."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from litepose.core.errors import LitePoseError
from litepose.core.model_info import ModelInfo
from litepose.core.skeleton import CROWDPOSE14, LSP14
from litepose.models import zoo

torch = pytest.importorskip("torch")
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from litepose.models.build import FAMILIES, build_network  # noqa: E402
from litepose.models.from_onnx import load_exported  # noqa: E402
from litepose.models.layers import fold_batch_norms  # noqa: E402
from litepose.models.litepose import LitePose  # noqa: E402

ROWS, COLUMNS = 64, 128
POSITIONAL_XS = replace(zoo.MODELS["litepose-xs"].info, name="xs-pos", tag_kind="positional")
INFOS = [*(model.info for model in zoo.MODELS.values()), POSITIONAL_XS]
LARGE_FIRST = sorted(zoo.MODELS.values(), key=lambda model: -model.params)
ONE_OF_EACH_FAMILY = {
    info.arch["family"]: info
    for info in (model.info for model in LARGE_FIRST)
    if info.arch and info.skeleton.name == "coco17"
}
# No other operations than XS has, only more channels.
LARGE = ("litepose-s", "litepose-m", "litepose-l", "litepose-xs-crowdpose", "higherhrnet-w48")


def _infos() -> list:
    return [
        pytest.param(info, id=info.name, marks=[pytest.mark.slow] * info.name.startswith(LARGE))
        for info in INFOS
    ]


@pytest.fixture(scope="module", params=_infos())
def built(request: pytest.FixtureRequest) -> tuple:
    """(info, network with lively batch norms, images, its maps)."""
    info: ModelInfo = request.param
    torch.manual_seed(1)
    network = build_network(info).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.2, 0.2)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.2, 0.2)
    images = torch.randn(2, 3, ROWS, COLUMNS)
    with torch.inference_mode():
        return info, network, images, network(images)


def test_maps_have_the_promised_shapes(built: tuple) -> None:
    info, _, _, maps = built
    K, T = info.skeleton.num_keypoints, 2 if info.tag_kind == "positional" else 1
    assert maps.strides == info.strides and maps.tag_stride == info.tag_stride
    for stride, heatmaps in zip(maps.strides, maps.heatmaps, strict=True):
        assert heatmaps.shape == (2, K, ROWS // stride, COLUMNS // stride)
        assert heatmaps.isfinite().all()
    stride = maps.tag_stride
    assert maps.tags.shape == (2, K, T, ROWS // stride, COLUMNS // stride)
    assert maps.tags.isfinite().all()


@pytest.mark.slow
def test_the_same_input_gives_the_same_maps_alone_or_in_a_batch(built: tuple) -> None:
    _, network, images, maps = built
    with torch.inference_mode():
        again, alone = network(images), network(images[1:])
    assert torch.equal(again.tags, maps.tags)
    torch.testing.assert_close(alone.tags, maps.tags[1:], atol=1e-4, rtol=1e-4)


@pytest.mark.slow
def test_folding_batch_norms_changes_nothing(built: tuple) -> None:
    _, network, images, maps = built
    folded = fold_batch_norms(network)
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules())
    with torch.inference_mode():
        got = folded(images)
    for ours, theirs in zip((*got.heatmaps, got.tags), (*maps.heatmaps, maps.tags), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


def test_positional_tags_hold_their_place(built: tuple) -> None:
    info = built[0]
    if info.tag_kind != "positional":
        pytest.skip("learned tags")
    fresh = build_network(info).eval()
    with torch.inference_mode():
        tags = fresh(torch.zeros(1, 3, ROWS, COLUMNS)).tags[0, 3]
    columns = torch.arange(COLUMNS // 4) * 4 / 32
    rows = torch.arange(ROWS // 4) * 4 / 32
    torch.testing.assert_close(tags[0], columns.expand_as(tags[0]), atol=0.1, rtol=0)
    torch.testing.assert_close(tags[1], rows[:, None].expand_as(tags[1]), atol=0.1, rtol=0)


def test_every_family_is_in_the_zoo() -> None:
    assert {info.arch["family"] for info in ONE_OF_EACH_FAMILY.values()} == set(FAMILIES)


@pytest.mark.slow
@pytest.mark.parametrize("info", ONE_OF_EACH_FAMILY.values(), ids=ONE_OF_EACH_FAMILY)
def test_every_weight_learns(info: ModelInfo) -> None:
    torch.manual_seed(0)
    network = build_network(info).train()
    maps = network(torch.randn(2, 3, 64, 64))
    (maps.tags.std() + sum(heatmaps.std() for heatmaps in maps.heatmaps)).backward()
    silent = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    # Batch norm takes a constant away, so the biases before one have no effect.
    assert not [name for name in silent if not name.endswith("bias")]


def test_heatmaps_start_near_zero_and_learned_tags_do_not() -> None:
    torch.manual_seed(0)
    for info in (zoo.MODELS["litepose-xs"].info, POSITIONAL_XS):
        network = build_network(info)
        assert isinstance(network, LitePose)
        project = network.head.coarse.deep.project.weight
        assert project[:17].std() < 2e-3
        assert (project[17:].std() > 0.05) == (info.tag_kind == "learned")
    tiny, _ = zoo.create("tiny")
    maps = tiny.eval()(torch.randn(1, 3, 64, 64))
    assert 0.001 < maps.heatmaps[0].mean() < 0.05


@pytest.mark.parametrize("info", [*ONE_OF_EACH_FAMILY.values(), zoo.P_INFO], ids=lambda i: i.name)
@pytest.mark.parametrize("shape", [(1, 3, 64, 72), (1, 1, 64, 64), (3, 64, 64), (1, 3, 0, 64)])
def test_a_wrong_input_is_named(info: ModelInfo, shape: tuple[int, ...]) -> None:
    with torch.device("meta"):
        network = build_network(info)
        with pytest.raises(LitePoseError, match=r"multiples of|as \(B, 3, H, W\)"):
            network(torch.zeros(shape))


@pytest.mark.parametrize("model", zoo.MODELS.values(), ids=zoo.MODELS)
def test_parameters_as_in_the_table(model: zoo.ZooModel) -> None:
    with torch.device("meta"):
        network = build_network(model.info)
    assert sum(parameter.numel() for parameter in network.parameters()) == model.params


@pytest.mark.parametrize(
    "model",
    [
        pytest.param(model, id=name, marks=[pytest.mark.slow] * name.startswith(LARGE))
        for name, model in zoo.MODELS.items()
    ],
)
def test_macs_as_in_the_table(model: zoo.ZooModel) -> None:
    size = model.info.input.size
    with torch.device("meta"):
        network = build_network(model.info).eval()
        with FlopCounterMode(display=False) as counter:
            network(torch.empty(1, 3, size, size))
    assert counter.get_total_flops() / 2e9 == pytest.approx(model.gmacs, rel=0.01)


def test_settings_whose_inputs_the_network_refuses_are_refused() -> None:
    tiny = zoo.MODELS["litepose-tiny"].info
    wrong = replace(tiny, input=replace(tiny.input, multiple=16))
    with pytest.raises(LitePoseError, match="multiples of 32; the settings of litepose-tiny give"):
        build_network(wrong)


def test_the_tiny_model_is_tiny() -> None:
    assert zoo.MODELS["litepose-tiny"].gmacs <= 0.030


def test_names_long_and_short() -> None:
    assert zoo.find_model("pm") is zoo.find_model("litepose-pm") is zoo.MODELS[zoo.DEFAULT]
    assert zoo.find_model("XS-CrowdPose").info.skeleton is CROWDPOSE14
    with pytest.raises(LitePoseError, match=r"no model 'litepose-z'; did you mean 'litepose-"):
        zoo.find_model("litepose-z")
    with pytest.raises(LitePoseError, match=r"did you mean 'litepose-tiny'"):
        zoo.find_model("tinny")


def test_a_model_for_another_skeleton() -> None:
    with torch.device("meta"):
        network, info = zoo.create("tiny", LSP14)
    assert info.skeleton is LSP14 and network.num_keypoints == 14


def test_a_pyramid_with_learned_tags_is_refused() -> None:
    with pytest.raises(LitePoseError, match="positional"):
        build_network(replace(zoo.P_INFO, tag_kind="learned"))
    with pytest.raises(LitePoseError, match="no architecture"):
        build_network(replace(zoo.P_INFO, arch=None))


def test_weights_are_found_where_the_user_puts_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(zoo.WEIGHTS_VARIABLE, raising=False)
    bundled = zoo.find_weights("p")
    assert bundled is not None and bundled.stat().st_size < 10e6
    assert zoo.find_weights("xs-crowdpose") is None
    with pytest.raises(LitePoseError, match=r"litepose_xs_crowdpose14\.safetensors"):
        zoo.load("xs-crowdpose")
    (tmp_path / "litepose_xs_crowdpose14.onnx").touch()
    monkeypatch.setenv(zoo.WEIGHTS_VARIABLE, str(tmp_path))
    (tmp_path / bundled.name).touch()
    assert zoo.find_weights("p") == tmp_path / bundled.name
    assert zoo.find_weights("xs-crowdpose") == tmp_path / "litepose_xs_crowdpose14.onnx"


@pytest.mark.parametrize("name", ["p", "pm"])
def test_a_bundled_onnx_file_stands_in_for_its_checkpoint(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnx")
    wanted, info = zoo.load(name)
    exported = zoo.find_weights(name)
    monkeypatch.setattr(
        zoo, "find_weights", lambda name, suffix=".onnx": exported if suffix == ".onnx" else None
    )
    network, same = zoo.load(name)
    assert same == info and not network.training
    folded, expected = (fold_batch_norms(n).state_dict() for n in (network, wanted))
    assert folded.keys() == expected.keys()
    for name, tensor in folded.items():
        torch.testing.assert_close(tensor, expected[name], rtol=5e-4, atol=1e-7)  # float16


def test_an_onnx_file_that_is_not_ours_stands_in_for_nothing(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    (tmp_path / "empty.onnx").touch()
    with pytest.raises(LitePoseError, match="no settings of ours"):
        load_exported(tmp_path / "empty.onnx")


def test_the_table_is_read_without_torch() -> None:
    code = (
        "import sys, litepose.models.zoo as z\n"
        "z.find_weights('p'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
