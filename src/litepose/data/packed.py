"""Read packed datasets through a memory map.

pack.py describes the format. Every offset and size is checked when a file is opened, so a damaged
or hostile file raises LitePoseError instead of crashing.
"""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.names import local_path
from litepose.core.read_text import check_regular, parse_json
from litepose.core.skeleton import Skeleton
from litepose.data.coco import Record, Region
from litepose.data.datasets import UnreadableImageError, map_record, mapping_between
from litepose.data.pack import MAGIC, NOT_ANNOTATED, SCHEMA
from litepose.data.sample import Sample

# Every array of a piece: its type and the sizes after its first axis; K: number of keypoints.
_ARRAYS: dict[str, tuple[str, tuple[int | str, ...]]] = {
    "pixels": ("uint8", ()),
    "image_ids": ("int64", ()),
    "sizes_wh": ("int32", (2,)),
    "labeled": ("bool", ("K",)),
    "people_complete": ("bool", ()),
    "crowd_index": ("float32", ()),
    "keypoints_xy": ("float32", ("K", 2)),
    "visibility": ("uint8", ("K",)),
    "confidence": ("float32", ("K",)),
    "areas": ("float32", ()),
    "boxes_xywh": ("float32", (4,)),
    "annotation_ids": ("int64", ()),
    "mask_bits": ("uint8", ()),
    "ignored_boxes_xywh": ("float32", (4,)),
    "ignored_areas": ("float32", ()),
    "ignored_ids": ("int64", ()),
    "ignored_is_crowd": ("bool", ()),
    "pixels_starts": ("int64", ()),
    "people_starts": ("int64", ()),
    "mask_starts": ("int64", ()),
    "ignored_starts": ("int64", ()),
}
# Each kind of start -> the arrays whose rows it counts.
_COUNTED = {
    "pixels": ("pixels",),
    "people": (
        "keypoints_xy",
        "visibility",
        "confidence",
        "areas",
        "boxes_xywh",
        "annotation_ids",
    ),
    "mask": ("mask_bits",),
    "ignored": ("ignored_boxes_xywh", "ignored_areas", "ignored_ids", "ignored_is_crowd"),
}


