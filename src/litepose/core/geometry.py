"""Geometry of points and images: affine maps, letterboxing and its inverse, mirrors.

Coordinates are continuous. Pixel (column i, row j) covers [i, i+1) x [j, j+1); its center is at
(i + 0.5, j + 0.5). An image covers [0, W] x [0, H]. The same holds for map cells: the center of
cell i is at `stride * (i + 0.5)` input pixels.
OpenCV warps by pixel centers instead; `Affine.for_warp` converts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from litepose.core.errors import LitePoseError

MAX_ASPECT = 4.0  # a longer image is scaled by its long side


@dataclass(frozen=True, eq=False)
class Affine:
    """x -> matrix[:, :2] @ x + matrix[:, 2], on points (..., 2). `a @ b` applies b first."""

    matrix: np.ndarray  # (2, 3) float64

    def __post_init__(self) -> None:
        matrix = np.asarray(self.matrix, dtype=np.float64)
        if matrix.shape != (2, 3):
            raise LitePoseError(f"an affine map is a 2x3 matrix; got shape {matrix.shape}")
        object.__setattr__(self, "matrix", matrix)

    @classmethod
    def scale_shift(
        cls, scale_xy: tuple[float, float], shift_xy: tuple[float, float] = (0.0, 0.0)
    ) -> Affine:
        return cls(np.array([[scale_xy[0], 0, shift_xy[0]], [0, scale_xy[1], shift_xy[1]]]))

    @classmethod
    def rotation(cls, degrees: float, about_xy: tuple[float, float] = (0.0, 0.0)) -> Affine:
        """Rotation about a point; positive turns x toward y (clockwise on the screen)."""
        c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        x, y = about_xy
        return cls(np.array([[c, -s, x - c * x + s * y], [s, c, y - s * x - c * y]]))

    @classmethod
    def mirror(cls, width: float) -> Affine:
        """Left-right mirror of an image of that width: x -> width - x."""
        return cls(np.array([[-1.0, 0.0, width], [0.0, 1.0, 0.0]]))

    def __call__(self, points_xy: np.ndarray) -> np.ndarray:
        points_xy = np.asarray(points_xy)
        out = points_xy @ self.matrix[:, :2].T + self.matrix[:, 2]
        return out.astype(points_xy.dtype, copy=False) if points_xy.dtype.kind == "f" else out

    def __matmul__(self, first: Affine) -> Affine:
        linear = self.matrix[:, :2] @ first.matrix[:, :2]
        shift = self.matrix[:, :2] @ first.matrix[:, 2] + self.matrix[:, 2]
        return Affine(np.column_stack([linear, shift]))

    def inverse(self) -> Affine:
        """Raises LitePoseError where the map flattens the plane."""
        if abs(np.linalg.det(self.matrix[:, :2])) < 1e-12:
            raise LitePoseError("this affine map flattens the image and has no inverse")
        linear = np.linalg.inv(self.matrix[:, :2])
        return Affine(np.column_stack([linear, -linear @ self.matrix[:, 2]]))

    def for_warp(self) -> np.ndarray:
        """(2, 3): the same map between pixel indices, as OpenCV's warpAffine counts them."""
        half = Affine.scale_shift((1, 1), (0.5, 0.5))
        return (half.inverse() @ self @ half).matrix


@dataclass(frozen=True)
class Letterbox:
    """Position of an image in the network's input: resized to `content_wh`, in the top left corner.

    `input_wh` is the whole input; the rest of it is black padding.
    `part`: left, top, right, bottom in image pixels of the part that is the content; None for all.
    """

    image_wh: tuple[int, int]
    content_wh: tuple[int, int]
    input_wh: tuple[int, int]
    part: tuple[float, float, float, float] | None = None

    @property
    def to_input(self) -> Affine:
        """Image pixels -> input pixels. The two scales differ by the rounding of `content_wh`."""
        left, top, right, bottom = self.part or (0, 0, *self.image_wh)
        x, y = self.content_wh[0] / (right - left), self.content_wh[1] / (bottom - top)
        return Affine.scale_shift((x, y), (-x * left, -y * top))

    @property
    def to_image(self) -> Affine:
        """Input pixels -> image pixels: the inverse of `to_input`."""
        left, top, right, bottom = self.part or (0, 0, *self.image_wh)
        x, y = (right - left) / self.content_wh[0], (bottom - top) / self.content_wh[1]
        return Affine.scale_shift((x, y), (left, top))

    @property
    def zoom(self) -> float:
        """Input pixels per image pixel."""
        return float(np.sqrt(self.to_input.matrix[0, 0] * self.to_input.matrix[1, 1]))


def letterbox(
    image_wh: tuple[int, int], short_side: int, multiple: int, max_aspect: float = MAX_ASPECT
) -> Letterbox:
    """Scale an image so that its short side is `short_side`; pad each side to a `multiple`.

    An image longer than `max_aspect` times its short side is scaled by its long side instead, so
    that a 1x10000 strip does not become an input of millions of pixels.
    Raises LitePoseError for an empty image or sizes below 1.
    """
    w, h = image_wh
    if min(w, h) < 1 or short_side < 1 or multiple < 1:
        raise LitePoseError(
            f"cannot fit a {w}x{h} image to short side {short_side} and multiple {multiple}:"
            " all must be at least 1"
        )
    scale = min(short_side / min(w, h), short_side * max_aspect / max(w, h))
    content = (max(1, round(w * scale)), max(1, round(h * scale)))
    padded = tuple(math.ceil(side / multiple) * multiple for side in content)
    return Letterbox(image_wh=(w, h), content_wh=content, input_wh=(padded[0], padded[1]))


def letterbox_part(
    whole: Letterbox, part: tuple[float, float, float, float], multiple: int
) -> Letterbox:
    """Letterbox of a part (left, top, right, bottom) of the image, at the scale of `whole`."""
    scale = whole.to_input.matrix
    sides = ((part[2] - part[0]) * scale[0, 0], (part[3] - part[1]) * scale[1, 1])
    content = (max(1, round(sides[0])), max(1, round(sides[1])))
    padded = tuple(math.ceil(side / multiple) * multiple for side in content)
    return Letterbox(whole.image_wh, content, (padded[0], padded[1]), part)


def letterbox_crop(
    image_wh: tuple[int, int], part: tuple[float, float, float, float], input_side: int, side: float
) -> Letterbox:
    """Letterbox of a part of the image in a square input, at the scale at which `side` image pixels
    are `input_side` input pixels."""
    extents = (part[2] - part[0], part[3] - part[1])
    w, h = (min(input_side, max(1, round(e * input_side / side))) for e in extents)
    return Letterbox(image_wh, (w, h), (input_side, input_side), part)


def letterbox_into(image_wh: tuple[int, int], input_wh: tuple[int, int]) -> Letterbox:
    """Scale an image so that it just fits an input whose size is given.

    Raises LitePoseError for an empty image or input.
    """
    if min(*image_wh, *input_wh) < 1:
        raise LitePoseError(f"cannot fit an image of {image_wh} into an input of {input_wh}")
    scale = min(input_wh[0] / image_wh[0], input_wh[1] / image_wh[1])
    w, h = (
        min(max(1, round(side * scale)), most)
        for side, most in zip(image_wh, input_wh, strict=True)
    )
    return Letterbox(image_wh, (w, h), input_wh)
