"""Draw poses over an image.

Left limbs are light and warm with a dark outline, right limbs dark and cool with a light outline,
the torso is white. The sides differ in lightness, which color-blind readers and gray prints keep.
Opacity grows with the score, line width with the person's size. Each person is drawn, anti-aliased,
on a small layer of premultiplied color, which is blended over the image once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, NamedTuple

import cv2
import numpy as np

from litepose.core.poses import Poses
from litepose.imaging.text import draw_label

_SHIFT = 4  # OpenCV coordinates in 1/16 pixel
_FULL = 2.0  # opacity per score: a keypoint is solid from 0.5 on
_UNKNOWN = 0.25  # size of a person with one keypoint, as a share of the image's long side
_CAP = 7  # corners of each rounded end of a limb

Side = Literal["left", "right", "middle"]
Region = Literal["head", "arm", "leg", "torso"]
_REGION_WORDS: Mapping[Region, tuple[str, ...]] = {  # the first region with a matching word wins
    "leg": ("knee", "ankle", "foot", "toe", "heel"),
    "arm": ("elbow", "wrist", "hand", "finger", "thumb"),
    "head": ("nose", "eye", "ear", "head", "mouth", "chin"),
}


class Ink(NamedTuple):
    """RGB of a limb and of the thin outline around it."""

    core: tuple[int, int, int]
    casing: tuple[int, int, int]


_DARK, _LIGHT = (24, 22, 30), (244, 247, 255)
INKS: Mapping[tuple[Side, Region], Ink] = {
    ("left", "head"): Ink((255, 226, 120), _DARK),
    ("left", "arm"): Ink((255, 196, 32), _DARK),
    ("left", "leg"): Ink((255, 146, 40), _DARK),
    ("left", "torso"): Ink((250, 250, 250), _DARK),
    ("right", "head"): Ink((44, 108, 214), _LIGHT),
    ("right", "arm"): Ink((22, 82, 200), _LIGHT),
    ("right", "leg"): Ink((52, 38, 150), _LIGHT),
    ("right", "torso"): Ink((250, 250, 250), _DARK),
    ("middle", "head"): Ink((250, 250, 250), _DARK),
    ("middle", "arm"): Ink((250, 250, 250), _DARK),
    ("middle", "leg"): Ink((250, 250, 250), _DARK),
    ("middle", "torso"): Ink((250, 250, 250), _DARK),
}


# Width relative to an ordinary limb, by (is a dot, region).
_WIDTHS: Mapping[tuple[bool, Region], float] = {
    (False, "head"): 0.5, (False, "arm"): 1.0, (False, "leg"): 1.0, (False, "torso"): 0.8,
    (True, "head"): 0.9, (True, "arm"): 1.5, (True, "leg"): 1.5, (True, "torso"): 1.4,
}  # fmt: skip


@dataclass(frozen=True)
class DrawStyle:
    """line_scale, dot_scale: relative widths; 0 draws no lines or dots.

    label: the tracker's id or the score above each person, or none
    """

    line_scale: float = 1.0
    dot_scale: float = 1.0
    label: Literal["none", "id", "score"] = "none"
    inks: Mapping[tuple[Side, Region], Ink] = field(default_factory=lambda: INKS)


class _Person(NamedTuple):
    """points_xy (K, 2); opacity (K,), 0 where not drawn; size: mean side of a box."""

    points_xy: np.ndarray
    opacity: np.ndarray
    size: float


def side_of(name: str) -> Side:
    """The side of the body in a keypoint's name."""
    words = name.lower().replace("-", "_").split("_")
    return "left" if "left" in words else "right" if "right" in words else "middle"


def region_of(*names: str) -> Region:
    """The part of the body that a keypoint, or an edge between two, belongs to."""
    words = {word for name in names for word in name.lower().replace("-", "_").split("_")}
    for region, signs in _REGION_WORDS.items():
        if words & set(signs):
            return region
    return "torso"


@lru_cache(maxsize=256)
def _part_of(a: str, b: str) -> tuple[Side, Region]:
    sides = {side_of(a), side_of(b)} - {"middle"}
    region = region_of(a, b)
    if a == b and region == "torso":
        region = "arm"  # lines of the torso are neutral; its corners have a side
    return sides.pop() if len(sides) == 1 else "middle", region


def draw_poses(
    image: np.ndarray,
    poses: Poses,
    *,
    threshold: float = 0.1,
    style: DrawStyle = DrawStyle(),
) -> np.ndarray:
    """A new image with all keypoints that score above `threshold` (and above 0).

    image: (H, W, 3) uint8 RGB, not changed; poses: in its pixels. Small people are on top.
    """
    canvas = image.copy()
    people = [_person(poses, i, threshold, canvas.shape) for i in range(len(poses))]
    order = np.argsort([-person.size for person in people], kind="stable")
    for i in order:
        if people[i].opacity.any():
            _draw_person(canvas, people[i], poses, style)
    if style.label != "none":
        for i in order:
            text = _label(poses, int(i), style)
            if text and people[i].opacity.any():
                shown = people[i].points_xy[people[i].opacity > 0]
                top = shown[shown[:, 1].argmin()]
                above_hair = top[1] - 0.15 * people[i].size
                draw_label(canvas, text, (float(top[0]), float(above_hair)))
    return canvas


