"""Score maps: rising curves from scores to probabilities of being right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.poses import Poses
from litepose.core.read_text import read_json

KINDS = ("people", "keypoints")


@dataclass(frozen=True, eq=False)
class ScoreMap:
    """A curve from a score to a probability: linear between knots, flat outside.

    scores: (M,) rising; probabilities: (M,) that do not fall, in [0, 1].
    Raises LitePoseError for others.
    """

    scores: np.ndarray
    probabilities: np.ndarray

    def __post_init__(self) -> None:
        x, y = np.asarray(self.scores, float), np.asarray(self.probabilities, float)
        good = x.ndim == 1 and len(x) > 0 and x.shape == y.shape and np.isfinite([x, y]).all()
        if not good or (np.diff(x) <= 0).any() or (np.diff(y) < 0).any() or y[0] < 0 or y[-1] > 1:
            raise LitePoseError(
                "a score map has knots of rising scores and probabilities from 0 to 1 that do not"
                f" fall; got {x.tolist()[:5]}, {y.tolist()[:5]}, ..."
            )
        object.__setattr__(self, "scores", x)
        object.__setattr__(self, "probabilities", y)

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Probabilities of scores of any shape."""
        return np.interp(scores, self.scores, self.probabilities)

    def knots(self) -> list[list[float]]:
        """[[score, probability], ...] to 6 digits, for JSON."""
        pairs = zip(
            self.scores.round(6).tolist(), self.probabilities.round(6).tolist(), strict=True
        )
        return [list(pair) for pair in dict(pairs).items()]


@dataclass(frozen=True, eq=False)
class ScoreMaps:
    """The maps of people's and of keypoints' scores; None leaves that score as it is."""

    people: ScoreMap | None
    keypoints: ScoreMap | None

    @classmethod
    def from_dict(cls, table: Mapping[str, Any], source: str) -> ScoreMaps:
        """From {"people": {"map": [[score, probability], ...]}, "keypoints": ...}, as
        `litepose evaluate --calibration` writes it. Raises LitePoseError that names `source`."""
        maps: dict[str, ScoreMap] = {}
        for kind in KINDS:
            if kind not in table:
                continue
            try:
                knots = np.array(table[kind]["map"], float).reshape(-1, 2)
                maps[kind] = ScoreMap(knots[:, 0], knots[:, 1])
            except (LitePoseError, TypeError, KeyError, ValueError, OverflowError) as exc:
                raise LitePoseError(f"{source} holds no score map for {kind}: {exc}") from None
        if not maps:
            raise LitePoseError(
                f"{source} holds no score maps; `litepose evaluate --calibration --output DIR`"
                " writes them to DIR/calibration.json"
            )
        return cls(maps.get("people"), maps.get("keypoints"))

    def __call__(self, poses: Poses) -> Poses:
        """The same people with probabilities in place of scores; missing keypoints keep 0."""
        people, keypoints = poses.person_scores, poses.keypoint_scores
        if self.people is not None:
            people = self.people(people)
        if self.keypoints is not None:
            keypoints = np.where(poses.found, self.keypoints(keypoints), 0)
        return replace(poses, person_scores=people, keypoint_scores=keypoints)


def read_score_maps(path: str | Path) -> ScoreMaps:
    """The maps of a `calibration.json`. Raises LitePoseError where it is missing or damaged."""
    table = read_json(path, "the score maps")
    if not isinstance(table, dict):
        raise LitePoseError(f"{path} holds no score maps: it is no JSON object")
    return ScoreMaps.from_dict(table, str(path))
