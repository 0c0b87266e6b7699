"""Choose the part of an image that a larger view should cover: around small people.

A view of twice the size costs four times as much, and most of an image shows no people, or people
that the smaller view resolves already. The maps of the smaller view show where keypoints are.
"""

from __future__ import annotations

import math

import numpy as np

from litepose.core.geometry import Letterbox
from litepose.core.poses import Poses
from litepose.decode.merge import MergedMaps
from litepose.decode.merge_views import person_sides

SURE = 0.2  # keypoints scoring below are guesses
HEAT = 0.2  # blocks of the map colder than this show no keypoint
LARGE_PX = 96  # people this large in the small view are found better there than in a larger view
READ_WELL = 0.4  # ... if they have this score
MARGIN_PX = 16  # input pixels around hot blocks

Rectangle = tuple[int, int, int, int]  # left, top, right, bottom in image pixels


def focus(field: MergedMaps, box: Letterbox, poses: Poses) -> Rectangle | None:
    """Part of the image that a larger view should cover; None where it would find nothing new.

    field, box, poses: results of the smaller view; poses in image pixels.
    """
    hot = (field.peaks / np.float32(field.summed)).max(axis=0) > HEAT  # (R, C)
    side = field.block * field.stride  # of a block, in input pixels
    for low, high in _read_well(box, poses):
        left, top = np.maximum(low // side, 0).astype(int)
        right, bottom = np.ceil(high / side).astype(int)
        hot[top : max(bottom, 0), left : max(right, 0)] = False
    if not hot.any():
        return None
    rows, columns = (np.flatnonzero(hot.any(axis=axis)) for axis in (1, 0))
    low = np.array([columns[0], rows[0]]) * side - MARGIN_PX
    high = np.array([columns[-1] + 1, rows[-1] + 1]) * side + MARGIN_PX
    left, top = np.maximum(np.floor(box.to_image(low.astype(float))), 0)
    right, bottom = np.minimum(np.ceil(box.to_image(high.astype(float))), box.image_wh)
    if math.ceil(right) <= left or math.ceil(bottom) <= top:
        return None
    return int(left), int(top), int(right), int(bottom)


def _read_well(box: Letterbox, poses: Poses) -> list[tuple[np.ndarray, np.ndarray]]:
    """Boxes (least, greatest x, y) in input pixels of people that need no larger view."""
    to_input = box.to_input
    zoom = float(to_input.matrix[0, 0])
    boxes = []
    for i in np.flatnonzero(poses.person_scores >= READ_WELL):
        person = poses[int(i)]
        sure = person.scores[0] > SURE
        if sure.sum() < 2 or person_sides(person)[0] * zoom < LARGE_PX:
            continue
        points = to_input(person.keypoints_xy[0, sure])
        low, high = points.min(axis=0), points.max(axis=0)
        margin = 0.1 * (high - low).max() + 8
        boxes.append((low - margin, high + margin))
    return boxes
