"""Several looks at one picture (mirrored, at other scales) become one set of maps.

Source: the official test-time augmentation. Ours merges at the finest stride of the first pass
instead of at picture size; tags come from the passes at the first pass's scale only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.geometry import Affine, Letterbox
from litepose.core.maps import Maps
from litepose.core.model_info import TagKind
from litepose.core.skeleton import Skeleton

TAG_UNIT_PX = 32  # positional tags count in this many input pixels


class Pass(NamedTuple):
    """One look: the network's maps for one picture (B = 1) and how the picture lay in the input."""

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


class Field(NamedTuple):
    """The merged maps of one picture, with a border so that every cell has neighbours.

    padded: (K, H + 2, W + 2) heatmaps, border -inf; tags: (K, T, h, w);
    stride, tag_stride: input pixels per cell of each
    """

    padded: np.ndarray
    tags: np.ndarray
    stride: int
    tag_stride: int

    @property
    def heat(self) -> np.ndarray:
        """(K, H, W) without the border."""
        return self.padded[:, 1:-1, 1:-1]


def bordered(shape: tuple[int, ...]) -> np.ndarray:
    """(K, H + 2, W + 2) around (K, H, W) cells still to be written."""
    k, h, w = shape
    padded = np.empty((k, h + 2, w + 2), dtype=np.float32)
    padded[:, :: h + 1] = -np.inf
    padded[:, :, :: w + 1] = -np.inf
    return padded


def merge_strides(maps: Maps, out: np.ndarray | None = None) -> np.ndarray:
    """(K, H, W) heatmap at the finest stride: mean of all strides, coarser ones resized bilinearly.

    maps: of one picture (B = 1); out: where to write it, rows contiguous.
    """
    finest = maps.heatmaps[-1][0]
    out = np.empty(finest.shape, np.float32) if out is None else out
    if len(maps.heatmaps) == 1:
        out[:] = finest
        return out
    finest = np.ascontiguousarray(finest)
    size_wh = finest.shape[:0:-1]
    for k in range(len(finest)):
        mean = finest[k]
        for seen, coarse in enumerate(maps.heatmaps[:-1], start=1):
            share = 1 / (seen + 1)  # a running mean: one pass over the cells per stride
            resized = cv2.resize(coarse[0, k], size_wh)
            mean = cv2.addWeighted(mean, 1 - share, resized, share, 0.0, dst=out[k])
    return out


def combine(passes: Sequence[Pass], tag_kind: TagKind) -> Field:
    """One set of maps, heatmaps merged at the finest stride of the first pass.

    Flip passes must be unflipped already. Passes of the first pass's size add their tags: learned
    ones as further tag numbers (T grows), positional ones averaged. Others lend heatmaps only.
    """
    first = passes[0].maps
    padded = bordered(first.heatmaps[-1].shape[1:])
    heat = merge_strides(first, padded[:, 1:-1, 1:-1])
    tags = [first.tags[0]]
    for other in passes[1:]:
        more = merge_strides(other.maps)
        if other.box == passes[0].box:
            tags.append(other.maps.tags[0])
        else:
            more = _carried(more, other, passes[0], heat.shape)
        heat += more
    if len(passes) > 1:
        heat /= len(passes)
    merged = tags[0]
    if len(tags) > 1:
        positional = tag_kind == "positional"
        merged = np.mean(tags, axis=0) if positional else np.concatenate(tags, axis=1)
    merged = np.ascontiguousarray(merged, dtype=np.float32)
    return Field(padded, merged, first.strides[-1], first.tag_stride)


def _carried(heat: np.ndarray, source: Pass, target: Pass, shape: tuple[int, ...]) -> np.ndarray:
    """Heatmaps of one pass resampled onto the cells of another."""
    to_input = target.box.to_input @ source.box.to_image
    here, there = source.maps.strides[-1], target.maps.strides[-1]
    cells = Affine.scale_shift((1 / there, 1 / there)) @ to_input @ Affine.scale_shift((here, here))
    return np.stack([cv2.warpAffine(channel, cells.for_warp(), shape[:0:-1]) for channel in heat])


def check_finite(maps: Maps) -> None:
    """Raises LitePoseError where a map holds NaN or infinity: such weights see nothing."""
    for name, values in [*(("heatmap", h) for h in maps.heatmaps), ("tag map", maps.tags)]:
        if not np.isfinite(values).all():
            raise LitePoseError(
                f"the network's {name} holds numbers that are not finite: the weights are damaged"
                " or the input was; run `litepose doctor`, or convert the model again"
            )
