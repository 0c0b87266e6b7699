"""`litepose predict SOURCE...`: pictures in, pictures with skeletons and JSON out."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from litepose import DRAWN_FROM
from litepose.apps.cli.options import (
    add_model_options,
    add_predict_options,
    open_predictor,
    predict_options,
)

if TYPE_CHECKING:
    from litepose.imaging.read import ReadLimits
    from litepose.runtime.predictor import PredictOptions, Predictor

MARK = ".pose"  # photo.jpg -> photo.pose.jpg


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "predict",
        help="find people in pictures",
        description=(
            "Finds every person in each picture, draws them into PICTURE.pose.jpg, and prints one"
            " line of JSON per picture (and, after several, one that sums up)."
        ),
    )
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="picture, folder, glob or URL")
    parser.add_argument("--output", metavar="DIR", help="folder for the drawn pictures")
    parser.add_argument("--json", metavar="FILE", help="write the JSON lines here too")
    parser.add_argument("--no-draw", action="store_true", help="JSON only, no pictures")
    parser.add_argument(
        "--keypoint-threshold",
        type=float,
        default=DRAWN_FROM,
        help="keypoints scoring below are not drawn; the JSON has them all (default: %(default)s)",
    )
    parser.add_argument("--heatmaps", action="store_true", help="PICTURE.heatmaps.jpg as well")
    parser.add_argument("--quiet", action="store_true", help="nothing on stderr but errors")
    parser.add_argument(
        "--allow-private", action="store_true", help="let URLs lead to private addresses"
    )
    parser.add_argument(
        "--max-pixels", type=int, metavar="N", help="refuse larger pictures (default: 100 million)"
    )
    add_model_options(parser)
    add_predict_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from litepose.apps.cli.progress import Progress

    _check(options)
    how = predict_options(options)
    sources, missing = _find(options.sources)
    places = _Places(options.output)
    if not options.no_draw:
        places.check(sources)
    predictor = open_predictor(options)
    predictor.limits = _limits(options)
    report = _open_report(options.json)
    progress = Progress(len(sources), "pictures", options.quiet)
    records: list[dict[str, Any]] = []
    try:
        for record in missing:
            records.append(record)
            _print(record, report)
        for source in sources:
            record = _one(predictor, source, how, None if options.no_draw else places, options)
            records.append(record)
            progress.clear()
            _print(record, report)
            progress.step()
    finally:
        progress.clear()
        if len(sources) + len(missing) > 1:
            print(json.dumps(_summary(records)), flush=True)
        if report is not None:
            report.close()
    return _finish(records, options)


def _check(options: argparse.Namespace) -> None:
    from litepose.core.errors import LitePoseError

    if not 0 <= options.keypoint_threshold <= 1:
        raise LitePoseError(
            f"--keypoint-threshold must lie in [0, 1]; got {options.keypoint_threshold}"
        )
    if options.no_draw and (options.heatmaps or options.output):
        raise LitePoseError("--no-draw makes no pictures: leave out --heatmaps and --output")


def _limits(options: argparse.Namespace) -> ReadLimits:
    from litepose.core.errors import LitePoseError
    from litepose.imaging.read import ReadLimits

    limits = ReadLimits(allow_private=options.allow_private)
    if options.max_pixels is None:
        return limits
    if options.max_pixels < 1:
        raise LitePoseError(f"--max-pixels must be 1 or more; got {options.max_pixels}")
    return replace(limits, max_pixels=options.max_pixels)


def _find(given: list[str]) -> tuple[list[str], list[dict[str, Any]]]:
    """All pictures that the sources stand for, and a record for each source that has none."""
    from litepose.core.errors import LitePoseError
    from litepose.imaging.fetch import is_url
    from litepose.imaging.listing import list_images

    found: list[str] = []
    missing: list[dict[str, Any]] = []
    for source in given:
        if is_url(source):
            found.append(source)
            continue
        try:
            listed = list_images(source)
            # Pictures that an earlier run has drawn are results, not sources, unless named.
            fresh = [
                str(path)
                for path in listed
                if str(path) == source or not path.stem.endswith((MARK, ".heatmaps"))
            ]
            if not fresh:
                raise LitePoseError(f"{source} holds only drawn pictures, such as {listed[0].name}")
            found += fresh
        except LitePoseError as wrong:
            missing.append({"source": source, "error": str(wrong)})
    return found, missing


class _Places:
    """Where drawn pictures go: beside each picture, or all into one folder."""

    def __init__(self, folder: str | None) -> None:
        self._folder = None if folder is None else Path(folder)
        self._taken: set[Path] = set()

    def check(self, sources: list[str]) -> None:
        """Make the folder and see that it can be written, before work starts."""
        from litepose.core.errors import LitePoseError
        from litepose.imaging.write import check_writable

        if self._folder is not None:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
            except OSError as wrong:
                raise LitePoseError(
                    f"cannot make the folder {self._folder}: {wrong.strerror}"
                ) from None
        for folder in {self._beside(source) for source in sources}:
            try:
                check_writable(folder / f"picture{MARK}.jpg")
            except LitePoseError as wrong:
                raise LitePoseError(f"{wrong}; name another folder with --output") from None

    def name(self, source: str, mark: str) -> Path:
        """A path no other source of this run has: photo.pose.jpg, photo-2.pose.jpg, ..."""
        stem = Path(source.split("?")[0].rstrip("/")).stem or "picture"
        folder, number = self._beside(source), 1
        path = folder / f"{stem}{mark}.jpg"
        while path in self._taken:
            number += 1
            path = folder / f"{stem}-{number}{mark}.jpg"
        self._taken.add(path)
        return path

    def _beside(self, source: str) -> Path:
        from litepose.imaging.fetch import is_url

        if self._folder is not None:
            return self._folder
        return Path() if is_url(source) else Path(source).parent


def _open_report(path: str | None) -> TextIO | None:
    from litepose.core.errors import LitePoseError
    from litepose.imaging.listing import PICTURE_SUFFIXES

    if path is None:
        return None
    if Path(path).suffix.lower() in PICTURE_SUFFIXES:  # as `--json *.jpg` would have it
        raise LitePoseError(f"--json {path} names a picture; give a name such as people.jsonl")
    try:
        return Path(path).open("w", encoding="utf-8")
    except OSError as wrong:
        raise LitePoseError(f"cannot write {path}: {wrong.strerror}") from None


def _one(
    predictor: Predictor,
    source: str,
    how: PredictOptions,
    places: _Places | None,
    options: argparse.Namespace,
) -> dict[str, Any]:
    """Predict and draw one picture; its record as far as it came, and the `error` that ended it."""
    from litepose.core.errors import LitePoseError
    from litepose.imaging.draw import draw_poses
    from litepose.imaging.draw_maps import draw_heatmaps
    from litepose.imaging.read import read_image
    from litepose.imaging.write import save_image

    record: dict[str, Any] = {"source": source}
    try:
        image = read_image(source, predictor.limits)
        poses, maps, box = predictor.predict_maps(image, how)
        record |= poses.to_dict()
        if places is not None:
            drawn = draw_poses(image, poses, threshold=options.keypoint_threshold)
            record["drawn"] = str(save_image(places.name(source, MARK), drawn))
        if places is not None and options.heatmaps:
            drawn = draw_heatmaps(image, maps.heatmaps[0][0], box)
            record["heatmaps"] = str(save_image(places.name(source, ".heatmaps"), drawn))
    except LitePoseError as wrong:
        record["error"] = str(wrong)
    return record


def _print(record: dict[str, Any], report: TextIO | None) -> None:
    line = json.dumps(record, separators=(",", ":"))
    print(line, flush=True)
    if report is not None:
        print(line, file=report, flush=True)


def _summary(records: list[dict[str, Any]]) -> dict[str, Any]:
    failed = [r for r in records if "error" in r]
    return {
        "pictures": len(records),
        "failed": len(failed),
        "people": sum(len(r.get("people", ())) for r in records),
        "errors": {r["source"]: r["error"] for r in failed},
    }


def _finish(records: list[dict[str, Any]], options: argparse.Namespace) -> int:
    """Tell the user on stderr what came of it; the exit code."""
    failed = [r for r in records if "error" in r]
    drawn = [r for r in records if "drawn" in r and "error" not in r]
    if not options.quiet:
        for record in drawn[:10]:
            people = len(record["people"])
            who = "nobody" if not people else "1 person" if people == 1 else f"{people} people"
            print(f"{record['source']}: {who} -> {record['drawn']}", file=sys.stderr)
        if len(drawn) > 10:
            print(f"... and {len(drawn) - 10} more pictures", file=sys.stderr)
    for record in failed:
        source, error = record["source"], record["error"]
        named = "" if source in error else f"{source}: "
        print(f"failed: {named}{error}", file=sys.stderr)
    return 1 if failed else 0
