"""Augment a sample: one affine for pixels, mask and keypoints; color; cut-out; mosaic.

Source: Lite Pose, training settings (HigherHRNet's: rotation +-30 degrees, 0.75-1.5 of the short
side, shift +-40 px at 200 px scale, flip 0.5). Differences: one affine map in continuous
coordinates includes the mirror (the official code flips with `size - x - 1` before truncating, a
bias of up to a cell); images are averaged before a strong reduction; color, cut-out and a mosaic of
four are new. Random choices (`Draw`) are separate from their application, so that augment_gpu.py
shares them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.geometry import Affine
from litepose.data.sample import Sample

MAP_STRIDE = 4  # of the valid mask and of a teacher's heatmaps in a batch
_GRAY = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class AugmentSettings:
    """Ranges of the augmentation; the defaults are the official ones.

    rotation: maximum degrees in both directions; scale: side of the crop / `side` of the image;
    shift: of the crop's center, per axis, as a share of the crop's side (40 px of 200);
    person_px: smallest and largest size of people to train on: square root of width x height of
    the box around the keypoints in the network's input; others are masked out;
    flip, mosaic: probability (0 to 1); color: strength of brightness, contrast, saturation and hue
    changes (0 to 1); cutout: patches at most, each up to a quarter of the image's side.
    """

    rotation: float = 30.0
    scale: tuple[float, float] = (0.75, 1.5)
    shift: float = 0.2
    flip: float = 0.5
    side: Literal["short", "long"] = "short"
    color: float = 0.0
    cutout: int = 0
    mosaic: float = 0.0
    person_px: tuple[float, float] = (0.0, 1e9)

    def __post_init__(self) -> None:
        low, high = self.scale
        if not (0 < low <= high <= 10):
            raise LitePoseError(f"scale must be (low, high) with 0 < low <= high; got {self.scale}")
        for name in ("flip", "mosaic", "color", "shift"):
            if not 0 <= getattr(self, name) <= 1:
                raise LitePoseError(f"{name} must lie in 0..1; got {getattr(self, name)}")
        if self.rotation < 0 or self.cutout < 0:
            raise LitePoseError(
                f"rotation and cutout must be 0 or more; got {self.rotation}, {self.cutout}"
            )
        smallest, largest = self.person_px
        if not 0 <= smallest < largest:
            raise LitePoseError(
                f"person_px must be (low, high) with 0 <= low < high; got {self.person_px}"
            )
        if self.side not in ("short", "long"):
            raise LitePoseError(f"side must be 'short' or 'long'; got {self.side!r}")

    @classmethod
    def none(cls) -> AugmentSettings:
        """The whole image, centered, unchanged: for validation losses and overfitting tests."""
        return cls(rotation=0, scale=(1, 1), shift=0, flip=0, side="long")


@dataclass(frozen=True, eq=False)
class Draw:
    """One sample's random choices.

    scale and shift_xy in units of AugmentSettings; color (3, 4) is an affine map of RGB in 0..255
    or None; patches (n, 4) are x, y, w, h as shares of the output's side, gray (n,) their filling.
    """

    rotation: float
    scale: float
    shift_xy: tuple[float, float]
    mirrored: bool
    color: np.ndarray | None
    patches: np.ndarray
    gray: np.ndarray


def draw(settings: AugmentSettings, rng: np.random.Generator) -> Draw:
    """Draw the choices; always takes the same number of values from `rng`."""
    rotation, scale, x, y, flip = rng.uniform(size=5)
    brightness, contrast, saturation, hue = rng.uniform(-1, 1, size=4) * settings.color
    places = rng.uniform(size=(settings.cutout, 4))
    gray = rng.uniform(0, 255, size=settings.cutout)
    count = int(rng.integers(settings.cutout + 1))
    sides = 0.05 + 0.2 * places[:count, 2:]
    low, high = settings.scale
    return Draw(
        rotation=settings.rotation * (2 * rotation - 1),
        scale=low + (high - low) * scale,
        shift_xy=(settings.shift * (2 * x - 1), settings.shift * (2 * y - 1)),
        mirrored=bool(flip < settings.flip),
        color=_color_map(brightness, contrast, saturation, hue) if settings.color else None,
        patches=np.hstack([places[:count, :2] * (1 - sides), sides]),
        gray=gray[:count],
    )


def to_input(
    drawn: Draw, settings: AugmentSettings, image_wh: tuple[int, int], size_wh: tuple[int, int]
) -> Affine:
    """Image pixels -> network input pixels; the crop fills the input's longer side."""
    (w, h), (out_w, out_h) = image_wh, size_wh
    crop = drawn.scale * (min(w, h) if settings.side == "short" else max(w, h))
    about = (w / 2 + drawn.shift_xy[0] * crop, h / 2 + drawn.shift_xy[1] * crop)
    zoom = max(out_w, out_h) / crop
    placed = Affine.scale_shift(
        (zoom, zoom), (out_w / 2 - zoom * about[0], out_h / 2 - zoom * about[1])
    )
    turned = placed @ Affine.rotation(drawn.rotation, about)
    return Affine.mirror(out_w) @ turned if drawn.mirrored else turned


