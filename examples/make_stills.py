"""Make docs/images/video.jpg: frames of a tracked video, with everybody's id and the way it came.

python examples/make_stills.py
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np

import litepose
from clips import group_video
from litepose.imaging.draw import DrawStyle, draw_poses
from litepose.imaging.text import draw_label
from litepose.imaging.write import save_image

TARGET = Path(__file__).resolve().parents[1] / "docs" / "images" / "video.jpg"
SHOWN_AT = (0.5, 1.0, 1.5)  # seconds
WIDTH = 560  # of each still
GAP = 8
INKS = ((214, 40, 40), (16, 110, 190), (20, 130, 70), (150, 60, 170), (190, 110, 0), (0, 130, 140))


def draw_ways(image: np.ndarray, ways: dict[int, list[tuple[float, float]]]) -> None:
    """A line through where each person's shoulders were, light around so that it shows anywhere."""
    for number, way in ways.items():
        line = [(16 * np.array(way)).round().astype(np.int32)]
        for ink, thick in (((255, 255, 255), 6), (INKS[number % len(INKS)], 3)):
            cv2.polylines(image, line, False, ink, thick, cv2.LINE_AA, shift=4)


def make_stills() -> np.ndarray:
    """(H, W, 3) uint8 RGB."""
    stills: list[np.ndarray] = []
    waiting = list(SHOWN_AT)
    ways: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for frame in litepose.load(effort="fast").stream(group_video(), track=True, smooth=True):
        poses = frame.poses
        sides = [poses.keypoint(f"{side}_shoulder") for side in ("left", "right")]
        for number, left, right in zip(poses.track_ids.tolist(), *sides, strict=True):
            if min(left[2], right[2]) > 0.1:
                ways[number].append(tuple((left[:2] + right[:2]) / 2))
        if waiting and frame.seconds >= waiting[0]:
            waiting.pop(0)
            image = draw_poses(frame.image, poses, threshold=0.2, style=DrawStyle(label="id"))
            draw_ways(image, {number: ways[number] for number in poses.track_ids.tolist()})
            height = round(WIDTH * image.shape[0] / image.shape[1])
            still = cv2.resize(image, (WIDTH, height), interpolation=cv2.INTER_AREA)
            draw_label(still, f"{frame.seconds:.1f} s", (40.0, height - 14.0))
            stills.append(
                cv2.copyMakeBorder(still, 0, 0, 0, GAP, cv2.BORDER_CONSTANT, value=(255, 255, 255))
            )
    return np.hstack(stills)[:, :-GAP]


if __name__ == "__main__":
    print(save_image(TARGET, make_stills(), quality=85))
