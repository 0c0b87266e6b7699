"""A network as ONNX: dynamic batch, height and width, batch norms folded, settings inside.

Inputs and outputs are named once, here and in the runtime: `images` (B, 3, H, W) float32 in;
`heatmaps_4`, `heatmaps_2`, ... coarse first, then `tags` (B, K, T, H, W) out. The metadata property
`litepose` holds `ModelInfo` as JSON. No file appears unless onnxruntime agrees with torch.
Differs from the official code, which has no export of its own that keeps settings.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import onnxslim
import torch
from torch import Tensor, nn
from torch.export import Dim

from litepose.core.errors import LitePoseError
from litepose.core.model_info import ModelInfo
from litepose.model.checkpoint import write_atomically
from litepose.model.layers import fold_batch_norms
from litepose.model.network import Network

METADATA_KEY = "litepose"
TOLERANCE = 1e-4


def output_names(info: ModelInfo) -> list[str]:
    return [*(f"heatmaps_{stride}" for stride in info.strides), "tags"]


def export_onnx(model: Network, info: ModelInfo, path: str | Path) -> float:
    """Write `model` (a network of ours) to `path`; returns the largest difference from torch found.

    Takes 10 to 30 s. The difference is relative to each output's largest value, over two input
    sizes. Raises LitePoseError, and writes nothing, where it exceeds 1e-4.
    """
    folded = fold_batch_norms(model).cpu().float()
    graph = _graph(folded, info)
    difference = _parity(folded, graph, info)
    if not difference <= TOLERANCE:
        raise LitePoseError(
            f"the exported graph differs from the network by {difference:.1e} of its largest value"
            f" (allowed: {TOLERANCE:.0e}); nothing was written"
        )
    _write(graph, info, Path(path))
    return difference


def set_info(path: str | Path, info: ModelInfo) -> None:
    """Rewrite only the settings inside an ONNX file of ours; the graph stays as it is.

    Raises LitePoseError where the file is not ONNX or its outputs are not those `info` promises.
    """
    try:
        graph = onnx.load(str(path))
    except Exception as wrong:  # protobuf has no public base class for its errors
        raise LitePoseError(f"{path} is not an ONNX file: {wrong}") from None
    found = [output.name for output in graph.graph.output]
    if found != output_names(info):
        raise LitePoseError(f"{path} puts out {found}; these settings need {output_names(info)}")
    _write(graph, info, Path(path))


class _Flat(nn.Module):
    """Maps as a plain tuple of tensors, which is what a graph can put out."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        maps = self.network(images)
        return (*maps.heatmaps, maps.tags)


def _graph(folded: Network, info: ModelInfo) -> onnx.ModelProto:
    multiple = folded.arch.multiple
    side = 4 * multiple
    with _quiet():
        program = torch.onnx.export(
            _Flat(folded).eval(),
            (torch.zeros(2, 3, side, side + multiple),),
            dynamo=True,
            input_names=["images"],
            output_names=output_names(info),
            dynamic_shapes={
                "images": {
                    0: Dim("batch"),
                    2: multiple * Dim("rows", min=1),
                    3: multiple * Dim("columns", min=1),
                }
            },
            verbose=False,
        )
        assert program is not None
        slim = onnxslim.slim(program.model_proto)
    _name_sides(slim)
    return slim


def _name_sides(graph: onnx.ModelProto) -> None:
    """Replace the exporter's invented names of dynamic sides by readable ones."""
    for value in (*graph.graph.input, *graph.graph.output):
        sides = value.type.tensor_type.shape.dim
        scale = "" if value.name == "images" else f"_{value.name}"
        for side, name in ((sides[0], "batch"), (sides[-2], "height"), (sides[-1], "width")):
            side.dim_param = name if name == "batch" else name + scale
    del graph.graph.value_info[:]


def _parity(folded: Network, graph: onnx.ModelProto, info: ModelInfo) -> float:
    """Largest difference between the graph and torch, as a share of the output's largest value."""
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    worst = 0.0
    for batch, rows, columns in ((1, 2, 3), (2, 5, 4)):
        shape = (batch, 3, rows * folded.arch.multiple, columns * folded.arch.multiple)
        images = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            expected = _Flat(folded)(images)
        got: Sequence[np.ndarray] = session.run(output_names(info), {"images": images.numpy()})
        for ours, theirs in zip(got, expected, strict=True):
            largest = max(float(theirs.abs().max()), 1e-6)
            apart = float(np.abs(ours - theirs.numpy()).max()) / largest
            worst = apart if np.isnan(apart) else max(worst, apart)  # max() would drop a NaN
            if np.isnan(worst):
                return worst
    return worst


def _write(graph: onnx.ModelProto, info: ModelInfo, path: Path) -> None:
    onnx.helper.set_model_props(graph, {METADATA_KEY: info.to_json()})
    graph.producer_name, graph.producer_version = "litepose", ""
    write_atomically(path, graph.SerializeToString())


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter speaks of itself: progress on stdout, torchvision's absence, deprecations."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)
