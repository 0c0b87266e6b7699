"""Draw the bar plot of `litepose bench`: one bar per backend and crowd, split by stage.

Drawn with Pillow in the font that it carries.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from litepose.apps.bench.models import REFERENCE, BenchRow
from litepose.apps.bench.report import BenchReport, ModelReport

_WIDTH, _LEFT, _RIGHT = 1500, 330, 250
_BAR, _GAP, _PAD = 22, 8, 36
_PAPER, _INK, _FAINT, _GRID = (252, 252, 250), (38, 38, 46), (120, 120, 130), (228, 228, 226)
_PARTS = (
    ("making the input", (246, 190, 80)),
    ("network", (66, 120, 180)),
    ("decoding", (96, 170, 110)),
)
_PALE = 0.55  # how far the reference's colors go towards the paper


def draw_bench(report: BenchReport) -> np.ndarray:
    """(H, W, 3) uint8 RGB. Bars that leave the axis, as the reference's may, end in a break."""
    heights = [_panel_height(model) for model in report.models]
    foot = 30 * len(report.folders) + 64
    image = Image.new("RGB", (_WIDTH, 116 + sum(heights) + foot), _PAPER)
    pen = ImageDraw.Draw(image)
    m = report.machine
    _text(pen, (_PAD, 24), "From an image to its people: milliseconds, median", 30)
    _text(
        pen,
        (_PAD, 66),
        f"{m.cpu}, {m.cores} cores, {m.matrix_gmacs:.0f} GMAC/s float32 matrix product,"
        f" {m.copy_gbs:.0f} GB/s copying, {report.date}; the thin line ends at p95",
        18,
        _FAINT,
    )
    _legend(pen, 92)
    top = 116
    for model, height in zip(report.models, heights, strict=True):
        _panel(pen, model, top)
        top += height
    for i, rate in enumerate(report.folders):
        w, h = rate.image_wh
        text = (
            f"A folder of {rate.images} images of {w}x{h}: {rate.one_by_one:.1f} a second one"
            f" by one, {rate.many:.1f} together ({rate.ratio:.2f} times as many)"
        )
        _text(pen, (_PAD, top + 24 + 30 * i), text, 20)
    return np.asarray(image)


def _panel_height(model: ModelReport) -> int:
    return 76 + len(model.rows) * (_BAR + _GAP) + 12 * (len(_groups(model)) - 1) + 34


def _groups(model: ModelReport) -> list[list[BenchRow]]:
    """Rows of one crowd together, so that ways are compared side by side; flip tests last."""
    keys = dict.fromkeys((row.flip_test, row.people) for row in model.rows)
    return [[r for r in model.rows if (r.flip_test, r.people) == key] for key in sorted(keys)]


def _panel(pen: ImageDraw.ImageDraw, model: ModelReport, top: int) -> None:
    w, h = model.rows[0].input_wh
    title = f"{model.model}, input {w}x{h}{', random weights' if model.random else ''}"
    _text(pen, (_PAD, top + 30), title, 24)
    ours = [row.latency.total.p50 for row in model.rows if row.way != REFERENCE]
    end = _round_up(1.15 * max(ours, default=1.0))
    scale = (_WIDTH - _LEFT - _RIGHT) / end
    below = top + _panel_height(model) - 30
    for tick in np.linspace(0, end, 6):
        x = _LEFT + tick * scale
        pen.line((x, top + 70, x, below), fill=_GRID, width=1)
        _text(pen, (x, below + 6), f"{tick:.0f}", 16, _FAINT, "mt")
    y = top + 76
    for group in _groups(model):
        for row in group:
            _bar(pen, model, row, (y, scale, end))
            y += _BAR + _GAP
        y += 12


def _bar(
    pen: ImageDraw.ImageDraw,
    model: ModelReport,
    row: BenchRow,
    place: tuple[int, float, float],
) -> None:
    y, scale, end = place
    crowd = f"{row.people} {'person' if row.people == 1 else 'people'}"
    label = f"{crowd}{' + flip' if row.flip_test else ''}, {row.way}"
    is_reference = row.way == REFERENCE
    _text(pen, (_LEFT - 12, y + _BAR / 2), label, 17, _FAINT if is_reference else _INK, "rm")
    t, x = row.latency, float(_LEFT)
    limit = _LEFT + end * scale
    for (_, color), part in zip(_PARTS, (t.pre, t.net, t.decode), strict=True):
        shade = _towards_paper(color) if is_reference else color
        right = min(x + part.p50 * scale, limit)
        if right > x:
            pen.rectangle((x, y, right, y + _BAR), fill=shade)
        x = right
    broken = t.total.p50 > end
    if broken:
        for shift in (34, 24):
            pen.line((limit - shift, y + _BAR + 2, limit - shift + 10, y - 2), _PAPER, 4)
    else:
        far = min(_LEFT + t.total.p95 * scale, limit)
        pen.line((x, y + _BAR / 2, far, y + _BAR / 2), fill=_INK, width=2)
        x = max(x, far)
    text = f"{t.total.p50:.1f}" if t.total.p50 < 100 else f"{t.total.p50:.0f}"
    ratio = model.times_reference(row, row.flip_test)
    if ratio is not None and not is_reference:
        text += f"   (reference {ratio:.1f} times that)"
    _text(pen, (x + 10, y + _BAR / 2), text, 17, _INK, "lm")


def _legend(pen: ImageDraw.ImageDraw, y: int) -> None:
    x = float(_PAD)
    for name, color in _PARTS:
        pen.rectangle((x, y, x + 22, y + 16), fill=color)
        _text(pen, (x + 30, y + 8), name, 18, _INK, "lm")
        x += 30 + pen.textlength(name, font=_font(18)) + 28
    note = "pale: the official way, PyTorch eager and the official decoding"
    _text(pen, (x, y + 8), note, 18, _FAINT, "lm")


def _round_up(value: float) -> float:
    """The next of 5, 10, 20, 25, 50, 100, ... so that the axis has round numbers."""
    power = 10 ** np.floor(np.log10(value))
    steps: Sequence[float] = (1, 1.5, 2, 2.5, 3, 4, 5, 7.5, 10)
    return float(next(s * power for s in steps if s * power >= value))


def _towards_paper(color: tuple[int, int, int]) -> tuple[int, int, int]:
    r, g, b = (round(c + _PALE * (p - c)) for c, p in zip(color, _PAPER, strict=True))
    return r, g, b


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _text(
    pen: ImageDraw.ImageDraw,
    at: tuple[float, float],
    text: str,
    size: int,
    color: tuple[int, int, int] = _INK,
    anchor: str = "lt",
) -> None:
    pen.text(at, text, fill=color, font=_font(size), anchor=anchor)
