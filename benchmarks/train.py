"""Training speed on this machine: ours against the straightforward way, in the same minutes.

Straightforward is what the official code does: contiguous tensors, heatmaps drawn by numpy one
person and keypoint at a time, pull and push in a loop over people. Network, images, augmentation,
optimizer and number of data workers are the same. Both ways take turns, so that a busy machine
slows both. Last line: JSON.

    python benchmarks/train.py                      # P (lower trunk frozen, as tuned) and XS
    python benchmarks/train.py --precision bf16     # on a CPU that computes bfloat16
    python benchmarks/train.py --models tiny --size 128 --rounds 5
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import NamedTuple

import numpy as np
import torch
from torch import nn

from litepose.core.maps import Maps
from litepose.data.sample import Batch
from litepose.training.config import TrainConfig
from litepose.training.config_file import config_from_dict
from litepose.training.distributed import Processes, open_processes
from litepose.training.objective import normalized
from litepose.training.run import Run
from litepose.training.trainer import Trainer

FREEZE = {"p": ["stem", "blocks.0-11"]}


class Turn(NamedTuple):
    """One turn of a way: images per second and the share of time spent waiting for data."""

    speed: float
    waiting: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", nargs="+", default=["p", "xs"])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=3, help="turns of each way")
    parser.add_argument("--steps", type=int, default=3, help="batches a turn")
    parser.add_argument("--data", default="", help="COCO folder; else drawn people")
    parser.add_argument("--compile", action="store_true", help="torch.compile for ours")
    parser.add_argument("--precision", default="fp32", help="of ours: fp32, bf16, fp16")
    options = parser.parse_args()
    table = []
    print(f"{'model':<8}{'ours':>8}{'plain':>8}{'ratio':>7}{'waiting':>9}   images/s, medians")
    with open_processes("auto") as group:
        for model in options.models:
            row = compare(model, options, group)
            table.append(row)
            print(
                f"{row['model']:<8}{row['ours']:>8.2f}{row['plain']:>8.2f}{row['ratio']:>7.2f}"
                f"{row['waiting']:>9.1%}   {row['order']}"
            )
    print(json.dumps({"benchmark": "train", "device": str(group.device), "rows": table}))


def compare(model: str, options: argparse.Namespace, group: Processes) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        config = make_config(model, options, folder)
        run = Run(config, group)
        run.open_folder(resume=False)
        ours = take_turns(our_way(run), options)
        plain = take_turns(plain_way(Run(config, group)), options)
        turns = [(next(ours), next(plain)) for _ in range(options.rounds)]
    fast, slow = median(o.speed for o, _ in turns), median(p.speed for _, p in turns)
    return {
        "model": model,
        "size": options.size,
        "batch": options.batch,
        "ours": round(fast, 3),
        "plain": round(slow, 3),
        "ratio": round(median(o.speed / p.speed for o, p in turns), 3),
        "waiting": round(median(o.waiting for o, _ in turns), 4),
        "order": "channels_last" if run.channels_last else "contiguous",
        "compiled": options.compile,
        "precision": options.precision,
    }


def make_config(model: str, options: argparse.Namespace, folder: str) -> TrainConfig:
    drawn = {"synthetic": 8 * options.batch, "seed": 1}
    return config_from_dict(
        {
            "name": "benchmark",
            "output": folder,
            "epochs": 1000,
            "phases": [{"size": options.size, "batch_size": options.batch}],
            "model": {"name": model, "freeze": FREEZE.get(model, [])},
            "data": {
                "root": options.data,
                "train": [{"split": "train2017"} if options.data else drawn],
                "val": {"synthetic": 4, "seed": 2},
                "workers": 1,
            },
            "run": {"compile": options.compile, "precision": options.precision},
        }
    )


Way = tuple[Iterator, Callable]


def take_turns(way: Way, options: argparse.Namespace) -> Iterator[Turn]:
    """Each `next` trains `steps` batches; the first step, which warms up, is not counted."""
    batches, step = way
    step(next(batches))
    while True:
        began, waited = time.perf_counter(), 0.0
        for _ in range(options.steps):
            mark = time.perf_counter()
            batch = next(batches)
            waited += time.perf_counter() - mark
            step(batch)
        took = time.perf_counter() - began
        yield Turn(options.steps * options.batch / took, waited / took)


def our_way(run: Run) -> Way:
    """The trainer's own step, on its own loader."""
    trainer = Trainer(run, reporter=None, signals=None, deadline=None)  # type: ignore[arg-type]
    run.model.train()
    return endless(run), lambda batch: trainer.step(batch, 10**9)