def warp(
    sample: Sample, affine: Affine, size_wh: tuple[int, int], flip_index: np.ndarray | None = None
) -> Sample:
    """Warp a sample by an affine map into an image of `size_wh`; the border is not valid.

    flip_index: exchanges left and right keypoints; given exactly when `affine` mirrors.
    """
    image, pixels_affine = _shrunk(sample.image, affine)
    teacher_heatmaps = sample.teacher_heatmaps
    if teacher_heatmaps:
        image_wh = sample.image.shape[1::-1]
        view = _nearest_view(teacher_heatmaps, image_wh, affine)
        teacher_heatmaps = (_warp_heat(view, image_wh, affine, size_wh, flip_index),)
    mask = sample.valid_mask.view(np.uint8)
    valid = cv2.warpAffine(mask, affine.for_warp(), size_wh, flags=cv2.INTER_NEAREST)
    return replace(
        move_people(sample, affine, size_wh, flip_index),
        image=cv2.warpAffine(image, pixels_affine.for_warp(), size_wh, flags=cv2.INTER_LINEAR),
        valid_mask=valid.view(bool),
        teacher_heatmaps=teacher_heatmaps,
    )


def _nearest_view(
    views: Sequence[np.ndarray], image_wh: tuple[int, int], affine: Affine
) -> np.ndarray:
    """The view whose scale is nearest to that of `affine`."""
    zoom = abs(float(np.linalg.det(affine.matrix[:, :2]))) ** 0.5
    return min(
        views, key=lambda view: abs(math.log(MAP_STRIDE * view.shape[1] / (zoom * image_wh[0])))
    )


