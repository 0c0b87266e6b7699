"""Merge the maps of several forward passes (mirrored, at other scales) into one set.

Source: the official test-time augmentation. Maps are merged at the finest stride of the first pass
instead of at image size; tags come only from passes at the scale of the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.geometry import Affine, Letterbox
from litepose.core.maps import TAG_UNIT_PX, Maps
from litepose.core.model_info import TagKind
from litepose.core.skeleton import Skeleton

BLOCK_PX = 16  # side of the blocks that the decoder checks first, in input pixels


class ForwardPass(NamedTuple):
    """One forward pass: the maps of one image (B = 1) and its position in the input."""

    maps: Maps
    box: Letterbox


def unflip(maps: Maps, skeleton: Skeleton, tag_kind: TagKind) -> Maps:
    """Maps of a mirrored input -> maps of the input itself: mirrored back, left and right swapped.

    A positional tag holds a place, so its x is mirrored too: `width - x`, in tag units, where the
    last cell maps onto the first (`(W - 1) * stride / 32 - x`).
    """
    flip = skeleton.flip_index
    heatmaps = tuple(h[:, flip, :, ::-1] for h in maps.heatmaps)
    tags = maps.tags[:, flip, :, :, ::-1]
    if tag_kind == "positional":
        last = (maps.tags.shape[-1] - 1) * maps.tag_stride / TAG_UNIT_PX
        tags = np.stack([last - tags[:, :, 0], tags[:, :, 1]], axis=2)
    return maps._replace(heatmaps=heatmaps, tags=tags)


def tag_places(tags: np.ndarray, tag_stride: int) -> np.ndarray:
    """Input pixels (..., 2) that positional tags (..., 2) mean; 0 is the first cell's center."""
    return tags * np.float32(TAG_UNIT_PX) + np.float32(tag_stride / 2)


class MergedMaps(NamedTuple):
    """The merged maps of one image, cut into square blocks of `block` cells a side.

    cells: (K, R * block, C * block) sums of the heatmaps of all strides and passes; right of the
        true columns and below the true rows at least one cell of -inf, which is also what a step
        off the left or upper edge wraps to, so every cell has eight neighbors in the flat array
    peaks: (K, R, C) the hottest cell of each block
    summed: how many heatmaps were added
    tags: (K, T, h, w)
    size_wh: true width and height in cells; stride, tag_stride: input pixels per cell
    """

    cells: np.ndarray
    peaks: np.ndarray
    summed: int
    tags: np.ndarray
    size_wh: tuple[int, int]
    stride: int
    tag_stride: int

    @property
    def heat(self) -> np.ndarray:
        """(K, H, W) mean heatmaps, without the border."""
        w, h = self.size_wh
        return self.cells[:, :h, :w] / np.float32(self.summed)

    @property
    def block(self) -> int:
        return block_side(self.stride)


