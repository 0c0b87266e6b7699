"""The report of an evaluation, as text and as JSON.

It has COCO's and CrowdPose's numbers, a 95 % interval of every AP, the same numbers for completely
labeled images, and the breakdowns of breakdown.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from textwrap import wrap
from typing import Any

from litepose.core.skeleton import Skeleton
from litepose.evaluation.breakdown import (
    GroupScore,
    KeypointScore,
    PeopleAt,
    ap_by_people,
    mean_oks,
    pck,
    people_at,
    score_keypoints,
)
from litepose.evaluation.ground_truth import ImageFound, ImageTruth
from litepose.evaluation.keypoint_overlap import SkippedKeypoints
from litepose.evaluation.matching import (
    FEWEST_IMAGES,
    MOST_PEOPLE,
    Interval,
    ap_intervals,
    match_images,
)
from litepose.evaluation.metrics import (
    CocoReport,
    CrowdReport,
    coco_report,
    crowdpose_report,
)

SCHEMA = 1
_KEYS = {"metrics": "judged"}  # field -> its key in JSON, where schema 1 has another
SCORE_STEPS = tuple(round(0.05 * i, 2) for i in range(20))


@dataclass(frozen=True)
class Metrics:
    """Every number of one set of images. Intervals by name: ap, ap50, ap75, ap_medium, ap_large;
    without low and high where fewer than FEWEST_IMAGES images have such people.

    complete_images: those with all people labeled;  pck: PCK at 0.2 of the torso
    images_found_cut, images_labeled_beyond: with more than MOST_PEOPLE people found (the best
    are evaluated) or labeled (so that not all can be found)
    crowd: only where the images have a crowd index
    """

    images: int
    people: int
    complete_images: int
    images_found_cut: int
    images_labeled_beyond: int
    coco: CocoReport
    intervals: Mapping[str, Interval]
    crowd: CrowdReport | None
    by_people: Sequence[GroupScore]
    keypoints: Sequence[KeypointScore]
    people_at: Sequence[PeopleAt]
    mean_oks: float | None
    pck: float | None

    @property
    def best_score(self) -> PeopleAt:
        """The score threshold with the best F1 of people: a good start for drawing."""
        return max(self.people_at, key=lambda at: at.f1)


@dataclass(frozen=True)
class EvaluationReport:
    """One evaluation run.

    metrics: of all images; complete: of images with all people labeled, None if these are all or
    none;  settings: of the prediction;  unreadable: what could not be read;
    interrupted: stopped before the last image;  seconds: spent in predicting
    left_out: keypoints that the model lacks, and people with none but those
    """

    model: str
    dataset: str
    settings: Mapping[str, Any]
    metrics: Metrics
    complete: Metrics | None
    unreadable: Sequence[str]
    interrupted: bool
    seconds: float
    left_out: SkippedKeypoints | None = None

    @property
    def notes(self) -> list[str]:
        """Sentences on how to read the numbers."""
        notes = []
        if self.interrupted:
            notes.append("STOPPED EARLY: these are the numbers of the images done so far")
        if self.left_out:
            notes.append(str(self.left_out))
        whole = self.metrics.complete_images
        reason = "finding an unlabeled person counts as wrong"
        if not whole:
            notes.append(f"no image has everybody labeled: {reason}")
        elif whole < self.metrics.images:
            notes.append(f"{whole} images have everybody labeled; in the others {reason}")
        cut, beyond = self.metrics.images_found_cut, self.metrics.images_labeled_beyond
        if cut or beyond:
            notes.append(
                f"only the best {MOST_PEOPLE} people found in an image are evaluated, as in COCO;"
                f" more are found in {cut} and labeled in {beyond} images"
            )
        return notes

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; None where nothing could be measured."""
        fields = {_KEYS.get(name, name): value for name, value in asdict(self).items()}
        return {"schema": SCHEMA, **fields, "notes": self.notes}

    def to_text(self) -> str:
        """Tables for a terminal, under 100 columns."""
        tables = (self._families(), self._groups(), self._keypoints(), self._thresholds())
        return "\n\n".join("\n".join(lines) for lines in (self._head(), *tables))

    def _head(self) -> list[str]:
        all_ = self.metrics
        settings = ", ".join(f"{name} {value}" for name, value in self.settings.items())
        lines = [
            f"{self.model} on {self.dataset}: {all_.images} images, {all_.people} people,"
            f" {self.seconds:.0f} s",
            f"settings: {settings}",
        ]
        for note in self.notes:
            lines += wrap(note, 100, subsequent_indent="  ")
        if self.unreadable:
            lines.append(f"{len(self.unreadable)} images could not be read and are left out:")
            lines += [f"  {what}" for what in self.unreadable[:5]]
        return lines

    def _families(self) -> list[str]:
        sides = [self.metrics] if self.complete is None else [self.metrics, self.complete]
        titles = ("all images [95 %]", "complete ones [95 %]")[: len(sides)]
        lines = ["measure     " + "".join(f"{title:>24}" for title in titles)]
        for name in asdict(self.metrics.coco):
            cells = [_with_interval(getattr(s.coco, name), s.intervals.get(name)) for s in sides]
            lines.append(f"{_title(name):<12}" + "".join(f"{cell:>24}" for cell in cells))
        for name in ("ap_easy", "ap_medium", "ap_hard") if self.metrics.crowd else ():
            cells = [_number(getattr(s.crowd, name, None)) for s in sides]
            title = f"{_title(name)} (crowd)"
            lines.append(f"{title:<20}{cells[0]:>16}" + "".join(f"{c:>24}" for c in cells[1:]))
        for title, name in (("mean OKS", "mean_oks"), ("PCK 0.2", "pck")):
            cells = [_number(getattr(s, name)) for s in sides]
            lines.append(f"{title:<12}" + "".join(f"{cell:>24}" for cell in cells))
        return lines

    def _groups(self) -> list[str]:
        lines = ["people in view   images             AP [95 %]"]
        for group in self.metrics.by_people:
            cell = _with_interval(group.ap.value if group.ap else None, group.ap)
            lines.append(f"{group.people:<14}{group.images:>11}{cell:>22}")
        return lines

    def _keypoints(self) -> list[str]:
        lines = [
            "keypoint          labels   error   within 1   within 2   missed"
            "   (% ; of the people found)"
        ]
        for row in self.metrics.keypoints:
            cells = (row.error, row.within_1, row.within_2, row.missed)
            widths = (8, 11, 11, 9)
            numbers = "".join(f"{_number(c):>{w}}" for c, w in zip(cells, widths, strict=True))
            lines.append(f"{row.keypoint:<16}{row.labels:>8}{numbers}")
        return lines

    def _thresholds(self) -> list[str]:
        side = self.complete or self.metrics
        where = "complete images" if self.complete else "all images"
        lines = [f"people shown from score   shown   precision   recall   F1   ({where})"]
        best = side.best_score
        for row in side.people_at:
            if row.shown and (row == best or row.score <= 0.3 or round(row.score * 20) % 2 == 0):
                mark = "  <- best F1" if row == best else ""
                lines.append(
                    f"{row.score:>23.2f}{row.shown:>8}{row.precision:>12.1f}{row.recall:>9.1f}"
                    f"{row.f1:>6.1f}{mark}"
                )
        return lines


