"""The three efforts, fast, usual and best: model, views and flip test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from litepose.core.errors import LitePoseError, did_you_mean
from litepose.core.model_info import ModelInfo
from litepose.inference.results import PredictOptions


class Effort(NamedTuple):
    """model: a name in the zoo, used where none is given; one_view: one view at the model's size
    instead of its own views; views: others than its own; flip_test, focus: as in PredictOptions"""

    model: str
    one_view: bool = False
    views: tuple[int, ...] = ()
    flip_test: bool = False
    focus: bool = True


EFFORTS: Mapping[str, Effort] = {
    "fast": Effort("litepose-p", one_view=True),
    "usual": Effort("litepose-pm", views=(256, 384, 512)),
    "best": Effort("litepose-pm", views=(256, 384, 512, 704), flip_test=True, focus=False),
}
USUAL = "usual"


def find_effort(name: str) -> Effort:
    """Raises LitePoseError that proposes the nearest word."""
    if name not in EFFORTS:
        raise LitePoseError(
            f"no effort {name!r}{did_you_mean(name, EFFORTS)}; there are {', '.join(EFFORTS)}"
        )
    return EFFORTS[name]


def effort_options(effort: Effort, info: ModelInfo) -> PredictOptions:
    """How a model predicts at that effort."""
    views: tuple[int, ...] | None = (info.input.size,) if effort.one_view else None
    if effort.views and info.name == effort.model and info.input.views:
        views = effort.views
    return PredictOptions(
        flip_test=effort.flip_test,
        views=views,
        focus=effort.focus,
    )
