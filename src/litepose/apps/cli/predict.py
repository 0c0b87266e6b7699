"""`litepose predict SOURCE...`: images in, drawn skeletons and JSON out.

Videos, cameras and streams go on to predict_video.py.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from litepose import DRAWN_FROM
from litepose.apps.cli.options import (
    add_model_options,
    add_predict_options,
    open_predictor,
    predict_options,
    read_limits,
    score_maps,
)
from litepose.apps.cli.output import (
    MARK,
    OutputPaths,
    open_report,
    print_record,
    report_outcome,
    sum_up,
)
from litepose.apps.cli.parser import whole
from litepose.apps.cli.stopping import stopping, until

if TYPE_CHECKING:
    from litepose.core.score_maps import ScoreMaps
    from litepose.inference.predictor import PredictOptions, Predictor
    from litepose.inference.results import View


class _Job(NamedTuple):
    """An image and the path of its annotated copy; None: nothing is drawn."""

    source: str
    drawn: Path | None
    heatmaps: Path


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "predict",
        help="find people in images and videos",
        description=(
            "Finds every person in each image, draws them into IMAGE.pose.jpg, and prints one"
            " line of JSON per image (and a summary after several). For a video, a camera (0 is the"
            " first) or a stream it draws VIDEO.pose.webm and writes one line of JSON per frame, to"
            " --json FILE and to stdout unless that is a terminal, and a summary."
        ),
    )
    parser.add_argument(
        "sources",
        nargs="+",
        metavar="SOURCE",
        help="images (file, folder, glob, URL), or videos (file, glob, URL, number of a camera)",
    )
    parser.add_argument("--output", metavar="DIR", help="folder for the drawn images and videos")
    parser.add_argument("--json", metavar="FILE", help="write the JSON lines here too")
    parser.add_argument("--no-draw", action="store_true", help="JSON only, no images")
    parser.add_argument(
        "--keypoint-threshold",
        type=float,
        default=DRAWN_FROM,
        help="keypoints scoring below are not drawn; the JSON has them all (default: %(default)s)",
    )
    parser.add_argument("--heatmaps", action="store_true", help="also write IMAGE.heatmaps.jpg")
    parser.add_argument("--quiet", action="store_true", help="nothing on stderr but errors")
    parser.add_argument(
        "--allow-private", action="store_true", help="allow URLs with private addresses"
    )
    parser.add_argument(
        "--max-pixels", type=int, metavar="N", help="refuse larger images (default: 100 million)"
    )
    parser.add_argument(
        "--max-memory",
        type=whole(1, 10**6),
        metavar="MB",
        help="for all images being read at once; large ones wait (default: 2000)",
    )
    parser.add_argument(
        "--deadline",
        type=float,
        metavar="MS",
        help="time limit for an image or frame: sizes and flip test are chosen to meet it for 95 of"
        " 100 images, by latencies measured first; `used` in the JSON has the choice",
    )
    parser.add_argument(
        "--probabilities",
        nargs="?",
        const="",
        metavar="FILE",
        help="print probabilities of being right in place of scores; thresholds stay those of"
        " scores. FILE: calibration.json of litepose evaluate --calibration, for your own model",
    )
    _add_video_options(parser)
    add_model_options(parser)
    add_predict_options(parser)
    parser.set_defaults(run=run)


def _add_video_options(parser: argparse.ArgumentParser) -> None:
    video = parser.add_argument_group("videos, cameras and streams")
    video.add_argument(
        "--frames",
        action="store_true",
        help="SOURCE is a video whatever its name: a folder or glob is its frames, a URL a stream",
    )
    video.add_argument("--fps", type=float, help="of a folder of frames (default: 25)")
    video.add_argument("--track", action="store_true", help="persistent IDs")
    video.add_argument("--smooth", action="store_true", help="smooth keypoints; implies --track")
    video.add_argument(
        "--show", action="store_true", help="show the video in a window; q closes it"
    )
    video.add_argument(
        "--video-size",
        type=int,
        default=1280,
        metavar="N",
        help="long side of the drawn video at most, in pixels (default: %(default)s; 0: as it is)",
    )
    video.add_argument(
        "--stall",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="longest wait for a frame (default: %(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    from litepose.core.progress import Progress
    from litepose.imaging.url import interrupt

    _check(options)
    if _are_videos(options):
        from litepose.apps.cli.predict_video import run_videos

        return run_videos(options)
    sources, missing = _find(options.sources)
    places = OutputPaths(options.output, sources)
    if not options.no_draw:
        places.check(sources)
    predictor = open_predictor(options)
    predictor.limits = read_limits(options)
    settings = predict_options(options, predictor)
    maps = score_maps(options, predictor)
    report = open_report(options.json, sources)
    progress = Progress(len(sources), "images", options.quiet)
    records: list[dict[str, Any]] = []
    try:
        for record in missing:
            records.append(record)
            print_record(record, report)
        with stopping(interrupt) as caught:  # no slow server is waited for
            for record in _records(predictor, sources, settings, places, options, caught, maps):
                records.append(record)
                progress.clear()
                print_record(record, report)
                progress.step()
    finally:
        progress.clear()
        if len(sources) + len(missing) > 1:
            summary, left = sum_up(records), len(sources) + len(missing) - len(records)
            if left:
                summary |= {"interrupted": True, "not_begun": left}
            print(json.dumps(summary), flush=True)
        if report is not None:
            report.close()
    code = report_outcome(records, options.quiet)
    if caught:
        return 130
    return 1 if report is not None and report.failed else code


def _check(options: argparse.Namespace) -> None:
    from litepose.core.errors import LitePoseError

    if not 0 <= options.keypoint_threshold <= 1:
        raise LitePoseError(
            f"--keypoint-threshold must lie in [0, 1]; got {options.keypoint_threshold}"
        )
    useless = [f"--{name}" for name in ("heatmaps", "output") if getattr(options, name)]
    if options.no_draw and useless:
        raise LitePoseError(f"--no-draw makes no images: leave out {' and '.join(useless)}")


def _are_videos(options: argparse.Namespace) -> bool:
    from litepose.core.errors import LitePoseError
    from litepose.imaging.video_open import is_video

    videos = [source for source in options.sources if options.frames or is_video(source)]
    if videos and len(videos) < len(options.sources):
        other = next(source for source in options.sources if source not in videos)
        raise LitePoseError(
            f"{videos[0]} is a video and {other} is not: give videos and images in two commands"
        )
    for given in ("track", "smooth", "show", "fps"):
        if not videos and getattr(options, given):
            raise LitePoseError(
                f"--{given} is for videos; where these images are the frames of one, add --frames"
            )
    return bool(videos)


def _find(given: list[str]) -> tuple[list[str], list[dict[str, Any]]]:
    """All images of the sources, and a record for each source without images."""
    from litepose.core.errors import LitePoseError
    from litepose.core.names import is_url
    from litepose.imaging.find_images import list_images

    found: list[str] = []
    missing: list[dict[str, Any]] = []
    for source in given:
        if is_url(source):
            found.append(source)
            continue
        try:
            listed = list_images(source)
            # Images that an earlier run has drawn are results, not sources, unless named.
            fresh = [
                str(path)
                for path in listed
                if str(path) == source or not path.stem.endswith((MARK, ".heatmaps"))
            ]
            if not fresh:
                raise LitePoseError(f"{source} holds only drawn images, such as {listed[0].name}")
            found += fresh
        except LitePoseError as exc:
            missing.append({"source": source, "error": str(exc)})
    return found, missing


def _records(
    predictor: Predictor,
    sources: list[str],
    settings: PredictOptions,
    places: OutputPaths,
    options: argparse.Namespace,
    caught: list[int],
    maps: ScoreMaps | None,
) -> Iterator[dict[str, Any]]:
    """The record of each image, in order; many are processed in parallel."""
    from litepose.inference.parallel import ordered_map
    from litepose.inference.predictor import MANY_FROM, divided

    jobs = []
    for source in sources:
        drawn = None if options.no_draw else places.name(source, MARK)
        jobs.append(_Job(source, drawn, places.name(source, ".heatmaps")))
    worker, workers = predictor, 1
    if len(jobs) >= MANY_FROM and settings.deadline_ms is None:  # one at a time ends sooner
        worker, workers = divided(predictor, settings)

    def attempt(job: _Job) -> dict[str, Any] | None:  # None: taken ahead and not begun
        return None if caught else _one(worker, job, settings, options, maps)

    done = ordered_map(attempt, until(caught, jobs), workers)
    return (record for record in done if record is not None)


def _one(
    predictor: Predictor,
    job: _Job,
    settings: PredictOptions,
    options: argparse.Namespace,
    maps: ScoreMaps | None,
) -> dict[str, Any]:
    """Predict and draw one image; returns its record, with the `error` if it failed."""
    from litepose.core.errors import LitePoseError
    from litepose.imaging.draw import draw_poses
    from litepose.imaging.draw_maps import draw_heatmaps
    from litepose.imaging.grid import side_by_side
    from litepose.imaging.read import read_image
    from litepose.imaging.write import save_image

    record: dict[str, Any] = {"source": job.source}
    try:
        image = read_image(job.source, predictor.limits)
        poses, views, *_ = predictor.inspect(image, settings)
        record |= (maps(poses) if maps else poses).to_dict()
        if job.drawn is not None:
            drawn = draw_poses(image, poses, threshold=options.keypoint_threshold)
            record["drawn"] = str(save_image(job.drawn, drawn))
        if options.heatmaps:
            panels = [draw_heatmaps(image, view.maps.heat, view.box) for view in views]
            sheet = panels[0] if len(panels) == 1 else side_by_side(panels, _view_titles(views))
            record["heatmaps"] = str(save_image(job.heatmaps, sheet))
    except LitePoseError as exc:
        record["error"] = str(exc)
    return record


def _view_titles(views: list[View]) -> list[str]:
    return [f"{min(v.box.image_wh) * v.box.zoom:.0f} px" for v in views]
