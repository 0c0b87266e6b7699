"""The three efforts, fast, usual and best: model, views and flip test."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from litepose.core.errors import LitePoseError, did_you_mean
from litepose.core.model_info import ModelInfo
from litepose.decode.crops import CROP_PX
from litepose.inference.results import PredictOptions


class Effort(NamedTuple):
    """model: name of the default model in the zoo; views, crops, crop_px and crop_gain: its own;
    one_view: other models have one view at their size instead of their own views; others: see
    PredictOptions"""

    model: str
    one_view: bool = False
    views: tuple[int, ...] = ()
    flip_test: bool = False
    focus: bool = True
    crops: int = 0
    crop_px: int = CROP_PX
    crop_gain: float = 0.0


EFFORTS: Mapping[str, Effort] = {
    "fast": Effort("litepose-pm", one_view=True, views=(192,), crops=8, crop_px=160, crop_gain=1.2),
    "usual": Effort("litepose-pm", views=(256, 512), crops=8),
    "best": Effort(
        "litepose-pm", views=(256, 384, 512, 704), flip_test=True, focus=False, crops=30
    ),
}
USUAL = "usual"


def find_effort(name: str) -> Effort:
    """The effort of that name. Raises LitePoseError that suggests the nearest name."""
    if name not in EFFORTS:
        raise LitePoseError(
            f"no effort {name!r}{did_you_mean(name, EFFORTS)}; there are {', '.join(EFFORTS)}"
        )
    return EFFORTS[name]


def effort_options(effort: Effort, info: ModelInfo, any_size: bool) -> PredictOptions:
    """The options of a model at an effort. any_size: neither file nor caller gives an input size"""
    if not any_size or info.name != effort.model:
        one_view = (info.input.size,) if effort.one_view else None
        return PredictOptions(flip_test=effort.flip_test, views=one_view, focus=effort.focus)
    return PredictOptions(
        flip_test=effort.flip_test,
        views=effort.views,
        focus=effort.focus,
        crops=effort.crops,
        crop_px=effort.crop_px,
        crop_gain=effort.crop_gain,
    )
