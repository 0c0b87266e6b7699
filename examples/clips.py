"""Short videos for the examples, made from what is here, for those who have none at hand."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from litepose.core.skeleton import COCO17
from litepose.data.synthetic.figure import FOREARM, UPPER_ARM, Canvas, Figure, paint, random_figure
from litepose.imaging.read import read_image
from litepose.video import VideoWriter

FPS = 12
SCENE = Path(__file__).parent / "images" / "scene.jpg"
ARMS_DOWN, ARMS_UP = 15, 69  # degrees from the trunk


def group_video(seconds: float = 4) -> str:
    """A camera that turns over the group of images/scene.jpg, there and back."""
    scene = read_image(SCENE)
    height, width = 480, 640
    turn = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(round(seconds * FPS)) / (seconds * FPS))
    left = (turn * (scene.shape[1] - width)).round().astype(int)
    return _written("group", (scene[40 : 40 + height, x : x + width] for x in left))


def exercise_video(repetitions: int = 3) -> str:
    """A drawn person who raises both arms, two seconds each time."""
    person = random_figure(np.random.default_rng(34), np.array([240.0, 255.0]), 400)
    turns = np.arange(repetitions * 2 * FPS + 1) / (2 * FPS)
    angles = ARMS_DOWN + (ARMS_UP - ARMS_DOWN) * (0.5 - 0.5 * np.cos(2 * np.pi * turns))
    return _written("exercise", _exercise(replace(person, facing=1), angles))


def _exercise(person: Figure, angles: np.ndarray) -> Iterator[np.ndarray]:
    height = person.height
    for angle in angles:
        points = dict(zip(COCO17.keypoints, _standing(person), strict=True))
        for name, sign in (("left", 1), ("right", -1)):
            for start, end, length in (
                ("shoulder", "elbow", UPPER_ARM),
                ("elbow", "wrist", FOREARM),
            ):
                turn = np.radians(angle)
                step = np.array([sign * np.sin(turn), np.cos(turn)]) * length * height
                points[f"{name}_{end}"] = points[f"{name}_{start}"] + step
        canvas = Canvas(np.full((480, 480, 3), (205, 200, 190), np.uint8))
        paint(canvas, replace(person, points=points), 1)
        yield canvas.image


def _standing(person: Figure) -> np.ndarray:
    """(17, 2) somebody who stands straight, seen from the front; the arms come later."""
    x, y = 240.0, 255.0
    middle = np.array([
        (0, -0.282), (0.036, -0.288), (-0.036, -0.288), (0.085, -0.3), (-0.085, -0.3),
        (0.115, -0.3), (-0.115, -0.3), (0, 0), (0, 0), (0, 0), (0, 0),
        (0.07, 0), (-0.07, 0), (0.11, 0.222), (-0.11, 0.222), (0.128, 0.436), (-0.128, 0.436),
    ])  # fmt: skip
    middle[:5, 1] -= 0.13
    return middle * person.height + (x, y)


def _written(name: str, images: Iterator[np.ndarray]) -> str:
    path = Path(tempfile.mkdtemp()) / f"{name}.webm"
    first = next(images)
    with VideoWriter(path, (first.shape[1], first.shape[0]), FPS) as video:
        video.write(first, 0.0)
        for i, image in enumerate(images, start=1):
            video.write(image, i / FPS)
    return str(path)
