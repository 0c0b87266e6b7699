"""Each format whose converter is here: exported, opened again, the same people as PyTorch."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import litepose
from litepose.core.errors import LitePoseError

pytest.importorskip("torch")
pytest.importorskip("onnxslim")
from litepose.core.model_info import ModelInfo
from litepose.export import int8_onnx, onnx
from litepose.export.export import ExportRequest, export_model
from litepose.export.exportable import Source
from litepose.export.parity import compare, decode_eagerly, difference, make_input
from litepose.export.quantize import best_oks

pytestmark = pytest.mark.slow


def check_people(source: Source, predictor, image: np.ndarray) -> None:
    """What `litepose.load` finds with the file is what PyTorch finds."""
    ours = predictor.predict(image)
    theirs = decode_eagerly(source)(make_input(image, source.info, source.size_wh))
    assert len(ours) == len(theirs) > 0
    px, score = difference(theirs, ours)
    assert px < 0.1 and score < 0.001


def test_onnx(p: Source, p_graph, images, tmp_path: Path) -> None:
    path = tmp_path / "p.onnx"
    path.write_bytes(onnx.stamped(p_graph, p.properties).SerializeToString())
    assert compare(p, onnx.open_runner(p, path), images).ok
    predictor = litepose.load(path)
    assert predictor.info == p.info
    check_people(p, predictor, images[-1])


def test_openvino(p: Source, p_graph, images, tmp_path: Path, monkeypatch) -> None:
    pytest.importorskip("openvino")
    from litepose.export import openvino

    monkeypatch.setattr(openvino, "build_graph", lambda _: p_graph)
    path = tmp_path / "p.xml"
    openvino.write(p, path)
    assert sorted(f.name for f in tmp_path.iterdir()) == ["p.bin", "p.xml"]
    assert compare(p, openvino.open_runner(p, path), images).ok
    predictor = litepose.load(path)
    assert predictor.info == p.info
    check_people(p, predictor, images[-1])


def test_ncnn(tmp_path: Path) -> None:
    pytest.importorskip("ncnn")
    pytest.importorskip("pnnx")
    report = export_model(ExportRequest("p", "ncnn", tmp_path / "p.param", (384, 384)))
    assert sorted(f.name for f in tmp_path.iterdir()) == ["p.bin", "p.json", "p.param"]
    assert report.parity.ok and report.parity.people > 0
    beside = json.loads((tmp_path / "p.json").read_text())
    assert beside["outputs"] == ["heatmaps_4", "tags"]
    assert ModelInfo.from_json(beside["litepose"]).name == "litepose-p"


def test_one_size_and_the_decoder_inside(p: Source, images, tmp_path: Path) -> None:
    whole = replace(p, size_wh=(512, 384), decoder=True, flip=True)
    onnx.write(whole, tmp_path / "p.onnx")
    run = onnx.open_runner(whole, tmp_path / "p.onnx")
    found = compare(whole, run, images)
    assert found.ok and found.people > 0
    with pytest.raises(LitePoseError, match="first half"):
        litepose.load(tmp_path / "p.onnx")


def test_one_size_loads(p: Source, images, tmp_path: Path) -> None:
    fixed = replace(p, size_wh=(512, 384))
    onnx.write(fixed, tmp_path / "p.onnx")
    check_people(fixed, litepose.load(tmp_path / "p.onnx"), images[-1])


def test_int8_onnx(p: Source, p_graph, images, tmp_path: Path) -> None:
    inputs = [make_input(image, p.info).images for image in images]
    small = int8_onnx.quantize(copy.deepcopy(p_graph), inputs, ["network.stem.conv"])
    int8_onnx.save(small, p, tmp_path / "p.onnx")
    assert (tmp_path / "p.onnx").stat().st_size < 4e6  # float: 9.7 MB
    kinds = {node.op_type for node in small.graph.node}
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds
    stem = next(n for n in small.graph.node if n.op_type == "Conv")
    assert stem.input[1] == "network.stem.conv.weight"  # left in float
    predictor = litepose.load(tmp_path / "p.onnx")
    theirs = decode_eagerly(p)(make_input(images[-1], p.info))
    # 0.77 on a CPU with VNNI; without it onnxruntime adds pairs of 8-bit products in 16 bits, which
    # may overflow. `litepose export` evaluates each file on the machine that makes it.
    assert best_oks(theirs, predictor.predict(images[-1])).mean() > 0.7


def test_int8_openvino(p: Source, p_graph, images, tmp_path: Path, monkeypatch) -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("nncf")
    from litepose.export import int8_openvino, openvino

    monkeypatch.setattr(openvino, "build_graph", lambda _: p_graph)
    inputs = [make_input(image, p.info).images for image in images]
    small = int8_openvino.quantize(openvino.convert(p), inputs, ["network.stem.conv"])
    int8_openvino.save(small, p, tmp_path / "p.xml")
    assert (tmp_path / "p.bin").stat().st_size < 4e6
    theirs = decode_eagerly(p)(make_input(images[-1], p.info))
    found = litepose.load(tmp_path / "p.xml").predict(images[-1])
    assert best_oks(theirs, found).mean() > 0.8
