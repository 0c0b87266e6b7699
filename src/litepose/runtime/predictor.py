"""Picture -> Poses: read, resize, network, decode. Safe to share between threads."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.geometry import Letterbox, letterbox, letterbox_into
from litepose.core.maps import Maps
from litepose.core.model_info import ModelInfo
from litepose.core.poses import Poses
from litepose.decode.decoder import decode, decode_field
from litepose.decode.passes import Pass, combine, unflip
from litepose.imaging.fetch import is_url
from litepose.imaging.listing import list_images
from litepose.imaging.read import ImageSource, Picture, ReadLimits, read_picture
from litepose.imaging.resize import to_input
from litepose.imaging.video import Frames
from litepose.imaging.video_source import VideoSource
from litepose.runtime.backends import Backend
from litepose.runtime.many import in_order
from litepose.runtime.prediction import (
    AS_USUAL,
    Prediction,
    PredictionError,
    PredictOptions,
    Timings,
)
from litepose.runtime.stream import PosedFrame, stream

MAX_INPUT_PIXELS = 1 << 25  # 4096x8192 takes gigabytes in the network; more is a slip of the hand
MANY_FROM = 6  # pictures; opening the network once more for fewer takes longer than it saves
MANY_WORKERS = 16
MANY_INPUT_PIXELS = 1 << 22  # of all inputs looked at side by side: about 1.5 GB in the network


class Predictor:
    """A model ready to look at pictures. Make one with `litepose.load`."""

    def __init__(
        self,
        backend: Backend,
        *,
        input_size: int | None = None,
        limits: ReadLimits | None = None,
    ) -> None:
        """Raises LitePoseError where the file has one input size and `input_size` is another."""
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
        self._opening = threading.Lock()
        self._many: Predictor | None = None

    def __repr__(self) -> str:
        info = self.info
        return (
            f"Predictor({info.name}, {info.skeleton.name}, short side {info.input.size} px,"
            f" {self.backend.name}, {self.backend.threads} threads)"
        )

    def predict(
        self,
        source: ImageSource | Iterable[Any],
        *,
        flip_test: bool = False,
        scales: float | Sequence[float] = (1.0,),
        threshold: float | None = None,
        max_people: int | None = None,
    ) -> Any:
        """People of a picture, or of each of many.

        source: path, http(s) URL, bytes, Pillow picture or RGB array -> Poses;
                a list of those, a folder or a glob pattern -> list of Poses, in order.
        The other arguments are those of PredictOptions. The same picture gives the same Poses.
        Raises LitePoseError for what cannot be read; PredictionError, after the rest is done,
        where some of many fail.
        """
        sizes = (scales,) if isinstance(scales, (int, float)) else tuple(scales)
        options = PredictOptions(flip_test, sizes, threshold, max_people)
        many = expand(source)
        if many is None:
            return self._predict_one(source, options)  # type: ignore[arg-type]
        done = list(self.predict_many(many, options))
        if any(one.error is not None for one in done):
            raise PredictionError(done)
        return [one.poses for one in done]

    def predict_many(
        self, sources: Iterable[ImageSource], options: PredictOptions = AS_USUAL
    ) -> Iterator[Prediction]:
        """One Prediction after the other, in order; a picture that cannot be read stops nothing.

        Several pictures are read, looked at and grouped at once, one core each, with the results of
        one at a time. `sources` is taken a few ahead, so memory stays bounded.
        """
        numbered = enumerate(sources)
        if isinstance(sources, Sized) and len(sources) < MANY_FROM:
            yield from (self._attempt(one, options) for one in numbered)
            return
        many, workers = self.side_by_side(options)
        yield from in_order(lambda one: many._attempt(one, options), numbered, workers)

    def side_by_side(self, options: PredictOptions = AS_USUAL) -> tuple[Predictor, int]:
        """This model with its cores shared out, and to how many callers at once: for folders.

        Give both to `in_order`, as `predict_many` does. With one core, or inputs so large that two
        would not fit in memory, it is this Predictor and 1.
        """
        rule = self.info.input
        pixels = 16 / 9 * (rule.size * max(options.scales)) ** 2
        workers = min(self.backend.threads, MANY_WORKERS, int(MANY_INPUT_PIXELS / pixels))
        if workers <= 1:
            return self, 1
        with self._opening:
            if self._many is None:
                backend = self.backend.side_by_side(workers)
                size = None if backend.fixed_wh else rule.size
                self._many = Predictor(backend, input_size=size)
            self._many.limits = self.limits
        return self._many, workers

    def _attempt(self, one: tuple[int, ImageSource], options: PredictOptions) -> Prediction:
        i, source = one
        named = str(source) if isinstance(source, str | Path) else f"picture {i}"
        try:
            return Prediction(named, self._predict_one(source, options), None)
        except LitePoseError as wrong:
            return Prediction(named, None, str(wrong))

    def predict_timed(
        self, source: ImageSource, options: PredictOptions = AS_USUAL
    ) -> tuple[Poses, Timings]:
        """As `predict` of one picture, with the seconds that each part took."""
        start = time.perf_counter()
        picture = self._read(source)
        read = time.perf_counter()
        inputs = self._inputs(picture, options)
        pre = time.perf_counter()
        passes = self._look(inputs, options)
        net = time.perf_counter()
        poses = self._decode(passes, options)
        end = time.perf_counter()
        return poses, Timings(read - start, pre - read, net - pre, end - net)

    def look(self, source: ImageSource, options: PredictOptions = AS_USUAL) -> list[Pass]:
        """The network's maps of one picture, one Pass per look; what the decoders take."""
        return self._look(self._inputs(self._read(source), options), options)

    def predict_maps(
        self, source: ImageSource, options: PredictOptions = AS_USUAL
    ) -> tuple[Poses, Maps, Letterbox]:
        """People of one picture, the merged maps they were found in (B = 1, one stride), and how
        the picture lay in the network's input."""
        passes = self.look(source, options)
        field, box = combine(passes, self.info.tag_kind), passes[0].box
        maps = Maps((field.heat[None],), (field.stride,), field.tags[None], field.tag_stride)
        return self._cut(decode_field(field, box, self._info(options)), options), maps, box

    def stream(
        self,
        source: VideoSource | Frames,
        options: PredictOptions = AS_USUAL,
        *,
        track: bool = False,
        smooth: bool = False,
    ) -> Iterator[PosedFrame]:
        """Frame after frame of a moving picture with its people.

        source: what `litepose.video.frames` takes, or what it gave; it is closed at the end
        track: people keep their `ids` from frame to frame; smooth: their keypoints do not tremble
        (which needs ids: it tracks as well)
        Raises LitePoseError where it cannot be opened, has no frames or stalls.
        """
        return stream(self, source, options, track=track, smooth=smooth)

    def _predict_one(self, source: ImageSource, options: PredictOptions) -> Poses:
        return self._decode(self.look(source, options), options)

    def _read(self, source: ImageSource) -> Picture:
        # Never smaller than twice the input, so that the larger scales have something to see.
        return read_picture(source, self.limits, min_short_side=2 * self.info.input.size)

    def _inputs(
        self, picture: Picture, options: PredictOptions
    ) -> list[tuple[np.ndarray, Letterbox]]:
        rule = self.info.input
        inputs = []
        for scale in options.scales:
            box = self._box(picture.image_wh, scale)
            if math.prod(box.input_wh) > MAX_INPUT_PIXELS:
                raise LitePoseError(
                    f"the network's input would have {box.input_wh[0]}x{box.input_wh[1]} pixels,"
                    f" more than {MAX_INPUT_PIXELS:,}; choose a smaller size or smaller scales"
                )
            image = np.empty((1, 3, box.input_wh[1], box.input_wh[0]), dtype=np.float32)
            to_input(picture.image, box, rule.mean, rule.std, image[0])
            inputs.append((image, box))
        return inputs

    def _box(self, image_wh: tuple[int, int], scale: float) -> Letterbox:
        rule, fixed_wh = self.info.input, self.backend.fixed_wh
        if fixed_wh is None:
            size = max(rule.multiple, round(rule.size * scale))
            return letterbox(image_wh, size, rule.multiple)
        if scale != 1:
            raise LitePoseError(
                f"this model file has one input size, {fixed_wh[0]}x{fixed_wh[1]}; other scales"
                " need one that was exported for any size"
            )
        return letterbox_into(image_wh, fixed_wh)

    def _look(
        self, inputs: list[tuple[np.ndarray, Letterbox]], options: PredictOptions
    ) -> list[Pass]:
        passes = []
        for image, box in inputs:
            passes.append(Pass(self.backend.run(image), box))
            if options.flip_test:
                mirrored = self.backend.run(np.ascontiguousarray(image[..., ::-1]))
                passes.append(Pass(unflip(mirrored, self.info.skeleton, self.info.tag_kind), box))
        return passes

    def _decode(self, passes: list[Pass], options: PredictOptions) -> Poses:
        return self._cut(decode(passes, self._info(options)), options)

    def _info(self, options: PredictOptions) -> ModelInfo:
        if options.threshold is None:
            return self.info
        kept = replace(self.info.decode, person_threshold=options.threshold)
        return replace(self.info, decode=kept)

    @staticmethod
    def _cut(poses: Poses, options: PredictOptions) -> Poses:
        return poses if options.max_people is None else poses[: options.max_people]


def expand(source: Any) -> list[Any] | None:
    """The pictures that a list, folder or pattern stands for; None where it is one picture.

    Raises LitePoseError for a folder or pattern without pictures.
    """
    if isinstance(source, str) and is_url(source):
        return None
    if isinstance(source, str | Path):
        is_one = Path(source).is_file() or not (Path(source).is_dir() or _is_pattern(source))
        return None if is_one else list(list_images(source))
    if isinstance(source, list | tuple) or (
        isinstance(source, Iterable)
        and not isinstance(source, bytes | bytearray | memoryview | np.ndarray)
        and not hasattr(source, "getexif")  # a Pillow picture
        and not hasattr(source, "read")  # an open file gives lines
    ):
        return list(source)
    return None


def _is_pattern(source: str | Path) -> bool:
    return any(sign in str(source) for sign in "*?[")