def plain_way(run: Run) -> Way:
    """Contiguous, numpy targets made by the data worker, loops over people."""
    run.model.train()
    strides, k = run.info.strides, run.info.skeleton.num_keypoints

    def with_targets() -> Iterator[tuple[Batch, list[torch.Tensor]]]:
        batches = endless(run)

        def produce() -> tuple[Batch, list[torch.Tensor]]:
            batch = next(batches)
            return batch, [torch.from_numpy(numpy_heatmaps(batch, s)) for s in strides]

        with ThreadPoolExecutor(1) as pool:
            coming = pool.submit(produce)
            while True:
                ready, coming = coming.result(), pool.submit(produce)
                yield ready

    def step(ready: tuple[Batch, list[torch.Tensor]]) -> None:
        batch, targets = ready
        images = normalized(batch.images.contiguous(), run.info.input).to(run.group.device)
        maps: Maps = run.model(images)
        loss = sum(
            ((heat - target.to(heat.device)) ** 2).mean()
            for heat, target in zip(maps.heatmaps, targets, strict=True)
        )
        loss = loss + 1e-3 * loop_tag_loss(maps, batch, k)
        loss.backward()
        nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
        run.optimizer.step()
        run.optimizer.zero_grad()
        if run.average is not None:
            run.average.update_parameters(run.model)

    return with_targets(), step


def endless(run: Run) -> Iterator[Batch]:
    epoch = 0
    while True:
        yield from run.training_loader(epoch).epoch(epoch)
        epoch += 1


def numpy_heatmaps(batch: Batch, stride: int, sigma: float = 2.0) -> np.ndarray:
    """(B, K, H, W), a Gaussian patch at a time."""
    points, seen = batch.keypoints_xy.numpy() / stride, batch.visibility.numpy()
    b, people, k = seen.shape
    height, width = (side // stride for side in batch.images.shape[-2:])
    heat = np.zeros((b, k, height, width), np.float32)
    reach = int(3 * sigma + 1)
    around = np.arange(-reach, reach + 1)
    bell = np.exp(-(around[:, None] ** 2 + around**2) / (2 * sigma**2))
    for i in range(b):
        for person in range(people):
            for j in range(k):
                x, y = points[i, person, j].astype(int)
                if not seen[i, person, j] or not (0 <= x < width and 0 <= y < height):
                    continue
                left, right = max(0, x - reach), min(width, x + reach + 1)
                top, bottom = max(0, y - reach), min(height, y + reach + 1)
                patch = bell[
                    top - y + reach : bottom - y + reach, left - x + reach : right - x + reach
                ]
                part = heat[i, j, top:bottom, left:right]
                np.maximum(part, patch, out=part)
    return heat


def loop_tag_loss(maps: Maps, batch: Batch, num_keypoints: int) -> torch.Tensor:
    """Pull and push, one person after the other."""
    stride, total = maps.tag_stride, maps.tags.new_zeros(())
    for i in range(len(batch.image_ids)):
        middles, pull = [], maps.tags.new_zeros(())
        for person in range(batch.visibility.shape[1]):
            own = []
            for j in range(num_keypoints):
                x, y = (batch.keypoints_xy[i, person, j] / stride).long().tolist()
                if batch.visibility[i, person, j]:
                    own.append(maps.tags[i, j, :, y, x])
            if own:
                tags = torch.stack(own)
                middles.append(tags.mean(dim=0))
                pull = pull + ((tags - middles[-1]) ** 2).sum(dim=1).mean()
        if middles:
            total = total + pull / len(middles)
        if len(middles) > 1:
            means = torch.stack(middles)
            apart = torch.exp(-((means[:, None] - means) ** 2).sum(dim=-1))
            total = total + 0.5 * (apart.sum() - len(means)) / (len(means) * (len(means) - 1))
    return total / len(batch.image_ids)


if __name__ == "__main__":
    main()
