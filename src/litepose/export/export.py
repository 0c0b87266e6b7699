"""Export one model to one format: check, convert aside, compare with PyTorch, put in place.

The target's name is used only after the comparison has passed.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.data.layouts import find_dataset
from litepose.data.synthetic import SceneSettings, draw_scene
from litepose.export.exportable import load_source
from litepose.export.formats import FORMATS, Format, find_format
from litepose.export.parity import HALF_TOLERANCE, TOLERANCE, Parity, check_graph, compare
from litepose.export.quantize import QuantizeReport, Say, quantize
from litepose.imaging.find_images import list_images
from litepose.imaging.read import read_image

EXAMPLES = Path(__file__).resolve().parents[3] / "examples" / "images"  # in a checkout
MOST_IMAGES = 16  # to compare on
MOST_CALIBRATION = 64


@dataclass(frozen=True)
class ExportRequest:
    """Model, format and options of an export.

    model: name, checkpoint or official file;  format: a key of FORMATS;  target: file to write
    size_wh: the only input size of the file; None leaves it open; formats that have one size
             only take a square of the model's own
    decoder, flip: the decoder's first half, and the flip test, inside the graph
    half: weights are stored as float16 (onnx, coreml)
    images: folder, pattern or file to compare on; None: examples of a checkout, else drawn images
    calibration: the same, for int8;  data, split: annotated images to evaluate int8 on
    """

    model: str
    format: str
    target: Path
    size_wh: tuple[int, int] | None = None
    decoder: bool = False
    flip: bool = False
    half: bool = False
    images: str | None = None
    calibration: str | None = None
    data: str | None = None
    split: str = "val2017"


@dataclass(frozen=True)
class ExportReport:
    """What was written, and how it compares with PyTorch.

    parity: None if this machine cannot run the file; then its form and weights were checked
    difference: largest difference on noise / an output's largest value; None where it is not
    meaningful: 8 bits, and candidates, whose order is random on noise
    """

    written: tuple[Path, ...]
    model: str
    format: str
    images: str
    parity: Parity | None
    int8: QuantizeReport | None = None
    difference: float | None = None

    def to_dict(self) -> dict[str, Any]:
        parity = None
        if self.parity is not None:
            parity = {key: round(value, 6) for key, value in asdict(self.parity).items()}
        return {
            "written": str(self.written[0]),
            "files": [str(path) for path in self.written],
            "model": self.model,
            "format": self.format,
            "images": self.images,
            "parity": parity,
            "difference": self.difference,
            "int8": None if self.int8 is None else self.int8.to_dict(),
        }


def check(request: ExportRequest) -> Format:
    """Check the request before any work. Raises LitePoseError."""
    form = find_format(request.format)
    form.check_installed(request.format)
    if request.target.suffix != form.suffixes[0]:
        raise LitePoseError(
            f"the name of a file in format {request.format} must end in {form.suffixes[0]};"
            f" got {request.target}"
        )
    for suffix in form.suffixes[1:]:
        beside = request.target.with_suffix(suffix)
        if beside.exists() and not request.target.exists():
            raise LitePoseError(
                f"{beside} exists already and does not belong to {request.target};"
                " choose another name with --output"
            )
    if request.decoder and not form.decoder:
        raise LitePoseError(f"the format {request.format} cannot hold the decoder; leave it out")
    if request.half and not form.half:
        able = " and ".join(name for name, each in FORMATS.items() if each.half)
        raise LitePoseError(f"half weights are for {able}; {request.format} has its own precision")
    if form.int8 and request.calibration is None:
        raise LitePoseError(
            f"the format {request.format} needs images like those it will run on, to find the"
            " ranges of its numbers: --calibration DIR (not those used for evaluation)"
        )
    if not form.int8 and (request.calibration or request.data):
        raise LitePoseError(
            f"calibration and annotated images are for int8; {request.format} takes neither"
        )
    return form


def export_model(request: ExportRequest, say: Say = lambda text: None) -> ExportReport:
    """Convert, compare, write. Takes 5 s to some minutes; calls `say` with its progress.

    Raises LitePoseError, and writes nothing, if the request is wrong, a package is missing, a
    keypoint differs by more than 0.5 px from PyTorch, or 8 bits are less accurate than allowed or
    not faster (`quantize.RefusedError`).
    """
    form = check(request)
    images, what = comparison_images(request.images)
    calibration = [] if request.calibration is None else calibration_images(request.calibration)
    source = load_source(
        request.model, request.size_wh, request.decoder, request.flip, request.half
    )
    if form.fixed and source.size_wh is None:
        side = -(-source.info.input.size // source.info.input.multiple)
        source = replace(source, size_wh=(side * source.info.input.multiple,) * 2)
    module = form.open_module()
    with tempfile.TemporaryDirectory(
        dir=request.target.parent, prefix=f".{request.target.stem}."
    ) as folder:
        staged = Path(folder) / request.target.name
        int8, apart = None, None
        if form.int8:
            dataset = None
            if request.data is not None:
                dataset = find_dataset(request.data, request.split, target=source.info.skeleton)
            model, int8 = quantize(source, module, calibration, dataset, say)
            module.save(model, source, staged)
            run = module.run(model)
        else:
            module.write(source, staged)
            run = module.open_runner(source, staged)
            tolerance = HALF_TOLERANCE if source.half else TOLERANCE
            if run is not None and not source.decoder:
                apart = check_graph(source, run, tolerance)
        parity = None if run is None else compare(source, run, images)
        if parity is not None and not form.int8 and not parity.ok:
            raise LitePoseError(
                f"the exported file is too far from PyTorch: {parity.text()}; allowed are 0.5 px,"
                " a score of 0.02 and the same people. Nothing was written"
            )
        written = put_in_place(staged, request.target, form.suffixes)
    return ExportReport(written, source.info.name, request.format, what, parity, int8, apart)


def put_in_place(staged: Path, target: Path, suffixes: Sequence[str]) -> tuple[Path, ...]:
    """Move the staged files to the target's name; the file named by the user comes last."""
    written = []
    for suffix in (*suffixes[1:], suffixes[0]):
        written.append(target.with_suffix(suffix))
        if written[-1].is_dir():  # an older .mlpackage: a folder cannot be replaced
            shutil.rmtree(written[-1])
        staged.with_suffix(suffix).replace(written[-1])
    return tuple(reversed(written))


def comparison_images(images: str | None) -> tuple[list[np.ndarray], str]:
    """Images to compare on, and a description of them."""
    if images is None and not EXAMPLES.is_dir():
        settings = SceneSettings((640, 480))
        drawn = [draw_scene(np.random.default_rng(seed), settings).image for seed in range(4)]
        return drawn, "4 drawn scenes (no example images here; --images DIR takes yours)"
    paths = spread(list_images(images or EXAMPLES), MOST_IMAGES)
    return [read_image(path) for path in paths], f"{len(paths)} images of {images or 'examples'}"


def calibration_images(folder: str) -> list[np.ndarray]:
    """At most 64 images, evenly spaced. Raises LitePoseError if there are none."""
    return [read_image(path) for path in spread(list_images(folder), MOST_CALIBRATION)]


def spread(paths: Sequence[Path], most: int) -> list[Path]:
    places = np.linspace(0, len(paths) - 1, min(most, len(paths))).round().astype(int)
    return [paths[i] for i in places]
