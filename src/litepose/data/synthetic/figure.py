"""Draw one synthetic person: a random pose, its 17 COCO keypoints, and the paint.

For machines without data: people are capsules with clothes, lit from their own left, so left and
right limbs differ in tone from any side. They are drawn back to front into the image and into a map
of which person owns each pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from litepose.core.skeleton import COCO17

Color = tuple[int, int, int]
Point = Any  # two numbers: an array (2,) or a pair
Ends = tuple[Point, Point]

# Lengths and half widths as shares of the standing height.
HEAD, NECK, SHOULDER, HIP = 0.085, 0.215, 0.115, 0.07
TORSO, UPPER_ARM, FOREARM, THIGH, SHIN = 0.30, 0.165, 0.15, 0.225, 0.215
SKIN = ((246, 214, 185), (226, 180, 140), (190, 136, 98), (141, 94, 62), (98, 62, 42))
HAIR = ((40, 32, 28), (92, 60, 36), (188, 148, 84), (130, 50, 30), (170, 168, 165))
TONE_LEFT, TONE_RIGHT = 1.12, 0.68
# Binary digits after the point in OpenCV's coordinates.
SHIFT = 4


@dataclass(frozen=True, eq=False)
class Figure:
    """A person before painting: COCO's keypoints by name; `facing` 1 toward us, -1 away."""

    points: dict[str, np.ndarray]
    height: float
    facing: int
    skin: Color
    hair: Color
    shirt: Color
    trousers: Color
    shoes: Color
    long_sleeves: bool
    striped: bool

    @property
    def keypoints_xy(self) -> np.ndarray:
        """(17, 2)"""
        return np.array([self.points[name] for name in COCO17.keypoints])

    @property
    def unseen(self) -> np.ndarray:
        """(17,) bool: face keypoints of a person turned away."""
        face = np.isin(COCO17.keypoints, ("nose", "left_eye", "right_eye"))
        return face & (self.facing < 0)


def random_figure(rng: np.random.Generator, hips_xy: np.ndarray, height: float) -> Figure:
    """A person of that standing height whose hips' middle is at `hips_xy`."""
    facing = 1 if rng.uniform() < 0.85 else -1
    return Figure(
        points=_pose(rng, hips_xy, height, facing),
        height=height,
        facing=facing,
        skin=SKIN[rng.integers(len(SKIN))],
        hair=HAIR[rng.integers(len(HAIR))],
        shirt=random_color(rng, 90, 240),
        trousers=random_color(rng, 40, 190),
        shoes=random_color(rng, 20, 120),
        long_sleeves=bool(rng.uniform() < 0.5),
        striped=bool(rng.uniform() < 0.3),
    )


def random_color(rng: np.random.Generator, low: int, high: int) -> Color:
    r, g, b = rng.integers(low, high, size=3)
    return int(r), int(g), int(b)


def _pose(
    rng: np.random.Generator, hips_xy: np.ndarray, height: float, facing: int
) -> dict[str, np.ndarray]:
    lean = np.radians(rng.normal(0, 8))
    turn = rng.uniform(0.6, 1.0)  # visible share of the shoulders' width
    up = np.array([np.sin(lean), -np.cos(lean)])
    side = np.array([np.cos(lean), np.sin(lean)])
    neck = hips_xy + up * TORSO * height
    tilt = up + side * rng.normal(0, 0.15)
    head = neck + tilt * (NECK - HEAD) * height
    gaze = rng.uniform(-0.35, 0.35) * HEAD * height
    points: dict[str, np.ndarray] = {"nose": head + side * gaze + np.array([0, 0.018 * height])}
    for name, sign in (("left", facing), ("right", -facing)):
        out = side * sign
        points[f"{name}_eye"] = (
            head + out * 0.42 * HEAD * height + side * gaze - up * -0.012 * height
        )
        points[f"{name}_ear"] = head + out * HEAD * height + side * gaze * 0.3
        points[f"{name}_shoulder"] = neck + out * SHOULDER * turn * height
        points[f"{name}_hip"] = hips_xy + out * HIP * turn * height
        arm = rng.uniform(-10, 150) if rng.uniform() < 0.5 else rng.uniform(5, 45)
        bend = rng.uniform(-15, 110) * (1 if rng.uniform() < 0.8 else -0.3)
        _limb(points, (f"{name}_shoulder", f"{name}_elbow", f"{name}_wrist"), sign,
              (arm, arm + bend), (UPPER_ARM * height, FOREARM * height))  # fmt: skip
        leg = rng.uniform(-5, 35)
        knee = leg - rng.uniform(0, 45) if rng.uniform() < 0.6 else leg + rng.uniform(-5, 10)
        _limb(points, (f"{name}_hip", f"{name}_knee", f"{name}_ankle"), sign,
              (leg, knee), (THIGH * height, SHIN * height))  # fmt: skip
    return points


