"""Draw reliability diagrams: share of right predictions against the score."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from litepose.evaluation.calibration import Calibration, reliability


def draw_reliability(found: Mapping[str, Calibration]) -> np.ndarray:
    """(H, W, 3) uint8 RGB: a panel for each kind of score, before and after calibration.

    The diagonal is perfect. Needs matplotlib.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure((5 * len(found), 5), 100, layout="constrained")
    panels = figure.subplots(1, len(found), squeeze=False)[0]
    for panel, (name, one) in zip(panels, found.items(), strict=True):
        scores, right = one.held_out.scores, one.held_out.right
        panel.plot([0, 1], [0, 1], color="gray", linewidth=1)
        for values, what, error in (
            (scores, "score as it is", one.before),
            (one.held_out_map(scores), "mapped", one.after),
        ):
            said, true, _ = reliability(values, right).T
            panel.plot(said, true, marker="o", label=f"{what}, error {error:.3f}")
        panel.set(title=name, xlabel="score", ylabel="share of right predictions")
        panel.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
        panel.grid(alpha=0.4)
        panel.legend(loc="upper left")
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
