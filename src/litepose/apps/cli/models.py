"""`litepose models`: the known models and where their weights come from."""

from __future__ import annotations

import argparse
import json
from typing import Any

from litepose.core.console import tell


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser("models", help="list the models and where their weights come from")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from litepose.models import zoo
    from litepose.models.model_file import model_files

    rows = []
    header = f"{'name':26} {'keypoints':>9} {'input':>5} {'params':>8} {'GMACs':>6}  weights"
    tell(header)
    for name, model in zoo.MODELS.items():
        info = model.info
        found = [file.path.suffix for file in model_files(name)]
        mark = "*" if name == zoo.DEFAULT else " "
        tell(
            f"{name + mark:26} {info.skeleton.num_keypoints:9} {info.input.size:5}"
            f" {model.params / 1e6:7.2f}M {model.gmacs:6.2f}  {' '.join(found) or 'none here'}"
        )
        tell(f"{'':26} AP {model.ap}; {model.weights}")
        rows.append(
            {
                "name": name,
                "default": name == zoo.DEFAULT,
                "skeleton": info.skeleton.name,
                "input_size": info.input.size,
                "params": model.params,
                "gmacs": model.gmacs,
                "ap": model.ap,
                "weights": model.weights,
                "found": found,
            }
        )
    tell("* the default")
    print(json.dumps({"models": rows}))
    return 0
