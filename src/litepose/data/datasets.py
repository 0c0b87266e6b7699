"""Annotated images as samples: COCO-form files, selections of them and mixtures.

Source: COCO keypoints, CrowdPose and LSP in COCO's JSON form. Every dataset is mapped to one
`target` skeleton by keypoint names, and `labeled` tells which keypoints it never labels, so several
datasets can train one network. Crowds and people without labels are left out by the valid mask.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Protocol

import numpy as np

from litepose.core.console import plain
from litepose.core.errors import LitePoseError
from litepose.core.names import local_path
from litepose.core.skeleton import Skeleton
from litepose.data.coco import Record, Region, read_records
from litepose.data.image_files import find_image, with_sizes
from litepose.data.masks import region_mask
from litepose.data.sample import Sample
from litepose.data.skeleton_toml import load_skeleton
from litepose.imaging.read import read_image


class UnreadableImageError(LitePoseError):
    """One image or its mask is missing, damaged or of another size; others may be fine."""


class PoseDataset(Protocol):
    """Interface of a dataset for the loader, packing and evaluation."""

    @property
    def skeleton(self) -> Skeleton: ...
    @property
    def records(self) -> Sequence[Record]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Sample: ...


class CocoDataset:
    """Images of one annotation file.

    skeleton: meaning of its keypoints: a Skeleton, a TOML file, or None to read it from the file
    target:   skeleton of the samples, mapped by keypoint names; None keeps the file's own
    people_only: leave out images without annotated people, as the official training does

    `records` are the annotations without pixels, `labeled` (K,) is False for keypoints that this
    file never labels. `dataset[i]` reads an image or raises UnreadableImageError.
    Raises LitePoseError if files are missing or damaged.
    """

    skeleton: Skeleton
    records: Sequence[Record]

    def __init__(
        self,
        annotation_json: str | Path,
        image_folder: str | Path,
        skeleton: Skeleton | str | Path | None = None,
        target: Skeleton | None = None,
        people_only: bool = False,
    ) -> None:
        self.annotation_json = local_path(annotation_json)
        self.image_folder = local_path(image_folder)
        self._real_folder = self.image_folder.resolve()
        if not self.image_folder.is_dir():
            raise LitePoseError(f"there is no image folder {self.image_folder}")
        given = load_skeleton(skeleton) if isinstance(skeleton, str | Path) else skeleton
        folder = self.image_folder
        own, records = read_records(
            self.annotation_json, given, lambda images: with_sizes(images, folder, check_inside)
        )
        for record in records:
            check_inside(record.file_name)
        self.skeleton = target or own
        mapping = mapping_between(own, self.skeleton, self.annotation_json)
        ever = np.zeros(own.num_keypoints, bool)
        for record in records:
            ever |= (record.visibility > 0).any(axis=0)
        self.labeled = (mapping >= 0) & ever[mapping]
        if not np.array_equal(mapping, np.arange(own.num_keypoints)):
            records = [map_record(record, mapping) for record in records]
        if people_only:
            records = [record for record in records if len(record)]
        self.records = records

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:
        record = self.records[index]
        return Sample(
            image=self._read(index),
            keypoints_xy=record.keypoints_xy,
            visibility=record.visibility,
            areas=record.areas,
            valid_mask=valid_mask(record),
            labeled=self.labeled,
            image_id=record.image_id,
            people_complete=record.people_complete,
        )

    def select(self, indices: Sequence[int]) -> CocoDataset:
        """The same dataset with only these images, in this order."""
        chosen = object.__new__(CocoDataset)
        chosen.__dict__ = {**self.__dict__, "records": [self.records[i] for i in indices]}
        return chosen

    def incomplete(self) -> CocoDataset:
        """The same dataset, but its images may contain unlabeled people (as in LSP)."""
        changed = self.select(range(len(self)))
        changed.records = [replace(r, people_complete=False) for r in self.records]
        return changed

    def image_path(self, index: int) -> Path:
        """Path of an image.

        Raises UnreadableImageError where a link leads out of the folder, and for a name that no
        file can have.
        """
        path = self.image_folder / self.records[index].file_name
        try:
            path = find_image(self.image_folder, self.records[index].file_name)
            inside = path.resolve().is_relative_to(self._real_folder)
        except (OSError, ValueError, RuntimeError) as exc:  # too long, invalid text, circular links
            name = plain(self.records[index].file_name, 200)
            reason = exc.strerror if isinstance(exc, OSError) else exc
            raise UnreadableImageError(f"cannot read {name}: {reason}") from None
        if not inside:
            raise UnreadableImageError(
                f"the image {path} leads out of its folder by a link; copy it into the folder"
            )
        return path

    def _read(self, index: int) -> np.ndarray:
        path = self.image_path(index)
        try:
            image = read_image(path)
        except LitePoseError as exc:
            raise UnreadableImageError(str(exc)) from None
        height, width = image.shape[:2]
        if (width, height) != self.records[index].image_wh:
            w, h = self.records[index].image_wh
            raise UnreadableImageError(
                f"{path} is {width}x{height}, its annotations say {w}x{h};"
                " the keypoints would not fit"
            )
        return image


class Mixture:
    """Several datasets of one skeleton as one, each with a share of an epoch.

    Shares are relative: `[(coco, 3), (lsp, 1)]` draws three COCO images for one of LSP. An epoch
    has `length` images (None: as many as all datasets together), chosen by `draw`.
    """

    def __init__(
        self, parts: Sequence[tuple[PoseDataset, float]], length: int | None = None
    ) -> None:
        if not parts or any(share <= 0 for _, share in parts):
            raise LitePoseError("a mixture needs at least one dataset, each with a share above 0")
        self.datasets = [dataset for dataset, _ in parts]
        self.skeleton = self.datasets[0].skeleton
        for dataset in self.datasets:
            if dataset.skeleton != self.skeleton:
                raise LitePoseError(
                    f"the datasets of a mixture need one skeleton; got {self.skeleton.name} and"
                    f" {dataset.skeleton.name}: give each the same target"
                )
            if not len(dataset):
                raise LitePoseError("a dataset of the mixture has no images")
        shares = np.array([share for _, share in parts], float)
        self.starts = np.cumsum([0, *(len(dataset) for dataset in self.datasets)])
        self.length = length or int(self.starts[-1])
        # Cumulative rounding keeps each part within one image of its share.
        self.counts = np.diff(np.round(np.cumsum([0, *shares]) / shares.sum() * self.length))
        self.records = [record for dataset in self.datasets for record in dataset.records]

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, index: int) -> Sample:
        part, at = self.find(index)
        return self.datasets[part][at]

    def find(self, index: int) -> tuple[int, int]:
        """The dataset with an image, and its index there."""
        part = int(np.searchsorted(self.starts, index, side="right")) - 1
        return part, index - int(self.starts[part])

    def draw(self, seed: int, epoch: int) -> np.ndarray:
        """(length,) indices of one epoch. A part uses all its images before it repeats one."""
        rng = np.random.default_rng((seed, epoch))
        drawn = []
        for start, dataset, count in zip(self.starts, self.datasets, self.counts, strict=False):
            rounds = -(-int(count) // len(dataset))
            order = [rng.permutation(len(dataset)) for _ in range(rounds)]
            drawn.append(start + np.concatenate([np.zeros(0, int), *order])[: int(count)])
        return rng.permutation(np.concatenate(drawn))


def check_inside(file_name: str) -> None:
    """Raise LitePoseError for a file name that leads out of the image folder."""
    posix, windows = PurePosixPath(file_name), PureWindowsPath(file_name)
    leaves = ".." in posix.parts or ".." in windows.parts
    if not file_name or leaves or posix.is_absolute() or windows.anchor or "\0" in file_name:
        raise LitePoseError(
            f"the annotations name an image outside their folder: {file_name!r};"
            " names must be relative and without '..'"
        )


def valid_mask(record: Record) -> np.ndarray:
    """(H, W) bool: False over crowds and people without a labeled keypoint.

    Raises UnreadableImageError where a segmentation is damaged.
    """
    width, height = record.image_wh
    mask = np.ones((height, width), bool)
    for region in record.ignored:
        try:
            mask &= ~region_mask(region.segmentation, region.box_xywh, record.image_wh)
        except LitePoseError as exc:
            raise UnreadableImageError(
                f"image {record.image_id}, annotation {region.annotation_id}: {exc}"
            ) from None
    return mask


def mapping_between(own: Skeleton, target: Skeleton, origin: Path) -> np.ndarray:
    """`target.mapping_from(own)`. origin: where `own` is from, for the message.

    Raises LitePoseError if they share no name.
    """
    mapping = target.mapping_from(own)
    if (mapping < 0).all():
        raise LitePoseError(
            f"{origin} ({own.name}: {', '.join(own.keypoints)}) shares no keypoint name with"
            f" {target.name}; give a skeleton with the same names"
        )
    return mapping


def map_record(record: Record, mapping: np.ndarray) -> Record:
    """Map a record to another skeleton; people who lose all labels become ignored regions."""
    known = mapping >= 0
    visibility = np.where(known, record.visibility[:, mapping], 0).astype(np.uint8)
    seen = np.asarray(visibility.any(axis=1))
    lost = tuple(
        Region(int(i), (float(b[0]), float(b[1]), float(b[2]), float(b[3])), float(a), None, False)
        for i, b, a in zip(
            record.annotation_ids[~seen],
            record.boxes_xywh[~seen],
            record.areas[~seen],
            strict=True,
        )
    )
    mapped = replace(
        record,
        keypoints_xy=np.where(known[:, None], record.keypoints_xy[:, mapping], 0),
        visibility=visibility,
        confidence=None if record.confidence is None else record.confidence[:, mapping],
        ignored=record.ignored + lost,
    )
    return mapped.only(seen)
