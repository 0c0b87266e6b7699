"""Ids on generated clips: our tracker against greedy matching by IoU and by OKS.

    python -m benchmarks.track [--clips 10] [--first-seed 0] [--model] [--time]

People walk, cross, hide one another, leave and come back (data/walking.py). By default trackers are
given the true poses made imperfect (data/disturb.py), so that they are judged and no network;
--model adds the default model's own predictions on the painted frames; --time measures our tracker
and smoother at 20 people. Settings were found on seeds from 100 on. Ends with one line of JSON.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple, Protocol

import numpy as np

import litepose
from benchmarks.tracking.disturb import FEWEST_SEEN, Disturber
from benchmarks.tracking.metrics import Sighting, TrackingScore, score_tracking, together
from benchmarks.tracking.walking import ClipSettings, Frame, Truth, walk
from litepose.core.oks import compute_oks, pose_area, pose_similarity
from litepose.core.poses import Poses
from litepose.core.skeleton import COCO17
from litepose.inference.one_euro import Smoother
from litepose.inference.tracker import Tracker

KINDS = {
    "5 people": ClipSettings(),
    "10 people": ClipSettings(people=10, height=(0.3, 0.5)),
    "camera pans": ClipSettings(pan=0.15),
    "12 fps, 30 % dropped": ClipSettings(fps=12, dropped=0.3),
}
CUT = "cut in the middle"
MODEL_CLIPS = 4
FOR_MODEL = ClipSettings(size_wh=(640, 360), fps=12.5, people=3, height=(0.6, 0.9), pillars=0)


class Look(NamedTuple):
    """A frame as trackers get it, and the truth."""

    seconds: float
    found: Poses
    truth: Truth


class Follows(Protocol):
    def update(self, poses: Poses, seconds: float) -> Poses: ...


class Greedy:
    """The usual baseline: the most alike pair first, of those above `least`; no motion. Waits one
    second for the lost, as our tracker does."""

    def __init__(self, alike: Callable[[Poses, Poses], np.ndarray], least: float) -> None:
        self.alike, self.least = alike, least
        self.known: dict[int, tuple[float, Poses]] = {}
        self.next_id = 1

    def update(self, poses: Poses, seconds: float) -> Poses:
        self.known = {k: v for k, v in self.known.items() if seconds - v[0] <= 1}
        names = list(self.known)
        ids = np.zeros(len(poses), int)
        if names and len(poses):
            alike = np.concatenate([self.alike(self.known[name][1], poses) for name in names])
            while alike.max() > self.least:
                i, j = np.unravel_index(alike.argmax(), alike.shape)
                ids[j], alike[i], alike[:, j] = names[i], -1, -1
        new = np.flatnonzero(ids == 0)
        ids[new] = self.next_id + np.arange(len(new))
        self.next_id += len(new)
        self.known |= {int(name): (seconds, poses[j]) for j, name in enumerate(ids)}
        return replace(poses, ids=ids)


def iou(one: Poses, many: Poses) -> np.ndarray:
    """(1, N) overlap of boxes."""
    a, b = one.boxes_xyxy[:, None], many.boxes_xyxy
    shared = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    both = np.maximum(shared, 0).prod(axis=2)
    area_a, area_b = ((box[..., 2:] - box[..., :2]).prod(axis=-1) for box in (a, b))
    return both / np.maximum(area_a + area_b - both, 1e-9)


def oks(one: Poses, many: Poses) -> np.ndarray:
    """(1, N)"""
    areas = [pose_area(poses.keypoints_xy, poses.scores) for poses in (one, many)]
    return pose_similarity(
        one.keypoints_xy[:, None], one.scores[:, None], many.keypoints_xy, many.scores,
        np.maximum(areas[0][:, None], areas[1]), COCO17,
    )  # fmt: skip


class WithoutCenters(Tracker):
    def update(self, poses: Poses, seconds: float) -> Poses:
        return super().update(replace(poses, centers_xy=None), seconds)


TRACKERS: dict[str, Callable[[], Follows]] = {
    "IoU, greedy": lambda: Greedy(iou, 0.02),
    "OKS, greedy": lambda: Greedy(oks, 0.01),
    "ours, without centers": WithoutCenters,
    "ours": Tracker,
}


def frames_of(kind: str, seed: int) -> Iterator[Frame]:
    """The frames of a clip; that with a cut is made of two, with other people in the second."""
    if kind in KINDS:
        yield from walk(seed, KINDS[kind])
        return
    half = ClipSettings(seconds=4)
    yield from walk(seed, half)
    for frame in walk(seed + 5000, half):
        people = frame.truth._replace(ids=frame.truth.ids + 1000)
        yield Frame(frame.seconds + half.seconds, frame.image, people)


def disturbed(frames: Iterator[Frame], seed: int) -> list[Look]:
    disturber = Disturber(seed)
    looks = []
    for frame in frames:
        size_wh = (frame.image.shape[1], frame.image.shape[0])
        looks.append(Look(frame.seconds, disturber.see(frame.truth, size_wh), frame.truth))
    return looks


def judged(tracker: Follows, looks: list[Look], confirmed: bool = False) -> TrackingScore:
    """The score of a tracker on a clip; `confirmed`: of those people only that it is sure of."""
    sightings = []
    for look in looks:
        found = tracker.update(look.found, look.seconds)
        if confirmed and isinstance(tracker, Tracker):
            found = found[tracker.confirmed(found.track_ids)]
        truth, seen = look.truth, look.truth.visibility == 2
        alike = compute_oks(found, truth.keypoints_xy, truth.areas, COCO17.sigmas, seen).T
        counted = seen.sum(axis=1) >= FEWEST_SEEN
        sightings.append(Sighting(truth.ids, found.track_ids, alike, counted))
    return score_tracking(sightings)


def table(clips: dict[str, list[list[Look]]]) -> dict[str, dict[str, float]]:
    """Prints and returns the scores of each tracker over all clips, and IDF1 of each kind."""
    kinds = list(clips)
    print("| | IDF1 | MOTA | id switches | " + " | ".join(f"IDF1, {k}" for k in kinds) + " |")
    print("|---" * (4 + len(kinds)) + "|")
    out = {}
    rows = [(name, make, False) for name, make in TRACKERS.items()]
    for name, make, sure in [*rows, ("ours, confirmed people only", Tracker, True)]:
        per = {k: together(judged(make(), looks, sure) for looks in clips[k]) for k in kinds}
        all_ = together(per.values())
        cells = [f"{100 * all_.idf1:.1f}", f"{100 * all_.mota:.1f}", str(all_.switches)]
        cells += [f"{100 * score.idf1:.1f}" for score in per.values()]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)
        out[name] = {"idf1": all_.idf1, "mota": all_.mota, "switches": all_.switches}
    print(f"of {all_.people} sightings of true people\n")
    return {k: {m: round(v, 4) for m, v in row.items()} for k, row in out.items()}


def smoothing(clips: list[list[Look]]) -> dict[str, float]:
    """Prints and returns, in percent of a person's size: how far seen keypoints are from the truth,
    and how much that changes from frame to frame, as found and smoothed (root mean squares)."""
    off: dict[str, list[np.ndarray]] = {"found": [], "smoothed": []}
    jumps: dict[str, list[np.ndarray]] = {"found": [], "smoothed": []}
    for looks in clips:
        tracker, smoother = Tracker(), Smoother()
        last: dict[tuple[str, int, int], np.ndarray] = {}
        for look in looks:
            found = tracker.update(look.found, look.seconds)
            smooth = smoother.update(found, look.seconds)
            now = {}
            for i, j in same_people(found, look.truth):
                seen = (look.truth.visibility[i] == 2) & found.found[j]
                for name, poses in (("found", found), ("smoothed", smooth)):
                    miss = poses.keypoints_xy[j] - look.truth.keypoints_xy[i]
                    miss = np.where(seen[:, None], miss / np.sqrt(look.truth.areas[i]), np.nan)
                    key = (name, int(look.truth.ids[i]), int(found.track_ids[j]))
                    off[name].append(miss)
                    jumps[name].append(miss - last.get(key, np.nan))
                    now[key] = miss
            last = now
    out = {}
    for what, values in (("off", off), ("jump", jumps)):
        for name, rows in values.items():
            squares = (np.array(rows) ** 2).sum(axis=2)
            out[f"{what}_{name}"] = round(100 * float(np.sqrt(np.nanmean(squares))), 2)
    print(f"smoothing, percent of a person's size: {out}\n")
    return out


def same_people(found: Poses, truth: Truth) -> list[tuple[int, int]]:
    """True person and who it was found as, where OKS is 0.5 or more."""
    if not len(found):
        return []
    alike = compute_oks(
        found, truth.keypoints_xy, truth.areas, COCO17.sigmas, truth.visibility == 2
    )
    return [(i, int(alike[:, i].argmax())) for i in np.flatnonzero(alike.max(axis=0) >= 0.5)]


def model_clips(first_seed: int, count: int) -> list[list[Look]]:
    """The default model's people on painted frames; prints how well it sees them."""
    model = litepose.load()
    clips = [
        [Look(f.seconds, model.predict(f.image), f.truth) for f in walk(seed, FOR_MODEL)]
        for seed in range(first_seed, first_seed + count)
    ]
    score = together(judged(Tracker(), looks) for looks in clips)
    found = score.people - score.misses
    print(
        f"The default model finds {100 * found / score.people:.0f} % of the drawn people;"
        f" {100 * found / max(score.found, 1):.0f} % of whom it finds are somebody (OKS 0.5)"
    )
    return clips


