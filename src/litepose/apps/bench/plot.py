"""Draw the bar plot of `litepose bench`: one bar per backend and crowd, split by stage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from litepose.apps.bench.models import REFERENCE, BenchRow
from litepose.apps.bench.report import BenchReport, ModelReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DPI, _WIDTH_IN = 100, 13
_BAR_IN, _AROUND_IN = 0.28, 1.3  # height of a bar, and of what surrounds a panel
_STAGES = {"making the input": "#f6be50", "network": "#4278b4", "decoding": "#60aa6e"}
_PALE = 0.45  # opacity of the reference's bars


def draw_bench(report: BenchReport) -> np.ndarray:
    """(H, W, 3) uint8 RGB: a panel for each model. Needs matplotlib.

    The axis ends behind the slowest bar of ours; bars of the reference beyond it are cut off there,
    their times are written beside them.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    heights = [_AROUND_IN + _BAR_IN * len(model.rows) for model in report.models]
    figure = Figure((_WIDTH_IN, sum(heights) + 1), _DPI, layout="constrained")
    m = report.machine
    figure.suptitle(
        f"Milliseconds from an image to its people (median; the line ends at p95)\n{m.cpu},"
        f" {m.cores} cores, {m.matrix_gmacs:.0f} GMAC/s float32 matrix product,"
        f" {m.copy_gbs:.0f} GB/s copying, {report.date}",
        fontsize=11,
    )
    panels = figure.subplots(len(heights), squeeze=False, height_ratios=heights)[:, 0]
    for model, panel in zip(report.models, panels, strict=True):
        _draw_model(panel, model)
    marks = panels[0].get_legend_handles_labels()
    figure.legend(*marks, loc="outside right upper", title=f"pale: {REFERENCE}")
    folders = [
        f"A folder of {rate.images} images of {rate.image_wh[0]}x{rate.image_wh[1]}:"
        f" {rate.one_by_one:.1f} images/s one by one, {rate.many:.1f} images/s together"
        f" ({rate.ratio:.2f} times as many)"
        for rate in report.folders
    ]
    figure.supxlabel("\n".join(folders), fontsize=10)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _draw_model(panel: Axes, model: ModelReport) -> None:
    rows = sorted(model.rows, key=lambda row: (row.flip_test, row.people))
    w, h = rows[0].input_wh
    panel.set_title(f"{model.model}, input {w}x{h}{', random weights' if model.random else ''}")
    slowest = max((r.latency.total.p95 for r in rows if r.way != REFERENCE), default=1.0)
    panel.set_xlim(0, end := 1.4 * slowest)
    for stage, color in _STAGES.items():
        panel.barh([0], [0], color=color, label=stage)
    for y, row in enumerate(rows):
        _draw_row(panel, model, row, y, end)
    panel.set_yticks(range(len(rows)), [_label(row) for row in rows])
    panel.invert_yaxis()
    panel.grid(axis="x", alpha=0.4)
    panel.set_axisbelow(True)


def _draw_row(panel: Axes, model: ModelReport, row: BenchRow, y: int, end: float) -> None:
    t, left = row.latency, 0.0
    is_reference = row.way == REFERENCE
    for part, color in zip((t.pre, t.net, t.decode), _STAGES.values(), strict=True):
        panel.barh(y, part.p50, 0.75, left, color=color, alpha=_PALE if is_reference else 1)
        left += part.p50
    panel.hlines(y, left, t.total.p95, color="black")
    text = f"{t.total.p50:.1f}" if t.total.p50 < 100 else f"{t.total.p50:.0f}"
    ratio = model.times_reference(row, row.flip_test)
    if ratio is not None and not is_reference:
        text += f" (reference: {ratio:.1f} times as long)"
    panel.text(
        min(max(left, t.total.p95) + 0.01 * end, 0.95 * end), y, text, va="center", fontsize=9
    )


def _label(row: BenchRow) -> str:
    crowd = f"{row.people} {'person' if row.people == 1 else 'people'}"
    return f"{crowd}{' + flip' if row.flip_test else ''}, {row.way}"
