"""COCO segmentations to masks: polygons, plain and compressed run lengths.

Source: the COCO annotation format. Run lengths go down the columns and start with a run of zeros.
Compressed counts are 5-bit groups in printable characters, from the third on as differences to the
count two before. OpenCV draws polygons, whose outline differs by at most a pixel from the official
rasterizer: enough for a mask that only leaves regions out of the loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from litepose.core.errors import LitePoseError

MOST_PIXELS = 1 << 28  # of a mask, so that a damaged size does not fill the memory


def decode_counts(text: str | bytes) -> list[int]:
    """Compressed run lengths -> plain ones. Raises LitePoseError if the text ends early."""
    characters = text.encode("ascii", "replace") if isinstance(text, str) else text
    counts: list[int] = []
    at = 0
    while at < len(characters):
        value, shift, more = 0, 0, True
        while more:
            if at == len(characters) or shift > 60:
                raise LitePoseError("a compressed run-length mask ends within a number")
            group = characters[at] - 48
            value |= (group & 31) << shift
            more = bool(group & 32)
            at, shift = at + 1, shift + 5
            if not more and group & 16:
                value -= 1 << shift
        counts.append(value + counts[-2] if len(counts) > 2 else value)
    return counts


def decode_rle(counts: Sequence[int] | str | bytes, size_hw: tuple[int, int]) -> np.ndarray:
    """Run lengths -> (H, W) bool. Raises LitePoseError if they do not fill the image."""
    height, width = size_hw
    runs = np.asarray(
        decode_counts(counts) if isinstance(counts, str | bytes) else counts, dtype=np.int64
    )
    if runs.ndim != 1 or (runs < 0).any() or (runs > height * width).any():
        raise LitePoseError("runs of a mask are whole numbers from 0 to all pixels of its image")
    if runs.sum() != height * width:
        raise LitePoseError(
            f"a run-length mask must fill its {width}x{height} image; its runs sum to"
            f" {int(runs.sum())}"
        )
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return flat.reshape(width, height).T


def region_mask(
    segmentation: Any, box_xywh: Sequence[float], image_wh: tuple[int, int]
) -> np.ndarray:
    """The region of one annotation, (H, W) bool: its segmentation, or else its box.

    Raises LitePoseError if the segmentation is damaged or of another image size.
    """
    if image_wh[0] * image_wh[1] > MOST_PIXELS:
        raise LitePoseError(f"an image of {image_wh[0]}x{image_wh[1]} is too large for a mask")
    try:
        return _region_mask(segmentation, box_xywh, image_wh)
    except LitePoseError:
        raise
    except (TypeError, ValueError, OverflowError, AttributeError, cv2.error) as exc:
        wanted = "a polygon must be a list of x, y numbers, one flat list per outline"
        if isinstance(segmentation, Mapping):
            wanted = "a run-length mask needs whole numbers as counts, and a size"
        raise LitePoseError(f"{wanted}; here {str(exc)[:100]}") from None


def _region_mask(
    segmentation: Any, box_xywh: Sequence[float], image_wh: tuple[int, int]
) -> np.ndarray:
    width, height = image_wh
    if isinstance(segmentation, Mapping):
        size = tuple(segmentation.get("size", ()))
        if size != (height, width) or "counts" not in segmentation:
            raise LitePoseError(
                f"a run-length mask of a {width}x{height} image needs counts and size"
                f" {[height, width]}; its size is {list(size)}"
            )
        return decode_rle(segmentation["counts"], (height, width))
    mask = np.zeros((height, width), np.uint8)
    if not segmentation:
        x, y, w, h = np.clip(np.nan_to_num(np.asarray(box_xywh, np.float64)), -1e6, 1e6)
        left, top = max(0, round(x)), max(0, round(y))
        mask[top : max(0, round(y + h)), left : max(0, round(x + w))] = 1
        return mask.astype(bool)
    if not isinstance(segmentation, list | tuple):
        raise TypeError(f"it is of type {type(segmentation).__name__}")
    outlines = [np.asarray(part, np.float64).reshape(-1, 2) for part in segmentation]
    if not all(map(len, outlines)):
        raise ValueError("an outline is empty")
    for outline in outlines:
        # OpenCV counts from pixel centers. One outline per call: overlapping ones would cancel out.
        near = np.clip(np.nan_to_num(outline) - 0.5, -1e4, 1e5)
        cv2.fillPoly(mask, [np.round(near).astype(np.int32)], (1,))
    return mask.astype(bool)


def encode_rle(mask: np.ndarray) -> list[int]:
    """(H, W) bool -> plain run lengths, the inverse of `decode_rle`."""
    flat = np.concatenate([[False], mask.T.ravel(), [False]])
    changes = np.flatnonzero(flat[1:] != flat[:-1])
    ends = np.concatenate([[0], changes, [mask.size]])
    runs = np.diff(ends)
    return [int(run) for run in (runs if mask.size and runs[-1] else runs[:-1])]
