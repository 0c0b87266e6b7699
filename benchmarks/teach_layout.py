"""A network of the published layout that learns on a CPU: P's trunk and a new head.

    python -m benchmarks.teach_layout --data FOLDER:SPLIT [FOLDER:SPLIT ...] --output DIR
        [--teacher pm] [--crops 8000] [--steps 3000] [--targets labels|teacher|both]

The trunk (models/from_pyramid.py) stays as it is. So what it puts out is computed once for each
crop and kept in DIR/kept, with the teacher's heatmaps and positional tags, about a megabyte a crop.
Only the last block's projection and the head are trained, on what is kept, in a fifth of the time
of whole steps. Both parts go on where they were stopped, for each of the targets. At the end
DIR/litepose.safetensors is a model for every command: `litepose evaluate --model
DIR/litepose.safetensors --crops 0 ...`.

--targets: what the head learns from. `labels` and `teacher` alone show what either adds; `both`
takes whichever is hotter, with the teacher's peaks made as wide as those of the labels. The crops
that are kept serve all three.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.kept_crops import BATCH, SIZE, TAG_STEP, TOGETHER, Kept, labels_of
from litepose.core.maps import Maps
from litepose.core.progress import Progress
from litepose.core.skeleton import COCO17
from litepose.data.augment import AugmentSettings
from litepose.data.datasets import Mixture
from litepose.data.layouts import find_dataset
from litepose.data.loader import Loader, LoaderSettings
from litepose.models import zoo
from litepose.models.checkpoint import save_checkpoint
from litepose.models.from_pyramid import layout_info, with_trunk_of
from litepose.models.layers import add_position, fold_batch_norms, upsample
from litepose.models.litepose import COARSE, LitePose
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
from litepose.training.optimizer import average_weights, update_average
from litepose.training.targets import make_targets

CROPS = AugmentSettings(rotation=10, scale=(0.6, 1.5), shift=0.15, flip=0.5)
RATE, WEIGHT_DECAY, EMA = 3e-3, 0.02, 0.999
HEAT = 1000  # weight of a squared error of heatmaps beside the tags
FOREGROUND = 3  # a cell with a heat of 1 counts that much more at the start, in the end no more
WINDOW = 32  # cells of stride 4: the finer output, half of all work, learns there only


def main() -> None:
    parser = argparse.ArgumentParser(description="Teach a network of the published layout.")
    parser.add_argument("--data", nargs="+", required=True, metavar="FOLDER:SPLIT")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--trunk", default="litepose-p")
    parser.add_argument("--teacher", default="litepose-pm")
    parser.add_argument("--crops", type=int, default=8000)
    parser.add_argument("--steps", type=int, default=3000, help=f"of {BATCH * TOGETHER} crops")
    parser.add_argument("--targets", choices=list(LOSSES), default="labels")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    same_as_before(options.output / "options.json", vars(options))
    torch.manual_seed(0)

    trunk, info = zoo.load(options.trunk)
    assert isinstance(trunk, Pyramid)
    network = with_trunk_of(trunk).to(memory_format=torch.channels_last)
    parts = [name_and_split.rpartition(":")[::2] for name_and_split in options.data]
    data = Mixture(
        [(find_dataset(folder, split, target=COCO17), 1) for folder, split in parts],
        options.crops // TOGETHER * TOGETHER,
    )
    kept = Kept.opened(options.output / "kept", data.length, network.arch, network.num_keypoints)
    if kept.done < data.length:
        teacher, _ = zoo.load(options.teacher)
        keep(kept, Loader(data, CROPS, LoaderSettings(TOGETHER, SIZE)), network, teacher)
    info = layout_info(info, network.arch)
    info = replace(info, source=f"{info.source} Head taught by {options.teacher}.")
    state = options.output / f"state-{options.targets}.pt"
    teach(Student(network), kept, options.steps, state, LOSSES[options.targets])
    path = options.output / "litepose.safetensors"
    save_checkpoint(path, network.eval(), info)
    print(f"written: {path}")


def same_as_before(path: Path, options: dict[str, object]) -> None:
    """Keep the options that decide the crops; crops of others are refused."""
    now = {name: options[name] for name in ("data", "trunk", "teacher", "crops")}
    if path.exists() and (before := json.loads(path.read_text())) != now:
        names = ", ".join(f"--{name}" for name in now if before.get(name) != now[name])
        raise SystemExit(f"{path.parent} was begun with other {names}; name another --output")
    path.write_text(json.dumps(now))


Corner = tuple[int, int]  # y, x of a window, in cells of stride 4


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

    def forward(self, batch: dict[str, Tensor], corners: list[Corner]) -> tuple[Tensor, Tensor]:
        """Outputs at stride 4 of the crops and at stride 2 of a window of each."""
        f1, f2, f3, x = (batch[name].float() for name in ("f1", "f2", "f3", "f4"))
        images = normalized(windows(batch["image"], corners, 4), zoo.P_INFO.input)
        with torch.no_grad():
            hidden = F.relu6(self.last.depthwise(F.relu6(self.last.expand(x))))
            f0 = self.network[0].stem(images)
        f4 = x + self.last.project(hidden)
        steps = self.head.steps
        x1 = steps[1](steps[0](f4, f3), f2)
        x2 = steps[2](windows(x1, corners), windows(f1, corners))
        return self.head.coarse(x1, f1), self.head.fine(x2, f0)


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
        shift = (maps.tags - add_position(torch.zeros_like(maps.tags), COARSE)) / TAG_STEP
        rows = {f"f{i}": f for i, f in enumerate(features, 1)}
        rows |= {"image": batch.images, "heat": (maps.heatmaps[0] * 255).round()}
        rows |= {"valid": batch.valid_mask[:, None]}
        rows |= {"tag": shift.round().clamp(-127, 127).flatten(1, 2)}
        arrays = {name: value.permute(0, 2, 3, 1).numpy() for name, value in rows.items()}
        kept.put(
            kept.done, arrays | {"keypoints": labels_of(batch), "labeled": batch.labeled.numpy()}
        )
        bar.step(kept.done)
    bar.clear()


def teach(student: Student, kept: Kept, steps: int, state: Path, loss_of: LossOf) -> None:
    """Train, or go on with a training that was stopped; the averaged weights are left behind."""
    trained = student.trained
    optimizer = torch.optim.AdamW(trained.parameters(), RATE, weight_decay=WEIGHT_DECAY)
    average = average_weights(trained)
    begin = 0
    if state.exists():
        old = torch.load(state, weights_only=True)
        begin = old["step"]
        average.load_state_dict(old["average"])
        trained.load_state_dict(old["trained"])
        optimizer.load_state_dict(old["optimizer"])
    bar, saved = Progress(steps, "steps", done=begin), time.monotonic()
    for step, batch in zip(range(begin, steps), kept.batches(range(begin, steps)), strict=True):
        share = step / steps
        rate = RATE * min(1, (step + 1) / 100) * (0.5 + 0.5 * math.cos(math.pi * share))
        for group in optimizer.param_groups:
            group["lr"] = rate
        extra = FOREGROUND * max(0, 1 - share / 0.6)
        loss = loss_of(student, batch, extra)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(trained.parameters(), 5)
        optimizer.step()
        update_average(average, trained, EMA, step)
        bar.step(step + 1, f"loss {loss.item():.3f}")
        if time.monotonic() - saved > 60 or step + 1 == steps:
            saved = time.monotonic()
            torch.save(
                {"step": step + 1, "average": average.state_dict(), "trained": trained.state_dict(),
                 "optimizer": optimizer.state_dict()}, state,
            )  # fmt: skip
    bar.clear()
    trained.load_state_dict(average.module.state_dict())


def teacher_loss(student: Student, batch: dict[str, Tensor], extra: float) -> Tensor:
    heat = batch["heat"].float() / 255
    corners, k = hot_corners(heat), heat.shape[1]
    coarse, fine = student(batch, corners)
    loss = heatmap_mse(coarse[:, :k], heat, 1 + extra * heat).mean()
    finer = windows(upsample(heat), corners, 2)
    loss = loss + heatmap_mse(fine, finer, 1 + extra * finer).mean() / 2
    tags = batch["tag"].unflatten(1, (k, 2)) * TAG_STEP
    own = coarse[:, k:].unflatten(1, (k, 2))
    return HEAT * loss + teacher_tag_loss(own, tags, heat).mean() / 2


def label_loss(student: Student, batch: dict[str, Tensor], extra: float) -> Tensor:
    points, k = batch["keypoints"], batch["labeled"].shape[1]
    targets = make_targets(points[..., :2], points[..., 2], (SIZE, SIZE), (4, 2))
    corners = hot_corners(targets.heatmaps[0])
    coarse, fine = student(batch, corners)
    tags = add_position(coarse[:, k:].unflatten(1, (k, 2)), COARSE)
    maps = Maps((coarse[:, :k], fine), (4, 2), tags, 4)
    weights = [
        cell_weights(batch["valid"][:, 0] > 0, batch["labeled"] > 0, (h.shape[2], h.shape[3]))
        for h in targets.heatmaps
    ]
    weights[1] = windows(weights[1], corners, 2)
    heatmaps = (targets.heatmaps[0], windows(targets.heatmaps[1], corners, 2))
    rule = LossRule(foreground=extra)
    return HEAT * pose_losses(maps, targets._replace(heatmaps=heatmaps), tuple(weights), rule).total


def loss_of_both(student: Student, batch: dict[str, Tensor], extra: float) -> Tensor:
    """Who is not labeled has the teacher's heat; whom it misses, that of the labels."""
    points, k, seen = batch["keypoints"], batch["labeled"].shape[1], batch["heat"].float() / 255
    targets = make_targets(points[..., :2], points[..., 2], (SIZE, SIZE), (4, 2))
    heat = torch.maximum(targets.heatmaps[0], widened(seen, LABEL_SIGMA))
    finer = torch.maximum(targets.heatmaps[1], widened(upsample(seen), LABEL_SIGMA, 2))
    corners = hot_corners(heat)
    coarse, fine = student(batch, corners)
    finer = windows(finer, corners, 2)
    tags = coarse[:, k:].unflatten(1, (k, 2))
    maps = Maps((coarse[:, :k], fine), (4, 2), add_position(tags, COARSE), 4)
    every = tuple(torch.ones_like(h) for h in (heat, finer))
    rule = LossRule(foreground=extra)
    loss = pose_losses(maps, targets._replace(heatmaps=(heat, finer)), every, rule).total
    taught = teacher_tag_loss(tags, batch["tag"].unflatten(1, (k, 2)) * TAG_STEP, seen)
    return HEAT * loss + taught.mean() / 2


