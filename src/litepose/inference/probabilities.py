"""Scores as probabilities: the score maps of the models in the package.

A map belongs to the effort or model that it was fitted for (`docs/scale.md`); other views of the
usual effort's model take its map.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from litepose.core.errors import LitePoseError
from litepose.core.poses import Poses
from litepose.core.read_text import parse_json
from litepose.core.score_maps import ScoreMaps
from litepose.inference.effort import EFFORTS, USUAL, effort_options

if TYPE_CHECKING:
    from litepose.inference.predictor import Predictor

FILE = "weights/score_maps.json"


def probabilities(predictor: Predictor, poses: Poses, maps: ScoreMaps | None = None) -> Poses:
    """The same people, with probabilities in place of their scores and their keypoints'.

    maps: of `core.score_maps.read_score_maps`; None takes those of the package. A person's
    probability is that of lying on a real one (OKS from 0.5), a keypoint's that of lying within
    the spread of people's own labels. Filter, draw and track by the scores, before.
    Raises LitePoseError where the package has no maps for the predictor's model.
    """
    return (maps or bundled_maps(predictor))(poses)


def bundled_maps(predictor: Predictor) -> ScoreMaps:
    """Raises LitePoseError where the package has no maps for the predictor's model."""
    info, defaults = predictor.info, predictor.defaults
    efforts = [name for name, effort in EFFORTS.items() if effort.model == info.name]
    same = [name for name in efforts if effort_options(EFFORTS[name], info, True) == defaults]
    name = same[0] if same else USUAL if efforts else info.name
    if name not in _maps():
        raise LitePoseError(
            f"{info.name} has no score maps in the package: fit them with `litepose evaluate"
            " --calibration --output DIR` and give DIR/calibration.json"
        )
    return _maps()[name]


@cache
def _maps() -> dict[str, ScoreMaps]:
    content = (files("litepose") / FILE).read_bytes()
    table = parse_json(content, f"the package's {FILE}")
    return {name: ScoreMaps.from_dict(one, f"{FILE} ({name})") for name, one in table.items()}
