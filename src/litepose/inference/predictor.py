"""Predictor: image to Poses; read, resize, network, decode. Thread-safe."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import replace
from numbers import Real
from pathlib import Path
from typing import Any, Unpack, overload

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.kinds import check_kind
from litepose.core.model_info import ModelInfo
from litepose.core.poses import Poses
from litepose.decode.corrector import Corrector
from litepose.imaging.read import ImageSource, ReadLimits
from litepose.imaging.video_open import VideoSource
from litepose.imaging.video_reader import Frames
from litepose.inference.backend import Backend
from litepose.inference.deadline import inspect_within
from litepose.inference.inspection import inspect
from litepose.inference.parallel import ordered_map
from litepose.inference.results import (
    DEFAULT_OPTIONS,
    How,
    Inspection,
    Prediction,
    PredictionError,
    PredictOptions,
)
from litepose.inference.sources import expand
from litepose.inference.stream import PosedFrame, stream

MANY_FROM = 6  # images; for fewer, opening the network again takes longer than it saves
MANY_WORKERS = 16
MANY_INPUT_PIXELS = 1 << 22  # of all inputs in parallel: about 1.5 GB in the network


OneImage = ImageSource | os.PathLike[str]


class Predictor:
    """Run pose estimation on images and video; create with `litepose.load`.

    `corrector` corrects the people found with crops; None leaves them as they were found.
    """

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
        self.corrector: Corrector | None = None
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
        how: flip_test, scales, views, crops, threshold, max_people, deadline_ms, see
        PredictOptions; the default of each is in `defaults`, but where views are given that of
        crops is 0. The result depends on the image only, except with a deadline, where
        `Poses.used` names the views used.
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
        run = inspect if options.deadline_ms is None else inspect_within
        return run(self, source, options)


def options_for(predictor: Predictor, **how: Unpack[How]) -> PredictOptions:
    """The predictor's defaults, replaced by the given options."""
    given: dict[str, Any] = {key: value for key, value in how.items() if value is not None}
    for name in ("scales", "views"):
        if name in given:
            entry = given[name]
            check_kind(name, entry, Real | Sequence | np.ndarray)
            given[name] = (entry,) if isinstance(entry, Real) else tuple(entry)
    if "views" in given:  # these and no more
        given.setdefault("crops", 0)
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
        predictor._many.corrector = predictor.corrector
    return predictor._many, workers
