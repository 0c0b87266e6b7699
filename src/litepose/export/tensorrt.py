"""TensorRT for NVIDIA GPUs: `name.engine`, and a JSON for settings.

An engine is built on the GPU that will run it, by the TensorRT that will run it; other GPUs and
other versions refuse it. One image of one size at a time, `images` in, float32 throughout. Written
by NVIDIA's documentation of TensorRT 10 and 11; no GPU was at hand to run it on.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from litepose.core.errors import LitePoseError
from litepose.export.exportable import Source
from litepose.export.onnx import build_graph
from litepose.export.parity import Runner

SETTINGS = ".engine.json"


def write(source: Source, path: Path) -> None:
    engine = build_engine(build_graph(source).SerializeToString())
    path.write_bytes(engine)
    record = {"outputs": source.outputs, "gpu": torch.cuda.get_device_name(), **source.properties}
    text = json.dumps(record, indent=1) + "\n"
    path.with_suffix(SETTINGS).write_text(text, encoding="utf-8")


def build_engine(graph: bytes) -> bytes:
    """Build the engine of an ONNX graph; takes minutes.

    Raises LitePoseError with TensorRT's own words where it cannot.
    """
    import tensorrt as trt

    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(graph):
        said = "; ".join(str(parser.get_error(i)) for i in range(parser.num_errors))
        raise LitePoseError(f"TensorRT cannot read the graph: {said}")
    config = builder.create_builder_config()
    config.clear_flag(trt.BuilderFlag.TF32)  # its 10 bits of mantissa are not float32
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise LitePoseError("TensorRT could not build an engine; its messages are above")
    return bytes(engine)


def open_runner(source: Source, path: Path) -> Runner:
    import tensorrt as trt

    engine = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(path.read_bytes())
    if engine is None:
        raise LitePoseError(f"TensorRT cannot open the engine {path} on this GPU")
    context = engine.create_execution_context()

    def run(images: np.ndarray) -> list[np.ndarray]:
        tensors: dict[str, Any] = {"images": torch.from_numpy(images).cuda().contiguous()}
        for name in source.outputs:
            shape = tuple(context.get_tensor_shape(name))
            tensors[name] = torch.empty(shape, dtype=torch.float32, device="cuda")
        for name, tensor in tensors.items():
            context.set_tensor_address(name, tensor.data_ptr())
        stream = torch.cuda.current_stream()
        if not context.execute_async_v3(stream.cuda_stream):
            raise LitePoseError("TensorRT could not run the engine; its messages are above")
        stream.synchronize()
        return [tensors[name].cpu().numpy() for name in source.outputs]

    return run
