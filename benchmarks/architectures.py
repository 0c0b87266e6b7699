"""The paper's comparisons, on the data at hand: table, JSON and plot.

    python benchmarks/architectures.py kernels|shrink|distill [--epochs 4] [--images 1000]
        [--output DIR] [--data FOLDER --split train2017 --val val2017] [--size 128]
        [--teacher MODEL] [--threads 0]

kernels: one pyramid network with kernels of 3, 5, 7 and 9 in its blocks (paper, table 2)
shrink:  a narrow HigherHRNet whose finest branches are taken away one by one, until a single branch
         is left (paper, figure 3)
distill: the smallest of these networks by labels alone, and by labels and a teacher's heatmaps
         (the paper distills likewise); --teacher is any model of the same keypoints

Each is trained from random weights with the same seed and budget. Without --data, on drawn people.
AP is that of the validation images; MACs and the latency of the runtime are those of a square of
the input size. Small budgets rank architectures by how soon they learn, as every such table does.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from litepose.core.model_info import ModelInfo
from litepose.core.skeleton import COCO17
from litepose.evaluation.conv_latency import LatencyTable
from litepose.evaluation.cost import network_cost
from litepose.models import zoo
from litepose.models.higherhrnet_arch import HigherHRNetArch, higherhrnet_info
from litepose.models.zoo_archs import TINY

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "tiny.toml"


def kernels() -> dict[str, ModelInfo]:
    info = zoo.find_model("tiny").info
    found = {}
    for kernel in (3, 5, 7, 9):
        stages = tuple(replace(stage, kernel=kernel) for stage in TINY.stages)
        arch = replace(TINY, stages=stages)
        found[f"{kernel}x{kernel}"] = replace(info, arch=arch.to_dict())
    return found


def shrink() -> dict[str, ModelInfo]:
    found = {}
    steps = {"all branches": (0, 0, 0), "without stride 4": (1, 1, 1), "without 4, 8": (1, 2, 2),
             "single branch": (1, 2, 3)}  # fmt: skip
    for name, finest in steps.items():
        arch = HigherHRNetArch(input_size=128, width=8, modules=(1, 2, 1), finest=finest)
        info = higherhrnet_info(arch, COCO17)
        found[name] = replace(info, tag_kind="positional")
    return found


def distill(teacher: str) -> dict[str, tuple[ModelInfo, list[str]]]:
    info = zoo.find_model("tiny").info
    stages = tuple(replace(stage, width=stage.width // 2) for stage in TINY.stages)
    info = replace(info, arch=replace(TINY, stages=stages).to_dict())
    taught = [f"teacher.model={teacher}", "loss.dense_weight=1", "teacher.ignore_above=0.2"]
    return {"labels": (info, []), "labels and teacher": (info, taught)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("experiment", choices=["kernels", "shrink", "distill"])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--images", type=int, default=1000, help="drawn images")
    parser.add_argument("--data", help="dataset folder in place of drawn people")
    parser.add_argument("--split", default="train2017")
    parser.add_argument("--val", default="val2017")
    parser.add_argument("--output", type=Path)
    parser.add_argument("--size", type=int, default=128, help="input size in pixels")
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    parser.add_argument("--teacher", help="for distill: a name or a checkpoint")
    options = parser.parse_args()
    if (options.experiment == "distill") != (options.teacher is not None):
        parser.error("distill needs --teacher, the others take none")
    output = options.output or Path("out") / options.experiment
    output.mkdir(parents=True, exist_ok=True)
    table = LatencyTable()
    rows = []
    if options.experiment == "distill":
        networks = distill(options.teacher)
    else:
        found = {"kernels": kernels, "shrink": shrink}[options.experiment]()
        networks = {name: (info, []) for name, info in found.items()}
    for name, (info, more) in networks.items():
        info = info.with_input_size(options.size)
        ap, ap50 = train(info, output / name.replace(" ", "-"), options, more)
        cost = network_cost(info)
        rows.append({"name": name, "ap": ap, "ap50": ap50, "gmacs": cost.macs / 1e9,
                     "params": cost.params, "ms": table.milliseconds(info)})  # fmt: skip
        print(f"{name:18} AP {ap:5.1f} AP50 {ap50:5.1f} {rows[-1]['gmacs']:.4f} GMACs"
              f" {rows[-1]['ms']:.2f} ms", flush=True)  # fmt: skip
    (output / "table.json").write_text(json.dumps(rows, indent=1))
    draw(rows, output / "table.png")
    print(json.dumps({"benchmark": options.experiment, "rows": rows}))
    return 0


def train(
    info: ModelInfo, folder: Path, options: argparse.Namespace, more: list[str]
) -> tuple[float, float]:
    """AP and AP50 after training from random weights, with `more` words of configuration."""
    import torch

    from litepose.models.build import build_network
    from litepose.models.checkpoint import save_checkpoint

    done = folder / "run" / "best.safetensors"
    if not done.exists():
        torch.manual_seed(0)
        folder.mkdir(parents=True, exist_ok=True)
        save_checkpoint(folder / "start.safetensors", build_network(info), info)
        words = ["model.name=", f"model.init={folder / 'start.safetensors'}",
                 f"output={folder / 'run'}", f"epochs={options.epochs}", f"name={info.name}",
                 f"data.train.0.synthetic={options.images}",
                 f"run.evaluate_every={options.epochs}", f"run.threads={options.threads}",
                 f"phases.0.size={options.size}", *more]  # fmt: skip
        if info.arch and info.arch["family"] == "higherhrnet":  # its heatmaps are linear
            words += ["loss.heatmap=mse", "loss.foreground=10", "loss.pull_weight=0.01",
                      "loss.push_weight=0.01", "model.heat_threshold=0.2"]  # fmt: skip
        if options.data:
            words += [f"data.root={options.data}", f"data.train=[{{split='{options.split}'}}]",
                      f"data.val={{split='{options.val}'}}"]  # fmt: skip
        command = [sys.executable, "-m", "litepose", "train", str(CONFIG), *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    last = json.loads((folder / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    return last["intervals"]["ap"]["value"], last["intervals"]["ap50"]["value"]


def draw(rows: list[dict], path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (key, unit, label) in zip(
        figure.subplots(1, 2), (("gmacs", 1e3, "million MACs"), ("ms", 1, "ms")), strict=True
    ):
        axes.plot([unit * r[key] for r in rows], [r["ap50"] for r in rows], "o-", color="#1d4ed8")
        for row in rows:
            axes.annotate(row["name"], (unit * row[key], row["ap50"]), textcoords="offset points",
                          xytext=(6, -11), fontsize=8)  # fmt: skip
        axes.set(xlabel=label, ylabel="AP50")
        axes.margins(0.18)
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    sys.exit(main())
