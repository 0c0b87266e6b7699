"""How well ids stay with people: IDF1, MOTA and id switches.

Sources: CLEAR MOT (Bernardin and Stiefelhagen, 2008); a person keeps the id that it last had while
that is alike enough, also across a gap, as py-motmetrics counts. ID measures (Ristani et al.,
2016). Works on any likeness (OKS, IoU) that the caller gives. People who do not count (hidden, too
small) are taken out beforehand with whoever was found there, as MOTChallenge does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import astuple, dataclass
from typing import NamedTuple

import numpy as np

from litepose.core.assignment import match_edges, min_cost_matching
from litepose.core.errors import LitePoseError


class Sighting(NamedTuple):
    """One frame: who is there, who was found, and how alike they are.

    true_ids (M,); found_ids (N,); alike (M, N) in 0..1; counted (M,) bool, None where all count
    """

    true_ids: np.ndarray
    found_ids: np.ndarray
    alike: np.ndarray
    counted: np.ndarray | None = None


@dataclass(frozen=True)
class TrackingScore:
    """Counts over the frames of a clip, or of several (`together`), and what they come to.

    people:   true sightings that count; found: sightings given (less those of who does not count)
    misses:   true sightings matched with nobody; ghosts: found ones matched with nobody
    switches: times that a true person's id differs from the one it last had
    same:     sightings that agree when each true person is paired with one id for the whole clip
    """

    people: int
    found: int
    misses: int
    ghosts: int
    switches: int
    same: int

    @property
    def mota(self) -> float:
        """1 less misses, ghosts and switches per true sighting; may be negative."""
        return 1 - (self.misses + self.ghosts + self.switches) / max(self.people, 1)

    @property
    def idf1(self) -> float:
        """0..1: how much of true and found sightings agree on who is who over the whole clip."""
        return 2 * self.same / max(self.people + self.found, 1)


def together(scores: Iterable[TrackingScore]) -> TrackingScore:
    """The score of several clips, each with people and ids of its own."""
    rows = [astuple(score) for score in scores]
    return TrackingScore(*(sum(column) for column in zip(*rows, strict=True))) if rows else (
        TrackingScore(0, 0, 0, 0, 0, 0)
    )  # fmt: skip


def score_tracking(frames: Iterable[Sighting], min_similarity: float = 0.5) -> TrackingScore:
    """The score of one clip. People less alike than `min_similarity` are not the same.

    Raises LitePoseError where shapes do not fit or an id comes twice in a frame.
    """
    last: dict[int, int] = {}  # id that a true person last had
    shared: Counter[tuple[int, int]] = Counter()
    of_true: Counter[int] = Counter()
    of_found: Counter[int] = Counter()
    misses = ghosts = switches = 0
    for frame in frames:
        true_ids, found_ids, alike = _counted(frame, min_similarity)
        of_true.update(true_ids)
        of_found.update(found_ids)
        fits = alike >= min_similarity
        shared.update((true_ids[i], found_ids[j]) for i, j in zip(*np.nonzero(fits), strict=True))
        pairs = _pairs(true_ids, found_ids, alike, fits, last)
        switches += sum(last.get(true, found) != found for true, found in pairs.items())
        last |= pairs
        misses += len(true_ids) - len(pairs)
        ghosts += len(found_ids) - len(pairs)
    return TrackingScore(
        people=of_true.total(),
        found=of_found.total(),
        misses=misses,
        ghosts=ghosts,
        switches=switches,
        same=_most_shared(shared),
    )


def _counted(frame: Sighting, min_similarity: float) -> tuple[list[int], list[int], np.ndarray]:
    """Ids and likeness without the true people who do not count and without who was found there."""
    true_ids, found_ids = (np.asarray(ids, dtype=int) for ids in frame[:2])
    alike = np.asarray(frame.alike, dtype=float)
    if alike.shape != (len(true_ids), len(found_ids)):
        raise LitePoseError(
            f"{len(true_ids)} true and {len(found_ids)} found people need a likeness of that shape;"
            f" got {alike.shape}"
        )
    for ids in (true_ids, found_ids):
        if len(set(ids.tolist())) < len(ids):
            raise LitePoseError(f"an id comes twice in one frame: {ids.tolist()}")
    counted = np.ones(len(true_ids), bool) if frame.counted is None else np.asarray(frame.counted)
    keep = np.ones(len(found_ids), bool)
    if not counted.all():
        partner = _best(alike, alike >= min_similarity)
        keep[partner[~counted & (partner >= 0)]] = False
    return true_ids[counted].tolist(), found_ids[keep].tolist(), alike[counted][:, keep]


def _pairs(
    true_ids: list[int],
    found_ids: list[int],
    alike: np.ndarray,
    fits: np.ndarray,
    last: dict[int, int],
) -> dict[int, int]:
    """True id -> found id of this frame: first those that each last had, where they still fit."""
    place = {found: j for j, found in enumerate(found_ids)}
    open_rows = np.ones(len(true_ids), bool)
    open_columns = np.ones(len(found_ids), bool)
    pairs = {}
    for i, true in enumerate(true_ids):
        j = place.get(last.get(true, -1), -1)
        if j >= 0 and open_columns[j] and fits[i, j]:
            pairs[true] = found_ids[j]
            open_rows[i] = open_columns[j] = False
    partner = _best(alike, fits & open_rows[:, None] & open_columns)
    return pairs | {true_ids[i]: found_ids[partner[i]] for i in np.flatnonzero(partner >= 0)}


def _best(alike: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """(M,) column of each row or -1: most pairs, then the most alike."""
    rows, columns = np.nonzero(allowed)
    return match_edges(rows, columns, -alike[rows, columns], len(alike))


def _most_shared(shared: Counter[tuple[int, int]]) -> int:
    """Most sightings that agree when each true person is paired with one id at most."""
    if not shared:
        return 0
    true_ids, found_ids = (sorted(set(ids)) for ids in zip(*shared, strict=True))
    table = np.zeros((len(true_ids), len(found_ids)))
    for (true, found), count in shared.items():
        table[true_ids.index(true), found_ids.index(found)] = count
    return int(table[min_cost_matching(-table)].sum())
