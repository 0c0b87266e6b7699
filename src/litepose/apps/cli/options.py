"""Options that several verbs share."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from litepose.apps.cli.parser import whole
from litepose.core.console import say

if TYPE_CHECKING:
    from litepose.core.score_maps import ScoreMaps
    from litepose.data.datasets import CocoDataset
    from litepose.evaluation.keypoint_overlap import MissingKeypoints
    from litepose.imaging.read import ReadLimits
    from litepose.inference.backend import RuntimeOptions
    from litepose.inference.predictor import PredictOptions, Predictor
    from litepose.inference.results import How


def add_config_options(parser: argparse.ArgumentParser, examples: str) -> None:
    """Options of a TOML file and `key=value` overrides."""
    parser.add_argument("config", help=f"TOML file, see {examples}")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="override settings of the file"
    )


def add_model_options(parser: argparse.ArgumentParser) -> None:
    model = parser.add_argument_group("model")
    model.add_argument(
        "--model",
        help="name, .onnx, OpenVINO .xml, checkpoint or official .pth.tar (default: the bundled)",
    )
    model.add_argument(
        "--backend",
        help="onnxruntime, openvino, torch, or auto: the fastest here, measured once and remembered"
        " (default: by the file)",
    )
    model.add_argument(
        "--effort",
        help="fast (one small view), usual, or best (more views, mirrored too; slow);"
        " --model, --size, --views and --crops override it (default: usual)",
    )
    model.add_argument("--size", type=int, help="one view with this short side in pixels")
    model.add_argument(
        "--views", metavar="SIZES", help="views whose people are merged, e.g. 256,512"
    )
    model.add_argument(
        "--crops",
        type=whole(0, 1000),
        metavar="PEOPLE",
        help="run again at crops around so many people, best first, to find them more exactly",
    )
    model.add_argument(
        "--threads", type=whole(0, 1024), default=0, help="for the network; 0: all cores"
    )
    model.add_argument("--provider", action="append", help="onnxruntime provider, best first")
    model.add_argument("--device", default="cpu", help="of torch or openvino (default: cpu)")
    model.add_argument(
        "--precision",
        default="float32",
        help="of openvino: bfloat16 is faster on newer CPUs, but less exact (default: %(default)s)",
    )


def add_predict_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("prediction")
    group.add_argument("--flip-test", action="store_true", help="average with the mirrored image")
    group.add_argument(
        "--decoder", choices=("fast", "reference"), help="reference: the official decoder, slow"
    )
    group.add_argument(
        "--scales",
        help="average the maps at multiples of the input size, e.g. 1,0.5,2, as in the paper",
    )
    group.add_argument(
        "--threshold", type=float, help="drop people with a lower score (default: the model's)"
    )
    group.add_argument("--max-people", type=int, help="keep only the best MAX_PEOPLE people")


def open_predictor(options: argparse.Namespace) -> Predictor:
    """Open the model of the options; the choice of `--backend auto` is printed on stderr."""
    from litepose.inference.load import open_predictor

    return open_predictor(
        options.model,
        effort=options.effort,
        backend=options.backend,
        input_size=options.size,
        views=parse_views(options.views),
        crops=options.crops,
        options=runtime_options(options),
        say=say,
    )


def runtime_options(options: argparse.Namespace) -> RuntimeOptions:
    """Threads, providers, device and precision of the options."""
    from litepose.inference.backend import RuntimeOptions

    providers = tuple(options.provider or ["CPUExecutionProvider"])
    return RuntimeOptions(options.threads, providers, options.device, options.precision)


def open_data(
    options: argparse.Namespace, predictor: Predictor
) -> tuple[CocoDataset, MissingKeypoints | None]:
    """The images of --data and --split for evaluation; missing keypoints are named on stderr."""
    from litepose.data.corner_boxes import warning_of
    from litepose.evaluation.keypoint_overlap import open_for_evaluation

    info = predictor.info
    dataset, unknown = open_for_evaluation(options.data, options.split, info.name, info.skeleton)
    if warning := warning_of(dataset.records, "AP"):
        say(warning)
    if unknown:
        limit = getattr(options, "limit", None)
        say(f"warning: {unknown.of(range(len(dataset))[:limit])}")
    return dataset, unknown


def predict_options(options: argparse.Namespace, predictor: Predictor) -> PredictOptions:
    """The predictor's defaults, overridden by the options."""
    from litepose.inference.predictor import options_for

    return options_for(predictor, **predict_keywords(options))


def predict_keywords(options: argparse.Namespace) -> How:
    """The options as keywords of `Predictor.predict`; None where not given."""
    from litepose.inference.results import How

    return How(
        flip_test=options.flip_test or None,
        decoder=options.decoder,
        scales=None if options.scales is None else parse_scales(options.scales),
        threshold=options.threshold,
        max_people=options.max_people,
        deadline_ms=getattr(options, "deadline", None),
    )


def score_maps(options: argparse.Namespace, predictor: Predictor) -> ScoreMaps | None:
    """What --probabilities puts in place of scores; None without it.

    Raises LitePoseError where there are no maps for the model, or the file has none.
    """
    from litepose.core.score_maps import read_score_maps
    from litepose.inference.probabilities import bundled_maps

    if options.probabilities is None:
        return None
    given = options.probabilities
    return read_score_maps(given) if given else bundled_maps(predictor)


def read_limits(options: argparse.Namespace) -> ReadLimits:
    from litepose.core.errors import LitePoseError
    from litepose.imaging.read import ReadLimits

    limits = ReadLimits(allow_private=options.allow_private)
    if options.max_memory is not None:
        limits = replace(limits, max_memory=options.max_memory * 1_000_000)
    if options.max_pixels is None:
        return limits
    if options.max_pixels < 1:
        raise LitePoseError(f"--max-pixels must be 1 or more; got {options.max_pixels}")
    return replace(limits, max_pixels=options.max_pixels)


def parse_scales(text: str) -> tuple[float, ...]:
    """`1,0.5` -> (1.0, 0.5). Raises LitePoseError if one is not a number."""
    from litepose.core.errors import LitePoseError

    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise LitePoseError(f"--scales needs numbers such as 1,0.5,2; got {text!r}") from None


def parse_views(text: str | None) -> tuple[int, ...] | None:
    """`256,512` -> (256, 512). Raises LitePoseError if one is not a whole number."""
    from litepose.core.errors import LitePoseError

    try:
        return None if text is None else tuple(int(part) for part in text.split(","))
    except ValueError:
        raise LitePoseError(
            f"--views needs short sides in whole pixels such as 256,512; got {text!r}"
        ) from None


def check_target(target: Path, suffix: str) -> None:
    """Raise LitePoseError if a model cannot be written to the path. Call it before long work."""
    import tempfile

    from litepose.core.errors import LitePoseError

    if target.suffix != suffix:
        raise LitePoseError(f"the name of the output must end in {suffix}; got {target}")
    if target.is_dir() and not (target / "Manifest.json").is_file():  # as in a .mlpackage of ours
        raise LitePoseError(f"cannot write {target}: it is a folder; name a file in it")
    try:
        with tempfile.TemporaryFile(dir=target.parent):
            pass
    except OSError as exc:
        raise LitePoseError(
            f"cannot write {target}: {exc.strerror}; name another place with --output"
        ) from None
