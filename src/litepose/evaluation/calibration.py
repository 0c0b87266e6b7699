"""Calibration: how often a score is right, and a monotonic map from scores to that probability.

Source: isotonic regression by pooling adjacent violators (Ayer and others, 1955); expected
calibration error (Naeini and others, 2015). Ours differs: bins hold equally many scores, because
most scores of a detector are low.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.score_maps import ScoreMap
from litepose.core.skeleton import Skeleton
from litepose.data.coco import Record
from litepose.evaluation.ground_truth import ImageFound, ImageTruth, group_results, truth_of
from litepose.evaluation.matching import match_images

RIGHT_FROM = 0.5  # OKS of a person, or of a keypoint by itself, from which it counts as right
BINS = 10
FEWEST = 100  # scores; a map fitted to fewer follows chance


class Scored(NamedTuple):
    """Scores (N,) in [0, 1], whether each was right (N,) bool, and the image (N,) of each."""

    scores: np.ndarray
    right: np.ndarray
    image: np.ndarray

    def only(self, which: np.ndarray) -> Scored:
        """Those of a mask (N,) bool."""
        return Scored(self.scores[which], self.right[which], self.image[which])


@dataclass(frozen=True, eq=False)
class Calibration:
    """Calibration of one kind of score.

    map: fitted to all images; before, after: expected calibration error in [0, 1] on every second
    image, `held_out`, of the scores and of a map fitted to the other images alone, `held_out_map`
    """

    map: ScoreMap
    held_out_map: ScoreMap
    held_out: Scored
    before: float
    after: float

    def to_dict(self) -> dict[str, Any]:
        """Figures and knots, for JSON."""
        return {
            "scores": len(self.held_out.scores),
            "ece_before": round(self.before, 4),
            "ece_after": round(self.after, 4),
            "map": self.map.knots(),
        }


def fit_isotonic(scores: np.ndarray, right: np.ndarray) -> ScoreMap:
    """Least-squares monotonic curve of `right` (N,) bool over `scores` (N,)."""
    values, place = np.unique(scores, return_inverse=True)
    counts, rights = np.bincount(place), np.bincount(place, weights=right)
    pools: list[list[float]] = []  # right ones, all, sum of scores
    for value, count, good in zip(values, counts, rights, strict=True):
        pools.append([float(good), float(count), float(value * count)])
        while len(pools) > 1 and pools[-2][0] * pools[-1][1] >= pools[-1][0] * pools[-2][1]:
            last = pools.pop()
            pools[-1] = [a + b for a, b in zip(pools[-1], last, strict=True)]
    table = np.array(pools)
    return ScoreMap(table[:, 2] / table[:, 1], table[:, 0] / table[:, 1])


def reliability(probabilities: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(B, 3): mean probability, share of right ones and count, of bins of equally many scores."""
    order = np.argsort(probabilities, kind="stable")
    parts = [part for part in np.array_split(order, BINS) if len(part)]
    return np.array([[probabilities[p].mean(), right[p].mean(), len(p)] for p in parts])


def calibration_error(probabilities: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error: mean of |probability - share right| over bins, by counts."""
    said, true, count = reliability(probabilities, right).T
    return float((np.abs(said - true) * count).sum() / count.sum())


def calibrate(evaluated: Scored, what: str) -> Calibration:
    """Fit on every second image, evaluate on the others, then fit on all.

    Raises LitePoseError where there are too few scores; `what` names them.
    """
    fitted = evaluated.image % 2 == 0
    if not _is_enough(evaluated):
        raise LitePoseError(
            f"calibrating the scores of {what} needs {FEWEST} in each half of the images; there are"
            f" {fitted.sum()} and {(~fitted).sum()}: give more images"
        )
    known, held_out = evaluated.only(fitted), evaluated.only(~fitted)
    curve = fit_isotonic(known.scores, known.right)
    before = calibration_error(held_out.scores, held_out.right)
    after = calibration_error(curve(held_out.scores), held_out.right)
    return Calibration(
        fit_isotonic(evaluated.scores, evaluated.right), curve, held_out, before, after
    )


def _is_enough(evaluated: Scored) -> bool:
    fitted = int((evaluated.image % 2 == 0).sum())
    return min(fitted, len(evaluated.image) - fitted) >= FEWEST


def score_predictions(
    truths: Sequence[ImageTruth], found: Sequence[ImageFound], skeleton: Skeleton
) -> dict[str, Scored]:
    """Scores of `people` (right: OKS from 0.5) and of `keypoints` of right people.

    A keypoint is right where its own term of OKS is 0.5 or more; unlabeled ones are left out, as
    are people of images where not everybody is labeled, and people matched to crowds.
    """
    rows: dict[str, list[tuple[float, bool, int]]] = {"people": [], "keypoints": []}
    matches = match_images(truths, found, skeleton)
    spread = 8 * np.array(skeleton.oks_sigmas) ** 2
    for place, (truth, people, match) in enumerate(zip(truths, found, matches, strict=True)):
        for i, partner in enumerate(match.partner[0]):
            if match.ignored[0, i]:
                continue
            if truth.people_complete:
                rows["people"].append((float(match.scores[i]), bool(partner >= 0), place))
            if partner < 0:
                continue
            off = ((people.keypoints_xy[i] - truth.keypoints_xy[partner]) ** 2).sum(axis=1)
            likeness = np.exp(-off / (spread * max(truth.areas[partner], 1.0)))
            scores = people.keypoint_scores[i]
            for k in np.flatnonzero((truth.visibility[partner] > 0) & (scores > 0)):
                rows["keypoints"].append((float(scores[k]), bool(likeness[k] >= RIGHT_FROM), place))
    tables = {name: np.array(kind).reshape(-1, 3) for name, kind in rows.items()}
    return {
        name: Scored(table[:, 0], table[:, 1] > 0, table[:, 2].astype(int))
        for name, table in tables.items()
    }


def calibrate_results(
    results: Sequence[dict[str, Any]], records: Sequence[Record], skeleton: Skeleton
) -> dict[str, Calibration]:
    """Calibrations of `people` and `keypoints` from COCO results and the dataset's records.

    A kind with too few scores is left out. Raises LitePoseError where both have too few.
    """
    seen = {entry["image_id"] for entry in results}
    truths = [truth_of(record) for record in records if record.image_id in seen]
    evaluated = score_predictions(truths, group_results(results, truths, skeleton), skeleton)
    enough = {name: scores for name, scores in evaluated.items() if _is_enough(scores)}
    return {name: calibrate(scores, name) for name, scores in (enough or evaluated).items()}
