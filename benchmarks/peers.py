"""Other ways to find people on a CPU, beside the default model, in turns within one run.

    python benchmarks/peers.py [--repeats 20] [--mediapipe PYTHON]

- lightweight OpenPose (Osokin 2018, arXiv:1811.12004) and a network of a nano YOLO pose model's
  size (its published 3.3 M weights, 9.2 GFLOPs at 640x640) are built here from their descriptions
  with random weights: their network's time is comparable to ours, their decoding is not timed and
  their accuracy is not known here. Both run in onnxruntime, as ours does.
- MediaPipe Pose (whole images, one person each) runs in a Python of its own that PYTHON names:
  it wants an older numpy. `pip install mediapipe==0.10.21`; later wheels carry no pose model.
  What is comparable is the time from an image in memory to one person, not to all.

Needs litepose[export]. Prints a table and ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

import litepose
from litepose.core.timing import medians_in_turns_ms
from litepose.imaging.read import read_image
from litepose.inference.system import usable_cores

IMAGE = Path(__file__).resolve().parents[1] / "examples" / "images" / "astronaut.jpg"
MEDIAPIPE = """
import sys
import cv2, mediapipe
image = cv2.cvtColor(cv2.imread(sys.argv[1]), cv2.COLOR_BGR2RGB)
with mediapipe.solutions.pose.Pose(static_image_mode=True, model_complexity=1) as pose:
    for _ in sys.stdin:
        print(pose.process(image).pose_landmarks is not None, flush=True)
