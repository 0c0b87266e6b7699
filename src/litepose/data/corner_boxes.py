"""Detect boxes written as two corners instead of COCO's x, y, width, height."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from litepose.data.coco import AREA_OF_BOX, Record


def is_corner_box(
    box: tuple[float, float, float, float], points_xy: np.ndarray, image_wh: tuple[int, int]
) -> bool:
    """Whether a box leaves its image as width and height, but fits it and its keypoints as corners.

    points_xy: (N, 2) labeled keypoints
    """
    first, second, wh = np.array(box[:2]), np.array(box[2:]), np.array(image_wh)
    if not len(points_xy) or not (first + second > wh + 1).any():
        return False
    inside = (points_xy >= first - 1).all() and (points_xy <= second + 1).all()
    return bool(inside and (second > first).all() and (second <= wh + 1).all())


def areas_of_corners(records: Sequence[Record]) -> int:
    """Number of people whose area was computed from such a box; 0 if most boxes are correct."""
    corners = people = from_box = 0
    for record in records:
        for points, seen, box, area in zip(
            record.keypoints_xy, record.visibility, record.boxes_xywh, record.areas, strict=True
        ):
            people += 1
            x, y, w, h = map(float, box)
            if is_corner_box((x, y, w, h), points[seen > 0], record.image_wh):
                corners += 1
                from_box += bool(np.isclose(area, AREA_OF_BOX * w * h, rtol=1e-3))
    return from_box if 2 * corners > people else 0


def warning_of(records: Sequence[Record], needed_for: str) -> str | None:
    """A warning if areas were computed from such boxes. needed_for: what depends on areas."""
    people = areas_of_corners(records)
    if not people:
        return None
    return (
        f"warning: the boxes of {people:,} people seem to be two corners and no x, y, width,"
        f" height, and their areas, which {needed_for} needs, are made from them: see litepose data"
        " check"
    )
