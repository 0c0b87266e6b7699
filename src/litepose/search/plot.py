"""Draw the plot of a search: AP over cost, every candidate and the front."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from litepose.search.limit import CostKind

_UNITS = {"macs": (1e9, "GMACs"), "params": (1e6, "million weights"), "latency": (1.0, "ms")}


class Point(Protocol):
    @property
    def ap(self) -> float: ...
    @property
    def cost(self) -> float: ...


def draw_front(
    path: Path, candidates: Sequence[Point], front: Sequence[Point], kind: CostKind
) -> None:
    """Write a PNG. candidates: in the order of their evaluation, early ones paler."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    unit, label = _UNITS[kind]
    figure = Figure(figsize=(7, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    order = range(len(candidates))
    dots = axes.scatter(
        [c.cost / unit for c in candidates], [c.ap for c in candidates], c=list(order),
        cmap="Blues", vmin=-len(candidates) / 3, s=18, label="evaluated, later ones darker",
    )  # fmt: skip
    dots.set_zorder(1)
    axes.plot(
        [c.cost / unit for c in front], [c.ap for c in front], "o-", color="#c2410c",
        markersize=4, drawstyle="steps-post", label="front", zorder=2,
    )  # fmt: skip
    axes.set(xlabel=label, ylabel="AP on held-out training images")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    figure.savefig(path, dpi=120)
