"""Match a dataset's keypoints with a model's; skip keypoints that the model lacks.

COCO, CrowdPose and LSP share most keypoints. Other data may share only a few with a model by
chance, and the AP of those few is meaningless.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from litepose.core.errors import LitePoseError
from litepose.core.skeleton import Skeleton
from litepose.data.datasets import CocoDataset
from litepose.data.layouts import find_dataset


@dataclass(frozen=True)
class SkippedKeypoints:
    """keypoints: labeled in the data and unknown to the model;  of_keypoints: how many the data
    labels;  people: those labeled with no other keypoints, who are left out"""

    keypoints: Sequence[str]
    of_keypoints: int
    people: int

    def __str__(self) -> str:
        names = ", ".join(self.keypoints)
        people = f", and {self.people} people labeled with none but those" if self.people else ""
        return (
            f"NOT EVALUATED: {len(self.keypoints)} of the {self.of_keypoints} keypoints that the"
            f" data labels, which the model lacks ({names}){people}"
        )


@dataclass(frozen=True)
class MissingKeypoints:
    """As SkippedKeypoints, with `people` of each image."""

    keypoints: Sequence[str]
    of_keypoints: int
    people: Sequence[int]

    def of(self, places: Iterable[int]) -> SkippedKeypoints:
        """Skipped keypoints of these images, by index in the dataset."""
        lost = sum(self.people[i] for i in places)
        return SkippedKeypoints(self.keypoints, self.of_keypoints, lost)


def open_for_evaluation(
    root: str | Path, split: str, model: str, skeleton: Skeleton
) -> tuple[CocoDataset, MissingKeypoints | None]:
    """The dataset of a folder in a model's skeleton, and the keypoints that the model lacks.

    Raises LitePoseError if the model knows less than half of the labeled keypoints.
    """
    own = find_dataset(root, split)
    if own.skeleton == skeleton:
        return own, None
    names = [name for name, ever in zip(own.skeleton.keypoints, own.labeled, strict=True) if ever]
    mapping = own.skeleton.mapping_from(skeleton)
    unknown = [name for name in names if mapping[own.skeleton.index(name)] < 0]
    if 2 * len(unknown) > len(names):
        raise LitePoseError(
            f"{root} split {split} labels {len(names)} keypoints, and {model} knows only"
            f" {len(names) - len(unknown)} of them (not {', '.join(unknown)}): an AP of those would"
            " say nothing. Name the model that was trained on such data with --model; or, where"
            " these are other names for the model's own, write its names into a skeleton.toml"
            " beside the data"
        )
    dataset = find_dataset(root, split, target=skeleton)
    if not unknown:
        return dataset, None
    lost = [len(a) - len(b) for a, b in zip(own.records, dataset.records, strict=True)]
    return dataset, MissingKeypoints(unknown, len(names), lost)
