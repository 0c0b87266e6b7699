"""OpenVINO: `name.xml` with `name.bin` beside it, made from the ONNX graph.

Settings are in the model's runtime information, under the keys of the ONNX metadata. Weights stay
float32.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import openvino

from litepose.export.exportable import Source
from litepose.export.onnx import build_graph
from litepose.export.parity import Runner


def write(source: Source, path: Path) -> None:
    save(convert(source), source, path)


def convert(source: Source) -> Any:
    """The source as an OpenVINO model."""
    return openvino.Core().read_model(build_graph(source).SerializeToString())


def save(model: Any, source: Source, path: Path) -> None:
    for key, text in source.properties.items():
        model.set_rt_info(text, [key])
    openvino.save_model(model, str(path), compress_to_fp16=False)


def open_runner(source: Source, path: Path) -> Runner:
    return compiled(openvino.Core().read_model(str(path)))


def compiled(model: Any) -> Runner:
    """Compile for float32; by default OpenVINO uses bfloat16 if the CPU supports it."""
    hints = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    network = openvino.Core().compile_model(model, "CPU", hints)

    def run(images: np.ndarray) -> list[np.ndarray]:
        return [np.array(output) for output in network([images]).values()]

    return run
