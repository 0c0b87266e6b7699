"""`litepose convert`: an official checkpoint to a safetensors checkpoint."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from litepose.apps.cli.options import check_target
from litepose.core.console import tell
from litepose.core.packages import need


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "convert",
        help="convert an official Lite Pose or HigherHRNet checkpoint",
        description=(
            "Reads an official checkpoint (any size, COCO or CrowdPose, recognized by its shapes)"
            " and writes a .safetensors file that contains architecture, skeleton and settings."
        ),
    )
    parser.add_argument("source", help="official .pth.tar")
    parser.add_argument("--output", help="default: SOURCE with the suffix .safetensors")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from litepose.core.errors import LitePoseError

    need("litepose convert", "torch", "safetensors", extra="torch")
    from litepose.models.official import convert_official

    source = Path(options.source)
    if source.suffix == ".safetensors":
        raise LitePoseError(f"{source} needs no converting; official ones end in .pth.tar")
    stem = source.name.removesuffix(".tar").removesuffix(".pth").removesuffix(".pt")
    target = Path(options.output) if options.output else source.with_name(stem + ".safetensors")
    check_target(target, ".safetensors")
    info = convert_official(source, target)
    tell(f"{source} is {info.name} ({info.skeleton.name}); wrote {target}")
    print(json.dumps({"written": str(target), "model": info.name, "skeleton": info.skeleton.name}))
    return 0
