"""The three efforts, fast, usual and best: model, views and flip test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from litepose.core.errors import LitePoseError, did_you_mean
from litepose.core.model_info import ModelInfo
from litepose.inference.results import PredictOptions


class Effort(NamedTuple):
    """model: name of the default model in the zoo; one_view: one view at the model's size instead
    of the model's views; views: instead of the model's; flip_test, focus: see PredictOptions"""

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
    """The effort of that name. Raises LitePoseError that suggests the nearest name."""
    if name not in EFFORTS:
        raise LitePoseError(
            f"no effort {name!r}{did_you_mean(name, EFFORTS)}; there are {', '.join(EFFORTS)}"
        )
    return EFFORTS[name]


def effort_options(effort: Effort, info: ModelInfo) -> PredictOptions:
    """The options of a model at an effort."""
    views: tuple[int, ...] | None = (info.input.size,) if effort.one_view else None
    if effort.views and info.name == effort.model and info.input.views:
        views = effort.views
    return PredictOptions(
        flip_test=effort.flip_test,
        views=views,
        focus=effort.focus,
    )
