"""Teacher heatmaps cached per image, used as dense distillation targets.

A teacher with flip test at several input sizes needs several forward passes. Its heatmaps are
computed once per image and cached. `training/pseudo_labels.py` writes one small file per image with
the merged heatmaps in 1/255.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.names import local_path
from litepose.core.read_text import check_regular
from litepose.core.skeleton import Skeleton
from litepose.data.datasets import PoseDataset, UnreadableImageError
from litepose.data.sample import Sample

SCALE = 255  # value of probability 1


class WithTeacherMaps:
    """A dataset whose samples carry `teacher_heatmaps`, one for each view."""

    def __init__(self, dataset: PoseDataset, views: Sequence[TeacherMaps]) -> None:
        self.dataset, self.views = dataset, views
        self.skeleton, self.records = dataset.skeleton, dataset.records

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        image_id = self.records[index].image_id
        teacher_heatmaps = tuple(view[image_id] for view in self.views)
        return replace(self.dataset[index], teacher_heatmaps=teacher_heatmaps)


class TeacherMaps:
    """The heatmaps in a folder, by image id.

    Raises LitePoseError where the folder is missing.
    """

    def __init__(self, folder: str | Path, skeleton: Skeleton) -> None:
        self.folder = local_path(folder)
        self.num_keypoints = skeleton.num_keypoints
        if not self.folder.is_dir():
            raise LitePoseError(
                f"no folder of teacher heatmaps at {self.folder};"
                " `litepose data pseudo-label` writes one"
            )

    def __getitem__(self, image_id: int) -> np.ndarray:
        """(h, w, K) uint8 over the whole image, in 1/255.

        Raises UnreadableImageError where the file is missing, damaged or of other keypoints.
        """
        path = teacher_map_path(self.folder, image_id)
        try:
            check_regular(path, "the answer")
            with np.load(path, allow_pickle=False) as stored:
                heat = stored["heat"]
        except Exception as exc:  # zip, header and decompression errors share no base class
            raise UnreadableImageError(f"cannot read teacher heatmaps from {path}: {exc}") from None
        if heat.dtype != np.uint8 or heat.ndim != 3 or heat.shape[2] != self.num_keypoints:
            raise UnreadableImageError(
                f"{path} holds {heat.dtype} {heat.shape}, not heatmaps of"
                f" {self.num_keypoints} keypoints"
            )
        return heat


def teacher_map_path(folder: Path, image_id: int) -> Path:
    return folder / f"{image_id}.npz"
