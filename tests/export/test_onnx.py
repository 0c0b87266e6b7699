"""ONNX files: the same numbers as torch at every size, settings inside."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from litepose.core.errors import LitePoseError
from litepose.core.model_info import ModelInfo
from litepose.core.skeleton import LSP14
from litepose.models import zoo

torch = pytest.importorskip("torch")
pytest.importorskip("onnxslim")
from litepose.export.onnx import export_onnx, set_info  # noqa: E402
from litepose.models.network import Network  # noqa: E402


def _session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def _info_inside(session: onnxruntime.InferenceSession) -> ModelInfo:
    return ModelInfo.from_json(session.get_modelmeta().custom_metadata_map["litepose"])


HALF = 5e-4  # a float16 number is as near as that to the one it stands for


def _check_equal(
    session: onnxruntime.InferenceSession, network: Network, shape: tuple, tolerance: float = 1e-4
) -> None:
    images = torch.randn(shape, generator=torch.Generator().manual_seed(5))
    with torch.inference_mode():
        maps = network(images)
    names = [*(f"heatmaps_{stride}" for stride in maps.strides), "tags"]
    assert [output.name for output in session.get_outputs()] == names
    got = session.run(None, {"images": images.numpy()})
    for ours, theirs in zip(got, (*maps.heatmaps, maps.tags), strict=True):
        assert np.abs(ours - theirs.numpy()).max() <= tolerance * max(1, theirs.abs().max())


@pytest.mark.slow
@pytest.mark.parametrize(("name", "info"), [("p", zoo.P_INFO), ("pm", zoo.PM_INFO)])
def test_the_bundled_models_are_the_checkpoints(name: str, info: ModelInfo) -> None:
    bundled = zoo.find_weights(name)
    assert bundled is not None
    if zoo.find_weights(name, ".safetensors") is None:
        pytest.skip("the checkpoint is not beside this checkout")
    network, _ = zoo.load(name)
    session = _session(bundled)
    assert _info_inside(session) == info
    for shape in ((1, 3, 96, 128), (2, 3, 32, 32), (1, 3, 64, 224), (3, 3, 160, 96)):
        _check_equal(session, network, shape, HALF)


def test_set_info_changes_the_settings_only(tmp_path: Path) -> None:
    path = tmp_path / "p.onnx"
    shutil.copy(zoo.find_weights("p"), path)  # type: ignore[arg-type]
    before = _session(path)
    info = replace(zoo.P_INFO, name="mine", license="none")
    set_info(path, info)
    after = _session(path)
    assert _info_inside(after) == info
    images = {"images": np.full((1, 3, 64, 64), 0.5, np.float32)}
    assert all(
        np.array_equal(a, b)
        for a, b in zip(before.run(None, images), after.run(None, images), strict=True)
    )
    with pytest.raises(LitePoseError, match="heatmaps_2"):
        set_info(path, replace(info, strides=(4, 2)))
    path.write_text("no graph")
    with pytest.raises(LitePoseError, match="not an ONNX file"):
        set_info(path, info)
    with pytest.raises(LitePoseError, match="absent"):
        set_info(tmp_path / "absent.onnx", info)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "tag_kind"), [("tiny", "positional"), ("xs", "learned")])
def test_export_equals_torch(tmp_path: Path, name: str, tag_kind: str) -> None:
    torch.manual_seed(0)
    network, info = zoo.create(name, LSP14)
    network.train()
    with torch.no_grad():
        network(torch.randn(2, 3, 64, 64))  # batch norms that do something
    assert export_onnx(network, info, tmp_path / "net.onnx") <= 1e-4
    assert network.training
    session = _session(tmp_path / "net.onnx")
    assert _info_inside(session) == info and info.tag_kind == tag_kind
    for shape in ((1, 3, 64, 96), (3, 3, 128, 32)):
        _check_equal(session, network.eval(), shape)


def test_a_graph_that_differs_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network, info = zoo.create("tiny")
    monkeypatch.setattr("litepose.export.onnx.build_graph", lambda _: onnx.ModelProto())
    nothing = [np.full((1, 1), np.nan, np.float32)] * 2
    monkeypatch.setattr("litepose.export.onnx.runner_of", lambda _: lambda images: nothing)
    with pytest.raises(LitePoseError, match="differs"):
        export_onnx(network, info, tmp_path / "net.onnx")
    assert not list(tmp_path.iterdir())
