"""Latency of a network from a table of its convolutions, measured on this machine's runtime.

A search needs the latency of hundreds of networks, and exporting one takes half a minute.
Convolutions take nearly all of the time, and a space has only a few hundred different ones, so
onnxruntime's profiler times each once. A network takes `scale` times their sum, since a layer's
input is warm in a network, and `overhead` for each, the start of its threads. Both are fitted to
whole networks: the bundled ones, or those of a space (`fit`), which differ from them.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.files import write_atomically
from litepose.core.model_info import ModelInfo
from litepose.core.packages import need
from litepose.core.read_text import parse_json, read_json
from litepose.core.timing import low, quiet_ms
from litepose.inference.backend import RuntimeOptions
from litepose.inference.load import open_predictor
from litepose.inference.onnxruntime_backend import session_settings
from litepose.inference.system import cache_folder, cpu_name, usable_cores

RUNS = 15  # of each convolution; the 20th percentile counts
TOGETHER = 200 << 20  # bytes of inputs and outputs timed in one session


@dataclass(frozen=True, order=True)
class Convolution:
    """A convolution, batch norm folded. padding: on each side; height, width: of its input."""

    inputs: int
    outputs: int
    kernel: int
    stride: int
    groups: int
    padding: int
    height: int
    width: int

    @property
    def key(self) -> str:
        return " ".join(map(str, astuple(self)))

    @property
    def traffic(self) -> int:
        """Bytes of its input and its output."""
        area = self.height * self.width
        return 4 * area * (self.inputs + self.outputs // self.stride**2)


class Fit(NamedTuple):
    """Milliseconds of a network: scale * the sum of its convolutions' + overhead * their number."""

    scale: float
    overhead: float


def convolutions_of(info: ModelInfo) -> list[Convolution]:
    """All convolutions of one forward pass of a square image of the input size."""
    import torch
    from torch import nn

    from litepose.models.build import build_network

    network = build_network(info).deployable().to("meta")
    found: list[Convolution] = []

    def note(layer: nn.Module, seen: tuple[torch.Tensor, ...], _: torch.Tensor) -> None:
        assert isinstance(layer, nn.Conv2d)
        found.append(
            Convolution(
                inputs=layer.in_channels,
                outputs=layer.out_channels,
                kernel=layer.kernel_size[0],
                stride=layer.stride[0],
                groups=layer.groups,
                padding=layer.kernel_size[0] // 2,  # the side of the padding costs no time
                height=seen[0].shape[2],
                width=seen[0].shape[3],
            )
        )

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(note)
    with torch.no_grad():
        network(torch.empty(1, 3, info.input.size, info.input.size, device="meta"))
    return found


class LatencyTable:
    """Milliseconds of networks on this machine, with onnxruntime and `threads` threads.

    path: file of the measurements; None means the user's cache, one file per kind of CPU.
    Raises LitePoseError if onnx or torch is missing.
    """

    def __init__(self, path: Path | None = None, threads: int | None = None) -> None:
        import onnxruntime

        need("measuring latency", "onnx", "torch", extra="search")
        self.threads = threads or usable_cores()
        runtime = f"onnxruntime {onnxruntime.__version__}"
        self.machine = f"{cpu_name()}, {runtime}, {self.threads} threads"
        self.path = path or cache_folder() / "conv_latency.json"
        self._times: dict[str, float] = {}
        self.bundled: Fit | None = None
        self._own: Fit | None = None  # of `fit`, in place of it
        self._read()

    def __len__(self) -> int:
        return len(self._times)

    def milliseconds(self, info: ModelInfo) -> float:
        """Latency of one square image of the input size; measures convolutions not in the table."""
        convolutions = convolutions_of(info)
        fit = self._own or self.bundled or self._fit_bundled()
        self.measure(convolutions)
        return fit.scale * self._sum(convolutions) + fit.overhead * len(convolutions)

    def measure(self, convolutions: Iterable[Convolution]) -> int:
        """Time and store those that are not in the table; returns their number."""
        missing = sorted({c for c in convolutions if c.key not in self._times})
        for part in _parts(missing):
            self._times |= {
                c.key: ms for c, ms in zip(part, _time(part, self.threads), strict=True)
            }
        if missing:
            self._write()
        return len(missing)

    def fit(self, whole: Sequence[tuple[ModelInfo, float]]) -> None:
        """Fit scale and overhead, of this object only, to networks and their milliseconds."""
        self._own = self._fitted([(convolutions_of(info), took) for info, took in whole])

    def _fit_bundled(self) -> Fit:
        """Fit and store scale and overhead of the bundled networks, at two sizes each."""
        whole = []
        for name in ("litepose-p", "litepose-pm"):
            predictor = open_predictor(
                name, backend="onnxruntime", options=RuntimeOptions(threads=self.threads)
            )
            for size in (256, 384):
                image = np.zeros((1, 3, size, size), np.float32)
                took = quiet_ms(partial(predictor.backend.run, image), RUNS)
                whole.append((convolutions_of(predictor.info.with_input_size(size)), took))
        self.bundled = self._fitted(whole)
        self._write()
        return self.bundled

    def _fitted(self, whole: Sequence[tuple[list[Convolution], float]]) -> Fit:
        """Least squares of relative errors; neither number is below 0."""
        for convolutions, _ in whole:
            self.measure(convolutions)
        rows = np.array([[self._sum(c) / took, len(c) / took] for c, took in whole])
        scale, overhead = np.linalg.lstsq(rows, np.ones(len(rows)), rcond=None)[0]
        if min(scale, overhead) <= 0:
            scale, overhead = 1 / np.exp(np.log(rows[:, 0]).mean()), 0.0
        return Fit(float(scale), float(overhead))

    def _sum(self, convolutions: Sequence[Convolution]) -> float:
        return sum(self._times[c.key] for c in convolutions)

    def _read(self) -> None:
        if not self.path.is_file():
            return
        try:
            kept = read_json(self.path, "the latency table")
            own = kept.get(self.machine, {"fit": None, "ms": {}})
            self.bundled = None if own["fit"] is None else Fit(*map(float, own["fit"]))
            self._times = {str(key): float(ms) for key, ms in own["ms"].items()}
        except (LitePoseError, AttributeError, KeyError, TypeError, ValueError):
            self._times = {}  # a damaged cache is measured again

    def _write(self) -> None:
        kept: Any = {}
        if self.path.is_file():
            try:
                kept = read_json(self.path, "the latency table")
            except LitePoseError:
                kept = {}
        kept[self.machine] = {"fit": self.bundled, "ms": self._times}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, json.dumps(kept, indent=1).encode())


