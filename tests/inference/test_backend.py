"""Which files are models, what each runtime makes of them, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import litepose
from litepose.core.errors import LitePoseError
from litepose.core.model_info import InputRule, ModelInfo
from litepose.core.skeleton import COCO17
from litepose.inference.backend import maps_of
from litepose.inference.onnx_metadata import read_metadata
from litepose.inference.predictor import divided
from litepose.models import zoo

ASTRONAUT = Path(__file__).parents[2] / "examples" / "images" / "astronaut.jpg"
BUNDLED = zoo.find_weights("p")
assert BUNDLED is not None


@pytest.fixture
def graph():
    onnx = pytest.importorskip("onnx")
    return onnx.load(str(BUNDLED))


def save(graph, path: Path, **properties: str) -> Path:
    import onnx

    if properties:
        onnx.helper.set_model_props(graph, properties)
    onnx.save(graph, str(path))
    return path


def fix_sides(graph, width: int, height: int):
    for value in (*graph.graph.input, *graph.graph.output):
        sides = value.type.tensor_type.shape.dim
        stride = 1 if value.name == "images" else 4
        sides[0].dim_value = 1
        sides[-2].dim_value, sides[-1].dim_value = height // stride, width // stride
    return graph


@pytest.fixture(scope="module")
def astronaut() -> litepose.Poses:
    return litepose.load("p", threads=1).predict(ASTRONAUT)


@pytest.mark.slow
def test_openvino_sees_the_same(astronaut) -> None:
    pytest.importorskip("openvino")
    model = litepose.load("p", backend="openvino", threads=1)
    poses = model.predict(ASTRONAUT)
    assert np.abs(poses.keypoints_xy - astronaut.keypoints_xy).max() < 0.05
    assert np.abs(poses.scores - astronaut.scores).max() < 1e-3
    assert [p.to_json() for p in model.predict([ASTRONAUT] * 2)] == [poses.to_json()] * 2


@pytest.mark.slow
def test_openvino_side_by_side_gives_the_same() -> None:
    pytest.importorskip("openvino")
    model = litepose.load("p", backend="openvino", threads=2, input_size=256)
    alone = model.predict(ASTRONAUT)
    many, workers = divided(model)
    assert workers == 2 and many is not model
    found = model.predict([ASTRONAUT] * 8)
    assert all(np.allclose(p.keypoints_xy, alone.keypoints_xy, atol=1e-2) for p in found)


@pytest.mark.slow
def test_openvino_files_carry_their_settings(astronaut, tmp_path) -> None:
    openvino = pytest.importorskip("openvino")
    model = openvino.Core().read_model(str(BUNDLED))
    openvino.save_model(model, str(tmp_path / "other.xml"), compress_to_fp16=False)
    with pytest.raises(LitePoseError, match=r"other\.xml holds no litepose settings"):
        litepose.load(tmp_path / "other.xml")
    info = litepose.load("p", threads=1).info
    model.set_rt_info(info.to_json(), ["litepose"])
    openvino.save_model(model, str(tmp_path / "ours.xml"), compress_to_fp16=False)
    opened = litepose.load(tmp_path / "ours.xml", threads=1)
    assert opened.backend.name == "openvino" and opened.info == info
    assert np.allclose(opened.predict(ASTRONAUT).keypoints_xy, astronaut.keypoints_xy, atol=0.05)
    (tmp_path / "ours.bin").unlink()
    with pytest.raises(LitePoseError, match=r"ours\.xml is not a model that OpenVINO can run"):
        litepose.load(tmp_path / "ours.xml")
    with pytest.raises(LitePoseError, match=r"onnxruntime runs \.onnx; got"):
        litepose.load(tmp_path / "ours.xml", backend="onnxruntime")
    with pytest.raises(LitePoseError, match="has no device 'npu'"):
        litepose.load("p", backend="openvino", device="npu")


def test_a_missing_runtime_is_named(monkeypatch) -> None:
    monkeypatch.setattr("litepose.core.packages.find_spec", lambda name: None)
    with pytest.raises(LitePoseError, match=r"pip install 'litepose\[openvino\]'"):
        litepose.load("p", backend="openvino")
    with pytest.raises(LitePoseError, match=r"pip install 'litepose\[torch\]'"):
        litepose.load("p", backend="torch")


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_a_file_of_one_size_takes_every_image(graph, tmp_path, backend) -> None:
    pytest.importorskip(backend)
    path = save(fix_sides(graph, 512, 384), tmp_path / "fixed.onnx")
    model = litepose.load(path, backend=backend, threads=1)
    assert model.backend.fixed_wh == (512, 384)
    poses, ((_, box, _),), *_ = model.inspect(ASTRONAUT)
    assert box.input_wh == (512, 384) and box.content_wh == (384, 384) and len(poses) == 1
    assert len(model.predict(np.zeros((10, 1000, 3), np.uint8))) == 0
    with pytest.raises(LitePoseError, match="one input size, 512x384; other scales"):
        model.predict(ASTRONAUT, scales=(1.0, 0.5))
    with pytest.raises(LitePoseError, match="one input size, 512x384; for 448"):
        litepose.load(path, backend=backend, input_size=448)


def test_a_file_of_many_images_at_once_is_refused(graph, tmp_path) -> None:
    graph.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 4
    with pytest.raises(LitePoseError, match=r"takes inputs of \(4, 3, any, any\)"):
        litepose.load(save(graph, tmp_path / "four.onnx"))


@pytest.mark.slow
@pytest.mark.parametrize("backend", [None, "openvino"])
def test_weights_outside_the_folder_are_refused(graph, tmp_path, backend) -> None:
    import onnx

    if backend:
        pytest.importorskip(backend)
    home = tmp_path / "home"
    home.mkdir()
    onnx.save(graph, str(home / "m.onnx"), save_as_external_data=True, location="m.weights")
    assert len(litepose.load(home / "m.onnx", backend=backend, threads=1).predict(ASTRONAUT)) == 1
    (home / "m.weights").rename(tmp_path / "m.weights")
    with pytest.raises(LitePoseError, match=r"m\.weights, which is not beside it"):
        litepose.load(home / "m.onnx", backend=backend)
    (home / "m.weights").symlink_to(tmp_path / "m.weights")
    with pytest.raises(LitePoseError, match="outside its folder"):
        litepose.load(home / "m.onnx", backend=backend)
    moved = onnx.load(str(home / "m.onnx"), load_external_data=False)
    for location in ("../m.weights", str(tmp_path / "m.weights")):
        for tensor in moved.graph.initializer:
            for entry in tensor.external_data:
                entry.value = location if entry.key == "location" else entry.value
        onnx.save(moved, str(home / "bad.onnx"))
        with pytest.raises(LitePoseError, match="outside its folder: it is refused"):
            litepose.load(home / "bad.onnx", backend=backend)


def test_weights_outside_are_found_in_every_corner_of_a_graph(tmp_path) -> None:
    onnx = pytest.importorskip("onnx")
    tensor = onnx.TensorProto(name="w", data_type=1, dims=[1], data_location=1)
    tensor.external_data.add(key="location", value="../../etc/passwd")
    node = onnx.helper.make_node("Constant", [], ["w"], value=tensor)
    inner = onnx.helper.make_graph([node], "inner", [], [])
    corners = {
        "node": onnx.helper.make_graph([node], "g", [], []),
        "branch": onnx.helper.make_graph(
            [onnx.helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner)],
            "g", [], [],
        ),
    }  # fmt: skip
    for name, corner in corners.items():
        onnx.save(onnx.helper.make_model(corner), str(tmp_path / f"{name}.onnx"))
        with pytest.raises(LitePoseError, match="outside its folder"):
            read_metadata(tmp_path / f"{name}.onnx")
    function = onnx.helper.make_function("d", "f", [], ["w"], [node], [])
    empty = onnx.helper.make_graph([], "g", [], [])
    onnx.save(onnx.helper.make_model(empty, functions=[function]), str(tmp_path / "f.onnx"))
    with pytest.raises(LitePoseError, match="outside its folder"):
        read_metadata(tmp_path / "f.onnx")


def field(number: int, content: bytes, wide: bool = False) -> bytes:
    """A length-delimited field of protobuf; wide: its key in 5 bytes, with a bit beyond 32."""
    key = number << 3 | 2 | (1 << 32 if wide else 0)
    return varint(key) + varint(len(content)) + content


def varint(value: int) -> bytes:
    more = value >> 7
    return bytes([value & 127 | (128 if more else 0)]) + (varint(more) if more else b"")


@pytest.mark.parametrize("wide", range(5))
def test_a_key_that_is_too_wide_hides_no_weights(tmp_path, wide: int) -> None:
    """protobuf reads 32 bits of a key and passes over the rest."""
    inside = field(1, b"location") + field(2, b"../../etc/passwd", wide == 4)
    tensor = field(13, inside, wide == 3)
    model = field(7, field(5, tensor, wide == 2), wide == 1)
    (tmp_path / "m.onnx").write_bytes(model)
    with pytest.raises(LitePoseError, match="outside its folder"):
        read_metadata(tmp_path / "m.onnx")


@pytest.mark.parametrize("location", ["a\0b", "x" * 300, "../" + "y" * 5000])
def test_impossible_places_of_weights_are_a_sentence(tmp_path, location: str) -> None:
    inside = field(1, b"location") + field(2, location.encode())
    (tmp_path / "m.onnx").write_bytes(field(7, field(5, field(13, inside))))
    with pytest.raises(LitePoseError, match=r"m\.onnx has its weights in|outside its folder"):
        read_metadata(tmp_path / "m.onnx")


@pytest.mark.parametrize(
    "content", [b"", b"neither this nor that", b"\xff" * 40, b"\x0a", b"\x3a\x7f"]
)
def test_bytes_that_are_no_model_are_refused(tmp_path, content) -> None:
    for name in ("a.onnx", "a.safetensors", "a.pth.tar"):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(LitePoseError, match=name):
            litepose.load(tmp_path / name)
    with pytest.raises(LitePoseError, match="export it first"):
        litepose.load(tmp_path / "a.safetensors", backend="onnxruntime")


def test_an_onnx_without_our_settings_is_refused(tmp_path) -> None:
    onnx = pytest.importorskip("onnx")
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["x"], ["y"])],
        "g",
        [onnx.helper.make_tensor_value_info("x", 1, [1])],
        [onnx.helper.make_tensor_value_info("y", 1, [1])],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])
    model.ir_version = 8
    with pytest.raises(LitePoseError, match="no litepose settings"):
        litepose.load(save(model, tmp_path / "other.onnx"))


def test_an_onnx_of_another_skeleton_is_refused(graph, tmp_path) -> None:
    other = json.loads(litepose.load("p", threads=1).info.to_json()) | {"skeleton": "crowdpose14"}
    path = save(graph, tmp_path / "other.onnx", litepose=json.dumps(other))
    with pytest.raises(LitePoseError, match=r"17 keypoints in heatmaps_4.*crowdpose14 has 14"):
        litepose.load(path)
    other["schema"] = 99
    path = save(graph, tmp_path / "later.onnx", litepose=json.dumps(other))
    with pytest.raises(LitePoseError, match=r"later\.onnx.*schema"):
        litepose.load(path)


def test_the_name_of_a_model_file_is_helped_with(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("model.bin", "bare"):
        Path(name).write_bytes(b"x")
        with pytest.raises(LitePoseError, match=rf"ends in \.onnx \.xml \.safetensors.*{name}"):
            litepose.load(name)
    with pytest.raises(LitePoseError, match="is a folder; name the model file in it"):
        litepose.load(tmp_path)
    Path("mine.onnx").write_bytes(b"x")
    with pytest.raises(LitePoseError, match=r"did you mean the file mine\.onnx"):
        litepose.load("mine")
    Path("p").write_bytes(b"x")
    assert litepose.load("p", threads=1).info.name == "litepose-p", "names come before files"


@pytest.mark.parametrize(
    "shapes",
    [
        [(0, 17, 4, 4), (0, 17, 2, 4, 4)],  # no batch
        [(1, 17, 4, 4), (1, 17, 4, 4)],
        [(1, 16, 4, 4), (1, 17, 2, 4, 4)],
        [(1, 17, 0, 4), (1, 17, 2, 4, 4)],
        [(1, 17, 2, 4, 4)],
    ],
)
def test_outputs_that_settings_do_not_promise_are_a_sentence(shapes: list) -> None:
    info = ModelInfo("x", COCO17, InputRule(64), strides=(4,))
    good = [np.zeros((1, 17, 4, 4)), np.zeros((1, 17, 2, 4, 4))]
    assert maps_of(info, good, 1).strides == (4,)
    with pytest.raises(LitePoseError, match="export it again"):
        maps_of(info, [np.zeros(shape) for shape in shapes], 1)
