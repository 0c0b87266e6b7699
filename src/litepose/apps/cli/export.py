"""`litepose export`: a checkpoint to a file for a runtime, compared with PyTorch."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from litepose.apps.cli.options import check_target
from litepose.core.console import say, tell
from litepose.core.errors import LitePoseError
from litepose.core.packages import need

FORMATS = (
    *("onnx", "openvino", "ncnn", "int8-onnx", "int8-openvino", "torchscript"),
    *("coreml", "litert", "executorch", "tensorrt", "web"),
)


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "export",
        help="checkpoint -> ONNX, OpenVINO, ncnn, Core ML, LiteRT, TensorRT, ..., a web page",
        description=(
            "Writes a model for another runtime, with its settings inside, after comparing it with"
            " PyTorch on real images: more than 0.5 px apart, and nothing is written. An 8-bit"
            " model is refused (exit code 1, the numbers in the JSON) where it is less right than"
            " allowed or not faster on this machine. The format web writes a folder: a page that"
            " finds people in the browser, without a server."
        ),
    )
    parser.add_argument("--model", help="checkpoint, official .pth.tar or name (default: pm)")
    parser.add_argument("--format", default="onnx", metavar="|".join(FORMATS))
    parser.add_argument("--output", help="default: the model's name with the format's suffix, here")
    parser.add_argument("--size", metavar="WxH", help="the only input size (default: any)")
    parser.add_argument(
        "--decoder", action="store_true", help="put the decoder's first half into the graph"
    )
    parser.add_argument(
        "--flip-test", action="store_true", help="with --decoder: include the mirrored forward pass"
    )
    parser.add_argument(
        "--half", action="store_true", help="store float16 weights: half the file (onnx, coreml)"
    )
    parser.add_argument("--images", metavar="DIR", help="images to compare on")
    parser.add_argument(
        "--runtime", metavar="DIR", help="web: the unpacked npm package onnxruntime-web"
    )
    int8 = parser.add_argument_group("8 bits")
    int8.add_argument("--calibration", metavar="DIR", help="images to find the ranges on")
    int8.add_argument("--data", metavar="DIR", help="dataset folder to measure AP on (COCO layout)")
    int8.add_argument("--split", default="val2017", help="of --data (default: %(default)s)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    if options.format == "web":
        return run_web(options)
    if options.runtime:
        raise LitePoseError(f"--runtime is for the format web; got --format {options.format}")
    need("this command", "torch", "safetensors", extra="export")
    from litepose.export.export import ExportRequest, check, export_model
    from litepose.export.formats import find_format
    from litepose.export.quantize import RefusedError
    from litepose.models import zoo

    name, form = options.model or zoo.DEFAULT, find_format(options.format)
    ending = form.mark + form.suffixes[0]
    target = Path(options.output or Path(name).name.split(".")[0] + ending)
    check_target(target, form.suffixes[0])
    request = ExportRequest(
        model=name,
        format=options.format,
        target=target,
        size_wh=parse_size(options.size),
        decoder=options.decoder,
        flip=options.flip_test,
        half=options.half,
        images=options.images,
        calibration=options.calibration,
        data=options.data,
        split=options.split,
    )
    check(request)
    say(f"exporting {name} to {options.format}, up to some minutes ...")
    try:
        report = export_model(request, lambda text: say(text))
    except RefusedError as refused:
        say(f"litepose export: {refused}")
        numbers = refused.report.to_dict()
        print(
            json.dumps({"written": None, "refused": str(refused), "model": name, "int8": numbers})
        )
        return 1
    if report.int8 is not None:
        tell(report.int8.text())
    if report.parity is None:
        tell(f"{options.format} does not run here: form and weights were compared, not people")
    else:
        tell(f"{report.images}: {report.parity.text()}")
    tell(f"wrote {', '.join(map(str, report.written))}")
    print(json.dumps(report.to_dict()))
    return 0


def run_web(options: argparse.Namespace) -> int:
    from litepose.apps.web.folder import write_folder

    others = ("size", "decoder", "flip_test", "half", "images", "calibration", "data")
    for name in others:
        if getattr(options, name):
            option = f"--{name.replace('_', '-')}"
            raise LitePoseError(f"{option} is for other formats; leave it out with --format web")
    target, model = Path(options.output or "litepose-web"), options.model or "p"
    report = write_folder(model, options.runtime and Path(options.runtime), target)
    tell(f"wrote {target}; to open it: python -m http.server -d {target}, or litepose serve --web")
    print(json.dumps({"written": str(target), "model": model, "format": "web", **report}))
    return 0


def parse_size(text: str | None) -> tuple[int, int] | None:
    """`512x384` -> (512, 384). Raises LitePoseError for anything else."""
    if text is None:
        return None
    width, _, height = text.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise LitePoseError(f"--size wants width x height in pixels, such as 512x384; got {text!r}")
    return int(width), int(height)
