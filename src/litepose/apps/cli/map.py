"""`litepose map SOURCE --output DIR`: people of millions of images, as Parquet files."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from litepose.apps.cli.options import (
    add_model_options,
    add_predict_options,
    parse_views,
    predict_keywords,
    read_limits,
    runtime_options,
)
from litepose.apps.cli.parser import whole
from litepose.core.console import say

if TYPE_CHECKING:
    from litepose.apps.map.job import Job


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "map",
        help="find people in millions of images, on one machine or a Ray cluster",
        description=(
            "Finds people in all images of a folder, of tar (webdataset) shards or of Parquet files"
            " with a column of bytes, and writes Parquet: one row per person, one per image, one"
            " per failure. The same command goes on where an earlier one stopped."
        ),
    )
    parser.add_argument(
        "source", metavar="SOURCE", help="folder, file or pattern; a path or any fsspec URI"
    )
    parser.add_argument("--output", metavar="DIR", required=True, help="folder or fsspec URI")
    parser.add_argument(
        "--on", choices=("local", "ray"), default="local", help="default: %(default)s"
    )
    parser.add_argument(
        "--workers", type=int, default=0, help="processes or actors; 0: one per core (default)"
    )
    parser.add_argument(
        "--address", help="of the Ray cluster, such as auto or ray://head:10001 (default: this one)"
    )
    parser.add_argument("--column", help="of Parquet: the one that holds the bytes of images")
    parser.add_argument("--id-column", help="of Parquet: the one that names images")
    parser.add_argument(
        "--images-per-part",
        type=int,
        default=500,
        metavar="N",
        help="of a folder: images per part, which is finished as a whole (default: %(default)s)",
    )
    parser.add_argument("--quiet", action="store_true", help="nothing on stderr but errors")
    parser.add_argument("--max-pixels", type=int, metavar="N", help="refuse larger images")
    parser.add_argument(
        "--max-memory",
        type=whole(1, 10**6),
        metavar="MB",
        help="of each worker, for images being read at once (default: 2000)",
    )
    add_model_options(parser)
    add_predict_options(parser)
    parser.set_defaults(run=run, threads=1, allow_private=False)


def run(options: argparse.Namespace) -> int:
    from litepose.core.errors import LitePoseError
    from litepose.core.packages import need
    from litepose.core.progress import Progress

    needed = ("pyarrow", "fsspec", "ray") if options.on == "ray" else ("pyarrow", "fsspec")
    need("litepose map", *needed, extra="cluster")
    from litepose.apps.map.run import run_map

    for name in ("workers", "images_per_part"):
        least = 0 if name == "workers" else 1
        if getattr(options, name) < least:
            raise LitePoseError(
                f"--{name.replace('_', '-')} must be {least} or more; got {getattr(options, name)}"
            )
    if options.address and options.on != "ray":
        raise LitePoseError("--address is of a Ray cluster; add --on ray")
    progress = Progress(0, "parts", options.quiet)

    def begin(done: int, parts: int) -> None:
        nonlocal progress
        progress = Progress(parts - done, "parts", options.quiet)
        if done and not options.quiet:
            say(f"{done} of {parts} parts are finished already")

    try:
        summary = run_map(
            options.source,
            _job(options),
            _pool(options),
            images_per_part=options.images_per_part,
            begin=begin,
            report=lambda outcome: progress.step(),
        )
    finally:
        progress.clear()
    print(json.dumps(summary))
    for name, error in summary["unfinished"].items():
        say(f"unfinished: {name}: {error}")
    return 1 if summary["unfinished"] or summary["failures"] else 0


def _pool(options: argparse.Namespace) -> Any:
    from litepose.apps.map.run import local_pool
    from litepose.inference.system import usable_cores

    if options.on == "ray":
        from litepose.apps.map.on_ray import ray_pool

        return ray_pool(options.workers, options.address)
    threads = options.threads or usable_cores()
    return local_pool(options.workers or max(1, usable_cores() // threads))


def _job(options: argparse.Namespace) -> Job:
    from litepose.apps.map.job import Job

    return Job(
        output=options.output,
        model=options.model,
        effort=options.effort,
        backend=options.backend,
        size=options.size,
        views=parse_views(options.views),
        crops=options.crops,
        runtime=runtime_options(options),
        limits=read_limits(options),
        how=dict(predict_keywords(options)),
        column=options.column,
        id_column=options.id_column,
    )
