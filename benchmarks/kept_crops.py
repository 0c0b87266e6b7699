"""Crops of training images in files, with what a trunk and a teacher say of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from litepose.data.sample import Batch
from litepose.models.arch import LitePoseArch

SIZE = 256  # of a crop, in pixels
TOGETHER = 16  # crops that are kept, and read again, one after the other
BATCH = 2  # times TOGETHER
LABELS = ("keypoints", "labeled")  # of what is kept, no maps
TAG_STEP = 1 / 16  # of the kept tags, in their unit of 32 input pixels


@dataclass
class Kept:
    """Arrays in files, one row a crop, channels last: `image` uint8, `f1` to `f4` features, `heat`
    in 1/255, `tag` in steps of TAG_STEP from the cell's place; of the labels `keypoints` (P, K, 3),
    `valid` cells and which keypoints are `labeled` (K)."""

    folder: Path
    arrays: dict[str, np.ndarray]

    MOST_PEOPLE = 30  # with labels, of a crop

    @classmethod
    def opened(cls, folder: Path, crops: int, arch: LitePoseArch, num_keypoints: int) -> Kept:
        """New files, or those that are there."""
        f1, f2, f3, f4 = (stage.width for stage in arch.stages)
        k, cells = num_keypoints, SIZE // 4
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


def labels_of(batch: Batch) -> np.ndarray:
    """(B, MOST_PEOPLE, K, 3) x, y, visibility."""
    both = torch.cat((batch.keypoints_xy, batch.visibility[..., None].float()), dim=-1)
    short = Kept.MOST_PEOPLE - both.shape[1]
    return F.pad(both, (0, 0, 0, 0, 0, max(short, 0)))[:, : Kept.MOST_PEOPLE].numpy()
