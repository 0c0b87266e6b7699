"""Poses of video frames, with optional ids and smoothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.poses import Poses
from litepose.imaging.video_open import VideoSource
from litepose.imaging.video_reader import Frame, Frames, frames
from litepose.inference.one_euro import Smoother
from litepose.inference.tracker import Tracker

if TYPE_CHECKING:
    from litepose.inference.predictor import Prediction, PredictOptions, Predictor


class PosedFrame(NamedTuple):
    """A frame and its people: image (H, W, 3) uint8 RGB; number, seconds: see `Frame`."""

    image: np.ndarray
    number: int
    seconds: float
    poses: Poses


def stream(
    predictor: Predictor,
    source: VideoSource | Frames,
    options: PredictOptions,
    *,
    track: bool = False,
    smooth: bool = False,
) -> Iterator[PosedFrame]:
    """Every frame with its people; see `Predictor.stream`. The source is opened at once."""
    opened = source if isinstance(source, Frames) else frames(source, limits=predictor.limits)
    return _stream(predictor, opened, options, track or smooth, smooth)


def _stream(
    predictor: Predictor, source: Frames, options: PredictOptions, track: bool, smooth: bool
) -> Iterator[PosedFrame]:
    tracker, smoother = Tracker(), Smoother()
    has_people = _one_by_one if source.live else _ahead
    with source:
        for frame, prediction in has_people(predictor, source, options):
            if prediction.poses is None:
                raise LitePoseError(f"frame {frame.number} of {source.name}: {prediction.error}")
            poses = prediction.poses
            if track:
                poses = tracker.update(poses, frame.seconds)
            if smooth:
                poses = smoother.update(poses, frame.seconds)
            yield PosedFrame(frame.image, frame.number, frame.seconds, poses)


def _one_by_one(
    predictor: Predictor, source: Frames, options: PredictOptions
) -> Iterator[tuple[Frame, Prediction]]:
    """For live sources: fetch a frame after the last one is done, so that it is the newest."""
    for frame in source:
        yield frame, next(iter(predictor.predict_many([frame.image], options)))


def _ahead(
    predictor: Predictor, source: Frames, options: PredictOptions
) -> Iterator[tuple[Frame, Prediction]]:
    """For files: `predict_many` may read frames ahead of its results."""
    waiting: deque[Frame] = deque()

    def images() -> Iterator[np.ndarray]:
        for frame in source:
            waiting.append(frame)
            yield frame.image

    for prediction in predictor.predict_many(images(), options):
        yield waiting.popleft(), prediction
