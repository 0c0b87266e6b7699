"""`litepose predict` of videos, cameras and streams: a drawn video, one line of JSON per frame."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from pathlib import Path
from typing import Any

import cv2

from litepose.apps.cli.options import predict_options, read_limits
from litepose.apps.cli.output import MARK, OutputPaths, Report, open_report, print_record
from litepose.apps.cli.stopping import stopping
from litepose.apps.cli.video_display import Screen, check_window
from litepose.apps.cli.video_effort import open_for_video
from litepose.core.console import is_terminal, say
from litepose.core.errors import LitePoseError
from litepose.core.names import is_url, local_path, split_url, without_password
from litepose.core.progress import Progress
from litepose.imaging.video_open import is_camera, is_video, list_videos
from litepose.imaging.video_reader import Frames, frames
from litepose.imaging.video_writer import SLOWEST, check_video
from litepose.inference.predictor import PredictOptions, Predictor
from litepose.inference.stream import PosedFrame


def run_videos(options: argparse.Namespace) -> int:
    _check(options)
    sources, missing = _find(options)
    places = OutputPaths(options.output, sources)
    targets: list[Path | None] = [None] * len(sources)
    if not options.no_draw:
        places.check(sources)
        targets = [places.name(source, MARK, ".webm") for source in sources]
        for path in filter(None, targets):
            check_video(path)
    if options.show:
        check_window()
    _silence_libraries()
    predictor = open_for_video(options)
    predictor.limits = read_limits(options)
    how = predict_options(options, predictor)
    report = open_report(options.json, sources)
    records = []
    try:
        for record in missing:
            records.append(record)
            print(json.dumps(record), flush=True)
            _tell(record, options.quiet)
        for source, target in zip(sources, targets, strict=True):
            record = _video(predictor, source, target, report, how, options)
            records.append(record)
            print(json.dumps(record), flush=True)
            _tell(record, options.quiet)
            if record.get("interrupted"):
                break
    finally:
        if len(sources) + len(missing) > 1:
            failed = {r["source"]: r["error"] for r in records if "error" in r}
            summary = {"videos": len(records), "failed": len(failed), "errors": failed}
            left = len(sources) + len(missing) - len(records)
            if left:
                summary |= {"interrupted": True, "not_begun": left}
            print(json.dumps(summary), flush=True)
        if report is not None:
            report.close()
    if any(record.get("interrupted") for record in records):
        return 130
    lost = report is not None and report.failed
    return 1 if lost or any("error" in record for record in records) else 0


def _find(options: argparse.Namespace) -> tuple[list[str], list[dict[str, Any]]]:
    """All videos of the sources, and a record for each impossible name."""
    found: list[str] = []
    missing: list[dict[str, Any]] = []
    for given in options.sources:
        try:
            if is_url(given):
                split_url(given)
                found.append(given)
            elif options.frames or local_path(given).exists():
                found.append(str(local_path(given)))
            else:
                found += list_videos(given)
        except LitePoseError as exc:
            missing.append({"source": without_password(given), "error": str(exc)})
    return found, missing


def _check(options: argparse.Namespace) -> None:
    if options.heatmaps:
        raise LitePoseError("--heatmaps is for images; leave it out for videos")
    if options.video_size and options.video_size < 32:
        raise LitePoseError(f"--video-size must be 32 or more, or 0; got {options.video_size}")
    if not 0 < options.stall < math.inf:
        raise LitePoseError(f"--stall must be above 0 seconds; got {options.stall}")
    if options.fps is not None:
        if not SLOWEST <= options.fps <= 1000:
            raise LitePoseError(f"--fps must lie in {SLOWEST:g}..1000; got {options.fps:g}")
        videos = [source for source in options.sources if is_video(source)]
        if videos:
            raise LitePoseError(f"--fps is of images that are frames; {videos[0]} says its own")
    single = [s for s in options.sources if not is_video(s) and os.path.isfile(s)]  # noqa: PTH113
    if single and len(options.sources) > 1:
        raise LitePoseError(
            f"--frames takes each SOURCE for a video, and {single[0]} is one image: name their"
            " folder, or put the pattern in quotes so that the shell leaves it whole"
        )


def _silence_libraries() -> None:
    """Silence OpenCV and FFmpeg, which report every damaged byte on stderr."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    if "OPENCV_LOG_LEVEL" not in os.environ:
        # OpenCV 4 and 5 name it differently.
        set_level: Any = getattr(cv2, "setLogLevel", None)
        set_level = set_level or cv2.utils.logging.setLogLevel  # type: ignore[attr-defined, unused-ignore]
        set_level(0)


