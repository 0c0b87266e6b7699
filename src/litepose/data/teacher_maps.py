"""Teacher heatmaps kept per image: dense targets for a network that learns.

Asking a trained model with its mirrored image and at several input sizes costs several passes;
asked once per image and kept, it costs the training nothing. `training/pseudo_labels.py` writes
them, one small file per image that holds the merged heatmaps in 1/255.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.skeleton import Skeleton
from litepose.data.datasets import PoseDataset, UnreadableImageError
from litepose.data.sample import Sample

SCALE = 255  # a probability of 1


class Answered:
    """A dataset whose samples carry the answers about them in `taught`, one for each view."""

    def __init__(self, dataset: PoseDataset, answers: Sequence[Answers]) -> None:
        self.dataset, self.answers = dataset, answers
        self.skeleton, self.records = dataset.skeleton, dataset.records

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        image_id = self.records[index].image_id
        taught = tuple(view[image_id] for view in self.answers)
        return replace(self.dataset[index], taught=taught)


class Answers:
    """The answers in a folder, by image id.

    Raises LitePoseError where the folder is missing or its answers are for another skeleton.
    """

    def __init__(self, folder: str | Path, skeleton: Skeleton) -> None:
        self.folder = Path(folder)
        self.num_keypoints = skeleton.num_keypoints
        if not self.folder.is_dir():
            raise LitePoseError(
                f"there is no folder of answers {self.folder}; `litepose data answers` writes one"
            )

    def __getitem__(self, image_id: int) -> np.ndarray:
        """(h, w, K) uint8 over the whole image, in 1/255.

        Raises UnreadableImageError where the file is missing, damaged or of other keypoints.
        """
        path = answer_path(self.folder, image_id)
        try:
            with np.load(path, allow_pickle=False) as stored:
                heat = stored["heat"]
        except Exception as wrong:  # zip, header and decompression errors share no base class
            raise UnreadableImageError(f"no answer can be read from {path}: {wrong}") from None
        if heat.dtype != np.uint8 or heat.ndim != 3 or heat.shape[2] != self.num_keypoints:
            raise UnreadableImageError(
                f"{path} holds {heat.dtype} {heat.shape}, not heatmaps of"
                f" {self.num_keypoints} keypoints"
            )
        return heat


def answer_path(folder: Path, image_id: int) -> Path:
    return folder / f"{image_id}.npz"