LABEL_SIGMA, TEACHER_SIGMA = 2.0, 1.15  # cells of the labels' peaks, and of PM's at stride 4
LossOf = Callable[[Student, dict[str, Tensor], float], Tensor]
LOSSES: dict[str, LossOf] = {"both": loss_of_both, "labels": label_loss, "teacher": teacher_loss}


def widened(heat: Tensor, sigma: float, finer: int = 1) -> Tensor:
    """Peaks of TEACHER_SIGMA * finer cells made `sigma` wide, and as high as before."""
    narrow = TEACHER_SIGMA * finer
    if narrow >= sigma:
        return heat
    blur, reach = math.sqrt(sigma**2 - narrow**2), math.ceil(3 * sigma)
    along = torch.exp(-(torch.arange(-reach, reach + 1) ** 2) / (2 * blur**2))
    along = (along / along.sum()).expand(heat.shape[1], 1, 1, -1)
    wide = F.conv2d(heat, along, padding=(0, reach), groups=len(along))
    wide = F.conv2d(wide, along.transpose(2, 3), padding=(reach, 0), groups=len(along))
    return (wide * (sigma / narrow) ** 2).clamp(0, 1)


def hot_corners(heat: Tensor) -> list[Corner]:
    """A window for each (K, H, W), most likely about a keypoint."""
    side = 4
    hot = F.max_pool2d(heat.amax(dim=1, keepdim=True), side).flatten(1) ** 2
    at = torch.multinomial(hot + 1e-6, 1)[:, 0]
    place = torch.stack((at // (heat.shape[3] // side), at % (heat.shape[3] // side)), dim=1)
    corner = place * side - WINDOW // 2 + torch.randint(-side, 2 * side, place.shape)
    return [(y, x) for y, x in corner.clamp(0, heat.shape[2] - WINDOW).tolist()]


def windows(maps: Tensor, corners: list[Corner], finer: int = 1) -> Tensor:
    """The windows of maps with `finer` times the cells of stride 4."""
    side = finer * WINDOW
    cut = [
        one[:, finer * y : finer * y + side, finer * x : finer * x + side]
        for one, (y, x) in zip(maps, corners, strict=True)
    ]
    return torch.stack(cut).contiguous(memory_format=torch.channels_last)


if __name__ == "__main__":
    main()
