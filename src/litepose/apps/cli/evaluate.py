"""`litepose evaluate`: AP of a model on a dataset, with intervals, tables and an example grid."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from litepose.apps.cli.options import (
    add_model_options,
    open_data,
    open_predictor,
    parse_scales,
)
from litepose.core.console import say, tell
from litepose.core.errors import LitePoseError
from litepose.core.packages import need


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "evaluate",
        help="AP of a model on annotated images",
        description=(
            "Prints AP with its 95 % interval and tables; with --output also writes report.json,"
            " report.txt, results.json (COCO) and sheet.png with the best and worst matches,"
            " false negatives and false positives. Ctrl-C reports on the images done."
        ),
    )
    parser.add_argument(
        "--data", required=True, help="dataset folder (COCO, CrowdPose, LSP layout)"
    )
    parser.add_argument("--split", required=True, help="e.g. val2017, test, lsp")
    parser.add_argument("--output", metavar="DIR", help="folder for the report")
    parser.add_argument("--limit", type=int, help="use only the first LIMIT images")
    parser.add_argument("--resume", action="store_true", help="resume the stopped run in DIR")
    parser.add_argument("--flip-test", action="store_true", help="average with the mirrored image")
    parser.add_argument(
        "--decoder",
        choices=("fast", "reference"),
        help="reference: the official decoder, slow, to reproduce published figures",
    )
    parser.add_argument("--scales", help="average maps at multiples of the size, e.g. 1,0.5,2")
    parser.add_argument(
        "--calibration",
        action="store_true",
        help="also write to DIR how often scores are right, and a map from scores to probabilities",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    need("this command", "faster_coco_eval", extra="train")
    from litepose.core.names import local_path
    from litepose.core.progress import Progress
    from litepose.evaluation.evaluator import EvaluateOptions, evaluate
    from litepose.inference.predictor import options_for

    settings = EvaluateOptions(
        limit=options.limit,
        resume=options.resume,
        dataset_name=f"{Path(options.data).name} {options.split}",
    )
    if options.calibration and not options.output:
        raise LitePoseError(
            "--calibration writes into the folder of the report: name it with --output"
        )
    if options.calibration:
        need("--calibration", "matplotlib", extra="plot")
    predictor = open_predictor(options)
    predictor.defaults = options_for(predictor, decoder=options.decoder)
    predict = options_for(
        predictor,
        flip_test=options.flip_test or None,
        scales=None if options.scales is None else parse_scales(options.scales),
    )
    dataset, unknown = open_data(options, predictor)
    settings = replace(
        settings,
        flip_test=predict.flip_test,
        scales=predict.scales,
        views=predict.views,
        crops=predict.crops_taken,
        weights=predictor.backend.file,
        unknown=unknown,
    )
    total = min(len(dataset), options.limit or len(dataset))
    progress = Progress(total, "images", options.quiet)
    output = local_path(options.output) if options.output else None
    try:
        report = evaluate(predictor, dataset, output, settings, lambda done, of: progress.step())
    finally:
        progress.clear()
    tell(report.to_text())
    if options.calibration and output is not None:
        from litepose.evaluation.calibration_report import write_calibration

        tell("\n".join(write_calibration(output, dataset.records, dataset.skeleton)))
    if output is not None:
        say(f"the report is in {output}")
    print(json.dumps(report.to_dict()))
    for reason in report.unreadable[:10]:
        say(f"failed: {reason}")
    return 130 if report.interrupted else 1 if report.unreadable else 0