def _warp_heat(
    heat: np.ndarray,
    image_wh: tuple[int, int],
    affine: Affine,
    size_wh: tuple[int, int],
    flip_index: np.ndarray | None,
) -> np.ndarray:
    """Heatmaps (h, w, K) of an image -> heatmaps of the warped image, at MAP_STRIDE."""
    to_image = Affine.scale_shift((image_wh[0] / heat.shape[1], image_wh[1] / heat.shape[0]))
    cells = (Affine.scale_shift((1 / MAP_STRIDE, 1 / MAP_STRIDE)) @ affine @ to_image).for_warp()
    map_wh = (size_wh[0] // MAP_STRIDE, size_wh[1] // MAP_STRIDE)
    # OpenCV warps at most four channels at once.
    fours = [heat[..., k : k + 4] for k in range(0, heat.shape[2], 4)]
    warped = np.dstack([cv2.warpAffine(np.ascontiguousarray(f), cells, map_wh) for f in fours])
    return warped if flip_index is None else warped[..., flip_index]


def move_people(
    sample: Sample, affine: Affine, size_wh: tuple[int, int], flip_index: np.ndarray | None = None
) -> Sample:
    """Move the people of a sample; its pixels and mask stay as they are.

    Keypoints that leave `size_wh` become unlabeled; people without any left are dropped.
    """
    points, visibility, labeled = sample.keypoints_xy, sample.visibility, sample.labeled
    confidence = sample.confidence
    if flip_index is not None:
        points, visibility = points[:, flip_index], visibility[:, flip_index]
        confidence = None if confidence is None else confidence[:, flip_index]
        labeled = labeled[flip_index]
    points = affine(points)
    inside = ((points >= 0) & (points < np.array(size_wh, np.float32))).all(axis=2)
    visibility = np.where(inside, visibility, 0).astype(np.uint8)
    seen = visibility.any(axis=1)
    zoom = abs(float(np.linalg.det(affine.matrix[:, :2])))
    return replace(
        sample,
        keypoints_xy=points[seen],
        visibility=visibility[seen],
        confidence=None if confidence is None else confidence[seen],
        areas=(sample.areas * np.float32(zoom))[seen],
        labeled=labeled,
    )


def augment(
    sample: Sample,
    rng: np.random.Generator,
    settings: AugmentSettings,
    size_wh: tuple[int, int],
    flip_index: np.ndarray,
) -> Sample:
    """One sample, changed at random, as an image of `size_wh`."""
    drawn = draw(settings, rng)
    height, width = sample.image.shape[:2]
    affine = to_input(drawn, settings, (width, height), size_wh)
    moved = warp(sample, affine, size_wh, flip_index if drawn.mirrored else None)
    moved = mask_sizes(moved, settings.person_px)
    if drawn.color is not None:
        moved = replace(moved, image=cv2.transform(moved.image, drawn.color))
    return cut_out(moved, drawn) if len(drawn.patches) else moved


def mask_sizes(sample: Sample, person_px: tuple[float, float]) -> Sample:
    """Mask out people smaller or larger than `person_px`: their boxes are not valid."""
    if not len(sample.keypoints_xy):
        return sample
    present = (sample.visibility > 0)[..., None]  # (N, K, 1)
    low = np.where(present, sample.keypoints_xy, np.inf).min(axis=1)
    high = np.where(present, sample.keypoints_xy, -np.inf).max(axis=1)
    side = np.sqrt((high - low).prod(axis=1))
    # A box of one or two keypoints says nothing about size.
    known = sample.visibility.astype(bool).sum(axis=1) > 3
    outside = known & ((side < person_px[0]) | (side > person_px[1]))
    if not outside.any():
        return sample
    mask = sample.valid_mask.copy()
    for (left, top), (right, bottom) in zip(low[outside], high[outside], strict=True):
        margin = 0.15 * max(right - left, bottom - top)
        left, top = max(0, int(left - margin)), max(0, int(top - margin))
        mask[top : int(bottom + margin) + 1, left : int(right + margin) + 1] = False
    confidence = sample.confidence
    return replace(
        sample,
        valid_mask=mask,
        keypoints_xy=sample.keypoints_xy[~outside],
        visibility=sample.visibility[~outside],
        areas=sample.areas[~outside],
        confidence=None if confidence is None else confidence[~outside],
    )


def cut_out(sample: Sample, drawn: Draw) -> Sample:
    """Gray patches over the image; keypoints under one stay labeled, but hidden."""
    height, width = sample.image.shape[:2]
    image = sample.image.copy()
    boxes = patch_boxes(drawn, (width, height))
    for (left, top, right, bottom), gray in zip(boxes.tolist(), drawn.gray, strict=True):
        image[top:bottom, left:right] = int(gray)
    return replace(sample, image=image, visibility=hide_under(sample, boxes))


def patch_boxes(drawn: Draw, size_wh: tuple[int, int]) -> np.ndarray:
    """(n, 4) int: left, top, right, bottom of each patch; their sides are shares of the longer."""
    x, y, w, h = drawn.patches.T
    side = max(size_wh)
    left, top = x * size_wh[0], y * size_wh[1]
    return np.round(np.stack([left, top, left + w * side, top + h * side], axis=1)).astype(int)


def hide_under(sample: Sample, boxes: np.ndarray) -> np.ndarray:
    """(N, K) visibility: visible keypoints inside one of the boxes become hidden."""
    visibility = sample.visibility.copy()
    for left, top, right, bottom in boxes:
        low, high = np.array([left, top]), np.array([right, bottom])
        under = ((sample.keypoints_xy >= low) & (sample.keypoints_xy < high)).all(axis=2)
        visibility[under & (visibility == 2)] = 1
    return visibility


def _shrunk(image: np.ndarray, affine: Affine) -> tuple[np.ndarray, Affine]:
    """Halve an image by area until the affine shrinks it less than twice: no aliasing."""
    zoom = abs(np.linalg.det(affine.matrix[:, :2])) ** 0.5
    factor = 2 ** int(np.floor(np.log2(max(1.0, 1 / max(zoom, 1e-6)))))
    if factor == 1:
        return image, affine
    height, width = image.shape[:2]
    small_wh = max(1, width // factor), max(1, height // factor)
    small = cv2.resize(image, small_wh, interpolation=cv2.INTER_AREA)
    return small, affine @ Affine.scale_shift((width / small_wh[0], height / small_wh[1]))


def _color_map(brightness: float, contrast: float, saturation: float, hue: float) -> np.ndarray:
    """(3, 4): brightness, contrast about mid-gray, saturation and a hue turn, in one map of RGB."""
    gray = np.tile(_GRAY, (3, 1))
    colorful = gray + (1 + saturation) * (np.eye(3) - gray)
    # Rotation about the gray axis by up to 36 degrees.
    turn = np.pi / 5 * hue
    third = np.full((3, 3), 1 / 3)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    turned = third + np.cos(turn) * (np.eye(3) - third) + np.sin(turn) * cross
    linear = (1 + contrast) * turned @ colorful
    shift = 127.5 - (1 + contrast) * 127.5 + 127.5 * brightness
    return np.column_stack([linear, np.full(3, shift)])