def _limb(
    points: dict[str, np.ndarray],
    names: tuple[str, str, str],
    sign: int,
    degrees: tuple[float, float],
    lengths: tuple[float, float],
) -> None:
    """Set the middle and end of a limb; degrees count from straight down, outward."""
    for start, end, angle, length in zip(names[:2], names[1:], degrees, lengths, strict=True):
        radians = np.radians(angle)
        step = np.array([sign * np.sin(radians), np.cos(radians)]) * length
        points[end] = points[start] + step


class Canvas:
    """An image and the map of the owners of its pixels, painted together.

    `owner` None keeps the owners of the pixels.
    """

    def __init__(self, image: np.ndarray) -> None:
        self.image = image
        self.owner: np.ndarray = np.zeros(image.shape[:2], np.uint8)

    def capsule(self, ends: Ends, radii: tuple[float, float], color: Color, owner: int) -> None:
        """Draw a limb: two discs and the area between them, with a darker rim."""
        rim = max(0.6, 0.16 * max(radii))
        self._between(ends, (radii[0] + rim, radii[1] + rim), shade(color, 0.62), owner)
        self._between(ends, radii, color, None)

    def polygon(self, corners_xy: Sequence[Point], color: Color, owner: int | None) -> None:
        corners = np.array([fixed_point(corner) for corner in corners_xy], np.int32)
        cv2.fillConvexPoly(self.image, corners, color, cv2.LINE_AA, SHIFT)
        if owner is not None:
            cv2.fillConvexPoly(self.owner, corners, (owner,), cv2.LINE_8, SHIFT)

    def disc(self, center_xy: Point, radius: float, color: Color, owner: int | None) -> None:
        center, r = fixed_point(center_xy), int(radius * 2**SHIFT)
        cv2.circle(self.image, center, r, color, -1, cv2.LINE_AA, SHIFT)
        if owner is not None:
            cv2.circle(self.owner, center, r, (owner,), -1, cv2.LINE_8, SHIFT)

    def _between(
        self, ends: Ends, radii: tuple[float, float], color: Color, owner: int | None
    ) -> None:
        (ax, ay), (bx, by) = ends
        long = max(math.hypot(bx - ax, by - ay), 1e-6)
        x, y = (ay - by) / long, (bx - ax) / long
        p, q = radii
        corners = (
            (ax + x * p, ay + y * p),
            (bx + x * q, by + y * q),
            (bx - x * q, by - y * q),
            (ax - x * p, ay - y * p),
        )
        self.polygon(corners, color, owner)
        self.disc(ends[0], p, color, owner)
        self.disc(ends[1], q, color, owner)


def fixed_point(point_xy: Point) -> tuple[int, int]:
    """Continuous coordinates -> OpenCV's fixed point ones, which count from pixel centers."""
    x, y = point_xy
    return int((x - 0.5) * 2**SHIFT), int((y - 0.5) * 2**SHIFT)


def paint(canvas: Canvas, figure: Figure, owner: int) -> None:
    """Legs, far arm, torso, head, near arm: in that order."""
    h = figure.height
    for side in ("right", "left"):
        _paint_leg(canvas, figure, side, owner)
    shoulders = figure.points["right_shoulder"], figure.points["left_shoulder"]
    hips = figure.points["right_hip"], figure.points["left_hip"]
    neck = (shoulders[0] + shoulders[1]) / 2
    face = (figure.points["left_ear"] + figure.points["right_ear"]) / 2
    canvas.capsule((neck, neck + (face - neck) * 0.6), (0.034 * h, 0.034 * h), figure.skin, owner)
    _paint_torso(canvas, figure, (*shoulders, *hips), owner)
    for side in ("right", "left"):
        _paint_arm(canvas, figure, side, owner)
    _paint_head(canvas, figure, face, owner)


