"""Parameters of POST /v1/poses: the query, checked."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from litepose.apps.web.body import RefusedError
from litepose.apps.web.models import Models
from litepose.core.errors import did_you_mean

FORMATS = ("json", "image")
NAMES = ("effort", "model", "url", "threshold", "flip_test", "format", "overlays")


class Parameters(NamedTuple):
    """model: key of `Models`; url: of the image, None where it is in the body; threshold,
    flip_test: as in `Predictor.predict`; format: of the response; overlays: whether heatmap and
    tags come with the JSON"""

    model: str
    url: str | None
    threshold: float | None
    flip_test: bool | None
    format: str
    overlays: bool


def read_parameters(query: Mapping[str, str], models: Models) -> Parameters:
    """Raises RefusedError (422) with a sentence."""
    for name in query:
        if name not in NAMES:
            raise RefusedError(422, f"no parameter {name!r}{did_you_mean(name, NAMES)}")
    form, overlays = query.get("format", "json"), _switch(query, "overlays") or False
    if form not in FORMATS:
        raise RefusedError(422, f"format is json or image; got {form!r}")
    if overlays and form != "json":
        raise RefusedError(422, "overlays come with format=json only")
    return Parameters(
        models.key(query.get("effort"), query.get("model")),
        query.get("url"),
        _threshold(query.get("threshold")),
        _switch(query, "flip_test"),
        form,
        overlays,
    )


def _switch(query: Mapping[str, str], name: str) -> bool | None:
    text = query.get(name)
    if text not in (None, "true", "false"):
        raise RefusedError(422, f"{name} is true or false; got {text!r}")
    return None if text is None else text == "true"


def _threshold(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        threshold = float(text)
    except ValueError:
        threshold = math.nan
    if not 0 <= threshold <= 1:
        raise RefusedError(422, f"the threshold must be in [0, 1]; got {text!r}")
    return threshold
