"""A network of the published layout that learns on a CPU: P's trunk, a new head, PM as teacher.

    python benchmarks/teach_layout.py --data FOLDER:SPLIT [FOLDER:SPLIT ...] --output DIR
        [--teacher pm] [--crops 8000] [--steps 3000] [--labels]

The trunk (models/from_pyramid.py) stays as it is. So what it puts out is computed once for each
crop and kept in DIR/kept, with the teacher's heatmaps and positional tags, about a megabyte a crop.
Only the last block's projection and the head are trained, on what is kept, in a fifth of the time
of whole steps. Both parts go on where they were stopped. At the end DIR/litepose.safetensors is a
model for every command: `litepose evaluate --model DIR/litepose.safetensors --crops 0 ...`.

--labels: by the labels alone and in as many steps, to see what the teacher adds; the crops of a
run with a teacher are taken if they are there
"""

from __future__ import annotations

import argparse
import math
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Queue

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from litepose.core.maps import Maps
from litepose.core.model_info import DecodeSettings
from litepose.core.progress import Progress
from litepose.core.skeleton import COCO17
from litepose.data.augment import AugmentSettings
from litepose.data.datasets import Mixture
from litepose.data.layouts import find_dataset
from litepose.data.loader import Loader, LoaderSettings
from litepose.data.sample import Batch
from litepose.models import zoo
from litepose.models.checkpoint import save_checkpoint
from litepose.models.from_pyramid import with_trunk_of
from litepose.models.layers import fold_batch_norms, upsample
from litepose.models.litepose import LitePose
from litepose.models.network import Network
from litepose.models.pyramid import Pyramid
from litepose.training.losses import (
    LossRule,
    cell_weights,
    heatmap_mse,
    pose_losses,
    teacher_tag_loss,
)
from litepose.training.objective import normalized
from litepose.training.targets import make_targets

SIZE = 256
TOGETHER = 16  # crops that are kept, and read again, one after the other
BATCH = 2  # times TOGETHER
CROPS = AugmentSettings(rotation=10, scale=(0.6, 1.5), shift=0.15, flip=0.5)
RATE, WEIGHT_DECAY, EMA = 3e-3, 0.02, 0.999
HEAT = 1000  # weight of a squared error of heatmaps beside the tags
FOREGROUND = 3  # a cell with a heat of 1 counts that much more at the start, in the end no more
FINE_EVERY = 4  # steps; the finer output costs as much as all the rest
LABELS = ("keypoints", "labeled")  # of what is kept, no maps
TAG_STEP = 1 / 16  # of the kept tags, in their unit of 32 input pixels


def main() -> None:
    parser = argparse.ArgumentParser(description="Teach a network of the published layout.")
    parser.add_argument("--data", nargs="+", required=True, metavar="FOLDER:SPLIT")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--trunk", default="litepose-p")
    parser.add_argument("--teacher", default="litepose-pm")
    parser.add_argument("--crops", type=int, default=8000)
    parser.add_argument("--steps", type=int, default=3000, help=f"of {BATCH * TOGETHER} crops")
    parser.add_argument("--labels", action="store_true", help="without the teacher")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)

    trunk, info = zoo.load(options.trunk)
    assert isinstance(trunk, Pyramid)
    network = with_trunk_of(trunk).to(memory_format=torch.channels_last)
    parts = [name_and_split.rpartition(":")[::2] for name_and_split in options.data]
    data = Mixture(
        [(find_dataset(folder, split, target=COCO17), 1) for folder, split in parts],
        options.crops // TOGETHER * TOGETHER,
    )
    kept = Kept.opened(options.output / "kept", data.length, network)
    if kept.done < data.length:
        teacher, _ = zoo.load(options.teacher)
        keep(kept, Loader(data, CROPS, LoaderSettings(TOGETHER, SIZE)), network, teacher)
    info = replace(
        info,
        name="litepose",
        input=replace(info.input, size=SIZE, views=()),
        strides=(4, 2),
        arch=network.arch.to_dict(),
        decode=DecodeSettings(heat_threshold=0.1, tag_threshold=1.4),
        source=f"Trunk of {info.name}; head taught by {options.teacher}. {info.source}",
    )
    teach(Student(network), kept, options.steps, options.output / "state.pt", options.labels)
    path = options.output / "litepose.safetensors"
    save_checkpoint(path, network.eval(), info)
    print(f"written: {path}")


