"""Predictor: image to Poses; read, resize, network, decode. Thread-safe."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any, Unpack, overload

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.geometry import Letterbox, letterbox, letterbox_into, letterbox_part
from litepose.core.kinds import check_kind
from litepose.core.model_info import ModelInfo
from litepose.core.poses import Poses
from litepose.decode.decoder import decode_field
from litepose.decode.focus import Rectangle, focus
from litepose.decode.merge import ForwardPass, merge_passes, unflip
from litepose.decode.merge_views import ViewPoses, merge_views
from litepose.decode.reference import decode_reference
from litepose.imaging.preprocess import cut, to_input
from litepose.imaging.read import ImageSource, LoadedImage, ReadLimits, load_image
from litepose.imaging.video_open import VideoSource
from litepose.imaging.video_reader import Frames
from litepose.inference.backend import Backend
from litepose.inference.deadline import inspect_within
from litepose.inference.parallel import ordered_map
from litepose.inference.results import (
    DEFAULT_OPTIONS,
    How,
    Inspection,
    Prediction,
    PredictionError,
    PredictOptions,
    Timings,
    View,
)
from litepose.inference.sources import expand
from litepose.inference.stream import PosedFrame, stream

MAX_INPUT_PIXELS = 1 << 25  # 4096x8192 takes gigabytes; more is almost certainly a mistake
MANY_FROM = 6  # images; for fewer, opening the network again takes longer than it saves
MANY_WORKERS = 16
MANY_INPUT_PIXELS = 1 << 22  # of all inputs in parallel: about 1.5 GB in the network


OneImage = ImageSource | os.PathLike[str]


class Predictor:
    """Run pose estimation on images and video; create with `litepose.load`."""

    def __init__(
        self,
        backend: Backend,
        *,
        input_size: int | None = None,
        limits: ReadLimits | None = None,
        defaults: PredictOptions = DEFAULT_OPTIONS,
    ) -> None:
        """Raises LitePoseError if the file has a fixed input size other than `input_size`."""
        check_kind("defaults", defaults, PredictOptions)
        check_kind("limits", limits, ReadLimits | None)
        self.backend = backend
        size = input_size
        if backend.fixed_wh is not None:
            size = min(backend.fixed_wh)
            if input_size not in (None, size):
                w, h = backend.fixed_wh
                raise LitePoseError(
                    f"this model file has one input size, {w}x{h}; for {input_size} export it again"
                )
        self.info: ModelInfo = backend.info if size is None else backend.info.with_input_size(size)
        self.limits = limits or ReadLimits()
        self.defaults = defaults
        self._opening = threading.Lock()
        self._many: Predictor | None = None

    def __getstate__(self) -> dict[str, Any]:
        """State for another process, which opens the model again; see inference/travel.py."""
        return {k: v for k, v in vars(self).items() if k not in ("_opening", "_many")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _opening=threading.Lock(), _many=None)

    def __repr__(self) -> str:
        info = self.info
        sizes = " + ".join(map(str, self.defaults.view_sizes(info.input)))
        return (
            f"Predictor({info.name}, {info.skeleton.name}, short side {sizes} px,"
            f" {self.backend.name}, {self.backend.threads} threads)"
        )

    @overload
    def predict(self, source: OneImage, **how: Unpack[How]) -> Poses: ...
    @overload
    def predict(self, source: Sequence[Any] | Iterator[Any], **how: Unpack[How]) -> list[Poses]: ...
    def predict(self, source: Any, **how: Unpack[How]) -> Poses | list[Poses]:
        """People of an image, or of each of many.

        source: path, http(s) URL, bytes, open file, Pillow image, RGB array, or torch tensor
                ((H, W, 3) uint8, or (3, H, W) of floats in 0..1) -> Poses;
                a list of those, a folder or a glob pattern -> list of Poses, in order.
        how: flip_test, scales, views, threshold, max_people, deadline_ms, see PredictOptions; the
        default of each is in `defaults`. The result depends on the image only, except with a
        deadline, where `Poses.used` names the views used.
        Raises LitePoseError for an unreadable image; for several images PredictionError, after all
        are done.
        """
        options = options_for(self, **how)
        many = expand(source)
        if many is None:
            return self.inspect(source, options).poses
        done = list(self.predict_many(many, options))
        if any(prediction.error is not None for prediction in done):
            raise PredictionError(done)
        return [prediction.poses for prediction in done if prediction.poses is not None]

    def predict_many(
        self,
        sources: Iterable[ImageSource],
        options: PredictOptions | None = None,
        **how: Unpack[How],
    ) -> Iterator[Prediction]:
        """Yield a Prediction per image, in order; for an unreadable image it has the error.

        Images are predicted in parallel, one core each, with the same results as one at a time.
        `sources` is read only a few items ahead, so memory stays bounded.
        """
        options = options or options_for(self, **how)
        numbered = enumerate(sources)
        few = isinstance(sources, Sized) and len(sources) < MANY_FROM
        if few or options.deadline_ms is not None:  # in parallel, each image would take longer
            yield from (self._attempt(item, options) for item in numbered)
            return
        many, workers = divided(self, options)
        yield from ordered_map(lambda item: many._attempt(item, options), numbered, workers)

    def _attempt(self, item: tuple[int, ImageSource], options: PredictOptions | None) -> Prediction:
        i, source = item
        named = str(source) if isinstance(source, str | Path) else f"image {i}"
        try:
            return Prediction(named, self.inspect(source, options).poses, None)
        except LitePoseError as exc:
            return Prediction(named, None, str(exc))

    def stream(
        self,
        source: VideoSource | Frames,
        options: PredictOptions | None = None,
        *,
        track: bool = False,
        smooth: bool = False,
        **how: Unpack[How],
    ) -> Iterator[PosedFrame]:
        """Yield each frame of a video with its people.

        source: what `litepose.video.frames` takes or returns; it is closed at the end
        track: `track_ids` persist from frame to frame; smooth: keypoints are smoothed (implies
        track)
        Raises LitePoseError if it cannot be opened, has no frames or stalls.
        """
        return stream(self, source, options or options_for(self, **how), track=track, smooth=smooth)

    def inspect(self, source: ImageSource, options: PredictOptions | None = None) -> Inspection:
        """People of one image, the merged maps of each view, and the seconds of each stage."""
        options = options or self.defaults
        if options.deadline_ms is not None:
            return inspect_within(self, source, options)
        clock = _Clock()
        loaded = self._read(source, options)
        clock.note("read")
        views: list[View] = []
        for size in options.view_sizes(self.info.input):
            part = None
            if options.focus and views and self.backend.fixed_wh is None:
                part = focus(*views[0])
                if part is None:
                    break
            inputs = self._inputs(loaded, size, part, options)
            clock.note("pre")
            passes = self._forward(inputs, options)
            clock.note("net")
            maps, box = merge_passes(passes, self.info.tag_kind), passes[0].box
            if options.decoder == "reference":
                found = decode_reference(passes, self._info(options))
            else:
                found = decode_field(maps, box, self._info(options))
            views.append(View(maps, box, found))
            clock.note("decode")
        poses = merge_views([ViewPoses(v.poses, v.box.zoom) for v in views], self.info.merge)
        poses = poses[poses.person_scores >= self._info(options).decode.person_threshold]
        poses = poses if options.max_people is None else poses[: options.max_people]
        clock.note("decode")
        return Inspection(poses, views, Timings(**clock.seconds))

    def _read(self, source: ImageSource, options: PredictOptions) -> LoadedImage:
        # At least twice the input size, so that larger scales have more detail.
        largest = max(options.view_sizes(self.info.input))
        return load_image(source, self.limits, min_short_side=2 * largest)

    def _inputs(
        self, loaded: LoadedImage, size: int, part: Rectangle | None, options: PredictOptions
    ) -> list[tuple[np.ndarray, Letterbox]]:
        rule = self.info.input
        pixels = loaded.image
        if part is not None:
            pixels, exact = cut(loaded, part)
        inputs = []
        for scale in options.scales:
            box = self._box(loaded.image_wh, size, scale)
            if part is not None:
                box = letterbox_part(box, exact, rule.multiple)
            if math.prod(box.input_wh) > MAX_INPUT_PIXELS:
                raise LitePoseError(
                    f"the network's input would have {box.input_wh[0]}x{box.input_wh[1]} pixels,"
                    f" more than {MAX_INPUT_PIXELS:,}; choose a smaller size or smaller scales"
                )
            image = np.empty((1, 3, box.input_wh[1], box.input_wh[0]), dtype=np.float32)
            to_input(pixels, box, rule.mean, rule.std, image[0])
            inputs.append((image, box))
        return inputs

    def _box(self, image_wh: tuple[int, int], size: int, scale: float) -> Letterbox:
        rule, fixed_wh = self.info.input, self.backend.fixed_wh
        if fixed_wh is None:
            return letterbox(image_wh, max(rule.multiple, round(size * scale)), rule.multiple)
        if scale != 1 or size != rule.size:
            raise LitePoseError(
                f"this model file has one input size, {fixed_wh[0]}x{fixed_wh[1]}; other scales"
                " and views need a file exported for any size"
            )
        return letterbox_into(image_wh, fixed_wh)

    def _forward(
        self, inputs: list[tuple[np.ndarray, Letterbox]], options: PredictOptions
    ) -> list[ForwardPass]:
        passes = []
        for image, box in inputs:
            passes.append(ForwardPass(self.backend.run(image), box))
            if options.flip_test:
                mirrored = self.backend.run(np.ascontiguousarray(image[..., ::-1]))
                passes.append(
                    ForwardPass(unflip(mirrored, self.info.skeleton, self.info.tag_kind), box)
                )
        return passes

    def _info(self, options: PredictOptions) -> ModelInfo:
        if options.threshold is None:
            return self.info
        kept = replace(self.info.decode, person_threshold=options.threshold)
        return replace(self.info, decode=kept)


def options_for(predictor: Predictor, **how: Unpack[How]) -> PredictOptions:
    """The predictor's defaults, replaced by the given options."""
    given: dict[str, Any] = {key: value for key, value in how.items() if value is not None}
    for name in ("scales", "views"):
        if name in given:
            entry = given[name]
            check_kind(name, entry, Real | Sequence | np.ndarray)
            given[name] = (entry,) if isinstance(entry, Real) else tuple(entry)
    if given.get("scales", (1.0,)) != (1.0,):  # maps are averaged within one view
        given.setdefault("views", (predictor.info.input.size,))
    return replace(predictor.defaults, **given)


