"""Dataset checks of the image list, image files and masks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from litepose.data.datasets import check_inside
from litepose.data.image_files import find_image
from litepose.data.masks import region_mask
from litepose.data.validate.findings import Finding, finding, repeated
from litepose.imaging.read import read_image


def check_images(
    images: Sequence[Mapping[str, Any]],
) -> tuple[dict[Any, tuple[int, int]], list[Finding]]:
    """Sizes by image id, and problems of the image list."""
    sizes: dict[Any, tuple[int, int]] = {}
    incomplete = []
    for image in images:
        try:
            check_inside(str(image["file_name"]))
            int(image["id"])
            float(image.get("crowdIndex") or 0)
            sizes[image["id"]] = (int(image["width"]), int(image["height"]))
        except (KeyError, TypeError, ValueError, OverflowError):  # LitePoseError is a ValueError
            incomplete.append(str(image.get("id", "?")))
    return sizes, [
        *finding("error", "image entries without id, size or a file name inside the folder, or"
                 " with a crowdIndex that is no number", incomplete),
        *finding("error", "image ids that are used twice",
                 repeated(image.get("id") for image in images)),
        *finding("warning", "image files that are listed twice",
                 repeated(image.get("file_name") for image in images)),
    ]  # fmt: skip


def check_files(images: Iterable[Mapping[str, Any]], folder: Path, decode: bool) -> list[Finding]:
    """Missing, damaged and resized files; without `decode` only their headers are read."""
    missing, unreadable, sizes, outside = [], [], [], []
    for image in images:
        name = str(image.get("file_name", ""))
        path = folder / name
        try:
            path = find_image(folder, name)
            exists, inside = path.is_file(), path.resolve().is_relative_to(folder.resolve())
        except (OSError, ValueError, RuntimeError):  # too long, invalid text, circular links
            exists = inside = False
        if not exists:
            missing.append(name)
            continue
        if not inside:
            outside.append(name)
            continue
        try:
            with Image.open(path) as header:
                size = header.size
                turned = header.getexif().get(0x0112, 1) >= 5
            if decode:
                read_image(path)
        except Exception:  # Pillow's parsers raise many kinds of errors for broken headers
            unreadable.append(name)
            continue
        if (size[::-1] if turned else size) != (image.get("width"), image.get("height")):
            sizes.append(name)
    return [
        *finding("error", "images that are missing", missing),
        *finding("error", "images whose link leads out of the folder", outside),
        *finding("error", "images that cannot be read", unreadable),
        *finding("error", "images of another size than annotated (after EXIF turning)", sizes),
    ]


def check_masks(
    triples: np.ndarray, people: list[Mapping[str, Any]], sizes: Mapping[Any, tuple[int, int]]
) -> list[Finding]:
    """Unreadable segmentations of masked regions."""
    damaged = []
    masked: np.ndarray = np.all(triples[..., 2] <= 0, axis=1)
    for a, unlabeled in zip(people, masked, strict=True):
        size = sizes.get(a.get("image_id"))
        if size is None or not a.get("segmentation") or not (unlabeled or a.get("iscrowd")):
            continue
        try:
            region_mask(a["segmentation"], (0, 0, 0, 0), size)
        except (TypeError, ValueError):  # LitePoseError is a ValueError
            damaged.append(str(a.get("id")))
    return finding("error", "regions whose segmentation cannot be read", damaged)
