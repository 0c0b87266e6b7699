"""Picture -> Poses: read, resize, network, decode. Safe to share between threads."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.geometry import Letterbox, letterbox
from litepose.core.maps import Maps
from litepose.core.model_info import ModelInfo
from litepose.core.poses import Poses
from litepose.decode.decoder import decode, decode_field
from litepose.decode.passes import Pass, check_finite, combine, unflip
from litepose.imaging.fetch import is_url
from litepose.imaging.listing import list_images
from litepose.imaging.read import ImageSource, Picture, ReadLimits, read_picture
from litepose.imaging.resize import to_input
from litepose.runtime.backends import Backend

MAX_INPUT_PIXELS = 1 << 25  # 4096x8192 takes gigabytes in the network; more is a slip of the hand


@dataclass(frozen=True)
class PredictOptions:
    """How to look at a picture.

    flip_test: look at its mirror image too (twice the time, better);
    scales:    look at it at these multiples of the input size too, e.g. (1.0, 0.5, 2.0); the first
               is the one that tags and places come from;
    threshold: people scoring below are left out; None takes the model's own;
    max_people: keep only so many of the best; None keeps all
    """

    flip_test: bool = False
    scales: tuple[float, ...] = (1.0,)
    threshold: float | None = None
    max_people: int | None = None

    def __post_init__(self) -> None:
        if not self.scales or not all(0.1 <= s <= 8 for s in self.scales):
            raise LitePoseError(f"scales must be numbers from 0.1 to 8; got {list(self.scales)}")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise LitePoseError(f"the threshold must lie in [0, 1]; got {self.threshold}")
        if self.max_people is not None and self.max_people < 1:
            raise LitePoseError(f"max_people must be 1 or more; got {self.max_people}")


class Timings(NamedTuple):
    """Seconds spent on one picture."""

    read: float
    pre: float
    net: float
    decode: float


class Prediction(NamedTuple):
    """One of many: `poses`, or None and the `error` that says why."""

    source: str
    poses: Poses | None
    error: str | None


class PredictionError(LitePoseError):
    """Some of many pictures failed; `predictions` holds everything, the finished work too."""

    def __init__(self, predictions: list[Prediction]) -> None:
        bad = [p for p in predictions if p.error is not None]
        shown = "; ".join(f"{p.source}: {p.error}" for p in bad[:3])
        super().__init__(
            f"{len(bad)} of {len(predictions)} pictures failed ({shown}"
            f"{'; ...' if len(bad) > 3 else ''}); the others are in .predictions of this error"
        )
        self.predictions = predictions


class Predictor:
    """A model ready to look at pictures. Make one with `litepose.load`."""

    def __init__(
        self,
        backend: Backend,
        *,
        input_size: int | None = None,
        limits: ReadLimits | None = None,
    ) -> None:
        self.backend = backend
        self.info: ModelInfo = (
            backend.info if input_size is None else backend.info.with_input_size(input_size)
        )
        self.limits = limits or ReadLimits()

    def __repr__(self) -> str:
        info = self.info
        return (
            f"Predictor({info.name}, {info.skeleton.name}, short side {info.input.size} px,"
            f" {self.backend.name})"
        )

    def predict(
        self,
        source: ImageSource | Iterable[Any],
        *,
        flip_test: bool = False,
        scales: tuple[float, ...] = (1.0,),
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
        options = PredictOptions(flip_test, tuple(scales), threshold, max_people)
        many = expand(source)
        if many is None:
            return self._predict_one(source, options)  # type: ignore[arg-type]
        done = list(self.predict_many(many, options))
        if any(one.error is not None for one in done):
            raise PredictionError(done)
        return [one.poses for one in done]

    def predict_many(
        self, sources: Iterable[ImageSource], options: PredictOptions = PredictOptions()
    ) -> Iterator[Prediction]:
        """One Prediction after the other; a picture that cannot be read does not stop the rest."""
        for i, source in enumerate(sources):
            named = str(source) if isinstance(source, str | Path) else f"picture {i}"
            try:
                yield Prediction(named, self._predict_one(source, options), None)
            except LitePoseError as wrong:
                yield Prediction(named, None, str(wrong))

    def predict_timed(
        self, source: ImageSource, options: PredictOptions = PredictOptions()
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

    def look(self, source: ImageSource, options: PredictOptions = PredictOptions()) -> list[Pass]:
        """The network's maps of one picture, one Pass per look; what the decoders take."""
        return self._look(self._inputs(self._read(source), options), options)

    def predict_maps(
        self, source: ImageSource, options: PredictOptions = PredictOptions()
    ) -> tuple[Poses, Maps, Letterbox]:
        """People of one picture, the merged maps they were found in (B = 1, one stride), and how
        the picture lay in the network's input."""
        passes = self.look(source, options)
        for one in passes:
            check_finite(one.maps)
        field, box = combine(passes, self.info.tag_kind), passes[0].box
        maps = Maps((field.heat[None],), (field.stride,), field.tags[None], field.tag_stride)
        return self._cut(decode_field(field, box, self._info(options)), options), maps, box

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
            size = max(rule.multiple, round(rule.size * scale))
            box = letterbox(picture.image_wh, size, rule.multiple)
            if math.prod(box.input_wh) > MAX_INPUT_PIXELS:
                raise LitePoseError(
                    f"the network's input would have {box.input_wh[0]}x{box.input_wh[1]} pixels,"
                    f" more than {MAX_INPUT_PIXELS:,}; choose a smaller size or smaller scales"
                )
            image = np.empty((1, 3, box.input_wh[1], box.input_wh[0]), dtype=np.float32)
            to_input(picture.image, box, rule.mean, rule.std, image[0])
            inputs.append((image, box))
        return inputs

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
