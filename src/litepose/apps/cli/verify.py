"""`litepose verify`: recompute the reported AP from recorded predictions or by inference."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from litepose.apps.cli.options import (
    add_model_options,
    check_target,
    open_data,
    open_predictor,
)
from litepose.core.console import say, tell
from litepose.core.packages import need

_TO_RECORD = (
    "data", "split", "flip_test", "effort", "backend", "size", "views", "crops", "threads",
    "provider", "device", "precision",
)  # fmt: skip


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser(
        "verify",
        help="recompute the reported AP of the bundled models",
        description=(
            "Recomputes AP from the recorded predictions and labels of each reported result and"
            " compares it with the reported AP, and the weights with the evaluated ones. With"
            " --record it evaluates a model and writes a result; verify yours with"
            " `litepose verify FILE --model WEIGHTS`."
        ),
    )
    parser.add_argument("entries", nargs="*", help="files (default: those inside the package)")
    parser.add_argument(
        "--record",
        metavar="FILE",
        help="write a result to FILE, which must end in .ledger.json.gz; needs --data and --split",
    )
    parser.add_argument("--data", help="dataset folder, to record")
    parser.add_argument("--split", help="e.g. val2017, to record")
    parser.add_argument("--flip-test", action="store_true", help="average with the mirrored image")
    add_model_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    need("this command", "faster_coco_eval", extra="train")
    if options.record is not None:
        return _record(options)
    from litepose.core.errors import LitePoseError
    from litepose.evaluation.reported_results import read_result, result_files, verify
    from litepose.models.model_file import resolve_model

    _refuse_what_records(options)
    weights = resolve_model(options.model) if options.model else None
    paths = [Path(name) for name in options.entries] or result_files()
    if not paths:
        raise LitePoseError("this installation has no reported results; name a file")
    checks = {}
    for path in paths:
        check = verify(read_result(path), weights)
        entry, found = check.entry, check.found
        settings = ", ".join(f"{name} {value}" for name, value in entry.settings.items())
        tell(f"{path.name}: {entry.model} on {entry.dataset} ({settings}; {entry.date})")
        for name, claimed in entry.claimed.items():
            computed = found.get(name, float("nan"))
            tell(f"  {name:<20} claimed {claimed:6.2f}  computed {computed:6.2f}")
        for problem in check.problems:
            say(f"failed: {path.name}: {problem}")
        checks[path.name] = {"ok": not check.problems, "numbers": found}
    print(json.dumps(checks))
    return 0 if all(v["ok"] for v in checks.values()) else 1


def _refuse_what_records(options: argparse.Namespace) -> None:
    """Nothing is predicted without --record; only --model has a meaning, and only with a file."""
    from litepose.core.errors import LitePoseError

    for name in _TO_RECORD:
        if getattr(options, name) != options.parser.get_default(name):
            raise LitePoseError(
                f"--{name.replace('_', '-')} is for evaluating a model, so it needs --record FILE;"
                " recorded results are verified from the people stored in them"
            )
    if options.model and not options.entries:
        raise LitePoseError(
            "--model names the weights of an entry of yours: name its file too, as in `litepose"
            " verify FILE --model WEIGHTS`; or give --record FILE to make one"
        )


def _record(options: argparse.Namespace) -> int:
    import datetime

    from litepose.core.errors import LitePoseError
    from litepose.core.progress import Progress
    from litepose.evaluation.evaluator import EvaluateOptions
    from litepose.evaluation.reported_results import SUFFIX, record, write_result
    from litepose.inference.predictor import options_for

    if options.entries:
        raise LitePoseError(
            f"--record writes a new file, so {options.entries[0]} is unexpected; verify it in a"
            " command of its own"
        )
    if not (options.data and options.split):
        raise LitePoseError("--record evaluates a model, so it needs --data and --split")
    target = Path(options.record)
    if not target.name.endswith(SUFFIX):
        raise LitePoseError(f"reported results are written to a file named *{SUFFIX}; got {target}")
    check_target(target, ".gz")
    predictor = open_predictor(options)
    dataset, unknown = open_data(options, predictor)
    predict = options_for(predictor, flip_test=options.flip_test or None)
    settings = EvaluateOptions(
        flip_test=predict.flip_test,
        views=predict.views,
        crops=predict.crops_taken,
        unknown=unknown,
        weights=predictor.backend.file,
        dataset_name=f"{Path(options.data).name} {options.split}, {len(dataset)} images",
    )
    progress = Progress(len(dataset), "images")
    try:
        today = datetime.date.today().isoformat()
        entry = record(predictor, dataset, settings, today, lambda done, of: progress.step())
    finally:
        progress.clear()
    write_result(target, entry)
    print(json.dumps({"written": str(target), **entry.claimed}))
    return 0