"""


def conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, act: type = nn.ReLU):
    """Convolution and activation; batch norms are folded in deployment, so there are none."""
    padding = kernel // 2
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, padding), act())


def separable(inputs: int, outputs: int, stride: int = 1, dilation: int = 1) -> nn.Sequential:
    depthwise = nn.Conv2d(inputs, inputs, 3, stride, dilation, dilation, groups=inputs)
    return nn.Sequential(depthwise, nn.ReLU(), nn.Conv2d(inputs, outputs, 1), nn.ReLU())


class Residual(nn.Module):
    """x + inner(x)."""

    def __init__(self, *inner: nn.Module) -> None:
        super().__init__()
        self.inner = nn.Sequential(*inner)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


class LightweightOpenPose(nn.Module):
    """MobileNet v1 to stride 8 (conv4_2 dilated), one initial and one refinement stage."""

    def __init__(self) -> None:
        super().__init__()
        widths = [(32, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1)]
        widths += [(256, 512, 1)]
        self.trunk = nn.Sequential(
            conv(3, 32, stride=2),
            *(separable(a, b, stride) for a, b, stride in widths),
            separable(512, 512, dilation=2),
            *(separable(512, 512) for _ in range(4)),
            conv(512, 128, 1),
            Residual(*(separable(128, 128) for _ in range(3))),
            conv(128, 128),
        )
        self.initial = nn.Sequential(*(conv(128, 128) for _ in range(3)))
        self.first = nn.ModuleList(self._head(512, maps) for maps in (19, 38))
        blocks = []
        for inputs in (185, 128, 128, 128, 128):
            dilated = nn.Sequential(nn.Conv2d(128, 128, 3, padding=2, dilation=2), nn.ReLU())
            blocks += [conv(inputs, 128, 1), Residual(conv(128, 128), dilated)]
        self.refine = nn.Sequential(*blocks)
        self.second = nn.ModuleList(self._head(128, maps) for maps in (19, 38))

    @staticmethod
    def _head(width: int, maps: int) -> nn.Sequential:
        return nn.Sequential(conv(128, width, 1), nn.Conv2d(width, maps, 1))

    def forward(self, images: Tensor) -> list[Tensor]:
        features = self.trunk(images)
        seen = self.initial(features)
        first = [head(seen) for head in self.first]
        refined = self.refine(torch.cat((features, *first), 1))
        return [head(refined) for head in self.second]


class Split(nn.Module):
    """A block that sends half the channels through n bottlenecks and keeps every step."""

    def __init__(self, inputs: int, outputs: int, n: int, residual: bool = True) -> None:
        super().__init__()
        half = outputs // 2
        self.enter = conv(inputs, outputs, 1, act=nn.SiLU)
        steps = [
            nn.Sequential(conv(half, half, act=nn.SiLU), conv(half, half, act=nn.SiLU))
            for _ in range(n)
        ]
        self.steps = nn.ModuleList(Residual(step) if residual else step for step in steps)
        self.leave = conv((2 + n) * half, outputs, 1, act=nn.SiLU)

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.enter(x).chunk(2, 1))
        for step in self.steps:
            parts.append(step(parts[-1]))
        return self.leave(torch.cat(parts, 1))


class NanoDetector(nn.Module):
    """Backbone to stride 32, a pyramid down and up, heads for box, class and 17 keypoints."""

    def __init__(self) -> None:
        super().__init__()
        silu = nn.SiLU
        self.stage8 = nn.Sequential(
            conv(3, 16, stride=2, act=silu), conv(16, 32, stride=2, act=silu), Split(32, 32, 1),
            conv(32, 64, stride=2, act=silu), Split(64, 64, 2),
        )  # fmt: skip
        self.stage16 = nn.Sequential(conv(64, 128, stride=2, act=silu), Split(128, 128, 2))
        self.stage32 = nn.Sequential(conv(128, 256, stride=2, act=silu), Split(256, 256, 1))
        self.pool_in, self.pool_out = conv(256, 128, 1, act=silu), conv(512, 256, 1, act=silu)
        self.down16, self.down8 = Split(384, 128, 1, False), Split(192, 64, 1, False)
        self.step16, self.up16 = conv(64, 64, stride=2, act=silu), Split(192, 128, 1, False)
        self.step32, self.up32 = conv(128, 128, stride=2, act=silu), Split(384, 256, 1, False)
        self.heads = nn.ModuleList(
            nn.ModuleList(
                nn.Sequential(
                    conv(width, inner, act=silu), conv(inner, inner, act=silu),
                    nn.Conv2d(inner, outputs, 1),
                )
                for inner, outputs in ((64, 64), (64, 1), (51, 51))
            )
            for width in (64, 128, 256)
        )  # fmt: skip

    def forward(self, images: Tensor) -> list[Tensor]:
        c8 = self.stage8(images)
        c16 = self.stage16(c8)
        pooled = [self.pool_in(self.stage32(c16))]
        for _ in range(3):
            pooled.append(nn.functional.max_pool2d(pooled[-1], 5, 1, 2))
        c32 = self.pool_out(torch.cat(pooled, 1))
        d16 = self.down16(torch.cat((nn.functional.interpolate(c32, scale_factor=2), c16), 1))
        d8 = self.down8(torch.cat((nn.functional.interpolate(d16, scale_factor=2), c8), 1))
        u16 = self.up16(torch.cat((self.step16(d8), d16), 1))
        u32 = self.up32(torch.cat((self.step32(u16), c32), 1))
        pairs = zip((d8, u16, u32), self.heads, strict=True)
        return [head(level) for level, heads in pairs for head in heads]


def in_onnxruntime(network: nn.Module, shape: tuple[int, ...]) -> Callable[[], object]:
    content = io.BytesIO()
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        program = torch.onnx.export(network.eval(), (torch.zeros(shape),), dynamo=True)
    assert program is not None
    content.write(program.model_proto.SerializeToString())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = usable_cores()
    session = onnxruntime.InferenceSession(
        content.getvalue(), options, providers=["CPUExecutionProvider"]
    )
    images = np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)
    name = session.get_inputs()[0].name
    return lambda: session.run(None, {name: images})


@contextlib.contextmanager
def mediapipe_in(python: str) -> Iterator[Callable[[], object]]:
    """A call that makes MediaPipe, in a process of its own, look at the image once."""
    command = [python, "-c", MEDIAPIPE, str(IMAGE)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, **pipes) as child:
        assert child.stdin is not None and child.stdout is not None

        def look() -> None:
            child.stdin.write("look\n")
            child.stdin.flush()
            if child.stdout.readline().strip() != "True":
                sys.exit(f"MediaPipe in {python} did not run, or found nobody")

        yield look
        child.stdin.close()


def size_of(network: nn.Module, shape: tuple[int, ...]) -> tuple[float, float]:
    """Millions of weights, and 1e9 multiply-adds."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(shape))
    weights = sum(p.numel() for p in network.parameters())
    return weights / 1e6, counter.get_total_flops() / 2e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--mediapipe", metavar="PYTHON", help="a Python that has MediaPipe")
    options = parser.parse_args()
    torch.manual_seed(0)
    model = litepose.load()
    image = read_image(IMAGE)
    peers = {
        "lightweight OpenPose 256x384": (LightweightOpenPose(), (1, 3, 256, 384)),
        "lightweight OpenPose 368x496": (LightweightOpenPose(), (1, 3, 368, 496)),
        "nano detector 480x640": (NanoDetector(), (1, 3, 480, 640)),
    }
    calls: dict[str, Callable[[], object]] = {}
    for side in ((256, 384), (384, 512)):
        images = np.random.default_rng(0).normal(0, 1, (1, 3, *side)).astype(np.float32)
        calls[f"litepose p {side[0]}x{side[1]}"] = lambda x=images: model.backend.run(x)
    calls["litepose p, 512x512 image to people"] = lambda: model.predict(image)
    sizes = {name: size_of(*peer) for name, peer in peers.items()}
    calls |= {name: in_onnxruntime(*peer) for name, peer in peers.items()}
    with contextlib.ExitStack() as stack:
        if options.mediapipe:
            calls["MediaPipe Pose, 512x512 image to one person"] = stack.enter_context(
                mediapipe_in(options.mediapipe)
            )
        rows = medians_in_turns_ms(calls, options.repeats)
    for name, ms in rows.items():
        size = "" if name not in sizes else "{:.2f} M weights, {:.2f} GMACs".format(*sizes[name])
        print(f"{name:48} {ms:7.1f} ms  {size}")
    print(json.dumps({"benchmark": "peers", "ms": {k: round(v, 2) for k, v in rows.items()}}))


if __name__ == "__main__":
    main()