def shade(color: Color, tone: float) -> Color:
    r, g, b = (min(255, int(c * tone)) for c in color)
    return r, g, b


def _tone(side: str) -> float:
    return TONE_LEFT if side == "left" else TONE_RIGHT


def _paint_leg(canvas: Canvas, figure: Figure, side: str, owner: int) -> None:
    h, tone = figure.height, _tone(side)
    hip, knee, ankle = (figure.points[f"{side}_{part}"] for part in ("hip", "knee", "ankle"))
    cloth = shade(figure.trousers, tone)
    canvas.capsule((hip, knee), (0.058 * h, 0.044 * h), cloth, owner)
    canvas.capsule((knee, ankle), (0.042 * h, 0.030 * h), cloth, owner)
    out = np.sign(ankle[0] - (figure.points["left_hip"] + figure.points["right_hip"])[0] / 2) or 1.0
    toe = ankle + np.array([out * 0.035, 0.022]) * h
    canvas.capsule((ankle + np.array([0, 0.018 * h]), toe), (0.026 * h, 0.022 * h),
                   shade(figure.shoes, tone), owner)  # fmt: skip


def _paint_arm(canvas: Canvas, figure: Figure, side: str, owner: int) -> None:
    h, tone = figure.height, _tone(side)
    shoulder, elbow, wrist = (
        figure.points[f"{side}_{part}"] for part in ("shoulder", "elbow", "wrist")
    )
    sleeve, skin = shade(figure.shirt, tone), shade(figure.skin, 0.5 + tone / 2)
    lower = sleeve if figure.long_sleeves else skin
    canvas.capsule((elbow, wrist), (0.032 * h, 0.026 * h), lower, owner)
    canvas.capsule((shoulder, elbow), (0.042 * h, 0.034 * h), sleeve, owner)
    canvas.disc(wrist + (wrist - elbow) * 0.12, 0.028 * h, skin, owner)


def _paint_torso(
    canvas: Canvas, figure: Figure, corners: tuple[np.ndarray, ...], owner: int
) -> None:
    right_shoulder, left_shoulder, right_hip, left_hip = corners
    h = figure.height
    canvas.capsule(
        (right_hip, left_hip), (0.055 * h, 0.055 * h), shade(figure.trousers, 0.9), owner
    )
    middle_top, middle_low = (right_shoulder + left_shoulder) / 2, (right_hip + left_hip) / 2
    for shoulder, hip, tone in (
        (right_shoulder, right_hip, 0.82),
        (left_shoulder, left_hip, 1.0),
    ):
        cloth = shade(figure.shirt, tone)
        canvas.capsule((shoulder, hip), (0.045 * h, 0.045 * h), cloth, owner)
        canvas.polygon((shoulder, hip, middle_low, middle_top), cloth, owner)
    if figure.striped:
        for share in (0.2, 0.45, 0.7):
            a = right_shoulder + share * (right_hip - right_shoulder)
            b = left_shoulder + share * (left_hip - left_shoulder)
            thickness = max(1, round(0.022 * h))
            dark = shade(figure.shirt, 0.45)
            ends = fixed_point(a), fixed_point(b)
            cv2.line(canvas.image, *ends, dark, thickness, cv2.LINE_AA, SHIFT)


def _paint_head(canvas: Canvas, figure: Figure, face: np.ndarray, owner: int) -> None:
    h, points = figure.height, figure.points
    canvas.disc(face - np.array([0, 0.018 * h]), 1.12 * HEAD * h, figure.hair, owner)
    for side in ("left", "right"):
        skin = shade(figure.skin, _tone(side) ** 0.5)
        canvas.disc(points[f"{side}_ear"], 0.026 * h, skin, owner)
    if figure.facing < 0:
        canvas.disc(face, 0.96 * HEAD * h, shade(figure.hair, 0.9), None)
        return
    canvas.disc(face + np.array([0, 0.008 * h]), 0.94 * HEAD * h, figure.skin, owner)
    for side, iris in (("left", (40, 90, 150)), ("right", (30, 30, 40))):
        canvas.disc(points[f"{side}_eye"], 0.02 * h, (250, 250, 250), None)
        canvas.disc(points[f"{side}_eye"], 0.012 * h, iris, None)
    canvas.disc(points["nose"], 0.015 * h, shade(figure.skin, 0.72), None)