def compute_metrics(
    truths: Sequence[ImageTruth],
    found: Sequence[ImageFound],
    skeleton: Skeleton,
    resamples: int = 1000,
) -> Metrics:
    """Every number of these images. Raises LitePoseError where there is none to evaluate."""
    matches = match_images(truths, found, skeleton)
    intervals = ap_intervals(matches, resamples, fewest=FEWEST_IMAGES)
    for size in ("medium", "large"):
        sized = match_images(truths, found, skeleton, size)
        of_size = ap_intervals(sized, resamples, fewest=FEWEST_IMAGES)
        intervals |= {f"ap_{size}": of_size["ap"]} if of_size else {}
    crowded = all(t.crowd_index is not None for t in truths)
    return Metrics(
        images=len(truths),
        people=sum(t.num_people for t in truths),
        complete_images=sum(t.people_complete for t in truths),
        images_found_cut=sum(len(f.scores) > MOST_PEOPLE for f in found),
        images_labeled_beyond=sum(t.num_people > MOST_PEOPLE for t in truths),
        coco=coco_report(truths, found, skeleton),
        intervals=intervals,
        crowd=crowdpose_report(truths, found, skeleton) if crowded else None,
        by_people=ap_by_people(matches, resamples),
        keypoints=score_keypoints(truths, found, matches, skeleton),
        people_at=people_at(matches, SCORE_STEPS),
        mean_oks=mean_oks(matches),
        pck=pck(truths, found, matches, skeleton),
    )


def compute_complete_metrics(
    truths: Sequence[ImageTruth],
    found: Sequence[ImageFound],
    skeleton: Skeleton,
    resamples: int = 1000,
) -> Metrics | None:
    """`compute_metrics` of completely labeled images; None if these are all or none."""
    whole = [i for i, truth in enumerate(truths) if truth.people_complete]
    if len(whole) in (0, len(truths)):
        return None
    return compute_metrics(
        [truths[i] for i in whole], [found[i] for i in whole], skeleton, resamples
    )


def _title(name: str) -> str:
    return f"{name[:2].upper()}{name[2:].replace('_', ' ')}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _with_interval(value: float | None, interval: Interval | None) -> str:
    if value is None or interval is None or interval.low is None:
        return _number(value)
    return f"{value:.1f} [{interval.low:4.1f}, {interval.high:4.1f}]"
