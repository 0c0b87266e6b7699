"""Draw heatmaps and tag maps, alone or over the image.

A map is placed on the image by the geometry of decoding, so a peak is where its keypoint is drawn.
Color scales run evenly from dark to light, for color-blind readers and gray prints.
"""

from __future__ import annotations

import cv2
import numpy as np

from litepose.core.geometry import Affine, Letterbox

_HEAT_COLORS = cv2.COLORMAP_INFERNO
_TAG_COLORS = cv2.COLORMAP_VIRIDIS


def draw_heatmaps(
    image: np.ndarray | None, heatmaps: np.ndarray, box: Letterbox, keypoint: int | None = None
) -> np.ndarray:
    """(h, w, 3) uint8 RGB of the original's size: heatmap over the image, or on black.

    image: (h, w, 3) uint8 RGB, not changed, or None for black
    heatmaps: (K, H, W), about 0..1, over the whole network input
    keypoint: index of the heatmap to draw; None for the maximum of all heatmaps
    """
    heat = heatmaps.max(axis=0) if keypoint is None else heatmaps[keypoint]
    heat = _on_image(heat, box).clip(0, 1)
    if image is None:
        return _colored(heat, _HEAT_COLORS)
    # Added to the image like light; low values are raised, or they would not be visible.
    return cv2.add(_faded(image, box), _colored(heat**0.7, _HEAT_COLORS))


def draw_tags(
    image: np.ndarray | None,
    tags: np.ndarray,
    box: Letterbox,
    heatmaps: np.ndarray | None = None,
    keypoint: int | None = None,
) -> np.ndarray:
    """(h, w, 3) uint8 RGB of the original's size: similar tags have similar colors.

    image: (h, w, 3) uint8 RGB, not changed, or None for black
    tags: (K, T, H, W), or (T, H, W) of one keypoint; T = 1 is drawn from dark to light, the first
        two of more as hue and lightness
    heatmaps: (K, H, W) at the tags' size: each cell shows the tag of the keypoint with the highest
        heat and fades where all heat is low; without heatmaps, the mean of all tags is shown
    """
    if tags.ndim == 3:
        tags = tags[None]
        heatmaps = None if heatmaps is None else heatmaps.reshape(1, *tags.shape[2:])
    elif keypoint is not None:
        tags = tags[keypoint][None]
        heatmaps = None if heatmaps is None else heatmaps[keypoint][None]
    if heatmaps is None:
        chosen = tags.mean(axis=0)  # (T, H, W)
        sure = np.ones(tags.shape[2:], np.float32)
    else:
        hottest = heatmaps.argmax(axis=0)[None, None]
        chosen = np.take_along_axis(tags, hottest, axis=0)[0]
        sure = np.sqrt((2 * heatmaps.max(axis=0)).clip(0, 1))
    levels = [_spread(plane, sure > 0.4) for plane in chosen[:2]]
    colors = _plane_colors(*levels) if len(levels) == 2 else _colored(levels[0], _TAG_COLORS)
    # Colors are not averaged between cells: a tag between two people's belongs to neither.
    colors = _on_image(colors, box, cv2.INTER_NEAREST)
    background = np.zeros_like(colors) if image is None else _faded(image, box)
    return _mix(background, colors, _on_image(sure, box).clip(0, 1))


def _on_image(plane: np.ndarray, box: Letterbox, how: int = cv2.INTER_LINEAR) -> np.ndarray:
    """A map (H, W) or (H, W, 3) over the network's input -> the image's pixels."""
    cell = (box.input_wh[0] / plane.shape[1], box.input_wh[1] / plane.shape[0])
    affine = box.to_image @ Affine.scale_shift(cell)
    plane = np.ascontiguousarray(plane, np.uint8 if plane.dtype == np.uint8 else np.float32)
    border = cv2.BORDER_REPLICATE if box.part is None else cv2.BORDER_CONSTANT
    return cv2.warpAffine(plane, affine.for_warp(), box.image_wh, flags=how, borderMode=border)


def _colored(levels: np.ndarray, colors: int) -> np.ndarray:
    """[0, 1] -> RGB."""
    return cv2.applyColorMap((255 * levels).astype(np.uint8), colors)[..., ::-1]


def _spread(plane: np.ndarray, where: np.ndarray) -> np.ndarray:
    """Scale to [0, 1] by percentiles, so that a few outliers do not flatten the scale."""
    low, high = np.percentile(plane[where] if where.any() else plane, (2, 98))
    return ((plane - low) / max(high - low, 1e-6)).clip(0, 1)


def _plane_colors(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Two values in [0, 1] -> RGB: hue from blue over rose to yellow, and lightness."""
    hue = np.radians(260 + 200 * x)
    lab = np.stack([40 + 45 * y, 62 * np.cos(hue), 62 * np.sin(hue)], axis=2)
    rgb = cv2.cvtColor(lab.astype(np.float32), cv2.COLOR_Lab2RGB)
    return (255 * rgb.clip(0, 1)).astype(np.uint8)


def _faded(image: np.ndarray, box: Letterbox) -> np.ndarray:
    """The image in dim gray, so that only the map has color."""
    assert (image.shape[1], image.shape[0]) == box.image_wh
    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return cv2.cvtColor(cv2.convertScaleAbs(gray, alpha=0.55), cv2.COLOR_GRAY2RGB)


def _mix(below: np.ndarray, above: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return cv2.blendLinear(
        np.ascontiguousarray(above),
        np.ascontiguousarray(below),
        weight.astype(np.float32),
        (1 - weight).astype(np.float32),
    )
