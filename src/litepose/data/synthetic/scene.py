"""Draw scenes of synthetic people, and write them with their labels in COCO layout.

Scenes have a wall and a floor, furniture that hides people, and distant crowds as one crowd region.
Visibility, boxes and areas are computed from the painted pixels.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.kinds import check_kinds
from litepose.core.names import local_path
from litepose.core.skeleton import COCO17
from litepose.data.layouts import check_unused
from litepose.data.masks import encode_rle
from litepose.data.synthetic.figure import Canvas, Figure, paint, random_color, random_figure, shade
from litepose.imaging.write import save_image

CROWD_OWNER = 255
FURNITURE_OWNER = 0
FEWEST_VISIBLE = 3
CATEGORY = {
    "id": 1,
    "name": "person",
    "keypoints": list(COCO17.keypoints),
    "skeleton": (COCO17.edge_index + 1).tolist(),
}


@dataclass(frozen=True)
class SceneSettings:
    """What is drawn: image size, people (fewest, most), their heights as shares of the image's;
    how often furniture covers a person, and how often there is a crowd in the background.
    """

    size_wh: tuple[int, int] = (256, 256)
    people: tuple[int, int] = (1, 4)
    height: tuple[float, float] = (0.45, 0.9)
    furniture: float = 0.3
    crowd: float = 0.05

    def __post_init__(self) -> None:
        check_kinds(self)
        if min(self.size_wh) < 32 or not 0 <= self.people[0] <= self.people[1] <= 200:
            raise LitePoseError(
                "a scene needs sides of 32 pixels or more and 0 <= fewest <= most <= 200 people;"
                f" got size {self.size_wh}, people {self.people}"
            )
        if not 0 < self.height[0] <= self.height[1] <= 2:
            raise LitePoseError(f"heights must be 0 < low <= high <= 2; got {self.height}")


@dataclass(frozen=True, eq=False)
class Scene:
    """A drawn image (H, W, 3) RGB and its COCO annotations, ids left to the writer."""

    image: np.ndarray
    annotations: list[dict[str, Any]]


def draw_scene(rng: np.random.Generator, settings: SceneSettings = SceneSettings()) -> Scene:
    """One image with people. The same `rng` state draws the same image."""
    width, height = settings.size_wh
    canvas = Canvas(_background(rng, width, height))
    if rng.uniform() < settings.crowd:
        _paint_crowd(rng, canvas)
    figures = _figures(rng, settings)
    for owner, figure in enumerate(figures, start=1):
        paint(canvas, figure, owner)
        if rng.uniform() < settings.furniture / max(1, len(figures)):
            _paint_furniture(rng, canvas, figure)
    _finish(rng, canvas.image)
    people = [_annotate(canvas.owner, figure, i) for i, figure in enumerate(figures, start=1)]
    annotations = [person for person in people if person is not None]
    if (canvas.owner == CROWD_OWNER).any():
        annotations.append(_annotate_crowd(canvas.owner == CROWD_OWNER))
    return Scene(canvas.image, annotations)


def synthesize(
    folder: str | Path,
    count: int,
    seed: int = 0,
    split: str = "train2017",
    settings: SceneSettings = SceneSettings(),
) -> Path:
    """Draw `count` images and their annotations in COCO's layout; returns the annotation file.

    Image i depends on (seed, split, i) only. Raises LitePoseError where the folder has files of
    this split already, or cannot be written.
    """
    folder = local_path(folder)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    width, height = settings.size_wh
    path = folder / "annotations" / f"person_keypoints_{split}.json"
    try:
        check_unused(folder, split)
        (folder / "images" / split).mkdir(parents=True, exist_ok=True)
        path.parent.mkdir(exist_ok=True)
        for i in range(1, count + 1):
            scene = draw_scene(np.random.default_rng((seed, *split.encode(), i)), settings)
            name = f"{i:012d}.jpg"
            save_image(folder / "images" / split / name, scene.image)
            images.append({"id": i, "file_name": name, "width": width, "height": height})
            for annotation in scene.annotations:
                annotations.append({"id": len(annotations) + 1, "image_id": i, **annotation})
        whole = {
            "info": {"description": f"drawn people, seed {seed}", "license": "free of rights"},
            "images": images,
            "annotations": annotations,
            "categories": [CATEGORY],
        }
        path.write_text(json.dumps(whole))
    except OSError as exc:
        raise LitePoseError(f"cannot write drawn people to {folder}: {exc.strerror}") from None
    return path


def _figures(rng: np.random.Generator, settings: SceneSettings) -> list[Figure]:
    """People, far ones first; nearer people are taller and lower in the image."""
    width, height = settings.size_wh
    fewest, most = settings.people
    count = int(rng.integers(fewest, most + 1))
    # The more people, the smaller they are; otherwise all would be covered.
    smaller = 1.0 if count <= 2 else (2 / count) ** 0.35
    figures = []
    slots = rng.permutation(count)
    for slot, share in zip(slots, np.sort(rng.uniform(size=count)), strict=True):
        low, high = settings.height
        tall = (low + (high - low) * share) * smaller * height
        middle = height * (0.42 + 0.16 * share) + rng.normal(0, 0.04) * height
        x = (0.1 + 0.8 * (slot + rng.uniform(0.1, 0.9)) / count) * width
        figures.append(random_figure(rng, np.array([x, middle]), tall))
    return figures


def _background(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """A wall with a texture and images on it, above a floor."""
    blots = rng.integers(0, 256, size=(9, 9, 1)) + rng.integers(-45, 46, size=(9, 9, 3))
    blots = np.clip(blots, 0, 255).astype(np.uint8)
    clouds = cv2.resize(blots, (width, height), interpolation=cv2.INTER_CUBIC)
    plain = np.empty_like(clouds)
    horizon = int(height * rng.uniform(0.45, 0.8))
    plain[:horizon] = random_color(rng, 90, 225)
    plain[horizon:] = random_color(rng, 60, 170)
    image = cv2.addWeighted(plain, 0.75, clouds, 0.25, 0)
    for _ in range(rng.integers(2, 7)):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        w, h = (int(rng.integers(side // 16, side // 3)) for side in (width, height))
        color = random_color(rng, 30, 235)
        if rng.uniform() < 0.6:
            cv2.rectangle(image, (x, y), (x + w, y + h), shade(color, 0.6), -1)
            cv2.rectangle(image, (x + 2, y + 2), (x + w - 2, y + h - 2), color, -1)
        else:
            cv2.ellipse(image, (x, y), (w // 2, h // 2), 0, 0, 360, color, -1, cv2.LINE_AA)
    for _ in range(rng.integers(0, 5)):
        ends = rng.integers(0, (width, height), size=(2, 2)).tolist()
        cv2.line(image, ends[0], ends[1], random_color(rng, 30, 220), 2, cv2.LINE_AA)
    return image


def _finish(rng: np.random.Generator, image: np.ndarray) -> None:
    """Add grain and light from one side, in place: flat colors would be too easy."""
    height, width = image.shape[:2]
    coarse = rng.integers(0, 28, size=((height + 1) // 2, (width + 1) // 2), dtype=np.uint8)
    grain = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)
    left, right = rng.uniform(0, 36, size=2)
    light = np.linspace(left, right, width).astype(np.uint8)
    cv2.addWeighted(image, 1, cv2.merge([grain + light] * 3), 1, -32, dst=image)


def _paint_furniture(rng: np.random.Generator, canvas: Canvas, figure: Figure) -> None:
    """A box in front of a person's legs or of one side."""
    h = figure.height
    hip = (figure.points["left_hip"] + figure.points["right_hip"]) / 2
    corner = hip + np.array([rng.uniform(-0.35, 0.05), rng.uniform(0.05, 0.25)]) * h
    w, tall = rng.uniform(0.2, 0.4) * h, rng.uniform(0.15, 0.5) * h
    color = random_color(rng, 50, 200)
    for rim, paint_color in ((0, shade(color, 0.6)), (2, color)):
        left, top = corner + rim
        right, bottom = left + w - 2 * rim, top + tall - 2 * rim
        box = ((left, top), (right, top), (right, bottom), (left, bottom))
        canvas.polygon(box, paint_color, FURNITURE_OWNER)


