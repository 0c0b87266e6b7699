"""The three efforts, fast, usual and best: model, views and flip test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from litepose.core.errors import LitePoseError, did_you_mean
from litepose.core.model_info import ModelInfo
from litepose.inference.results import PredictOptions


class Effort(NamedTuple):
    """model: of the zoo, where none is named; one_view: at the model's size, else its own views;
    flip_test, focus: see PredictOptions"""

    model: str
    one_view: bool = False
    flip_test: bool = False
    focus: bool = True


EFFORTS: Mapping[str, Effort] = {
    "fast": Effort("litepose-p", one_view=True),
    "usual": Effort("litepose-pm"),
    "best": Effort("litepose-pm", flip_test=True, focus=False),
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
    return PredictOptions(
        flip_test=effort.flip_test,
        views=(info.input.size,) if effort.one_view else None,
        focus=effort.focus,
    )
