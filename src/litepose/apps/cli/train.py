"""`litepose train CONFIG key=value...`: train or resume; works under torchrun."""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from litepose.apps.cli.options import add_config_options
from litepose.apps.cli.parser import number
from litepose.core.packages import need


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "train",
        help="train a network from a configuration",
        description=(
            "Trains by a TOML file; words such as epochs=50 or data.root=coco override it. Saves"
            " regularly; Ctrl-C saves and stops, --resume continues exactly from there. With"
            " torchrun, one process per device: torchrun --nproc-per-node=8 -m litepose train ..."
        ),
    )
    add_config_options(parser, "configs/")
    parser.add_argument("--resume", action="store_true", help="continue the run in its folder")
    parser.add_argument(
        "--stop-after", type=number(0), metavar="MINUTES", help="save and stop after this time"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    need(
        "this command",
        "torch",
        "pydantic",
        "safetensors",
        "tensorboard",
        "faster_coco_eval",
        extra="train",
    )
    # Threads that spin while they wait slow down other programs and each other.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from litepose.training.config_file import read_config
    from litepose.training.trainer import train

    config = read_config(options.config, options.overrides)
    result = train(config, options.resume, options.stop_after)
    if os.environ.get("RANK", "0") != "0":  # under torchrun only the first process prints
        return 128 + result.signal if result.signal else 0
    print(
        json.dumps(
            {
                "finished": result.finished,
                "epochs": result.epochs,
                "best_ap": result.best_ap,
                "checkpoint": None if result.checkpoint is None else str(result.checkpoint),
                "seconds": round(result.seconds, 1),
            }
        )
    )
    return 128 + result.signal if result.signal else 0