class Student(nn.Module):
    """A network of whose layers only the last block's projection and the head learn."""

    def __init__(self, network: LitePose) -> None:
        super().__init__()
        self.network = [network]  # a list keeps its weights out of this module's
        self.last = network.stages[3][-1]
        self.head = network.head
        network.eval().requires_grad_(False)
        for part in (self.last.project, self.head):
            part.train().requires_grad_(True)
        self.trained = nn.ModuleList((self.last.project, self.head))
        nn.init.normal_(self.last.project.weight, std=0.01)

    @torch.no_grad()
    def trunk(self, images: Tensor) -> list[Tensor]:
        """Normalized images -> features of the four stages, the last without its last block."""
        (network,) = self.network
        x, found = network.stem(images), []
        for stage in network.stages[:3]:
            x = stage(x)
            found.append(x)
        return [*found, network.stages[3][:-1](x)]

    def forward(self, images: Tensor | None, features: list[Tensor]) -> tuple[Tensor, ...]:
        """Outputs at stride 4, and at stride 2 where the normalized images are given."""
        f1, f2, f3, x = features
        with torch.no_grad():
            hidden = F.relu6(self.last.depthwise(F.relu6(self.last.expand(x))))
        f4 = x + self.last.project(hidden)
        steps = self.head.steps
        x1 = steps[1](steps[0](f4, f3), f2)
        if images is None:
            return (self.head.coarse(x1, f1),)
        with torch.no_grad():
            f0 = self.network[0].stem(images)
        return self.head.coarse(x1, f1), self.head.fine(steps[2](x1, f1), f0)


