"""Latency of a model: per stage, per backend, per number of people.

All that is compared is timed in turns within one run, because the speed of a
shared machine varies; every figure is a median (p50) with a 95th percentile beside it. The
network runs on a real image, the decoder gets synthetic maps of a chosen number of people: random
weights can be timed and crowds compared. The reference path is the official way: PyTorch eager,
nothing folded, and the official decoding.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np

from litepose.apps.bench.crowd_maps import crowd_maps
from litepose.core.geometry import Letterbox
from litepose.core.maps import Maps
from litepose.core.model_info import ModelInfo
from litepose.decode.merge import ForwardPass, unflip
from litepose.decode.reference import decode_reference
from litepose.evaluation.cost import Latency, summarize
from litepose.imaging.preprocess import to_input
from litepose.inference.backend import Backend
from litepose.inference.inspection import forward_passes
from litepose.inference.predictor import Predictor
from litepose.inference.results import PredictOptions, Timings

REFERENCE = "reference"


@dataclass(frozen=True)
class BenchRow:
    """One way (a backend, or "reference") at one crowd; `found` people came out of the maps."""

    model: str
    way: str
    input_wh: tuple[int, int]
    people: int
    flip_test: bool
    found: int
    latency: Latency


@dataclass(frozen=True)
class BenchPlan:
    """image: (H, W, 3) uint8 to predict; people: crowds to decode; runs of each way at each crowd,
    in so many rounds; reference_runs: of the slow way, 0 leaves it out; flip: compare with the flip
    test too, at the middle crowd."""

    image: np.ndarray
    people: Sequence[int] = (1, 10, 30)
    runs: int = 30
    rounds: int = 5
    reference_runs: int = 3
    flip: bool = True


class _Staged:
    """A backend that runs its network and then returns synthetic maps."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.name, self.info, self.threads = backend.name, backend.info, backend.threads
        self.file, self.fixed_wh = backend.file, backend.fixed_wh
        self._synthetic: Iterator[Maps] = iter(())

    def replace_output(self, maps: Maps, flip_test: bool) -> None:
        """Return these maps from now on, mirrored in every second forward pass if wanted."""
        mirrored = unflip(maps, self.info.skeleton, self.info.tag_kind)
        mirrored = mirrored._replace(
            heatmaps=tuple(map(np.ascontiguousarray, mirrored.heatmaps)),
            tags=np.ascontiguousarray(mirrored.tags),
        )
        self._synthetic = cycle((maps, mirrored) if flip_test else (maps,))

    def run(self, images: np.ndarray) -> Maps:
        maps = self._backend.run(images)
        return next(self._synthetic, maps)

    def clone_for(self, workers: int) -> Backend:
        return self._backend.clone_for(workers)


def bench_model(
    ways: Mapping[str, Predictor],
    network: Any,
    plan: BenchPlan,
    tell: Callable[[str], None] = lambda _: None,
) -> list[BenchRow]:
    """Time one model in all its ways, in turns.

    ways: name -> Predictor of the same model and input size; network: the same in PyTorch, for the
    reference path, or None
    """
    staged = {name: _Staged(predictor.backend) for name, predictor in ways.items()}
    first = next(iter(ways.values()))
    size = None if first.backend.fixed_wh else first.info.input.size
    predictors = {name: Predictor(backend, input_size=size) for name, backend in staged.items()}
    box = forward_passes(first, plan.image)[0].box
    crowds = {n: crowd_maps(first.info, box.input_wh, n, seed=n) for n in plan.people}
    middle = sorted(plan.people)[len(plan.people) // 2]
    cases = [(n, False) for n in plan.people] + [(middle, True)] * plan.flip
    times: dict[tuple[str, int, bool], list[Timings]] = {}
    found: dict[tuple[str, int, bool], int] = {}
    per_round = -(-plan.runs // plan.rounds)
    for turn in range(plan.rounds):
        for name, predictor in predictors.items():
            tell(f"{first.info.name}, {name}, round {turn + 1} of {plan.rounds}")
            for people, flip in cases:
                staged[name].replace_output(crowds[people], flip)
                options = PredictOptions(flip_test=flip)
                for run in range(per_round + 1):
                    poses, _, took, _ = predictor.inspect(plan.image, options)
                    if run:  # the first meets cold caches and the last way's threads
                        times.setdefault((name, people, flip), []).append(took)
                found[name, people, flip] = len(poses)
        if network is not None and turn < plan.reference_runs:
            tell(f"{first.info.name}, {REFERENCE}, round {turn + 1} of {plan.rounds}")
            reference_timed(network, first.info, plan.image, crowds[middle], box, False)  # warms up
            for people, flip in cases:
                poses, took = reference_timed(
                    network, first.info, plan.image, crowds[people], box, flip
                )
                times.setdefault((REFERENCE, people, flip), []).append(took)
                found[REFERENCE, people, flip] = len(poses)
    return [
        BenchRow(first.info.name, way, box.input_wh, n, flip, found[way, n, flip], summarize(took))
        for (way, n, flip), took in times.items()
    ]


def reference_timed(
    network: Any, info: ModelInfo, image: np.ndarray, maps: Maps, box: Letterbox, flip_test: bool
) -> tuple[Any, Timings]:
    """People and seconds of the official way; `maps` are decoded instead of the network's own."""
    import torch

    start = time.perf_counter()
    batch = np.empty((1, 3, *box.input_wh[::-1]), np.float32)
    to_input(image, box, info.input.mean, info.input.std, batch[0])
    pre = time.perf_counter()
    passes = []
    with torch.no_grad():
        network(torch.from_numpy(batch))
        passes.append(ForwardPass(maps, box))
        if flip_test:
            network(torch.from_numpy(np.ascontiguousarray(batch[..., ::-1])))
            passes.append(ForwardPass(maps, box))
    net = time.perf_counter()
    poses = decode_reference(passes, info)
    end = time.perf_counter()
    return poses, Timings(0.0, pre - start, net - pre, end - net)
