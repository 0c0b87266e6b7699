"""`litepose data VERB`: check, show, pack, pseudo-label, synth, download."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litepose.apps.cli.options import add_model_options, open_predictor, parse_scales
from litepose.apps.cli.parser import number, whole
from litepose.core.console import say, tell
from litepose.core.packages import need
from litepose.core.progress import Progress, status

if TYPE_CHECKING:
    from litepose.data.datasets import PoseDataset


def add_parser(verbs: Any) -> None:
    parser = verbs.add_parser("data", help="check, show, pack, draw and download datasets")
    tools = parser.add_subparsers(dest="tool", metavar="TOOL", required=True)
    _add_check(tools)
    _add_show(tools)
    _add_pack(tools)
    _add_pseudo_label(tools)
    _add_synth(tools)
    _add_download(tools)


def _add_dataset(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("data", help="dataset folder (COCO, CrowdPose, LSP or plain layout)")
    parser.add_argument("--split", default="train2017", help="default: %(default)s")
    parser.add_argument("--skeleton", metavar="TOML", help="meaning of the keypoints")


def _add_check(tools: Any) -> None:
    parser = tools.add_parser("check", help="find mistakes before they spoil a training run")
    _add_dataset(parser)
    parser.set_defaults(run=run_check)


def run_check(options: argparse.Namespace) -> int:
    from litepose.data.validate.dataset import examine

    report = examine(options.data, options.split, options.skeleton)
    tell(report.text())
    print(json.dumps(report.to_dict()))
    return 0 if report.ok else 1


def _add_show(tools: Any) -> None:
    parser = tools.add_parser("show", help="draw images with their labels on one sheet")
    _add_dataset(parser)
    parser.add_argument("--count", type=int, default=16, help="images (default %(default)s)")
    parser.add_argument("--seed", type=whole(0, 2**63 - 1), default=0)
    parser.add_argument("--output", default="dataset.png", help="default: %(default)s")
    parser.add_argument("--fiftyone", action="store_true", help="open it in FiftyOne instead")
    parser.set_defaults(run=run_show)


def run_show(options: argparse.Namespace) -> int:
    from litepose.data.contact_sheet import contact_sheet, readable_samples, to_fiftyone
    from litepose.data.layouts import find_dataset
    from litepose.imaging.write import check_writable, save_image

    dataset = find_dataset(options.data, options.split, skeleton=options.skeleton)
    if options.fiftyone:
        shown = to_fiftyone(dataset, f"{Path(options.data).name}-{options.split}")
        import fiftyone

        fiftyone.launch_app(shown).wait()
        return 0
    check_writable(options.output)
    samples, unreadable = readable_samples(dataset, options.count, options.seed)
    save_image(options.output, contact_sheet(samples, dataset.skeleton))
    print(json.dumps({"written": options.output, "images": len(samples), "failed": unreadable}))
    return 1 if unreadable else 0


def _add_pack(tools: Any) -> None:
    parser = tools.add_parser("pack", help="write decoded images and labels to one file")
    _add_dataset(parser)
    parser.add_argument("--output", required=True, help="file ending in .lpc")
    parser.add_argument(
        "--people", metavar="RESULTS", help="COCO results: unlabeled people to train on as well"
    )
    parser.add_argument(
        "--people-above", type=number(0, 1), default=0.3, help="their least score (default: 0.3)"
    )
    parser.add_argument("--short-side", type=int, default=256, help="default: %(default)s")
    parser.add_argument("--encoding", default="raw", help="raw, jpeg or webp (default: raw)")
    parser.add_argument("--quality", type=int, default=90, help="quality of jpeg and webp")
    parser.add_argument(
        "--piece-mb", type=number(1e-6), help="split into pieces no larger than this"
    )
    parser.set_defaults(run=run_pack)


def run_pack(options: argparse.Namespace) -> int:
    from litepose.data.corner_boxes import warning_of
    from litepose.data.layouts import find_dataset
    from litepose.data.pack import PackSettings, pack
    from litepose.data.pseudo_people import WithPseudoPeople, read_people

    dataset: PoseDataset = find_dataset(options.data, options.split, skeleton=options.skeleton)
    if options.people:
        k = dataset.skeleton.num_keypoints
        people = read_people(options.people, k, options.people_above)
        dataset = WithPseudoPeople(dataset, people)
    if warning := warning_of(dataset.records, "AP"):
        say(warning)
    piece = None if options.piece_mb is None else int(options.piece_mb * 1e6)
    settings = PackSettings(options.short_side, options.encoding, options.quality, piece)
    progress = Progress(len(dataset), "images")
    try:
        report = pack(dataset, options.output, settings, lambda done, of: progress.step())
    finally:
        progress.clear()
    for index, reason in list(report.unreadable.items())[:10]:
        say(f"left out: image {index}: {reason}")
    written = [str(path) for path in report.paths]
    tell(f"{report.images} images in {len(written)} files, {report.bytes / 1e6:.1f} MB")
    left_out = len(report.unreadable)
    print(json.dumps({"written": written, "images": report.images, "left_out": left_out}))
    return 1 if report.unreadable else 0


def _add_pseudo_label(tools: Any) -> None:
    parser = tools.add_parser("pseudo-label", help="write a model's heatmaps as training targets")
    _add_dataset(parser)
    parser.add_argument("--output", required=True, help="output folder; a second call resumes")
    parser.add_argument("--flip-test", action="store_true", help="average with the mirrored image")
    parser.add_argument("--scales", default="1", help="multiples of the input size, finest first")
    add_model_options(parser)
    parser.set_defaults(run=run_pseudo_label)


def run_pseudo_label(options: argparse.Namespace) -> int:
    need("this command", "torch", "safetensors", extra="train")
    from litepose.data.layouts import find_dataset
    from litepose.inference.predictor import PredictOptions
    from litepose.training.pseudo_labels import write_teacher_maps

    predictor = open_predictor(options)
    assert predictor.backend.file is not None, "a model that was opened has a file"
    weights = predictor.backend.file.sha256
    target = predictor.info.skeleton
    dataset = find_dataset(options.data, options.split, target, skeleton=options.skeleton)
    settings = PredictOptions(
        options.flip_test, parse_scales(options.scales), views=(predictor.info.input.size,)
    )
    left_out = 0
    progress = Progress(len(dataset), "images")
    try:
        for reason in write_teacher_maps(predictor, weights, dataset, options.output, settings):
            progress.step()
            if reason is not None:
                left_out += 1
                progress.clear()
                say(f"left out: {reason}")
    finally:
        progress.clear()
    print(json.dumps({"written": options.output, "left_out": left_out}))
    return 1 if left_out else 0


def _add_synth(tools: Any) -> None:
    parser = tools.add_parser("synth", help="draw labeled people, in COCO's layout")
    parser.add_argument("data", help="folder to write")
    parser.add_argument("--count", type=whole(1), default=200, help="images (default %(default)s)")
    parser.add_argument("--split", default="train2017", help="default: %(default)s")
    parser.add_argument("--size", type=int, default=256, help="side in pixels")
    parser.add_argument("--most-people", type=int, default=4, help="people per image (default 4)")
    parser.add_argument("--seed", type=whole(0, 2**63 - 1), default=0)
    parser.set_defaults(run=run_synth)


def run_synth(options: argparse.Namespace) -> int:
    from litepose.data.synthetic import SceneSettings, synthesize

    settings = SceneSettings((options.size, options.size), (1, options.most_people))
    path = synthesize(options.data, options.count, options.seed, options.split, settings)
    print(json.dumps({"written": str(path), "images": options.count}))
    return 0


def _add_download(tools: Any) -> None:
    parser = tools.add_parser("download", help="download COCO; a second call resumes")
    parser.add_argument("name", help="coco or crowdpose")
    parser.add_argument("data", help="folder to fill")
    parser.add_argument("--splits", default="train2017,val2017", help="default: %(default)s")
    parser.set_defaults(run=run_download)


def run_download(options: argparse.Namespace) -> int:
    from litepose.data.download import download

    def show(what: str, done: int, total: int) -> None:
        status(f"{what}: {100 * done / max(total, 1):5.1f} %")

    folder = download(options.name, options.data, options.splits.split(","), show)
    print(json.dumps({"written": str(folder)}))
    return 0
