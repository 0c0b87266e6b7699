"""`litepose export`: a checkpoint -> an ONNX file with its settings inside."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from litepose.apps.cli.options import check_target, need


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser("export", help="checkpoint -> ONNX, ready for litepose.load")
    parser.add_argument("--model", help="checkpoint, official .pth.tar or name (default: p)")
    parser.add_argument("--format", default="onnx", choices=("onnx",))
    parser.add_argument("--output", help="default: the checkpoint's name with .onnx, here")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    need("export", "torch", "onnx", "onnxscript", "onnxslim", "safetensors")
    from litepose.export.onnx import export_onnx
    from litepose.model import zoo

    name = options.model or zoo.DEFAULT
    target = Path(options.output or Path(name).name.split(".")[0] + ".onnx")
    check_target(target, ".onnx")
    network, info = zoo.load(name)
    print(f"exporting {info.name}, 10 to 30 s ...", file=sys.stderr)
    difference = export_onnx(network, info, target)
    print(f"wrote {target}; it equals PyTorch to {difference:.1e} of the largest value")
    print(json.dumps({"written": str(target), "model": info.name, "difference": difference}))
    return 0
