"""8-bit ONNX by onnxruntime: weights per channel, activations per tensor.

Everything between the first and the last convolution is quantized, not only the convolutions: each
conversion between 8 bits and float costs more than the 8 bits save.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantType,
    quantize_static,
)

from litepose.export.exportable import Source
from litepose.export.onnx import build_graph, runner_of, stamped
from litepose.export.parity import Runner

prepare = build_graph
_OPERATORS = ["Conv", "Add", "Concat", "Resize", "AveragePool", "Relu", "Clip", "Pad", "Slice"]
_OPERATORS += ["DepthToSpace", "MaxPool"]


def quantize(
    model: onnx.ModelProto, images: Sequence[np.ndarray], keep: Collection[str]
) -> onnx.ModelProto:
    """The model in 8 bits, the layers `keep` (names of torch modules) left in float."""
    with tempfile.TemporaryDirectory() as folder:
        target, exact = Path(folder) / "int8.onnx", Path(folder) / "float.onnx"
        onnx.save(model, exact)  # given the model object, it would move the weights out of it
        logging.disable(logging.WARNING)  # advice on a preparation that is already done
        try:
            quantize_static(
                exact,
                target,
                _Images(images),
                op_types_to_quantize=_OPERATORS,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                calibrate_method=CalibrationMethod.MinMax,
                nodes_to_exclude=[*_kept(model.graph, keep), *_tail(model.graph)],
            )
        finally:
            logging.disable(logging.NOTSET)
        return onnx.load(str(target))


def run(model: onnx.ModelProto) -> Runner:
    return runner_of(model.SerializeToString())


def save(model: onnx.ModelProto, source: Source, path: Path) -> None:
    path.write_bytes(stamped(model, source.properties).SerializeToString())


def _kept(graph: onnx.GraphProto, layers: Collection[str]) -> list[str]:
    """Nodes of these layers, and the nodes that take their outputs.

    onnxruntime coarsely rounds the weights of a float convolution between 8-bit nodes, so the node
    after it must stay float too.
    """
    weights = {f"{layer}.weight" for layer in layers}
    names, tensors = [], set()
    for node in graph.node:  # in order: producers first
        if weights & set(node.input):
            names.append(node.name)
            tensors.update(node.output)
        elif tensors & set(node.input):
            names.append(node.name)
            if node.op_type in ("Clip", "Relu"):  # fused with its convolution
                tensors.update(node.output)
    return names


def _tail(graph: onnx.GraphProto) -> list[str]:
    """Nodes after the last convolutions: cheap, and the decoder needs their precision."""
    towards_conv: set[str] = set()  # tensors that some convolution depends on
    tail = []
    for node in reversed(graph.node):
        if node.op_type == "Conv" or towards_conv & set(node.output):
            towards_conv.update(node.input)
        else:
            tail.append(node.name)
    return tail


class _Images(CalibrationDataReader):
    def __init__(self, images: Sequence[np.ndarray]) -> None:
        self._rest = iter(images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        images = next(self._rest, None)
        return None if images is None else {"images": images}