def _parts(convolutions: Sequence[Convolution]) -> Iterable[list[Convolution]]:
    part: list[Convolution] = []
    for convolution in convolutions:
        if part and sum(c.traffic for c in part) + convolution.traffic > TOGETHER:
            yield part
            part = []
        part.append(convolution)
    if part:
        yield part


def _time(convolutions: Sequence[Convolution], threads: int) -> list[float]:
    """Milliseconds of each, by the runtime's profiler: without the copies at a graph's edges."""
    import onnxruntime

    settings = session_settings(threads)
    settings.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        settings.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(
            _graph(convolutions), settings, providers=["CPUExecutionProvider"]
        )
        rng = np.random.default_rng(0)
        images = {
            f"x{i}": rng.random((1, c.inputs, c.height, c.width), np.float32)
            for i, c in enumerate(convolutions)
        }
        for _ in range(RUNS):
            session.run(None, images)
        events = parse_json(Path(session.end_profiling()).read_bytes(), "the profile")
    times: dict[int, list[float]] = {i: [] for i in range(len(convolutions))}
    for event in events:
        # Named by the convolution, or by its output where the runtime has fused the ReLU in.
        own = re.match(r"(?:conv|y)(\d+)_.*kernel_time", event.get("name", ""))
        if own and "Conv" in event.get("args", {}).get("op_name", ""):
            times[int(own[1])].append(event["dur"] / 1000)
    return [low(times[i]) for i in range(len(convolutions))]


def _graph(convolutions: Sequence[Convolution]) -> bytes:
    """One ONNX graph in which each convolution has an input and an output of its own."""
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    nodes, inputs, outputs, weights = [], [], [], []
    for i, c in enumerate(convolutions):
        shape = (c.outputs, c.inputs // c.groups, c.kernel, c.kernel)
        kernel = rng.standard_normal(shape).astype(np.float32)
        weights += [
            numpy_helper.from_array(kernel, f"w{i}"),
            numpy_helper.from_array(np.zeros(c.outputs, np.float32), f"b{i}"),
        ]
        made = helper.make_node(
            "Conv", [f"x{i}", f"w{i}", f"b{i}"], [f"c{i}"], name=f"conv{i}_",
            group=c.groups, strides=[c.stride] * 2, pads=[c.padding] * 4,
        )  # fmt: skip
        nodes += [made, helper.make_node("Relu", [f"c{i}"], [f"y{i}"], name=f"relu{i}")]
        size = [1, c.inputs, c.height, c.width]
        inputs.append(helper.make_tensor_value_info(f"x{i}", TensorProto.FLOAT, size))
        made_hw = [(n + 2 * c.padding - c.kernel) // c.stride + 1 for n in (c.height, c.width)]
        size = [1, c.outputs, *made_hw]
        outputs.append(helper.make_tensor_value_info(f"y{i}", TensorProto.FLOAT, size))
    graph = helper.make_graph(nodes, "convolutions", inputs, outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 10
    return bytes(model.SerializeToString())
