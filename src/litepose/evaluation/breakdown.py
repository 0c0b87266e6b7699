"""AP by number of people, by keypoint, by score threshold; PCK.

Uses COCO's matching and COCO's unit of distance u, `2 sigma sqrt(area)`: the similarity of a
keypoint is exp(-u^2 / 2), 0.61 at one unit and 0.14 at two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.skeleton import Skeleton
from litepose.evaluation.ground_truth import ImageFound, ImageTruth
from litepose.evaluation.matching import FEWEST_IMAGES, ImageMatch, Interval, ap_intervals
from litepose.evaluation.pck import PckReference, compute_pck, pck_lengths

PEOPLE_GROUPS = ((1, 1), (2, 3), (4, 9), (10, None))


@dataclass(frozen=True)
class GroupScore:
    """AP of images with a number of labeled people; None if there are no such images."""

    people: str
    images: int
    ap: Interval | None


@dataclass(frozen=True)
class KeypointScore:
    """One keypoint over the people found at OKS 0.5, shares in percent of its labels on them.

    error: mean distance of found ones, percent of sqrt(area); within_1, within_2: share nearer than
    one and two of COCO's units; missed: share not found (score 0)
    """

    keypoint: str
    labels: int
    error: float | None
    within_1: float | None
    within_2: float | None
    missed: float | None


@dataclass(frozen=True)
class PeopleAt:
    """Precision and recall (OKS 0.5) of people scoring `score` or more, percent."""

    score: float
    shown: int
    precision: float
    recall: float

    @property
    def f1(self) -> float:
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def ap_by_people(matches: Sequence[ImageMatch], resamples: int = 1000) -> list[GroupScore]:
    """AP of images with 1, 2-3, 4-9 and 10 or more people to be found, and its interval, which
    fewer than FEWEST_IMAGES do not have."""
    out = []
    for low, high in PEOPLE_GROUPS:
        chosen = [m for m in matches if low <= m.num_people <= (high or m.num_people)]
        name = f"{low}+" if high is None else str(low) if low == high else f"{low}-{high}"
        intervals = ap_intervals(chosen, resamples, fewest=FEWEST_IMAGES)
        out.append(GroupScore(name, len(chosen), intervals.get("ap")))
    return out


def score_keypoints(
    truths: Sequence[ImageTruth],
    found: Sequence[ImageFound],
    matches: Sequence[ImageMatch],
    skeleton: Skeleton,
) -> list[KeypointScore]:
    """One row per keypoint, from the pairs of people that match at OKS 0.5."""
    units, errors, missed, labels = [], [], [], []
    sigmas = np.array(skeleton.oks_sigmas)
    for truth, people, match in zip(truths, found, matches, strict=True):
        who = np.flatnonzero(match.tp[0])
        true = match.partner[0, who]
        distance = np.linalg.norm(people.keypoints_xy[who] - truth.keypoints_xy[true], axis=2)
        scale = np.sqrt(truth.areas[true] + np.spacing(1))[:, None]
        labels.append(truth.visibility[true] > 0)  # (pairs, K)
        missed.append(people.keypoint_scores[who] <= 0)
        errors.append(distance / scale)
        units.append(distance / scale / (2 * sigmas))
    label, gone = np.concatenate(labels), np.concatenate(missed)
    error, unit = np.concatenate(errors), np.concatenate(units)
    return [
        _keypoint_score(name, label[:, k], gone[:, k], error[:, k], unit[:, k])
        for k, name in enumerate(skeleton.keypoints)
    ]


def people_at(matches: Sequence[ImageMatch], scores: Sequence[float]) -> list[PeopleAt]:
    """Precision and recall of people at score thresholds, for choosing what to draw.

    An unlabeled person who is found counts as wrong, so use completely labeled images.
    """
    total = sum(m.num_people for m in matches)
    all_scores = np.concatenate([np.zeros(0), *(m.scores for m in matches)])
    tp = np.concatenate([np.zeros(0, bool), *(m.tp[0] for m in matches)])
    fp = np.concatenate([np.zeros(0, bool), *(m.fp[0] for m in matches)])
    out = []
    for score in scores:
        hits, false = int(tp[all_scores >= score].sum()), int(fp[all_scores >= score].sum())
        precision = 100.0 * hits / (hits + false) if hits + false else 0.0
        recall = 100.0 * hits / total if total else 0.0
        out.append(PeopleAt(float(score), hits + false, precision, recall))
    return out


def mean_oks(matches: Sequence[ImageMatch]) -> float | None:
    """Mean OKS (0..100) of the people that match at OKS 0.5; None where none does."""
    values = [
        match.oks[i, match.partner[0, i]] for match in matches for i in np.flatnonzero(match.tp[0])
    ]
    return 100 * float(np.mean(values)) if values else None


def pck(
    truths: Sequence[ImageTruth],
    found: Sequence[ImageFound],
    matches: Sequence[ImageMatch],
    skeleton: Skeleton,
    share: float = 0.2,
    reference: PckReference = "torso",
) -> float | None:
    """Percent of labeled keypoints found within `share` of each person's torso, head or box.

    Keypoints of people without a match at OKS 0.5 count as wrong; people whose reference is not
    labeled are left out. None if nothing can be measured or the skeleton has no such reference.
    """
    k = skeleton.num_keypoints
    rows, truth_xy, visibility, lengths = [], [], [], []
    for truth, people, match in zip(truths, found, matches, strict=True):
        found_xy = np.full((len(truth.areas), k, 2), np.nan)
        who = np.flatnonzero(match.tp[0])
        seen = people.keypoint_scores[who] > 0
        found_xy[match.partner[0, who]] = np.where(
            seen[..., None], people.keypoints_xy[who], np.nan
        )
        try:
            lengths.append(pck_lengths(truth, skeleton, reference)[match.expected])
        except LitePoseError:
            return None
        rows.append(found_xy[match.expected])
        truth_xy.append(truth.keypoints_xy[match.expected])
        visibility.append(truth.visibility[match.expected])
    length = np.concatenate(lengths)
    labels = np.concatenate(visibility)
    per_keypoint = compute_pck(
        np.concatenate(rows), np.concatenate(truth_xy), labels, length, share
    )
    counts = ((labels > 0) & np.isfinite(length)[:, None]).sum(axis=0)
    if not counts.sum():
        return None
    return float(np.nansum(per_keypoint * counts) / counts.sum())


def _keypoint_score(
    name: str, label: np.ndarray, gone: np.ndarray, error: np.ndarray, unit: np.ndarray
) -> KeypointScore:
    count, seen = int(label.sum()), label & ~gone
    if not count:
        return KeypointScore(name, 0, None, None, None, None)
    return KeypointScore(
        keypoint=name,
        labels=count,
        error=100 * float(error[seen].mean()) if seen.any() else None,
        within_1=100.0 * int((seen & (unit <= 1)).sum()) / count,
        within_2=100.0 * int((seen & (unit <= 2)).sum()) / count,
        missed=100.0 * int((label & gone).sum()) / count,
    )