def block_side(stride: int) -> int:
    return max(1, BLOCK_PX // stride)


def _heatmaps(passes: Sequence[ForwardPass]) -> list[np.ndarray]:
    """All heatmaps (K, h, w), of all strides, in the type that OpenCV adds."""
    return [np.asarray(maps[0], np.float32) for p in passes for maps in p.maps.heatmaps]


def add_strides(maps: Sequence[np.ndarray], out: np.ndarray) -> None:
    """Write to `out` (H, W) the sum of one keypoint's heatmaps, those of other sizes resized
    bilinearly."""
    size_wh = out.shape[::-1]
    if maps[0].shape == out.shape:
        out[:] = maps[0]
    else:
        cv2.resize(maps[0], size_wh, dst=out)
    for finer in maps[1:]:
        if finer.shape != out.shape:
            finer = cv2.resize(finer, size_wh)
        cv2.add(out, finer, dst=out)


def merge_passes(passes: Sequence[ForwardPass], tag_kind: TagKind) -> MergedMaps:
    """One set of maps, heatmaps added at the finest stride of the first pass.

    Flip passes must be unflipped already. Passes of the first pass's size add their tags: learned
    ones as further tag numbers (T grows), positional ones averaged. Other passes add heatmaps only.
    All steps are done for one keypoint before the next, while it is in the core's cache.
    Raises LitePoseError where a map holds NaN or infinity (a single cell of -inf in the finest
    heatmap passes, which is no peak).
    """
    first, stride = passes[0].maps, passes[0].maps.strides[-1]
    k, h, w = first.heatmaps[-1].shape[1:]
    block = block_side(stride)
    cells = np.empty((k, (h // block + 1) * block, (w // block + 1) * block), dtype=np.float32)
    blocks = cells.reshape(k, -1, block, cells.shape[2])  # (K, R, block, C * block)
    row_maxima = np.empty((k, blocks.shape[1], cells.shape[2]), np.float32)  # hottest along `block`
    same_box = [p for p in passes if p.box == passes[0].box]
    others = [p for p in passes if p.box != passes[0].box]
    heatmaps = _heatmaps(same_box)
    for keypoint in range(k):
        heat = cells[keypoint, :h, :w]
        add_strides([maps[keypoint] for maps in heatmaps], heat)
        for other in others:
            heat += _resampled_to(passes[0], other, keypoint)
        cells[keypoint, h:] = -np.inf
        cells[keypoint, :h, w:] = -np.inf
        np.maximum.reduce(blocks[keypoint], axis=1, out=row_maxima[keypoint])
    peaks = _hottest_of_each(row_maxima, block)
    _refuse_unless_finite("heatmap", peaks[:, : -(-h // block), : -(-w // block)])
    summed = sum(len(p.maps.heatmaps) for p in passes)
    tags = _merge_tags([p.maps.tags[0] for p in same_box], tag_kind)
    _refuse_unless_finite("tag map", np.vdot(tags, tags))  # a sum of squares is quicker to test
    return MergedMaps(cells, peaks, summed, tags, (w, h), stride, first.tag_stride)


def _hottest_of_each(cells: np.ndarray, block: int) -> np.ndarray:
    """(K, R, C * block) -> (K, R, C): the hottest of every `block` cells."""
    hottest, seen = cells.reshape(-1), 1  # each cell: the hottest of `seen` cells starting there
    while seen < block:  # quicker than a reduction over a short axis
        step = min(seen, block - seen)
        hottest = np.maximum(hottest[:-step], hottest[step:])
        seen += step
    return hottest[::block].reshape(*cells.shape[:2], -1)


def _merge_tags(tags: Sequence[np.ndarray], tag_kind: TagKind) -> np.ndarray:
    merged = tags[0]
    if len(tags) > 1:
        positional = tag_kind == "positional"
        merged = np.mean(tags, axis=0) if positional else np.concatenate(tags, axis=1)
    return np.ascontiguousarray(merged, dtype=np.float32)


def _resampled_to(target: ForwardPass, source: ForwardPass, keypoint: int) -> np.ndarray:
    """Summed heatmaps (H, W) of one pass, resampled to the cells of another pass."""
    heat = np.empty(source.maps.heatmaps[-1].shape[2:], np.float32)
    add_strides([maps[keypoint] for maps in _heatmaps([source])], heat)
    to_input = target.box.to_input @ source.box.to_image
    source_stride, target_stride = source.maps.strides[-1], target.maps.strides[-1]
    cells = (
        Affine.scale_shift((1 / target_stride, 1 / target_stride))
        @ to_input
        @ Affine.scale_shift((source_stride, source_stride))
    )
    return cv2.warpAffine(heat, cells.for_warp(), target.maps.heatmaps[-1].shape[:1:-1])


def check_finite(maps: Maps) -> None:
    """Raises LitePoseError where a map holds NaN or infinity."""
    for heatmaps in maps.heatmaps:
        _refuse_unless_finite("heatmap", heatmaps)
    _refuse_unless_finite("tag map", maps.tags)


def _refuse_unless_finite(name: str, values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise LitePoseError(
            f"the network's {name} holds numbers that are not finite: the weights are damaged"
            " or the input was; run `litepose doctor`, or convert the model again"
        )
