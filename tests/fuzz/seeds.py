"""Good files of every kind that litepose reads, small, made once a hunt: what is damaged then."""

from __future__ import annotations

import gzip
import io
import json
import tempfile
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from litepose.core.model_info import InputRule, ModelInfo
from litepose.core.poses import Poses
from litepose.core.skeleton import COCO17
from litepose.data.layouts import find_dataset
from litepose.data.pack import pack
from litepose.data.synthetic import SceneSettings, synthesize
from litepose.models.build import build_network
from litepose.models.checkpoint import save_checkpoint
from litepose.models.higherhrnet import official_name as higherhrnet_name
from litepose.models.official import official_name
from litepose.models.space import Space
from litepose.models.supernet import Supernet, save_supernet
from litepose.models.zoo_archs import HIGHER_W32, TINY, XS
from tests.clips import make_video

SPLIT = "val"
SIDE = 48
INFO = ModelInfo("fuzzed", COCO17, InputRule(64, 64), strides=(4,), arch=TINY.to_dict())


def noise(side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)


def images() -> dict[str, bytes]:
    """By kind; some have transparency, EXIF, frames, or several scans."""
    found = {}
    exif = Image.Exif()
    exif[0x0112] = 6
    rgb = Image.fromarray(noise())
    forms: dict[str, tuple[Image.Image, dict[str, Any]]] = {
        "jpeg": (rgb, {"exif": exif}),
        "jpeg progressive": (rgb, {"progressive": True}),
        "jpeg cmyk": (rgb.convert("CMYK"), {}),
        "png": (rgb.convert("RGBA"), {}),
        "png palette": (rgb.convert("P"), {"transparency": 0}),
        "png 16": (Image.fromarray(np.arange(2304, dtype=np.uint16).reshape(48, 48)), {}),
        "webp": (rgb.convert("RGBA"), {"lossless": True}),
        "webp frames": (rgb, {"save_all": True, "append_images": [rgb.rotate(90)]}),
        "gif": (rgb.convert("P"), {"save_all": True, "append_images": [rgb.convert("P")]}),
        "bmp": (rgb, {}),
        "tiff": (rgb, {"compression": "tiff_lzw"}),
    }
    for name, (image, how) in forms.items():
        file = io.BytesIO()
        image.save(file, name.split()[0].upper(), **how)
        found[name] = file.getvalue()
    return found


def videos(folder: Path) -> dict[str, bytes]:
    kinds = (".webm", ".mp4", ".avi")
    return {kind: make_video(folder / f"a{kind}", 6).read_bytes() for kind in kinds}


def onnx_model() -> bytes:
    """A graph with litepose's outputs, a few kilobytes."""

    def weights(name: str, shape: tuple[int, ...]) -> TensorProto:
        values = np.random.default_rng(0).normal(0, 0.1, shape).astype(np.float32)
        return numpy_helper.from_array(values, name)

    def value(name: str, *shape: int | str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    conv = {"kernel_shape": [4, 4], "strides": [4, 4]}
    nodes = [
        helper.make_node("Conv", ["images", "a"], ["h"], **conv),
        helper.make_node("Sigmoid", ["h"], ["heatmaps_4"]),
        helper.make_node("Conv", ["images", "b"], ["t"], **conv),
        helper.make_node("Unsqueeze", ["t", "axis"], ["tags"]),
    ]
    graph = helper.make_graph(
        nodes,
        "fuzzed",
        [value("images", "n", 3, "h", "w")],
        [value("heatmaps_4", "n", 17, "y", "x"), value("tags", "n", 17, 1, "y", "x")],
        [
            weights("a", (17, 3, 4, 4)),
            weights("b", (17, 3, 4, 4)),
            numpy_helper.from_array(np.array([2]), "axis"),
        ],
    )
    opset = [helper.make_opsetid("", 17)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=9)
    helper.set_model_props(model, {"litepose": INFO.to_json()})
    data: bytes = model.SerializeToString()
    onnx.checker.check_model(model)
    return data


def checkpoint(folder: Path) -> bytes:
    network = build_network(INFO_TRAINED)
    save_checkpoint(folder / "a.safetensors", network, INFO_TRAINED)
    return (folder / "a.safetensors").read_bytes()


def supernet(folder: Path) -> bytes:
    space = Space(TINY, widths=(1.0, 0.5), fewer_blocks=1, expansions=(3,), sizes=(64,))
    save_supernet(
        folder / "s.safetensors", Supernet(build_network(INFO_TRAINED), INFO_TRAINED, space), {}
    )
    return (folder / "s.safetensors").read_bytes()


INFO_TRAINED = ModelInfo(
    "fuzzed", COCO17, InputRule(64, 64), strides=(4,), tag_kind="positional", arch=TINY.to_dict()
)


def official_state() -> dict[str, torch.Tensor]:
    """Of Lite Pose XS, by the official names; weights are all zero."""
    info = ModelInfo("xs", COCO17, InputRule(256), arch=XS.to_dict())
    with torch.device("meta"):
        shapes = build_network(info).state_dict()
    return {
        official_name(name): torch.zeros(tensor.shape, dtype=tensor.dtype)
        for name, tensor in shapes.items()
    }


def higherhrnet_state() -> dict[str, torch.Tensor]:
    """Of HigherHRNet-W32, by the official names; all weights of a tensor are one stored zero."""
    info = ModelInfo("h", COCO17, InputRule(512), arch=HIGHER_W32.to_dict())
    with torch.device("meta"):
        shapes = build_network(info).state_dict()
    return {
        higherhrnet_name(name): torch.zeros((), dtype=tensor.dtype).expand(tensor.shape)
        for name, tensor in shapes.items()
    }


def dataset(folder: Path) -> dict[str, Any]:
    """The annotations of two images with people and a crowd, whose files are in `folder`."""
    settings = SceneSettings(size_wh=(SIDE, SIDE), people=(1, 2), crowd=1.0)
    path = synthesize(folder, 2, seed=3, split=SPLIT, settings=settings)
    annotations: dict[str, Any] = json.loads(path.read_bytes())
    return annotations


def packed(folder: Path) -> bytes:
    """Of the dataset that is there."""
    with tempfile.TemporaryDirectory() as place:
        pack(find_dataset(folder, SPLIT), Path(place) / "a.lpc")
        return (Path(place) / "a.lpc").read_bytes()


def poses() -> dict[str, Any]:
    points = np.random.default_rng(0).uniform(0, SIDE, (2, 17, 2))
    return Poses(points, np.full((2, 17), 0.5), np.ones(2), COCO17, (SIDE, SIDE)).to_dict()


def reported_result(annotations: dict[str, Any]) -> dict[str, Any]:
    from litepose.evaluation.reported_results import SCHEMA, ReportedResult

    people = [
        {"image_id": 1, "category_id": 1, "keypoints": [1.0] * 51, "score": 0.5},
    ]
    entry = ReportedResult(
        "litepose-p", "0" * 64, "drawn", {}, "2026-01-01", {"ap": 1.0}, annotations, people
    )
    return {"schema": SCHEMA, **asdict(entry)}


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for i, method in enumerate((zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2)):
            archive.writestr(f"folder/{i}.txt", b"words " * 50, method)
    return file.getvalue()


def gzipped(content: bytes) -> bytes:
    return gzip.compress(content, 1, mtime=0)


def heatmaps() -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, heat=np.zeros((12, 12, 17), np.uint8))
    return file.getvalue()