def _person(poses: Poses, i: int, threshold: float, shape: tuple[int, ...]) -> _Person:
    long_side = max(shape[:2])
    scores = poses.scores[i]
    # Keep points far outside in range of OpenCV's 32-bit coordinates.
    points = poses.keypoints_xy[i].clip(-2 * long_side, 3 * long_side)
    opacity = np.where(scores > threshold, np.minimum(1.0, _FULL * scores), 0.0)
    surest = points[opacity > 0.5 * opacity.max()]  # wrong guesses would make a person large
    size = next(filter(None, map(_extent, (surest, points[opacity > 0]))), _UNKNOWN * long_side)
    return _Person(points, opacity, min(size, long_side))


def _extent(points_xy: np.ndarray) -> float:
    """Mean side of the box around (N, 2) points; 0 for one point or none."""
    return float(np.ptp(points_xy, axis=0).mean()) if len(points_xy) else 0.0


def _draw_person(canvas: np.ndarray, person: _Person, poses: Poses, style: DrawStyle) -> None:
    shown = person.points_xy[person.opacity > 0]
    half = max(0.8, 0.016 * person.size)  # half a limb's width
    margin = 3 * half * max(1.0, style.line_scale, style.dot_scale) + 3
    low = np.floor(shown.min(axis=0) - margin).astype(int).clip(0)
    high = np.ceil(shown.max(axis=0) + margin).astype(int).clip(0)
    part = canvas[low[1] : high[1], low[0] : high[0]]
    if part.size == 0:
        return
    layer = np.zeros((*part.shape[:2], 4), np.uint8)
    at = person._replace(points_xy=person.points_xy - low)
    dots = np.arange(poses.skeleton.num_keypoints).repeat(2).reshape(-1, 2)
    for pairs, scale in ((poses.skeleton.edge_index, style.line_scale), (dots, style.dot_scale)):
        if scale > 0:
            _draw_strokes(layer, at, _by_opacity(pairs, at.opacity), half * scale, poses, style)
    _lay_over(part, layer)


def _by_opacity(pairs: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """Pairs with two drawn ends, faintest first, so that sure ones are on top."""
    fainter = opacity[pairs].min(axis=1)
    order = np.argsort(fainter, kind="stable")
    return pairs[order[fainter[order] > 0]]


def _draw_strokes(
    layer: np.ndarray,
    person: _Person,
    pairs: np.ndarray,  # (E, 2); a dot is a pair of one keypoint with itself
    half: float,
    poses: Poses,
    style: DrawStyle,
) -> None:
    names = poses.skeleton.keypoints
    parts = [_part_of(names[a], names[b]) for a, b in pairs]
    widths = half * np.array(
        [_WIDTHS[a == b, region] for (a, b), (_, region) in zip(pairs, parts, strict=True)]
    )
    opacity = person.opacity[pairs].min(axis=1)
    a, b = person.points_xy[pairs[:, 0]], person.points_xy[pairs[:, 1]]
    casings = _capsules(a, b, widths + np.maximum(0.8, 0.3 * widths))
    cores = _capsules(a, b, widths)
    for part, opaque, casing, core in zip(parts, opacity.tolist(), casings, cores, strict=True):
        for outline, color in ((casing, style.inks[part].casing), (core, style.inks[part].core)):
            premultiplied = (*(opaque * c for c in color), 255 * opaque)
            cv2.fillConvexPoly(layer, outline, premultiplied, cv2.LINE_AA, _SHIFT)


def _capsules(a: np.ndarray, b: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """(E, 2 * _CAP, 2) int32 polygons in 1/16 pixel: all within `radius` of the line a to b."""
    angle = np.arctan2(b[:, 1] - a[:, 1], b[:, 0] - a[:, 0])
    turns = angle[:, None] + np.linspace(-np.pi / 2, np.pi / 2, _CAP)  # (E, _CAP)
    reach = (radius - 0.7)[:, None, None]  # OpenCV's anti-aliased rim adds this much
    arc = reach * np.stack([np.cos(turns), np.sin(turns)], axis=2)  # (E, _CAP, 2)
    outline = np.concatenate([b[:, None] + arc, a[:, None] - arc], axis=1)
    return ((outline - 0.5) * (1 << _SHIFT)).round().astype(np.int32)


def _lay_over(part: np.ndarray, layer: np.ndarray) -> None:
    """Blend premultiplied RGBA over RGB, in place."""
    *color, alpha = cv2.split(layer)
    through = cv2.bitwise_not(alpha)
    kept = cv2.multiply(part, cv2.merge([through] * 3), scale=1 / 255)
    part[:] = cv2.add(kept, cv2.merge(color))


def _label(poses: Poses, i: int, style: DrawStyle) -> str:
    if style.label == "score":
        return f"{poses.person_scores[i]:.2f}"
    return "" if poses.track_ids is None else f"#{poses.track_ids[i]}"