def divided(predictor: Predictor, options: PredictOptions | None = None) -> tuple[Predictor, int]:
    """A Predictor with its cores divided among concurrent callers, and the number of callers.

    `predict_many` passes both to `ordered_map`. The result is this Predictor and 1 with one core,
    or if two inputs would not fit in memory.
    """
    options = options or predictor.defaults
    largest = max(options.view_sizes(predictor.info.input)) * max(options.scales)
    pixels = 16 / 9 * largest**2
    workers = min(predictor.backend.threads, MANY_WORKERS, int(MANY_INPUT_PIXELS / pixels))
    if workers <= 1:
        return predictor, 1
    with predictor._opening:
        if predictor._many is None:
            backend = predictor.backend.clone_for(workers)
            predictor._many = Predictor(backend, defaults=predictor.defaults)
            predictor._many.info = predictor.info
        predictor._many.limits = predictor.limits
    return predictor._many, workers


def forward_passes(
    predictor: Predictor, source: ImageSource, options: PredictOptions | None = None
) -> list[ForwardPass]:
    """Network maps of one image in its first view: a ForwardPass per scale and flip."""
    options = options or predictor.defaults
    loaded = predictor._read(source, options)
    size = options.view_sizes(predictor.info.input)[0]
    return predictor._forward(predictor._inputs(loaded, size, None, options), options)


class _Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(Timings._fields, 0.0)
        self.mark = time.perf_counter()

    def note(self, name: str) -> None:
        now = time.perf_counter()
        self.seconds[name] += now - self.mark
        self.mark = now
