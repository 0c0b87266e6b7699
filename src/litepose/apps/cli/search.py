"""`litepose search CONFIG --limit "macs<1.2G"`: find networks inside a trained supernet."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from litepose.apps.cli.options import add_config_options
from litepose.apps.cli.parser import whole
from litepose.core.console import say
from litepose.core.packages import need


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "search",
        help="search a trained supernet for networks within a limit",
        description=(
            "Evaluates networks of a supernet, by evolution toward high AP at low cost, and writes"
            " the best for each cost: front.json, front.png and one checkpoint each, to be used or"
            " fine-tuned (litepose train CONFIG model.init=FILE). Ctrl-C or a kill loses nothing;"
            " the same command goes on. docs/search.md"
        ),
    )
    add_config_options(parser, "configs/search.toml")
    parser.add_argument(
        "--limit",
        metavar="COST<MOST",
        help="macs<1.2G, params<2M or latency<30ms (on this machine, with onnxruntime)",
    )
    parser.add_argument(
        "--processes",
        type=whole(1, 256),
        default=1,
        help="processes that share the study (default: 1)",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    need("this command", "torch", "pydantic", "optuna", "matplotlib", extra="search")
    from litepose.core.progress import Progress
    from litepose.search.config import read_search
    from litepose.search.evolution import network_name, search
    from litepose.search.limit import Limit

    config = read_search(options.config, options.overrides)
    limit = None if options.limit is None else Limit.parse(options.limit)
    progress = Progress(config.evaluations, "evaluations", options.quiet)
    helpers: list[subprocess.Popen[bytes]] = []

    def start_helpers() -> None:
        helpers.extend(_helper(options) for _ in range(options.processes - 1))

    def step(done: int) -> None:
        if done:
            progress.step(done)

    try:
        front = search(config, limit, say, step, start_helpers)
    except BaseException:
        for helper in helpers:
            helper.terminate()
        raise
    finally:
        progress.clear()
        for helper in helpers:
            helper.wait()
    print(
        json.dumps(
            {
                "output": config.output,
                "front": [
                    {"file": str(Path(config.output) / network_name(i)), "ap": c.ap,
                     "macs": c.macs, "params": c.params, "cost": c.cost}
                    for i, c in enumerate(front)
                ],
            }
        )
    )  # fmt: skip
    return 0


def _helper(options: argparse.Namespace) -> subprocess.Popen[bytes]:
    """Another process with the same command; the study on disk is what they share."""
    command = [sys.executable, "-m", "litepose", "search", options.config, *options.overrides]
    command += ["--quiet", *(["--limit", options.limit] if options.limit else [])]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)
