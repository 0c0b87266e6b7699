"""Compose several images on one sheet, with titles."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from litepose.core.errors import LitePoseError
from litepose.imaging.preprocess import shrink
from litepose.imaging.text import text_mask

_PAPER, _WORDS = 252, (40, 38, 46)


def side_by_side(
    images: Sequence[np.ndarray], titles: Sequence[str] = (), height: int | None = None
) -> np.ndarray:
    """(h, w, 3) uint8 RGB: images in a row on white, at one height, each below its title.

    height: of every image; by default that of the tallest one
    Raises LitePoseError without images, or if there is not one title per image.
    """
    if not images or (titles and len(titles) != len(images)):
        raise LitePoseError(
            f"a row needs images, and as many titles (or none); got {len(images)} images and"
            f" {len(titles)} titles"
        )
    tall = height or max(image.shape[0] for image in images)
    gap = max(6, tall // 48)
    band = round(2.6 * gap) if titles else 0
    panels = [_at_height(image, tall) for image in images]
    width = sum(panel.shape[1] for panel in panels) + gap * (len(panels) + 1)
    sheet = np.full((tall + 2 * gap + band, width, 3), _PAPER, np.uint8)
    left = gap
    for panel, title in zip(panels, titles or [""] * len(panels), strict=True):
        w = panel.shape[1]
        sheet[gap + band : gap + band + tall, left : left + w] = panel
        if title:
            _write_title(sheet[gap : gap + band, left : left + w], title, round(1.7 * gap))
        left += w + gap
    return sheet


def _at_height(image: np.ndarray, height: int) -> np.ndarray:
    if image.shape[0] == height:
        return image
    return shrink(image, (max(1, round(image.shape[1] * height / image.shape[0])), height))


def _write_title(place: np.ndarray, title: str, size: int) -> None:
    mask = text_mask(title, max(10, size))[: place.shape[0], : place.shape[1]]
    part = place[: mask.shape[0], : mask.shape[1]]
    part[:] = cv2.blendLinear(
        np.full_like(part, _WORDS),
        np.ascontiguousarray(part),
        mask.astype(np.float32) / 255,
        1 - mask.astype(np.float32) / 255,
    )
