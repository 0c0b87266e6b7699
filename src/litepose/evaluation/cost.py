"""Parameters, MACs, memory and latency of a model.

Source: torch's flop counter on the meta device (no memory, no arithmetic), halved: one MAC is two
FLOPs. The paper's figures count transposed convolutions at their output size, which is too high;
these are exact. Memory is that of the whole process.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.model_info import ModelInfo
from litepose.inference.predictor import Predictor
from litepose.inference.results import PredictOptions, Timings

_MEGABYTE = 2**20
# In getrusage a child inherits its parent's peak through exec, so this reads the program's own peak
# from /proc.
_PREDICT_AND_SAY_PEAK = """
import dataclasses, pathlib, sys
import numpy as np
import litepose
w, h, times, size = map(int, sys.argv[3:])
model = litepose.load(sys.argv[1], backend=sys.argv[2] or None, input_size=size or None)
model.defaults = dataclasses.replace(model.defaults, focus=False)
for _ in range(times):
    model.predict(np.zeros((h, w, 3), np.uint8))
status = pathlib.Path("/proc/self/status")
if status.exists():
    line = next(l for l in status.read_text().splitlines() if l.startswith("VmHWM"))
    print(int(line.split()[1]) * 1024)
else:
    import resource
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(peak if sys.platform == "darwin" else peak * 1024)
"""


@dataclass(frozen=True)
class NetworkCost:
    """params: trained numbers;  macs: multiply-accumulates of one image of `input_wh`;
    traffic: bytes read and written by convolutions without caches, weights included."""

    params: int
    macs: int
    traffic: int
    input_wh: tuple[int, int]


@dataclass(frozen=True)
class Percentiles:
    """Milliseconds."""

    p50: float
    p95: float


@dataclass(frozen=True)
class Latency:
    """One image in memory -> Poses: making the input, the network, the decoder, all three."""

    pre: Percentiles
    net: Percentiles
    decode: Percentiles
    total: Percentiles
    runs: int


def network_cost(info: ModelInfo, input_wh: tuple[int, int] | None = None) -> NetworkCost:
    """Count one network at a square of its input size, or at `input_wh`. Needs torch, no weights.

    Raises LitePoseError where torch is missing.
    """
    try:
        import torch
        from torch import nn
        from torch.utils.flop_counter import FlopCounterMode

        from litepose.models.build import build_network
    except ImportError:
        raise LitePoseError("counting needs torch: pip install 'litepose[torch]'") from None
    width, height = input_wh or (info.input.size, info.input.size)
    with torch.device("meta"):
        network = build_network(info).eval()
        image = torch.empty(1, 3, height, width)
    params = sum(p.numel() for p in network.parameters())
    numbers = [params]
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.register_forward_hook(
                lambda _, seen, made: numbers.append(seen[0].numel() + made.numel())
            )
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    return NetworkCost(params, counter.get_total_flops() // 2, 4 * sum(numbers), (width, height))


def measure_latency(
    predictor: Predictor,
    images: Sequence[np.ndarray],
    runs: int = 50,
    warm_up: int = 5,
    options: PredictOptions | None = None,
) -> Latency:
    """Predict the images in turn, `runs` times in all, after `warm_up` untimed runs."""
    if not images or runs < 1:
        raise LitePoseError("measuring latency needs at least one image and one run")
    rows: list[Timings] = []
    for i in range(warm_up + runs):
        seen = predictor.inspect(images[i % len(images)], options)
        if i >= warm_up:
            rows.append(seen.timings)
    return summarize(rows)


def summarize(rows: Sequence[Timings]) -> Latency:
    """Percentiles of several runs."""
    parts = [(t.pre, t.net, t.decode, t.pre + t.net + t.decode) for t in rows]
    low, high = 1000 * np.percentile(parts, [50, 95], axis=0)
    pre, net, decode, total = (
        Percentiles(round(float(a), 3), round(float(b), 3)) for a, b in zip(low, high, strict=True)
    )
    return Latency(pre, net, decode, total, len(rows))


def peak_memory_mb(
    model: str,
    image_wh: tuple[int, int] = (640, 480),
    times: int = 3,
    *,
    backend: str | None = None,
    input_size: int | None = None,
) -> float:
    """Peak memory (MiB) of a fresh process that loads a model and predicts an image.

    Raises LitePoseError with the last line of the process's stderr where it fails.
    """
    w, h = image_wh
    numbers = map(str, (w, h, times, input_size or 0))
    command = [sys.executable, "-c", _PREDICT_AND_SAY_PEAK, model, backend or "", *numbers]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise LitePoseError(f"measuring the memory of {model} failed: {last}")
    return int(done.stdout.split()[-1]) / _MEGABYTE
