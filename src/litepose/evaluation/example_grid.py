"""Grid of best and worst matches, false negatives and false positives.

Each example is shown twice, prediction on the left and labels on the right. The example's person is
alone on its own side; the other side shows all people.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from litepose.core.geometry import Affine
from litepose.core.poses import Poses
from litepose.core.skeleton import Skeleton
from litepose.evaluation.ground_truth import ImageFound, ImageTruth
from litepose.evaluation.matching import ImageMatch
from litepose.imaging.draw import draw_poses
from litepose.imaging.text import text_mask

_CELL, _GAP, _CAPTION, _TITLE, _TITLE_SIZE = 200, 6, 22, 34, 17
_PAPER, _OUTSIDE, _INK = (250, 250, 248), (226, 226, 222), (40, 40, 44)
_SMALLEST = 32.0**2  # smaller people cannot be evaluated by eye, nor does COCO count them as medium


class Example(NamedTuple):
    """One person: index of the image, rows of prediction and label (None: none), a caption."""

    image: int
    found: int | None
    true: int | None
    caption: str


def choose_examples(
    truths: Sequence[ImageTruth],
    found: Sequence[ImageFound],
    matches: Sequence[ImageMatch],
    columns: int = 4,
) -> dict[str, list[Example]]:
    """Title of a row -> its examples at OKS 0.5, at most one per image, most extreme first.

    False positives come from images with all people labeled, where there are some.
    """
    pairs: list[tuple[float, Example]] = []
    missed: list[tuple[float, Example]] = []
    invented: list[tuple[float, Example]] = []
    only_complete = any(t.people_complete for t in truths)
    for i, (truth, people, match) in enumerate(zip(truths, found, matches, strict=True)):
        partner = match.partner[0]
        for n in np.flatnonzero(match.tp[0]):
            m, oks = int(partner[n]), float(match.oks[n, partner[n]])
            if truth.areas[m] >= _SMALLEST:
                pairs.append((oks, Example(i, int(n), m, f"OKS {oks:.2f}")))
        for m in np.setdiff1d(np.flatnonzero(match.expected), partner):
            near = f"best OKS {match.oks[:, m].max():.2f}" if len(match.oks) else "no person found"
            missed.append((float(truth.areas[m]), Example(i, None, int(m), near)))
        for n in np.flatnonzero(match.fp[0]) if truth.people_complete or not only_complete else ():
            score, near = float(people.scores[n]), match.oks[n].max(initial=0.0)
            caption = f"score {score:.2f}, best OKS {near:.2f}"
            invented.append((score, Example(i, int(n), None, caption)))
    whole = " (images with everybody labeled)" if only_complete else ""
    return {
        "Best matches: highest OKS": _first(pairs, columns),
        "Worst matches: lowest OKS": _first([(-v, e) for v, e in pairs], columns),
        "False negatives: the largest": _first(missed, columns),
        f"False positives: the highest scores{whole}": _first(invented, columns),
    }


def draw_sheet(
    examples: dict[str, list[Example]],
    truths: Sequence[ImageTruth],
    found: Sequence[ImageFound],
    skeleton: Skeleton,
    read: Callable[[int], np.ndarray],
) -> np.ndarray:
    """(H, W, 3) uint8 RGB: one row per title, only words where it has no example.

    `read(i)` gives image i, (H, W, 3) uint8 RGB.
    """
    titles = [title if row else f"{title}: none" for title, row in examples.items()]
    wide, high = 2 * _CELL + 2 * _GAP, _CELL + _CAPTION
    heights = [_TITLE + (high if row else 0) for row in examples.values()]
    columns = max(len(row) for row in examples.values())
    words = max(text_mask(title, _TITLE_SIZE).shape[1] for title in titles)
    width = max(columns * (wide + _GAP), words + _GAP) + _GAP
    sheet = np.full((sum(heights) + _GAP, width, 3), _PAPER, np.uint8)
    for r, row in enumerate(examples.values()):
        top = sum(heights[:r])
        _write(sheet, titles[r], (_GAP, top + 7), _TITLE_SIZE)
        for c, example in enumerate(row):
            left = _GAP + c * (wide + _GAP)
            truth, people = truths[example.image], found[example.image]
            pair = _pair(example, truth, people, skeleton, read(example.image))
            sheet[top + _TITLE : top + _TITLE + _CELL, left : left + pair.shape[1]] = pair
            caption = f"{example.caption}   image {truth.image_id}   found | labeled"
            _write(sheet, caption, (left, top + _TITLE + _CELL + 3), 12)
    return sheet


def _first(ranked: list[tuple[float, Example]], count: int) -> list[Example]:
    chosen: dict[int, Example] = {}
    for _, example in sorted(ranked, key=lambda pair: -pair[0]):
        chosen.setdefault(example.image, example)
    return list(chosen.values())[:count]


def _pair(
    example: Example,
    truth: ImageTruth,
    people: ImageFound,
    skeleton: Skeleton,
    image: np.ndarray,
) -> np.ndarray:
    """The image around the person, twice: with what was found and with what is labeled."""
    seen = Poses(people.keypoints_xy, people.keypoint_scores, people.scores, skeleton)
    real = _true_poses(truth, skeleton)
    person = real[example.true] if example.true is not None else seen[example.found]
    to_cell = _crop(person)
    cell = _cell(image, to_cell)
    shown = seen if example.found is None else seen[example.found]
    labeled = real if example.true is None else real[example.true]
    sides = [draw_poses(cell, side.moved(to_cell)) for side in (shown, labeled)]
    return np.concatenate([sides[0], np.full((_CELL, 2, 3), _PAPER, np.uint8), sides[1]], axis=1)


def _cell(image: np.ndarray, to_cell: Affine) -> np.ndarray:
    """(_CELL, _CELL, 3): that part of the image, averaged before it shrinks to avoid aliasing."""
    h, w = image.shape[:2]
    shrink = min(1.0, to_cell.matrix[0, 0])
    small_wh = max(1, round(w * shrink)), max(1, round(h * shrink))
    small = cv2.resize(image, small_wh, interpolation=cv2.INTER_AREA) if shrink < 1 else image
    to_small = Affine.scale_shift((small_wh[0] / w, small_wh[1] / h))
    warp = (to_cell @ to_small.inverse()).for_warp()
    return cv2.warpAffine(small, warp, (_CELL, _CELL), borderValue=_OUTSIDE)


def _true_poses(truth: ImageTruth, skeleton: Skeleton) -> Poses:
    """Labels as poses, hidden keypoints paler than visible ones."""
    scores = np.choose(np.minimum(truth.visibility, 2), [0.0, 0.4, 1.0])
    return Poses(truth.keypoints_xy, scores, np.ones(len(scores)), skeleton)


def _crop(person: Poses) -> Affine:
    """Image pixels -> cell pixels: a square around the person with a third of its size to spare."""
    left, top, tp, bottom = person.boxes_xyxy[0]
    side = 1.5 * max(tp - left, bottom - top, 24.0)
    scale = _CELL / side
    middle = (left + tp) / 2, (top + bottom) / 2
    return Affine.scale_shift(
        (scale, scale), (_CELL / 2 - scale * middle[0], _CELL / 2 - scale * middle[1])
    )


def _write(sheet: np.ndarray, text: str, at_xy: tuple[int, int], size: int) -> None:
    """Dark text with its upper left corner at `at_xy`, in place; cut off at the sheet's edge."""
    x, y = at_xy
    mask = text_mask(text, size)
    part = sheet[y : y + mask.shape[0], x : x + mask.shape[1]]
    cover = mask[: part.shape[0], : part.shape[1], None] / 255
    part[:] = part + (np.array(_INK) - part) * cover
