"""Open a Predictor by model, effort and backend."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.kinds import check_kind
from litepose.core.model_info import ModelInfo
from litepose.decode.corrector import Corrector, read_corrector
from litepose.imaging.read import ReadLimits
from litepose.inference.autoselect import choose
from litepose.inference.backend import DEFAULTS, RuntimeOptions
from litepose.inference.effort import USUAL, effort_options, find_effort
from litepose.inference.open import open_backend
from litepose.inference.predictor import Predictor, options_for
from litepose.models import zoo


def open_predictor(
    model: str | os.PathLike[str] | None = None,
    *,
    effort: str | None = None,
    backend: str | None = None,
    input_size: int | None = None,
    views: Sequence[int] | None = None,
    crops: int | None = None,
    options: RuntimeOptions = DEFAULTS,
    limits: ReadLimits | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Predictor:
    """See `litepose.load`. say: called with the choice of backend "auto"."""
    check_kind("effort", effort, str | None)
    check_kind("backend", backend, str | None)
    check_kind("limits", limits, ReadLimits | None)
    check_kind("views", views, Sequence | np.ndarray | None)
    wanted = find_effort(effort or USUAL)
    if model is None:
        model = wanted.model
    if input_size is not None and views is not None:
        raise LitePoseError("give one input size, or views at several, not both")
    if backend == "auto":
        choice = choose(model, options, input_size)
        say(str(choice))
        backend, options = choice.backend, choice.options
    opened = open_backend(model, backend, options)
    predictor = Predictor(opened, input_size=input_size, limits=limits)
    predictor.defaults = effort_options(
        wanted, predictor.info, any_size=input_size is None and opened.fixed_wh is None
    )
    predictor.defaults = options_for(predictor, views=views, crops=crops)
    predictor.corrector = find_corrector(predictor.info)
    return predictor


def find_corrector(info: ModelInfo) -> Corrector | None:
    """That of a model of the zoo, beside its weights. Raises LitePoseError if it is damaged."""
    known = zoo.MODELS.get(info.name)
    if known is None or known.info.skeleton != info.skeleton:
        return None
    path = zoo.find_weights(info.name, ".corrector.npz")
    return None if path is None else read_corrector(path, info.skeleton)
