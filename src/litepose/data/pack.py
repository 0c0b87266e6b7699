"""`litepose data pack`: write images, resized and decoded once, with their labels.

A file consists of 8 bytes magic, 8 bytes (little-endian) offset of the header, the images (raw RGB
bytes, or JPEG/WebP for transport), the arrays, and the header: JSON with the skeleton and each
array's type, shape and offset. It contains no code. Raw images are read through a memory map. A
pack may be split into pieces `name-000.lpc`, `name-001.lpc`, ... People found by a model
(pseudo_people.py) have no annotation: their box is that of their keypoints, their id -1.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

import cv2
import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.geometry import Affine
from litepose.core.kinds import check_kinds
from litepose.core.names import local_path
from litepose.core.oks import pose_box
from litepose.core.temporary import temporary_beside
from litepose.data.coco import Record
from litepose.data.datasets import PoseDataset, UnreadableImageError
from litepose.data.reasons import sum_up
from litepose.data.sample import Sample
from litepose.imaging.preprocess import shrink

MAGIC = b"LITEPACK"
SCHEMA = 1
SUFFIX = ".lpc"
Encoding = Literal["raw", "jpeg", "webp"]
NOT_ANNOTATED = -1  # the annotation id of a person found by a model
_ALIGN = 64


@dataclass(frozen=True)
class PackSettings:
    """short_side: larger images are reduced to it; quality: of JPEG or WebP, 1 to 100;
    piece_bytes: a piece ends before it grows beyond this (None: one file)."""

    short_side: int = 256
    encoding: Encoding = "raw"
    quality: int = 90
    piece_bytes: int | None = None
    workers: int = 2

    def __post_init__(self) -> None:
        check_kinds(self)
        if self.piece_bytes is not None and self.piece_bytes < 1:
            raise LitePoseError(f"a piece has 1 byte or more; got {self.piece_bytes}")
        if self.short_side < 32 or not 1 <= self.quality <= 100 or self.workers < 1:
            raise LitePoseError(
                "packing needs a short side of 32 or more, a quality in 1..100 and 1 or more"
                f" workers; got {self.short_side}, {self.quality}, {self.workers}"
            )


@dataclass(frozen=True)
class PackReport:
    """What `pack` wrote, and skipped images: index in the dataset -> reason."""

    paths: tuple[Path, ...]
    images: int
    bytes: int
    unreadable: dict[int, str] = field(default_factory=dict)


def shrink_sample(sample: Sample, short_side: int) -> Sample:
    """The sample with its short side reduced to `short_side`; a smaller one is unchanged."""
    height, width = sample.image.shape[:2]
    if min(height, width) <= short_side:
        return sample
    scale = short_side / min(height, width)
    new_wh = (max(1, round(width * scale)), max(1, round(height * scale)))
    to_small = Affine.scale_shift((new_wh[0] / width, new_wh[1] / height))
    return replace(
        sample,
        image=shrink(sample.image, new_wh),
        keypoints_xy=to_small(sample.keypoints_xy),
        areas=sample.areas * np.float32(new_wh[0] * new_wh[1] / (width * height)),
        valid_mask=shrink(sample.valid_mask.view(np.uint8) * 255, new_wh) > 127,
    )


def pack(
    dataset: PoseDataset,
    path: str | Path,
    settings: PackSettings = PackSettings(),
    progress: Callable[[int, int], None] | None = None,
) -> PackReport:
    """Write a dataset to `path` (`.lpc`), or to numbered pieces beside it.

    Unreadable images are skipped and reported. A file appears only when it is complete.
    Raises LitePoseError if it cannot be written, for example on a full disk; then nothing is
    replaced.
    """
    path = local_path(path)
    if path.suffix != SUFFIX:
        raise LitePoseError(f"a packed dataset is named with {SUFFIX}; got {path}")
    written: list[tuple[Path, Path]] = []
    unreadable: dict[int, str] = {}
    piece: _Piece | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for done, (index, sample, data) in enumerate(_encoded(dataset, settings), start=1):
            if sample is None:
                unreadable[index] = data.decode()
                continue
            if piece and settings.piece_bytes and piece.size + len(data) > settings.piece_bytes:
                piece.close(last=False)
                piece = None
            if piece is None:
                final = path if settings.piece_bytes is None else _piece_path(path, len(written))
                piece = _Piece(final, dataset, settings, len(written))
                written.append((piece.temporary, final))
            piece.add(sample, dataset.records[index], data)
            if progress:
                progress(done, len(dataset))
        if piece is None:
            raise LitePoseError(
                f"none of the dataset's {len(dataset)} images can be packed:"
                f" {sum_up(unreadable.values())}"
            )
        piece.close(last=True)
        images = len(dataset) - len(unreadable)
        for temporary, final in written:
            temporary.replace(final)
    except OSError as exc:
        raise LitePoseError(f"cannot write {path}: {exc.strerror or exc}") from None
    finally:
        if piece:
            with suppress(OSError):  # closing flushes, which fails again on a full disk
                piece.file.close()
        for temporary, _ in written:
            temporary.unlink(missing_ok=True)
    paths = tuple(final for _, final in written)
    return PackReport(paths, images, sum(p.stat().st_size for p in paths), unreadable)


def _piece_path(path: Path, number: int) -> Path:
    return path.with_name(f"{path.stem}-{number:03d}{path.suffix}")


def _encoded(
    dataset: PoseDataset, settings: PackSettings
) -> Iterator[tuple[int, Sample | None, bytes]]:
    """Each image in order: its sample and pixel bytes, or None and the reason."""

    def prepare(index: int) -> tuple[int, Sample | None, bytes]:
        try:
            sample = shrink_sample(dataset[index], settings.short_side)
        except UnreadableImageError as exc:
            return index, None, str(exc).encode()
        if settings.encoding == "raw":
            return index, sample, sample.image.tobytes()
        flag = cv2.IMWRITE_JPEG_QUALITY if settings.encoding == "jpeg" else cv2.IMWRITE_WEBP_QUALITY
        bgr = cv2.cvtColor(sample.image, cv2.COLOR_RGB2BGR)
        data = cv2.imencode(f".{settings.encoding}", bgr, [flag, settings.quality])[1]
        return index, sample, data.tobytes()

    with ThreadPoolExecutor(settings.workers) as pool:
        block = 8 * settings.workers
        for start in range(0, len(dataset), block):
            yield from pool.map(prepare, range(start, min(start + block, len(dataset))))


class _Piece:
    """One file being written: images are written at once, the rest at `close`."""

    def __init__(
        self, final: Path, dataset: PoseDataset, settings: PackSettings, number: int
    ) -> None:
        self.temporary = temporary_beside(final)
        self.file: BinaryIO = self.temporary.open("wb")
        self.file.write(MAGIC + bytes(_ALIGN - len(MAGIC)))
        self.size = 0
        self.header: dict[str, Any] = {
            "schema": SCHEMA,
            "skeleton": dataset.skeleton.to_dict(),
            "encoding": settings.encoding,
            "short_side": settings.short_side,
            "piece": number,
        }
        self.names: list[str] = []
        self.rows: dict[str, list[np.ndarray]] = {}
        self.starts: dict[str, list[int]] = {
            "pixels": [0],
            "people": [0],
            "mask": [0],
            "ignored": [0],
        }

    def add(self, sample: Sample, record: Record, data: bytes) -> None:
        self.file.write(data)
        self.size += len(data)
        height, width = sample.image.shape[:2]
        scale = np.array([width, height]) / record.image_wh
        masked = (
            np.zeros(0, np.uint8) if sample.valid_mask.all() else np.packbits(sample.valid_mask)
        )
        ignored = record.ignored
        crowd_index = np.nan if record.crowd_index is None else record.crowd_index
        self.names.append(record.file_name)
        boxes = np.array([r.box_xywh for r in ignored], np.float32).reshape(-1, 4)
        found = slice(len(record), None)  # people without an annotation
        low, high = pose_box(sample.keypoints_xy[found], sample.visibility[found])
        confidence = sample.confidence
        row: dict[str, np.ndarray] = {
            "image_ids": np.array([sample.image_id], np.int64),
            "sizes_wh": np.array([[width, height]], np.int32),
            "labeled": sample.labeled[None],
            "people_complete": np.array([sample.people_complete]),
            "crowd_index": np.array([crowd_index], np.float32),
            "keypoints_xy": sample.keypoints_xy,
            "visibility": sample.visibility,
            "areas": sample.areas,
            "confidence": np.ones(sample.visibility.shape, np.float32)
            if confidence is None
            else confidence,
            "boxes_xywh": np.concatenate(
                [record.boxes_xywh * np.tile(scale, 2), np.vstack([low, high - low]).T]
            ).astype(np.float32),
            "annotation_ids": np.concatenate(
                [record.annotation_ids, np.full(low.shape[1], NOT_ANNOTATED, np.int64)]
            ),
            "mask_bits": masked,
            "ignored_boxes_xywh": boxes * np.tile(scale, 2).astype(np.float32),
            "ignored_areas": np.array([r.area * scale.prod() for r in ignored], np.float32),
            "ignored_ids": np.array([r.annotation_id for r in ignored], np.int64),
            "ignored_is_crowd": np.array([r.is_crowd for r in ignored], bool),
        }
        for name, values in row.items():
            self.rows.setdefault(name, []).append(values)
        counts = {"pixels": len(data), "people": len(sample.areas), "mask": len(masked),
                  "ignored": len(ignored)}  # fmt: skip
        for name, count in counts.items():
            self.starts[name].append(self.starts[name][-1] + count)

    def close(self, last: bool) -> None:
        arrays = {name: np.concatenate(rows) for name, rows in self.rows.items()}
        arrays |= {f"{name}_starts": np.array(at, np.int64) for name, at in self.starts.items()}
        places: dict[str, Any] = {
            "pixels": {"dtype": "uint8", "shape": [self.size], "offset": _ALIGN}
        }
        for name, array in arrays.items():
            self.file.write(bytes(-self.file.tell() % _ALIGN))
            places[name] = {
                "dtype": array.dtype.name,
                "shape": list(array.shape),
                "offset": self.file.tell(),
            }
            self.file.write(array.tobytes())
        header_at = self.file.tell()
        whole = {**self.header, "last": last, "arrays": places, "file_names": self.names}
        self.file.write(json.dumps(whole).encode())
        self.file.seek(len(MAGIC))
        self.file.write(header_at.to_bytes(8, "little"))
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()
