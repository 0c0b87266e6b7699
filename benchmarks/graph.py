"""What the graph's form costs: transposed convolutions against plain ones with depth to space, in
onnxruntime and OpenVINO beside PyTorch eager, and onnxruntime's time by operator.

    python benchmarks/graph.py [--models p,xs,s] [--repeats 20] [--keep DIR]

Weights of xs and s are random: time does not depend on them. Sizes are squares of the models' own,
for p 384x512. Prints tables and ends with one line of JSON. Needs `litepose[export]`; OpenVINO's
column appears where it is installed. Takes a minute a model.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
import torch.nn.functional as F
from torch import nn

from litepose.core.timing import medians_in_turns_ms
from litepose.export.exportable import Flat, Source
from litepose.export.onnx import build_graph, runner_of
from litepose.export.parity import Runner, eager
from litepose.models import zoo
from litepose.models.layers import fold_batch_norms
from litepose.models.litepose import FusionStep, LitePose

SIZES_HW = {"p": (384, 512)}
PROFILED = 12  # looks


class WideFusion(nn.Module):
    """The 3x3 form: no cropping, and 2.25 times the products, most of them with zero."""

    def __init__(self, step: FusionStep) -> None:
        super().__init__()
        kernel = torch.cat((step.deep.weight.data, step.skip.weight.data))  # (I, O, 4, 4)
        inputs, outputs = kernel.shape[:2]
        wide = torch.zeros(outputs, 2, 2, inputs, 3, 3)
        for a, rows in enumerate(({0: 3, 1: 1}, {1: 2, 2: 0})):
            for b, columns in enumerate(({0: 3, 1: 1}, {1: 2, 2: 0})):
                for i, row in rows.items():
                    for j, column in columns.items():
                        wide[:, a, b, :, i, j] = kernel[:, :, row, column].T
        self.conv = nn.Conv2d(inputs, 4 * outputs, 3, padding=1)
        self.conv.weight.data = wide.reshape(-1, inputs, 3, 3)
        assert step.deep.bias is not None
        self.conv.bias = nn.Parameter(step.deep.bias.data.repeat_interleave(4))

    def forward(self, deep: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        return F.pixel_shuffle(F.relu(self.conv(torch.cat((deep, skip), dim=1))), 2)


def forms(source: Source) -> dict[str, nn.Module]:
    folded = fold_batch_norms(source.network)
    if not isinstance(folded, LitePose):
        return {"folded": Flat(folded)}
    wide = fold_batch_norms(source.network)
    wide.head.steps = nn.ModuleList(WideFusion(step) for step in wide.head.steps)
    return {
        "transposed": Flat(folded),
        "conv 3x3 + shuffle": Flat(wide),
        "conv 2x2 + shuffle + crop": Flat(source.network.deployable()),
    }


def open_source(name: str) -> Source:
    torch.manual_seed(0)
    network, info = zoo.load(name) if name == "p" else zoo.create(name)
    return Source(network.eval(), info)


def openvino_runner(content: bytes) -> Runner:
    import openvino

    from litepose.export.openvino import compiled

    return compiled(openvino.Core().read_model(content))


def by_operator(content: bytes, images: np.ndarray) -> list[tuple[str, int, float]]:
    """Operator, how many of it, milliseconds a look; most first."""
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 3
    settings.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        settings.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(
            content, settings, providers=["CPUExecutionProvider"]
        )
        for _ in range(PROFILED):
            session.run(None, {"images": images})
        events = json.loads(Path(session.end_profiling()).read_text())
    took: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            took[event["args"]["op_name"]] += event["dur"]
            count[event["args"]["op_name"]] += 1
    return [(op, count[op] // PROFILED, took[op] / PROFILED / 1e3) for op, _ in took.most_common()]


def one_model(name: str, repeats: int, keep: Path | None) -> dict[str, Any]:
    source = open_source(name)
    height, width = SIZES_HW.get(name, (source.info.input.size,) * 2)
    images = np.random.default_rng(0).standard_normal((1, 3, height, width)).astype(np.float32)
    run_eager = eager(source)
    calls: dict[str, dict[str, Any]] = {"PyTorch": {"PyTorch eager": lambda: run_eager(images)}}
    contents = {}
    for form, module in forms(source).items():
        kept = None if keep is None else keep / f"{name}_{form.replace(' ', '')}.onnx"
        if kept is not None and kept.is_file():
            contents[form] = kept.read_bytes()
        else:
            contents[form] = build_graph(source, module.eval()).SerializeToString()
            if kept is not None:
                kept.write_bytes(contents[form])
        runners = {"onnxruntime": runner_of(contents[form])}
        if find_spec("openvino") is not None:
            runners["OpenVINO"] = openvino_runner(contents[form])
        for runtime, run in runners.items():
            forms_of = calls.setdefault(runtime, {})
            forms_of[f"{runtime}, {form}"] = lambda run=run: run(images)
    took: dict[str, float] = {}
    for of_runtime in calls.values():  # one after the other: their waiting threads disturb others
        took |= medians_in_turns_ms(of_runtime, repeats)
    print(f"\n{name} at {width}x{height}, ms a look (median of {repeats}, forms in turns)")
    print("| | ms | times as fast as eager |\n|---|---|---|")
    for call, ms in took.items():
        print(f"| {call} | {ms:.1f} | {took['PyTorch eager'] / ms:.2f} |")
    profile = {form: by_operator(content, images) for form, content in contents.items()}
    for form, rows in profile.items():
        whole = sum(ms for _, _, ms in rows)
        print(f"\n{name}, {form}: onnxruntime by operator\n| operator | nodes | ms | % |")
        print("|---|---|---|---|")
        for op, nodes, ms in rows[:7]:
            print(f"| {op} | {nodes} | {ms:.2f} | {100 * ms / whole:.1f} |")
    return {"size": [width, height], "ms": took, "operators": profile}


def main() -> None:
    parser = argparse.ArgumentParser(description="What the graph's form costs.")
    parser.add_argument("--models", default="p,xs,s")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--keep", type=Path, help="folder for the graphs: written, or used again")
    options = parser.parse_args()
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
    models = {
        name: one_model(name, options.repeats, options.keep) for name in options.models.split(",")
    }
    machine = {"cores": os.cpu_count(), "python": platform.python_version()}
    print(json.dumps({"benchmark": "graph", "models": models, **machine}))


if __name__ == "__main__":
    main()