class Piece:
    """One file: arrays by name, views of a memory map. Raises LitePoseError if it is damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bytes, self.header = _open(path)
        try:
            self.skeleton = Skeleton.from_dict(self.header["skeleton"])
            self.encoding = str(self.header["encoding"])
            self.file_names = [str(name) for name in self.header["file_names"]]
            self.arrays = {name: self._array(name) for name in _ARRAYS}
        except (KeyError, TypeError, ValueError, OverflowError) as exc:
            raise LitePoseError(f"{path} is damaged: {exc}") from None
        self._check()

    def __len__(self) -> int:
        return len(self.file_names)

    def _array(self, name: str) -> np.ndarray:
        if name == "confidence" and name not in self.header["arrays"]:  # of packs before 0.2
            return np.ones(self.header["arrays"]["visibility"]["shape"], np.float32)
        place = self.header["arrays"][name]
        kind, behind = _ARRAYS[name]
        shape = tuple(int(n) for n in place["shape"])
        wanted = tuple(self.skeleton.num_keypoints if n == "K" else n for n in behind)
        if place["dtype"] != kind or shape[1:] != wanted or min(shape) < 0:
            raise LitePoseError(f"array {name} is {place['dtype']} {shape}")
        dtype, offset = np.dtype(kind), int(place["offset"])
        end = offset + dtype.itemsize * math.prod(shape)
        if offset < 0 or end > len(self.bytes):
            raise LitePoseError(f"array {name} reaches beyond the file's end")
        return self.bytes[offset:end].view(dtype).reshape(shape)

    def _check(self) -> None:
        a, count = self.arrays, len(self)
        per_image = ("image_ids", "sizes_wh", "labeled", "people_complete", "crowd_index")
        fits = all(len(a[name]) == count for name in per_image)
        for kind, names in _COUNTED.items():
            starts = a[f"{kind}_starts"]
            fits = fits and len(starts) == count + 1 and starts[0] == 0
            fits = fits and bool((np.diff(starts) >= 0).all())
            fits = fits and all(len(a[name]) == starts[-1] for name in names)
        areas = a["sizes_wh"].astype(np.int64).prod(axis=1) if fits else np.zeros(0)
        if fits and self.encoding == "raw":
            fits = np.array_equal(np.diff(a["pixels_starts"]), 3 * areas)
        bits = np.diff(a["mask_starts"]) if fits else np.zeros(0)
        fits = fits and bool(((bits == 0) | (bits == -(-areas // 8))).all())
        if not fits or (count and a["sizes_wh"].min() < 1):
            raise LitePoseError(f"{self.path} is damaged: its arrays do not fit together")


def _open(path: Path) -> tuple[np.ndarray, dict[str, Any]]:
    check_regular(path, "the packed dataset")
    try:
        data = np.memmap(path, np.uint8, mode="r")
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is empty"
        raise LitePoseError(f"cannot read the packed dataset {path}: {reason}") from None
    if bytes(data[:8]) != MAGIC:
        raise LitePoseError(f"{path} is not a packed dataset of litepose")
    header_at = int.from_bytes(bytes(data[8:16]), "little")
    try:
        header = parse_json(bytes(data[header_at:]), "it") if header_at >= 16 else None
    except LitePoseError:
        header = None
    if not isinstance(header, dict) or header.get("schema") != SCHEMA:
        raise LitePoseError(f"{path} is damaged or cut off, or made by another version")
    return np.asarray(data), header


class PackedDataset:
    """A packed dataset in one file or several pieces: a PoseDataset, like CocoDataset.

    path: `name.lpc`, also if only the pieces `name-000.lpc`, ... exist
    target: the skeleton to deliver, by keypoint names; None keeps the file's own
    people_only: leave out images without annotated people, as CocoDataset does
    labels_only: leave out people that a model found
    Raises LitePoseError if a file is damaged, a piece is missing or no keypoint name is shared.
    """

    def __init__(
        self,
        path: str | Path,
        target: Skeleton | None = None,
        people_only: bool = False,
        labels_only: bool = False,
    ) -> None:
        path = local_path(path)
        numbered = sorted(path.parent.glob(f"{path.stem}-[0-9][0-9][0-9]{path.suffix}"))
        files = [path] if path.is_file() or not numbered else numbered
        self.pieces = [Piece(file) for file in files]
        if len(numbered) == len(files) and files == numbered:
            order = [piece.header.get("piece") for piece in self.pieces]
            if order != list(range(len(files))) or not self.pieces[-1].header.get("last"):
                raise LitePoseError(
                    f"pieces of {path} are missing: there are {[file.name for file in files]}"
                )
        own = self.pieces[0].skeleton
        if any(piece.skeleton != own for piece in self.pieces):
            raise LitePoseError(f"the pieces of {path} have different skeletons")
        self.skeleton = target or own
        self._mapping = mapping_between(own, self.skeleton, path)
        records = [_record(piece, i) for piece in self.pieces for i in range(len(piece))]
        if labels_only:
            records = [_labeled(record) for record in records]
        if not np.array_equal(self._mapping, np.arange(own.num_keypoints)):
            records = [map_record(record, self._mapping) for record in records]
        places = [(piece, i) for piece in self.pieces for i in range(len(piece))]
        kept = [i for i, record in enumerate(records) if len(record) or not people_only]
        self.records = [records[i] for i in kept]
        self._places = [places[i] for i in kept]

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, index: int) -> Sample:
        return replace(
            self.people(index), image=self.image(index), valid_mask=self.valid_mask(index)
        )

    def people(self, index: int) -> Sample:
        """The sample without its pixels: image and valid_mask are empty."""
        piece, at = self.find(index)
        record = self.records[index]
        return Sample(
            image=np.zeros((0, 0, 3), np.uint8),
            keypoints_xy=record.keypoints_xy,
            visibility=record.visibility,
            areas=record.areas,
            valid_mask=np.zeros((0, 0), bool),
            labeled=(self._mapping >= 0) & piece.arrays["labeled"][at][self._mapping],
            image_id=record.image_id,
            people_complete=record.people_complete,
            confidence=record.confidence,
        )

    def find(self, index: int) -> tuple[Piece, int]:
        """The piece with an image, and its index in the piece."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        return self._places[index]

    def image(self, index: int) -> np.ndarray:
        """(H, W, 3) uint8 RGB; of a plain pack a read-only view of the file."""
        piece, at = self.find(index)
        first, end = piece.arrays["pixels_starts"][at : at + 2]
        data = piece.arrays["pixels"][first:end]
        width, height = self.records[index].image_wh
        if piece.encoding == "raw":
            return data.reshape(height, width, 3)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if len(data) else None
        if image is None or image.shape != (height, width, 3):
            raise UnreadableImageError(f"image {index} of {piece.path} is damaged")
        return image

    def mask_bits(self, index: int) -> np.ndarray:
        """The valid mask, 8 pixels per byte; empty if every pixel is valid."""
        piece, at = self.find(index)
        first, end = piece.arrays["mask_starts"][at : at + 2]
        return piece.arrays["mask_bits"][first:end]

    def valid_mask(self, index: int) -> np.ndarray:
        """(H, W) bool"""
        width, height = self.records[index].image_wh
        bits = self.mask_bits(index)
        if not len(bits):
            return np.ones((height, width), bool)
        return np.unpackbits(bits, count=height * width).view(bool).reshape(height, width)


def _record(piece: Piece, at: int) -> Record:
    a = piece.arrays
    people = slice(*a["people_starts"][at : at + 2])
    width, height = (int(v) for v in a["sizes_wh"][at])
    crowd_index = float(a["crowd_index"][at])
    confidence = a["confidence"][people]
    return Record(
        image_id=int(a["image_ids"][at]),
        file_name=piece.file_names[at],
        image_wh=(width, height),
        keypoints_xy=a["keypoints_xy"][people],
        visibility=a["visibility"][people],
        areas=a["areas"][people],
        boxes_xywh=a["boxes_xywh"][people],
        annotation_ids=a["annotation_ids"][people],
        ignored=tuple(
            _region(a, i) for i in range(a["ignored_starts"][at], a["ignored_starts"][at + 1])
        ),
        people_complete=bool(a["people_complete"][at]),
        crowd_index=None if math.isnan(crowd_index) else crowd_index,
        confidence=None if (confidence == 1).all() else confidence,
    )


def _labeled(record: Record) -> Record:
    """The record without people that a model found."""
    own = record.annotation_ids != NOT_ANNOTATED
    return record if own.all() else replace(record.only(own), confidence=None)


def _region(a: dict[str, np.ndarray], i: int) -> Region:
    x, y, w, h = (float(v) for v in a["ignored_boxes_xywh"][i])
    return Region(
        annotation_id=int(a["ignored_ids"][i]),
        box_xywh=(x, y, w, h),
        area=float(a["ignored_areas"][i]),
        segmentation=None,
        is_crowd=bool(a["ignored_is_crowd"][i]),
    )