def _paint_crowd(rng: np.random.Generator, canvas: Canvas) -> None:
    """Small people in a row, far away."""
    height, width = canvas.owner.shape
    tall = height * rng.uniform(0.12, 0.2)
    y = height * rng.uniform(0.3, 0.45)
    left = rng.uniform(0, 0.5) * width
    for x in np.arange(left, left + rng.uniform(0.3, 0.5) * width, tall * 0.3):
        place = np.array([x, y + rng.normal(0, 0.06) * tall])
        paint(canvas, random_figure(rng, place, tall), CROWD_OWNER)


def _annotate(owner: np.ndarray, figure: Figure, number: int) -> dict[str, Any] | None:
    """COCO annotation of one person; None for a person who is hidden completely."""
    mine = owner == number
    if not mine.any():
        return None
    height, width = owner.shape
    points = figure.keypoints_xy
    inside = ((points >= 0) & (points < (width, height))).all(axis=1)
    column, row = np.clip(points.astype(int), 0, (width - 1, height - 1)).T
    visibility = np.where(mine[row, column], 2, 1) * (inside & ~figure.unseen)
    if (visibility == 2).sum() < FEWEST_VISIBLE:
        visibility[:] = 0  # mostly hidden people are unlabeled, as in COCO
    triples = [
        value
        for (x, y), v in zip(points, visibility, strict=True)
        for value in ((round(float(x), 2), round(float(y), 2), int(v)) if v else (0, 0, 0))
    ]
    return {
        "category_id": 1,
        "iscrowd": 0,
        "num_keypoints": int((visibility > 0).sum()),
        "keypoints": triples,
        "bbox": _box(mine),
        "area": int(mine.sum()),
    }


def _annotate_crowd(mask: np.ndarray) -> dict[str, Any]:
    return {
        "category_id": 1,
        "iscrowd": 1,
        "num_keypoints": 0,
        "keypoints": [0] * (3 * COCO17.num_keypoints),
        "bbox": _box(mask),
        "area": int(mask.sum()),
        "segmentation": {"size": list(mask.shape), "counts": encode_rle(mask)},
    }


def _box(mask: np.ndarray) -> list[int]:
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    x, y = int(columns[0]), int(rows[0])
    return [x, y, int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y]
