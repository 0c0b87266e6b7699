"""Run models: backends, Predictor, video streams, tracking, smoothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from litepose.core.lazy import lazy

if TYPE_CHECKING:
    from litepose.inference.load import open_predictor as open_predictor
    from litepose.inference.one_euro import Smoother as Smoother
    from litepose.inference.predictor import Predictor as Predictor
    from litepose.inference.results import PredictOptions as PredictOptions
    from litepose.inference.tracker import Tracker as Tracker

_HOMES = {
    "PredictOptions": "results",
    "Predictor": "predictor",
    "Smoother": "one_euro",
    "Tracker": "tracker",
    "open_predictor": "load",
}
__all__ = sorted(_HOMES)
__getattr__ = lazy(__name__, _HOMES)
