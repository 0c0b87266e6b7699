"""Draw reliability diagrams: said probability across, share of right ones up."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from litepose.evaluation.calibration import Calibration, reliability

_SIDE, _PAD = 380, 60
_PAPER, _INK, _GRID = (252, 252, 250), (38, 38, 46), (222, 222, 218)
_BEFORE, _AFTER = (66, 120, 180), (214, 96, 60)


def draw_reliability(found: Mapping[str, Calibration]) -> np.ndarray:
    """(H, W, 3) uint8 RGB: a panel for each kind of score, before and after; the diagonal is
    perfect."""
    wide, high = _SIDE + 2 * _PAD, _SIDE + 2 * _PAD + 30
    image = Image.new("RGB", (wide * max(len(found), 1), high), _PAPER)
    pen = ImageDraw.Draw(image)
    for panel, (name, one) in enumerate(found.items()):
        left, bottom = panel * wide + _PAD, _PAD + _SIDE
        _axes(pen, left, bottom)
        scores, right = one.held_out.scores, one.held_out.right
        for values, color in ((scores, _BEFORE), (one.map(scores), _AFTER)):
            points = [
                (left + _SIDE * said, bottom - _SIDE * true)
                for said, true, _ in reliability(values, right).tolist()
            ]
            pen.line(points, fill=color, width=3)
            for x, y in points:
                pen.ellipse((x - 4, y - 4, x + 4, y + 4), fill=color)
        _text(pen, (left, 16), f"{name}: share of right ones over the score", _INK)
        _text(pen, (left, bottom + 32), f"score as it is, error {one.before:.3f}", _BEFORE)
        _text(pen, (left, bottom + 54), f"mapped, error {one.after:.3f}", _AFTER)
    return np.asarray(image)


def _axes(pen: ImageDraw.ImageDraw, left: int, bottom: int) -> None:
    for tenth in range(0, 11, 2):
        at = _SIDE * tenth // 10
        pen.line((left + at, bottom - _SIDE, left + at, bottom), fill=_GRID)
        pen.line((left, bottom - at, left + _SIDE, bottom - at), fill=_GRID)
        _text(pen, (left + at - 10, bottom + 8), f"{tenth / 10:.1f}", _INK)
        _text(pen, (left - 34, bottom - at - 8), f"{tenth / 10:.1f}", _INK)
    pen.line((left, bottom, left + _SIDE, bottom - _SIDE), fill=_INK)


def _text(
    pen: ImageDraw.ImageDraw, at_xy: tuple[int, int], text: str, color: tuple[int, int, int]
) -> None:
    pen.text(at_xy, text, fill=color, font=ImageFont.load_default(15))