def _video(
    predictor: Predictor,
    source: str,
    target: Path | None,
    report: Report | None,
    how: PredictOptions,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Process one video; returns its record, with the `error` if it failed."""
    shown = without_password(source)
    record: dict[str, Any] = {"source": shown}
    try:
        opened = frames(
            source, fps=options.fps, stall_seconds=options.stall, limits=predictor.limits
        )
    except LitePoseError as exc:
        return record | {"error": str(exc)}
    tally = _Tally(shown, opened)
    try:
        with stopping(opened.stop) as caught, Screen(target, opened, options) as screen:
            _work(predictor, opened, screen, tally, report, how, options)
    except LitePoseError as exc:
        record["error"] = str(exc)
    record |= tally.record()
    if target is not None and tally.frames:
        record["drawn"] = str(target)
    if caught:
        record["interrupted"] = True
    return record


def _work(
    predictor: Predictor,
    opened: Frames,
    screen: Screen,
    tally: _Tally,
    report: Report | None,
    how: PredictOptions,
    options: argparse.Namespace,
) -> None:
    total = None if opened.duration is None else max(1, round(opened.duration * opened.fps))
    progress = Progress(total, "frames", options.quiet)
    piped = not is_terminal(sys.stdout)  # on a terminal thousands of lines would bury all else
    try:
        for frame in predictor.stream(opened, how, track=options.track, smooth=options.smooth):
            print_record(tally.count(frame), report, shown=piped)
            screen.add(frame)
            progress.step(round(frame.seconds * opened.fps) + 1 if total else None)
            if screen.closed:
                break
    finally:
        progress.clear()


class _Tally:
    """Counts for the summary of a video."""

    def __init__(self, source: str, opened: Frames) -> None:
        self._source, self._opened = source, opened
        self.frames = self._most = 0
        self._seconds, self._ids = 0.0, set[int]()
        self._start = time.monotonic()

    def count(self, frame: PosedFrame) -> dict[str, Any]:
        """Count a frame; its own record."""
        self.frames += 1
        self._most = max(self._most, len(frame.poses))
        self._seconds = frame.seconds
        if frame.poses.track_ids is not None:
            self._ids.update(frame.poses.track_ids.tolist())
        where = {"source": self._source, "frame": frame.number, "seconds": round(frame.seconds, 4)}
        return where | frame.poses.to_dict()

    def record(self) -> dict[str, Any]:
        spent = max(time.monotonic() - self._start, 1e-3)
        record: dict[str, Any] = {
            "frames": self.frames,
            "broken": self._opened.broken,
            "dropped": self._opened.dropped,
            "seconds": round(self._seconds, 4),
            "most_people": self._most,
            "frames_per_second": round(self.frames / spent, 2),
        }
        if self._ids:
            record["ids"] = len(self._ids)
        if self._opened.ended_early:
            record["warning"] = self._opened.ended_early
        return record


def _tell(record: dict[str, Any], quiet: bool) -> None:
    """Summarize a video on stderr."""
    source, error = record["source"], record.get("error")
    name = f"camera {source}" if is_camera(source) else source
    if not quiet and record.get("frames"):
        count = record["frames"]
        frames_ = "1 frame" if count == 1 else f"{count} frames"
        parts = [f"{frames_}, {record['frames_per_second']} a second"]
        parts += [f"{record[k]} {k}" for k in ("broken", "dropped") if record[k]]
        drawn = f" -> {record['drawn']}" if "drawn" in record else ""
        stopped = " (stopped)" if record.get("interrupted") else ""
        say(f"{name}: {', '.join(parts)}{stopped}{drawn}")
    if "warning" in record and not quiet:
        say(f"note: {record['warning']}")
    if error is not None:
        named = "" if name in error else f"{name}: "
        say(f"failed: {named}{error}")
