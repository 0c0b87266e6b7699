"""Clips of drawn people who walk, cross, hide one another, leave and come back; with the truth.

Ours, to judge trackers where no video with ids is at hand: the people of `figure.py` on straight
ways between stops, pillars that hide them, a camera that may pan, frames that may be dropped. Who
is where in which frame, and which keypoints can be seen, is counted from the painted pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.skeleton import COCO17
from litepose.data.synthetic.figure import (
    FOREARM,
    HEAD,
    HIP,
    NECK,
    SHIN,
    SHOULDER,
    THIGH,
    TORSO,
    UPPER_ARM,
    Canvas,
    Figure,
    paint,
    random_color,
    random_figure,
)  # fmt: skip
from litepose.data.synthetic.scene import FURNITURE_OWNER

STRIDE = 0.85  # heights walked in one full swing of both legs
AREA = 0.2  # of a person's paint, in squared heights
TURNING = 0.25  # seconds that speeding up, stopping and turning round take


@dataclass(frozen=True)
class ClipSettings:
    """What a clip shows.

    size_wh, seconds, fps:  of the image and the clip
    people:   how many there are, in the image or out of it
    height:   their heights, lowest and highest, as shares of the image's
    pillars:  things that stand in front
    pan:      image widths a second that the camera turns by, at most
    dropped:  share of frames that are missing, so that times are uneven
    """

    size_wh: tuple[int, int] = (480, 270)
    seconds: float = 8.0
    fps: float = 25.0
    people: int = 5
    height: tuple[float, float] = (0.4, 0.7)
    pillars: int = 1
    pan: float = 0.0
    dropped: float = 0.0

    def __post_init__(self) -> None:
        if min(self.size_wh) < 32 or not 0 <= self.people < 200:
            raise LitePoseError(
                "a clip needs sides of 32 pixels or more and fewer than 200 people;"
                f" got size {self.size_wh}, people {self.people}"
            )
        if not (self.seconds > 0 and self.fps > 0 and 0 <= self.dropped < 1):
            raise LitePoseError(
                "a clip needs seconds and fps above 0 and a share dropped below 1; got"
                f" {self.seconds}, {self.fps}, {self.dropped}"
            )
        if not 0 < self.height[0] <= self.height[1] <= 2:
            raise LitePoseError(f"heights must be 0 < low <= high <= 2; got {self.height}")


class Truth(NamedTuple):
    """Everybody of whom a pixel is painted in one frame.

    ids (N,) from 1; keypoints_xy (N, 17, 2) also where hidden; visibility (N, 17): 0 outside the
    image or turned away, 1 hidden, 2 seen; areas (N,) of the whole person, as OKS takes them
    """

    ids: np.ndarray
    keypoints_xy: np.ndarray
    visibility: np.ndarray
    areas: np.ndarray


class Frame(NamedTuple):
    """`seconds` into the clip, the image (H, W, 3) RGB, and who is in it."""

    seconds: float
    image: np.ndarray
    truth: Truth


class _Walker(NamedTuple):
    """One person: how it looks, and for each frame x of its middle in the scene, px, its speed, in
    heights a second, how far its legs have swung, radians; ground_y of its feet, px."""

    figure: Figure
    x: np.ndarray
    speed: np.ndarray
    swing: np.ndarray
    ground_y: float


def walk(seed: int, settings: ClipSettings = ClipSettings()) -> Iterator[Frame]:
    """The frames of a clip, one after the other. The same seed draws the same clip."""
    rng = np.random.default_rng((seed, 0x77616C6B))
    times = np.arange(round(settings.seconds * settings.fps)) / settings.fps
    width, height = settings.size_wh
    camera_x = _camera(rng, times, settings)
    scene = _scene(rng, int(camera_x.max()) + width, height)
    walkers = [_walker(rng, times, settings, scene.shape[1]) for _ in range(settings.people)]
    walkers.sort(key=lambda walker: walker.ground_y)
    pillars = _pillars(rng, settings.pillars, scene.shape[1], height)
    shown = rng.uniform(size=len(times)) >= settings.dropped
    for i in np.flatnonzero(shown).tolist():
        left = int(camera_x[i])
        canvas = Canvas(scene[:, left : left + width].copy())
        figures = [_stepping(walker, i, left) for walker in walkers]
        for owner, figure in enumerate(figures, start=1):
            paint(canvas, figure, owner)
        for x, w, color in pillars:
            corners = [(x - left, 0), (x - left + w, 0), (x - left + w, height), (x - left, height)]
            canvas.polygon(corners, color, FURNITURE_OWNER)
        yield Frame(float(times[i]), canvas.image, _truth(canvas.owner, figures))


def _camera(rng: np.random.Generator, times: np.ndarray, settings: ClipSettings) -> np.ndarray:
    """(F,) px, left edge of what the camera sees: it swings to and fro at up to `pan`."""
    period = rng.uniform(4, 8)
    reach = settings.pan * settings.size_wh[0] * period / (2 * np.pi)
    swing = np.sin(2 * np.pi * (times / period + rng.uniform()))
    return np.round(reach * (swing + 1))


def _scene(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """(H, W, 3): a wall with blots and a floor."""
    blots = rng.integers(60, 220, size=(6, max(2, 6 * width // height), 3), dtype=np.uint8)
    image = cv2.resize(blots, (width, height), interpolation=cv2.INTER_CUBIC)
    plain = np.full_like(image, random_color(rng, 110, 220))
    plain[int(height * rng.uniform(0.5, 0.7)) :] = random_color(rng, 60, 150)
    image = cv2.addWeighted(plain, 0.75, image, 0.25, 0)
    grain = rng.integers(0, 16, size=image.shape, dtype=np.uint8)
    return np.maximum(image, grain) - grain


def _pillars(
    rng: np.random.Generator, count: int, width: int, height: int
) -> list[tuple[float, float, tuple[int, int, int]]]:
    """Left edge, width, color of each."""
    return [
        (
            (n + rng.uniform(0.2, 0.8)) * width / max(count, 1),
            rng.uniform(0.06, 0.16) * height,
            random_color(rng, 60, 160),
        )
        for n in range(count)
    ]


def _walker(
    rng: np.random.Generator, times: np.ndarray, settings: ClipSettings, scene_width: int
) -> _Walker:
    """From stop to stop at a pace of its own; stops may lie outside the scene."""
    image_height = settings.size_wh[1]
    near = rng.uniform()
    low, high = settings.height
    tall = (low + (high - low) * near) * image_height
    margin = 0.3 * tall
    wanted = np.zeros(len(times))  # px/s
    x, here = np.zeros(len(times)), rng.uniform(0.1, 0.9) * scene_width
    stop, pace, rest_until = here, 0.0, rng.uniform(-1, 1)
    for i, now in enumerate(times):
        if abs(stop - here) < 2 * pace / settings.fps:
            pace, stop = 0.0, here
            rest_until = now + rng.choice([0.0, rng.uniform(0.2, 1.2)])
        if pace == 0 and now >= rest_until:
            stop = rng.uniform(-margin, scene_width + margin)
            pace = rng.uniform(0.45, 0.95) * tall
        wanted[i] = pace * np.sign(stop - here)
        here += wanted[i] / settings.fps
        x[i] = here
    width = max(1, round(TURNING * settings.fps))
    soft = np.convolve(np.pad(x, width, mode="edge"), np.ones(width) / width, "same")[width:-width]
    speed = np.gradient(soft, times) / tall if len(times) > 1 else np.zeros(1)
    figure = random_figure(rng, np.zeros(2), tall)
    swing = 2 * np.pi * (np.cumsum(np.abs(speed)) / settings.fps / STRIDE + rng.uniform())
    ground = (0.72 + 0.2 * near + rng.normal(0, 0.015)) * image_height
    return _Walker(replace(figure, facing=1), soft, speed, swing, ground)


def _stepping(walker: _Walker, i: int, left: int) -> Figure:
    """The person in frame i, in pixels of an image whose left edge is at `left` of the scene."""
    h, speed, swing = walker.figure.height, walker.speed[i], walker.swing[i]
    effort = min(1.0, abs(speed) / 0.4)
    turn = 1 - 0.65 * effort  # who walks is seen from the side
    ahead = np.sign(speed) * effort
    hips = np.array([walker.x[i] - left, walker.ground_y - (THIGH + SHIN) * h])
    hips[1] += 0.012 * h * effort * np.cos(2 * swing)
    neck = hips + np.array([0.03 * ahead, -TORSO]) * h
    head = neck + np.array([0.02 * ahead, HEAD - NECK]) * h
    look = 0.6 * ahead * HEAD * h
    points = {"nose": head + np.array([look, 0.018 * h])}
    for name, sign, late in (("left", 1, 0.0), ("right", -1, np.pi)):
        out = np.array([sign * turn, 0.0])
        points[f"{name}_eye"] = head + 0.42 * HEAD * h * out + np.array([0.7 * look, -0.012 * h])
        points[f"{name}_ear"] = head + HEAD * h * out - np.array([0.2 * look, 0])
        points[f"{name}_shoulder"] = shoulder = neck + SHOULDER * h * out
        points[f"{name}_hip"] = hip = hips + HIP * h * out
        leg = 28 * effort * np.sin(swing + late) * np.sign(speed)
        knee = 35 * effort * max(0.0, np.cos(swing + late)) * np.sign(speed)
        arm = -leg * 0.9 + sign * 8
        bend = 25 * ahead
        points[f"{name}_elbow"] = elbow = shoulder + _hanging(arm, UPPER_ARM * h)
        points[f"{name}_wrist"] = elbow + _hanging(arm + bend, FOREARM * h)
        points[f"{name}_knee"] = bent = hip + _hanging(leg, THIGH * h)
        points[f"{name}_ankle"] = bent + _hanging(leg - knee, SHIN * h)
    return replace(walker.figure, points=points)


def _hanging(degrees: float, length: float) -> np.ndarray:
    """(2,) from a joint to the limb's end; degrees count from straight down to the right."""
    radians = np.radians(degrees)
    return length * np.array([np.sin(radians), np.cos(radians)])


def _truth(owner: np.ndarray, figures: list[Figure]) -> Truth:
    height, width = owner.shape
    k = COCO17.num_keypoints
    points = np.array([f.keypoints_xy for f in figures]).reshape(-1, k, 2)
    inside = ((points >= 0) & (points < (width, height))).all(axis=2)
    column, row = np.clip(points, 0, np.array([width, height]) - 1).astype(int).transpose(2, 0, 1)
    numbers = np.arange(1, len(figures) + 1)
    mine = owner[row, column] == numbers[:, None]  # (N, K)
    visibility = np.where(mine, 2, 1) * inside
    areas = AREA * np.array([f.height for f in figures]) ** 2
    shown = np.isin(numbers, owner)
    return Truth(numbers[shown], points[shown], visibility[shown], areas[shown])
