"""What a search rests on: predicted latency, the cost of a supernet's step, evolution against luck.

    python benchmarks/search.py latency|step|evolution [--supernet FILE]

latency:   networks of a space, exported and timed, against the table of convolutions: mean error
step:      milliseconds of a supernet's step for each sampled network, over those of a plain step of
           its largest network
evolution: the front's area over cost after equal evaluations, of NSGA-II and of random search,
           five seeds each, in a supernet that is given
Last line: JSON.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from litepose.core.timing import median_ms, quiet_ms
from litepose.evaluation.conv_latency import LatencyTable
from litepose.models import zoo
from litepose.models.arch import Arch
from litepose.models.build import build_network
from litepose.models.space import Space
from litepose.models.supernet import Supernet
from litepose.models.zoo_archs import PM, XS
from litepose.search.candidate import time_whole

NETWORKS, EVALUATIONS, SEEDS = 6, 80, 5


def latency(options: argparse.Namespace) -> dict[str, Any]:
    from litepose.export.onnx import Source, write
    from litepose.inference.load import open_predictor

    folder = Path(tempfile.mkdtemp())
    rng = random.Random(1)
    rows = []
    for largest, name in ((XS, "xs"), (PM, "pm")):
        table = LatencyTable(folder / "table.json")
        space = Space(largest, widths=(1.0, 0.75, 0.5), fewer_blocks=1, kernels=(3, 5),
                      expansions=(3, 4), sizes=(256, 384))  # fmt: skip
        began = time.perf_counter()
        for _ in range(50):
            info = _info(name, space.arch(space.sample(rng)))
            table.milliseconds(info)
        built = time.perf_counter() - began
        print(f"{name}: 50 networks, {len(table)} convolutions in {built:.0f} s", flush=True)
        network = build_network(_info(name, space.largest)).eval()
        supernet = Supernet(network, _info(name, space.largest), space)
        table.fit(time_whole(supernet, table.threads))  # as the search does
        for _ in range(NETWORKS):
            info = _info(name, space.arch(space.sample(rng)))
            size = info.input.size
            path = folder / f"{len(rows)}.onnx"
            write(Source(build_network(info).eval(), info), path)
            run = open_predictor(str(path), backend="onnxruntime").backend.run
            image = np.zeros((1, 3, size, size), np.float32)
            whole = quiet_ms(partial(run, image), 30)
            predicted = table.milliseconds(info)
            rows.append({"network": name, "ms": whole, "predicted": predicted})
            print(f"{name} {size} px: {whole:.1f} ms, predicted {predicted:.1f}", flush=True)
    errors = [abs(row["predicted"] / row["ms"] - 1) for row in rows]
    print(f"mean error {statistics.mean(errors):.1%}, largest {max(errors):.1%}")
    return {"rows": rows, "mean_error": statistics.mean(errors)}


def _info(name: str, arch: Arch) -> Any:
    info = replace(zoo.find_model(name).info, arch=arch.to_dict())
    return info.with_input_size(arch.input_size)


def step(options: argparse.Namespace) -> dict[str, Any]:
    info = zoo.find_model("xs").info
    torch.manual_seed(0)
    network = build_network(info)
    space = Space(network.arch, kernels=(3, 5), expansions=(3, 4), fewer_blocks=2)
    supernet = Supernet(network, info, space).train()
    images = torch.randn(8, 3, 256, 256).to(memory_format=torch.channels_last)
    supernet.to(memory_format=torch.channels_last)
    rng = random.Random(0)
    archs = [
        None,
        space.arch(space.smallest_genes()),
        *(space.arch(space.sample(rng)) for _ in range(2)),
    ]

    def one(arch: Arch | None) -> Callable[[], None]:
        def run() -> None:
            maps = supernet(images, arch)
            sum(h.square().mean() for h in (*maps.heatmaps, maps.tags)).backward()
            supernet.zero_grad(set_to_none=True)

        return run

    times = [median_ms(one(arch), 5) for arch in archs]
    plain = [median_ms(one(None), 5)]
    ratio = statistics.mean(times) / plain[0]
    print(f"plain step of the largest {plain[0]:.0f} ms; sampled networks"
          f" {', '.join(f'{t:.0f}' for t in times)} ms; mean ratio {ratio:.2f}")  # fmt: skip
    return {"plain_ms": plain[0], "sampled_ms": times, "ratio": ratio}


def evolution(options: argparse.Namespace) -> dict[str, Any]:
    from litepose.search.config import read_search
    from litepose.search.evolution import search

    config = Path(__file__).resolve().parents[1] / "configs" / "tiny_search.toml"
    areas: dict[str, list[float]] = {"evolution": [], "random": []}
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(SEEDS):
            for sampler in areas:
                words = [f"supernet={options.supernet}", f"output={folder}/{sampler}-{seed}",
                         f"sampler={sampler}", f"seed={seed}", "data.images=60",
                         f"evaluations={options.evaluations}", "population=8"]  # fmt: skip
                search(read_search(config, words))
                seen = json.loads((Path(folder) / f"{sampler}-{seed}/front.json").read_text())
                areas[sampler].append(_area(_best_within(seen["evaluations"])))
                print(f"seed {seed} {sampler}: {areas[sampler][-1]:.2f}", flush=True)
    wins = sum(a > b for a, b in zip(areas["evolution"], areas["random"], strict=True))
    print(f"evolution has the larger area in {wins} of {SEEDS} seeds")
    return {"areas": areas, "wins": wins}


def _best_within(evaluations: list[dict[str, Any]]) -> list[tuple[float, float]]:
    """(cost, best AP at that cost or below) of all evaluations, cheapest first."""
    rows = sorted((one["cost"], one["ap"]) for one in evaluations)
    return [(cost, max(ap for _, ap in rows[: i + 1])) for i, (cost, _) in enumerate(rows)]


def _area(front: list[tuple[float, float]]) -> float:
    """Mean AP of the best network within a budget, over budgets from the smallest network's cost to
    the largest's, evenly in their logarithm: both are always in the front's evaluations."""
    grid = np.geomspace(front[0][0], front[-1][0], 200) * (1 + 1e-9)
    return float(np.mean([max(ap for cost, ap in front if cost <= x) for x in grid]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["latency", "step", "evolution"])
    parser.add_argument("--supernet", help="for evolution: of configs/tiny_supernet.toml")
    parser.add_argument("--evaluations", type=int, default=EVALUATIONS)
    options = parser.parse_args()
    if options.what == "evolution" and not options.supernet:
        parser.error("evolution needs --supernet")
    run = {"latency": latency, "step": step, "evolution": evolution}[options.what]
    print(json.dumps({"benchmark": f"search {options.what}", **run(options)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