def milliseconds(people: int) -> dict[str, float]:
    """Median and 99th percentile of a frame's tracking, and the median of its smoothing."""
    settings = ClipSettings(size_wh=(1280, 720), people=people, height=(0.2, 0.4), seconds=12)
    looks = [look for look in disturbed(walk(7, settings), 7) if len(look.found) >= people - 5]
    tracker, smoother = Tracker(), Smoother()
    track, smooth = [], []
    for look in looks:
        start = time.perf_counter()
        found = tracker.update(look.found, look.seconds)
        middle = time.perf_counter()
        smoother.update(found, look.seconds)
        track.append(middle - start)
        smooth.append(time.perf_counter() - middle)
    return {
        "frames": len(looks),
        "people": round(statistics.mean(len(look.found) for look in looks), 1),
        "track_ms": round(1e3 * statistics.median(track), 3),
        "track_ms_p99": round(1e3 * float(np.percentile(track, 99)), 3),
        "smooth_ms": round(1e3 * statistics.median(smooth), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Ids on generated clips.")
    parser.add_argument("--clips", type=int, default=10, help="of each kind; 0 leaves them out")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--model", action="store_true", help="the default model's people too")
    parser.add_argument("--time", action="store_true", help="milliseconds at 20 people")
    options = parser.parse_args()
    seeds = range(options.first_seed, options.first_seed + options.clips)
    result: dict[str, object] = {"benchmark": "track", "clips": options.clips}
    if options.time:
        result["time"] = milliseconds(25)
        print(result["time"])
    if options.clips:
        kinds = [*KINDS, CUT]
        clips = {kind: [disturbed(frames_of(kind, s), s) for s in seeds] for kind in kinds}
        result["disturbed"] = table(clips)
        result["smoothing"] = smoothing([looks for kind in clips.values() for looks in kind])
    if options.model:
        result["model"] = table({"model": model_clips(options.first_seed, MODEL_CLIPS)})
    print(json.dumps(result))


if __name__ == "__main__":
    main()
