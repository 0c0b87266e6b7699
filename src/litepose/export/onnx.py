"""ONNX: batch norms folded, sides open or fixed, settings inside.

Input: `images` (B, 3, H, W) float32. Outputs: `heatmaps_4`, `heatmaps_2`, ..., coarse first, and
`tags` (B, K, T, H, W); with the decoder's first half inside, `scores`, `xy` and `tags`. The
metadata property `litepose` contains `ModelInfo` as JSON. Weights are always inside the file. The
official code has no export.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import onnxslim
import torch
from torch import nn
from torch.export import Dim

from litepose.core.errors import LitePoseError
from litepose.core.files import write_atomically
from litepose.core.model_info import METADATA_KEY, ModelInfo
from litepose.export.exportable import Source, output_names
from litepose.export.parity import TOLERANCE, Runner, check_graph
from litepose.models.from_onnx import HALF_SUFFIX
from litepose.models.network import Network

SMALL = 256  # elements; smaller tensors are not worth a node each


def export_onnx(model: Network, info: ModelInfo, path: str | Path) -> float:
    """Write a litepose network to `path`; returns the largest difference from torch.

    Takes 10 to 30 s. The difference is relative to each output's largest value, over two input
    sizes. Raises LitePoseError, and writes nothing, if it exceeds 1e-4.
    """
    source = Source(model, info)
    content = stamped(build_graph(source), source.properties).SerializeToString()
    difference = check_graph(source, runner_of(content), TOLERANCE)
    write_atomically(path, content)
    return difference


def write(source: Source, path: Path) -> None:
    graph = build_graph(source)
    if source.half:
        graph = halved(graph)
    path.write_bytes(stamped(graph, source.properties).SerializeToString())


def halved(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Store the weights as float16: half the size, the same float32 arithmetic.

    Runtimes widen the weights when they load the file. Small tensors stay float32.
    """
    nodes, wide = [], []
    for tensor in graph.graph.initializer:
        numbers = onnx.numpy_helper.to_array(tensor)
        if numbers.dtype != np.float32 or numbers.size < SMALL:
            wide.append(tensor)
            continue
        stored = f"{tensor.name}{HALF_SUFFIX}"
        wide.append(onnx.numpy_helper.from_array(numbers.astype(np.float16), stored))
        cast = onnx.helper.make_node(
            "Cast", [stored], [tensor.name], name=f"widen_{tensor.name}", to=onnx.TensorProto.FLOAT
        )
        nodes.append(cast)
    rest = list(graph.graph.node)
    del graph.graph.node[:], graph.graph.initializer[:]
    graph.graph.node.extend(nodes + rest)
    graph.graph.initializer.extend(wide)
    return graph


def open_runner(source: Source, path: Path) -> Runner:
    return runner_of(path.read_bytes())


def build_graph(source: Source, module: nn.Module | None = None) -> onnx.ModelProto:
    """The graph without settings, of the source's module or of the given one.

    Takes 10 to 30 s.
    """
    multiple, (height, width) = source.network.arch.multiple, source.example_hw
    free = {0: Dim("batch"), 2: multiple * Dim("rows", min=1), 3: multiple * Dim("columns", min=1)}
    fixed = source.size_wh is not None
    with _quiet():
        program = torch.onnx.export(
            module or source.module,
            (torch.zeros(1 if fixed else 2, 3, height, width),),
            dynamo=True,
            input_names=["images"],
            output_names=source.outputs,
            dynamic_shapes=None if fixed else {"images": free},
            verbose=False,
        )
        assert program is not None
        slim = onnxslim.slim(program.model_proto)
    if not fixed:
        _name_sides(slim, () if source.decoder else source.outputs)
    return slim


def stamped(graph: onnx.ModelProto, properties: Mapping[str, str]) -> onnx.ModelProto:
    """The graph with the source's properties as its only metadata."""
    onnx.helper.set_model_props(graph, dict(properties))
    graph.producer_name, graph.producer_version = "litepose", ""
    return graph


def set_info(path: str | Path, info: ModelInfo) -> None:
    """Rewrite the settings inside an exported ONNX file; the graph stays as it is.

    Raises LitePoseError if the file is not ONNX or its outputs do not fit `info`.
    """
    try:
        graph = onnx.load(str(path), load_external_data=False)
    except Exception as exc:  # protobuf errors have no public base class
        raise LitePoseError(f"{path} is not an ONNX file: {exc}") from None
    found = [output.name for output in graph.graph.output]
    if found != output_names(info):
        raise LitePoseError(f"{path} puts out {found}; these settings need {output_names(info)}")
    kept = {entry.key: entry.value for entry in graph.metadata_props}
    content = stamped(graph, {**kept, METADATA_KEY: info.to_json()}).SerializeToString()
    write_atomically(path, content)


def _name_sides(graph: onnx.ModelProto, maps: tuple[str, ...] | list[str]) -> None:
    """Replace the exporter's generated names of dynamic sides with readable ones."""
    for value in (*graph.graph.input, *graph.graph.output):
        sides = value.type.tensor_type.shape.dim
        sides[0].dim_param = "batch"
        if value.name == "images" or value.name in maps:
            scale = "" if value.name == "images" else f"_{value.name}"
            sides[-2].dim_param, sides[-1].dim_param = f"height{scale}", f"width{scale}"
    del graph.graph.value_info[:]


def runner_of(content: bytes) -> Runner:
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3  # errors reach the user as exceptions
    session = onnxruntime.InferenceSession(content, settings, providers=["CPUExecutionProvider"])

    def run(images: Any) -> list[Any]:
        return list(session.run(None, {"images": images}))

    return run


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the exporter's progress, deprecations and notes on torchvision."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)