@dataclass
class Kept:
    """Arrays in files, one row a crop, channels last: `image` uint8, `f1` to `f4` features, `heat`
    in 1/255, `tag` in steps of TAG_STEP from the cell's place; of the labels `keypoints` (P, K, 3),
    `valid` cells and which keypoints are `labeled` (K)."""

    folder: Path
    arrays: dict[str, np.ndarray]

    MOST_PEOPLE = 30  # with labels, of a crop

    @classmethod
    def opened(cls, folder: Path, crops: int, network: LitePose) -> Kept:
        """New files, or those that are there; of another number of crops they are refused."""
        f1, f2, f3, f4 = (stage.width for stage in network.arch.stages)
        k, cells = network.num_keypoints, SIZE // 4
        shapes = {
            "image": (np.uint8, SIZE, SIZE, 3),
            "f1": (np.float16, cells, cells, f1),
            "f2": (np.float16, cells // 2, cells // 2, f2),
            "f3": (np.float16, cells // 4, cells // 4, f3),
            "f4": (np.float16, cells // 4, cells // 4, f4),
            "heat": (np.uint8, cells, cells, k),
            "tag": (np.int8, cells, cells, 2 * k),
            "valid": (np.uint8, cells, cells, 1),
            "keypoints": (np.float32, cls.MOST_PEOPLE, k, 3),
            "labeled": (np.uint8, k),
        }
        folder.mkdir(exist_ok=True)
        arrays = {}
        for name, (kind, *shape) in shapes.items():
            path = folder / f"{name}.npy"
            if path.exists():
                arrays[name] = np.load(path, mmap_mode="r+")
                if len(arrays[name]) != crops:
                    raise SystemExit(f"{folder} has {len(arrays[name])} crops, not {crops}")
            else:
                whole = (crops, *shape)
                arrays[name] = np.lib.format.open_memmap(path, "w+", kind, whole)
        return cls(folder, arrays)

    @property
    def done(self) -> int:
        path = self.folder / "done"
        return int(path.read_text()) if path.exists() else 0

    def put(self, first: int, rows: dict[str, np.ndarray]) -> None:
        for name, values in rows.items():
            self.arrays[name][first : first + TOGETHER] = values
        (self.folder / "done").write_text(str(first + TOGETHER))

    def batches(self, steps: range) -> Iterator[dict[str, Tensor]]:
        """The batches of these steps, channels first, read ahead; every epoch in another order."""
        groups = self.done // TOGETHER
        waiting: Queue[dict[str, Tensor]] = Queue(4)

        def read() -> None:
            for step in steps:
                epoch, place = divmod(step * BATCH, groups - BATCH + 1)
                order = np.random.default_rng(epoch).permutation(groups)[place : place + BATCH]
                rows = np.concatenate([np.arange(TOGETHER) + g * TOGETHER for g in order])
                batch = {n: torch.from_numpy(a[rows]) for n, a in self.arrays.items()}
                waiting.put(
                    {n: t.permute(0, 3, 1, 2) if n not in LABELS else t for n, t in batch.items()}
                )

        threading.Thread(target=read, daemon=True).start()
        for _ in steps:
            yield waiting.get()


@torch.no_grad()
def keep(kept: Kept, loader: Loader, network: LitePose, teacher: Network) -> None:
    """What trunk and teacher say of the crops that are not there yet."""
    teacher = fold_batch_norms(teacher).to(memory_format=torch.channels_last)
    student, info = Student(network), zoo.P_INFO
    bar = Progress(len(kept.arrays["image"]), "crops", done=kept.done)
    for batch in loader.epoch(0, kept.done // TOGETHER):
        pixels = normalized(batch.images, info.input)
        maps = teacher(pixels)
        features = student.trunk(pixels)
        shift = (maps.tags - places(maps.tags.shape[-1])) / TAG_STEP
        rows = {f"f{i}": f for i, f in enumerate(features, 1)}
        rows |= {"image": batch.images, "heat": (maps.heatmaps[0] * 255).round()}
        rows |= {"valid": batch.valid_mask[:, None]}
        rows |= {"tag": shift.round().clamp(-127, 127).flatten(1, 2)}
        arrays = {name: value.permute(0, 2, 3, 1).numpy() for name, value in rows.items()}
        kept.put(kept.done, arrays | {"keypoints": labels(batch), "labeled": batch.labeled.numpy()})
        bar.step(kept.done)
    bar.clear()


def places(cells: int) -> Tensor:
    """(2, H, W) tags that are just the place of a cell of stride 4."""
    along = torch.arange(cells) * (4 / 32)
    return torch.stack((along.expand(cells, cells), along[:, None].expand(cells, cells)))


def labels(batch: Batch) -> np.ndarray:
    """(B, MOST_PEOPLE, K, 3) x, y, visibility."""
    both = torch.cat((batch.keypoints_xy, batch.visibility[..., None].float()), dim=-1)
    short = Kept.MOST_PEOPLE - both.shape[1]
    return F.pad(both, (0, 0, 0, 0, 0, max(short, 0)))[:, : Kept.MOST_PEOPLE].numpy()


def teach(student: Student, kept: Kept, steps: int, state: Path, by_labels: bool) -> None:
    """Train, or go on with a training that was stopped; the averaged weights are left behind."""
    trained = student.trained
    optimizer = torch.optim.AdamW(trained.parameters(), RATE, weight_decay=WEIGHT_DECAY)
    average = {name: value.clone() for name, value in trained.state_dict().items()}
    begin = 0
    if state.exists():
        old = torch.load(state, weights_only=True)
        begin, average = old["step"], old["average"]
        trained.load_state_dict(old["trained"])
        optimizer.load_state_dict(old["optimizer"])
    bar, saved = Progress(steps, "steps", done=begin), time.monotonic()
    for step, batch in zip(range(begin, steps), kept.batches(range(begin, steps)), strict=True):
        share = step / steps
        rate = RATE * min(1, (step + 1) / 100) * (0.5 + 0.5 * math.cos(math.pi * share))
        for group in optimizer.param_groups:
            group["lr"] = rate
        features = [batch[name].float() for name in ("f1", "f2", "f3", "f4")]
        images = batch["image"] if step % FINE_EVERY == 0 else None
        pixels = None if images is None else normalized(images, zoo.P_INFO.input)
        loss = (label_loss if by_labels else teacher_loss)(student(pixels, features), batch, share)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(trained.parameters(), 5)
        optimizer.step()
        for name, value in trained.state_dict().items():
            if value.is_floating_point():
                average[name].lerp_(value, 1 - min(EMA, (step + 1) / (step + 10)))
        bar.step(step + 1, f"loss {loss.item():.3f}")
        if time.monotonic() - saved > 60 or step + 1 == steps:
            saved = time.monotonic()
            torch.save(
                {"step": step + 1, "average": average, "trained": trained.state_dict(),
                 "optimizer": optimizer.state_dict()}, state,
            )  # fmt: skip
    bar.clear()
    trained.load_state_dict(average)


def teacher_loss(outputs: tuple[Tensor, ...], batch: dict[str, Tensor], share: float) -> Tensor:
    heat = batch["heat"].float() / 255
    k, extra = heat.shape[1], FOREGROUND * max(0, 1 - share / 0.6)
    loss = HEAT * heatmap_mse(outputs[0][:, :k], heat, 1 + extra * heat).mean()
    for fine in outputs[1:]:
        finer = upsample(heat)
        loss = loss + HEAT * heatmap_mse(fine, finer, 1 + extra * finer).mean()
    tags = batch["tag"].unflatten(1, (k, 2)) * TAG_STEP
    own = outputs[0][:, k:].unflatten(1, (k, 2))
    return loss + teacher_tag_loss(own, tags, heat).mean() / 2


def label_loss(outputs: tuple[Tensor, ...], batch: dict[str, Tensor], share: float) -> Tensor:
    k, points = batch["heat"].shape[1], batch["keypoints"]
    strides = (4, 2)[: len(outputs)]
    targets = make_targets(points[..., :2], points[..., 2], (SIZE, SIZE), strides)
    heatmaps = (outputs[0][:, :k], *outputs[1:])
    tags = outputs[0][:, k:].unflatten(1, (k, 2)) + places(SIZE // 4)
    weights = [
        cell_weights(batch["valid"][:, 0] > 0, batch["labeled"] > 0, (h.shape[2], h.shape[3]))
        for h in heatmaps
    ]
    rule = LossRule(foreground=FOREGROUND * max(0, 1 - share / 0.6))
    return HEAT * pose_losses(Maps(heatmaps, strides, tags, 4), targets, tuple(weights), rule).total


if __name__ == "__main__":
    main()
