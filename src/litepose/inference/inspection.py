"""One image from pixels to people: read, resize, network, decode; views, then crops."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.geometry import (
    Letterbox,
    letterbox,
    letterbox_crop,
    letterbox_into,
    letterbox_part,
)
from litepose.core.model_info import ModelInfo
from litepose.core.poses import Poses
from litepose.decode.corrector import correct
from litepose.decode.crops import Crop, lower_neighbors, person_crops
from litepose.decode.decoder import decode_field
from litepose.decode.focus import Rectangle, focus
from litepose.decode.merge import ForwardPass, merge_passes, unflip
from litepose.decode.merge_views import ViewPoses, merge_views
from litepose.decode.reference import decode_reference
from litepose.imaging.preprocess import cut, to_input
from litepose.imaging.read import ImageSource, LoadedImage, load_image
from litepose.inference.results import Inspection, PredictOptions, Timings, View

if TYPE_CHECKING:
    from litepose.inference.predictor import Predictor

CROPS_AT_ONCE = 4  # two cores run four crops a third faster than one by one
MAX_INPUT_PIXELS = 1 << 25  # 4096x8192 takes gigabytes; more is almost certainly a mistake


def inspect(predictor: Predictor, source: ImageSource, options: PredictOptions) -> Inspection:
    """`Predictor.inspect`; the deadline of the options has no effect here."""
    clock = _Clock()
    loaded = _read(predictor, source, options)
    clock.note("read")
    views: list[View] = []
    for size in options.view_sizes(predictor.info.input):
        part = None
        if options.focus and views and predictor.backend.fixed_wh is None:
            part = focus(*views[0])
            if part is None:
                break
        inputs = _inputs(predictor, loaded, size, part, options)
        views.append(_view(predictor, inputs, options, clock))
    return _with_crops(predictor, loaded, views, options, clock)


def add_crops(
    predictor: Predictor, image: np.ndarray, found: Inspection, options: PredictOptions
) -> Inspection:
    """What `inspect` found in an image without crops, with those of the options."""
    loaded = _read(predictor, image, options)
    return _with_crops(predictor, loaded, found.views, options, _Clock(found.timings))


def forward_passes(
    predictor: Predictor, source: ImageSource, options: PredictOptions | None = None
) -> list[ForwardPass]:
    """Network maps of one image in its first view: a ForwardPass per scale and flip."""
    options = options or predictor.defaults
    loaded = _read(predictor, source, options)
    size = options.view_sizes(predictor.info.input)[0]
    return _forward(predictor, _inputs(predictor, loaded, size, None, options), options)


def _read(predictor: Predictor, source: ImageSource, options: PredictOptions) -> LoadedImage:
    # At least twice the input size, so that larger scales and crops have more detail.
    largest = max(options.view_sizes(predictor.info.input))
    return load_image(source, predictor.limits, min_short_side=2 * largest)


def _with_crops(
    predictor: Predictor,
    loaded: LoadedImage,
    views: list[View],
    options: PredictOptions,
    clock: _Clock,
) -> Inspection:
    poses = _merged(predictor, views)
    crops: list[View] = []
    if options.crops_taken and predictor.backend.fixed_wh is None:
        multiple, least_zoom = predictor.info.input.multiple, options.crop_gain * views[0].box.zoom
        if options.crop_px % multiple:
            raise LitePoseError(
                f"crop_px must be a multiple of {multiple} with {predictor.info.name}; got"
                f" {options.crop_px}"
            )
        chosen = person_crops(poses, options.crops_taken, options.crop_px, least_zoom)
        for i in range(0, len(chosen), CROPS_AT_ONCE):
            crops += _crop_views(predictor, loaded, chosen[i : i + CROPS_AT_ONCE], options, clock)
        if crops:
            poses = _merged(predictor, [*views, *crops])
        if predictor.corrector is not None:
            poses = correct(poses, predictor.corrector)
    poses = poses[poses.person_scores >= _info(predictor, options).decode.person_threshold]
    poses = poses if options.max_people is None else poses[: options.max_people]
    clock.note("decode")
    return Inspection(poses, views, Timings(**clock.seconds), crops)


def _merged(predictor: Predictor, views: Sequence[View]) -> Poses:
    return merge_views([ViewPoses(v.poses, v.box.zoom) for v in views], predictor.info.merge)


def _view(
    predictor: Predictor,
    inputs: list[tuple[np.ndarray, Letterbox]],
    options: PredictOptions,
    clock: _Clock,
) -> View:
    clock.note("pre")
    passes = _forward(predictor, inputs, options)
    clock.note("net")
    view = _decoded(predictor, passes, options)
    clock.note("decode")
    return view


def _crop_views(
    predictor: Predictor,
    loaded: LoadedImage,
    crops: Sequence[Crop],
    options: PredictOptions,
    clock: _Clock,
) -> list[View]:
    inputs = [_crop(predictor, loaded, crop.box) for crop in crops]
    images = np.concatenate([image for image, _ in inputs])
    clock.note("pre")
    passes = _forward(predictor, [(images, inputs[0][1])], options)
    clock.note("net")
    views = []
    for i, (crop, (_, box)) in enumerate(zip(crops, inputs, strict=True)):
        own = [ForwardPass(together.maps.one(i), box) for together in passes]
        view = _decoded(predictor, own, options)
        views.append(view._replace(poses=lower_neighbors(view.poses, crop.person)))
    clock.note("decode")
    return views


def _decoded(predictor: Predictor, passes: list[ForwardPass], options: PredictOptions) -> View:
    maps, box = merge_passes(passes, predictor.info.tag_kind), passes[0].box
    if options.decoder == "reference":
        found = decode_reference(passes, _info(predictor, options))
    else:
        found = decode_field(maps, box, _info(predictor, options))
    return View(maps, box, found)


def _inputs(
    predictor: Predictor,
    loaded: LoadedImage,
    size: int,
    part: Rectangle | None,
    options: PredictOptions,
) -> list[tuple[np.ndarray, Letterbox]]:
    pixels = loaded.image
    if part is not None:
        pixels, exact = cut(loaded, part)
    inputs = []
    for scale in options.scales:
        box = _box(predictor, loaded.image_wh, size, scale)
        if part is not None:
            box = letterbox_part(box, exact, predictor.info.input.multiple)
        if math.prod(box.input_wh) > MAX_INPUT_PIXELS:
            raise LitePoseError(
                f"the network's input would have {box.input_wh[0]}x{box.input_wh[1]} pixels,"
                f" more than {MAX_INPUT_PIXELS:,}; choose a smaller size or smaller scales"
            )
        inputs.append((_input(predictor, pixels, box), box))
    return inputs


def _crop(
    predictor: Predictor, loaded: LoadedImage, box: Letterbox
) -> tuple[np.ndarray, Letterbox]:
    assert box.part is not None
    pixels, exact = cut(loaded, box.part)
    box = letterbox_crop(box.image_wh, exact, box.input_wh[0], box.input_wh[0] / box.zoom)
    return _input(predictor, pixels, box), box


def _input(predictor: Predictor, pixels: np.ndarray, box: Letterbox) -> np.ndarray:
    rule = predictor.info.input
    image = np.empty((1, 3, box.input_wh[1], box.input_wh[0]), dtype=np.float32)
    to_input(pixels, box, rule.mean, rule.std, image[0])
    return image


def _box(predictor: Predictor, image_wh: tuple[int, int], size: int, scale: float) -> Letterbox:
    rule, fixed_wh = predictor.info.input, predictor.backend.fixed_wh
    if fixed_wh is None:
        return letterbox(image_wh, max(rule.multiple, round(size * scale)), rule.multiple)
    if scale != 1 or size != rule.size:
        raise LitePoseError(
            f"this model file has one input size, {fixed_wh[0]}x{fixed_wh[1]}; other scales"
            " and views need a file exported for any size"
        )
    return letterbox_into(image_wh, fixed_wh)


def _forward(
    predictor: Predictor, inputs: list[tuple[np.ndarray, Letterbox]], options: PredictOptions
) -> list[ForwardPass]:
    backend, info = predictor.backend, predictor.info
    passes = []
    for image, box in inputs:
        passes.append(ForwardPass(backend.run(image), box))
        if options.flip_test:
            mirrored = backend.run(np.ascontiguousarray(image[..., ::-1]))
            passes.append(ForwardPass(unflip(mirrored, info.skeleton, info.tag_kind), box))
    return passes


def _info(predictor: Predictor, options: PredictOptions) -> ModelInfo:
    info = predictor.info
    if options.threshold is None:
        return info
    return replace(info, decode=replace(info.decode, person_threshold=options.threshold))


class _Clock:
    """Seconds by stage."""

    def __init__(self, before: Timings | None = None) -> None:
        self.seconds = before._asdict() if before else dict.fromkeys(Timings._fields, 0.0)
        self.mark = time.perf_counter()

    def note(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] += now - self.mark
        self.mark = now
