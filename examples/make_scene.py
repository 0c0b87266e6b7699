"""Make examples/images/scene.jpg: several people at several sizes, from two free photographs.

It stands in for a photograph of a group that we may ship: people are cut out of astronaut.jpg and
camera.jpg (see images/README.md), mirrored, their clothes dyed, and set in two overlapping rows
before a plain wall. Run it from anywhere; the same images give the same scene.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from litepose.imaging.read import read_image
from litepose.imaging.write import save_image

IMAGES = Path(__file__).parent / "images"
SCENE_WH = (960, 560)

# Outlines within 6 pixels of the person; GrabCut finds the rest of the way.
OUTLINES = {
    "astronaut": [
        (153, 85), (160, 48), (192, 22), (230, 13), (268, 19), (293, 42), (302, 80), (297, 112),
        (280, 135), (262, 168), (290, 190), (306, 240), (335, 272), (354, 300), (363, 345),
        (415, 344), (462, 366), (492, 415), (501, 511), (20, 511), (22, 430), (33, 350), (48, 285),
        (72, 243), (108, 216), (113, 185), (130, 160), (160, 149), (184, 150), (179, 128),
        (162, 116),
    ],
    "camera": [
        (215, 63), (250, 78), (271, 103), (272, 128), (262, 138), (325, 137), (327, 160),
        (331, 180), (330, 205), (318, 227), (305, 245), (305, 276), (286, 301), (262, 313),
        (238, 307), (222, 292), (200, 320), (175, 352), (152, 387), (148, 420), (153, 470),
        (152, 511), (0, 511), (0, 312), (12, 278), (30, 232), (55, 193), (85, 148), (112, 128),
        (152, 116), (160, 93), (182, 73),
    ],
}  # fmt: skip


class Figure(NamedTuple):
    """Who, where the lower left corner stands in the scene, how large, and how it is altered."""

    who: str
    left: int
    bottom: int
    scale: float
    mirrored: bool = False
    dye: int = 0  # turn of the suit's hue, in OpenCV's 180 steps


BACK_ROW = (
    Figure("camera", 0, 292, 0.40),
    Figure("astronaut", 130, 292, 0.42, dye=98),
    Figure("camera", 625, 292, 0.40, mirrored=True),
    Figure("astronaut", 312, 292, 0.38, mirrored=True, dye=80),
    Figure("astronaut", 465, 292, 0.42),
    Figure("astronaut", 738, 292, 0.40, mirrored=True, dye=142),
)
FRONT_ROW = (
    Figure("camera", 600, 560, 0.74, mirrored=True),
    Figure("astronaut", 295, 560, 0.66, mirrored=True, dye=98),
    Figure("astronaut", 30, 560, 0.70),
)


def cut_out(who: str) -> np.ndarray:
    """(h, w, 4) uint8 RGBA of one photograph's person."""
    image = read_image(IMAGES / f"{who}.jpg")
    inside = np.zeros(image.shape[:2], np.uint8)
    cv2.fillPoly(inside, [np.array(OUTLINES[who])], 1)
    band = np.ones((13, 13), np.uint8)
    mask = np.where(inside, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    mask[cv2.dilate(inside, band) == 0] = cv2.GC_BGD
    mask[cv2.erode(inside, band) == 1] = cv2.GC_FGD
    cv2.setRNGSeed(1)
    cv2.grabCut(image, mask, None, np.zeros((1, 65)), np.zeros((1, 65)), 4, cv2.GC_INIT_WITH_MASK)
    person = ((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD)).astype(np.uint8) * 255
    person = cv2.morphologyEx(person, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8))
    return np.dstack([image, cv2.GaussianBlur(person, (5, 5), 0)])


def dyed(person: np.ndarray, turn: int) -> np.ndarray:
    """The suit in another color: only what is strongly colored, and below the face."""
    hsv = cv2.cvtColor(person[..., :3], cv2.COLOR_RGB2HSV)
    suit = np.clip((hsv[..., 1].astype(np.float32) - 120) / 60, 0, 1)
    suit[:190] = 0
    hsv[..., 0] = (hsv[..., 0].astype(int) + turn) % 180
    hsv[..., 1] = hsv[..., 1] * 0.85  # other hues look louder than the suit's own orange
    other = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    rgb = person[..., :3] + (other.astype(np.float32) - person[..., :3]) * suit[..., None]
    return np.dstack([rgb.astype(np.uint8), person[..., 3]])


def put(scene: np.ndarray, figure: Figure, person: np.ndarray) -> None:
    person = dyed(person, figure.dye) if figure.dye else person
    person = cv2.resize(
        person, None, fx=figure.scale, fy=figure.scale, interpolation=cv2.INTER_AREA
    )
    person = person[:, ::-1] if figure.mirrored else person
    top = figure.bottom - person.shape[0]
    part = scene[top : figure.bottom, figure.left : figure.left + person.shape[1]]
    person = person[:, : part.shape[1]]
    part += (person[..., :3] - part) * (person[..., 3:] / np.float32(255))


def make_scene() -> np.ndarray:
    w, h = SCENE_WH
    down = np.linspace(0, 1, h, dtype=np.float32)[:, None, None]
    scene = np.repeat((1 - down) * (226, 230, 236) + down * (188, 192, 202), w, axis=1)
    scene = scene.astype(np.float32)
    people = {who: cut_out(who) for who in OUTLINES}
    for figure in BACK_ROW:
        put(scene, figure, people[figure.who])
    rail = scene[BACK_ROW[0].bottom :]
    rail[:] = np.linspace(1, 0.86, len(rail), dtype=np.float32)[:, None, None] * (150, 160, 178)
    rail[:5] = (236, 240, 246)
    for figure in FRONT_ROW:
        put(scene, figure, people[figure.who])
    grain = np.random.default_rng(0).normal(0, 1.5, scene.shape)
    return (scene + grain).clip(0, 255).astype(np.uint8)


if __name__ == "__main__":
    print(save_image(IMAGES / "scene.jpg", make_scene(), quality=88))
