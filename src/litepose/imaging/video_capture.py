"""Read frames one at a time from OpenCV's captures or from image files.

Built on OpenCV's FFmpeg. Times are presentation times of the container (frame rates may vary), and
arrival times for live sources.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from litepose.core.errors import LitePoseError
from litepose.imaging.read import ImageSource, ReadLimits, read_image
from litepose.imaging.video_turn import ANGLES, Turn
from litepose.imaging.web_video import WebVideo

USUAL_FPS = 25.0  # for sources that do not state it
_FASTEST = 1000.0  # frames per second; a larger number is not plausible
_PATIENCE, _RETRIES = 0.1, 20  # seconds between tries to read from a camera, and their number


class RawFrame(NamedTuple):
    """image: (H, W, 3) uint8 RGB, or None if it is broken; seconds: its time in the video."""

    image: np.ndarray | None
    seconds: float


class FrameSource(Protocol):
    """A source of frames, read by one thread.

    count: stated number of frames, or None; live: it does not wait, so old frames are dropped
    """

    name: str
    fps: float
    count: int | None
    live: bool

    def read(self) -> RawFrame | None:
        """The next frame, or None at the end. Raises LitePoseError if reading fails."""
        ...

    def interrupt(self) -> None:
        """End a `read` that waits for the network. May be called from any thread."""
        ...

    def close(self) -> None: ...


class CapturedFrames:
    """An opened `cv2.VideoCapture`: a file, a stream or a camera.

    body: what it reads from; turn: makes frames upright that are also mirrored, which OpenCV's
    angle does not tell
    """

    def __init__(
        self,
        capture: cv2.VideoCapture,
        name: str,
        kind: str,
        limits: ReadLimits,
        body: WebVideo | None = None,
        turn: Turn | None = None,
    ) -> None:
        self.name, self._limits, self._capture = name, limits, capture
        self._body = body  # a reference: OpenCV releases its own without Python's lock
        self._camera = kind == "camera"
        self.live = kind != "file"
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)  # its default differs between versions
        self._turn = turn or ANGLES.get(int(capture.get(cv2.CAP_PROP_ORIENTATION_META)))
        said = capture.get(cv2.CAP_PROP_FPS)
        self.fps = said if 0 < said <= _FASTEST else USUAL_FPS
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.count = int(count) if not self.live and 0 < count < 1e9 else None
        self._last, self._start = -1 / self.fps, math.nan
        width, height = (capture.get(p) for p in (3, 4))
        self._check_size(max(0, int(width)), max(0, int(height)))

    def read(self) -> RawFrame | None:
        if not self._grab():
            return None
        seconds = self._time()
        try:
            whole, image = self._capture.retrieve()
        except cv2.error:
            whole, image = False, None
        if not whole or image is None or image.size == 0:
            return RawFrame(None, seconds)
        self._check_size(image.shape[1], image.shape[0])
        to_rgb = cv2.COLOR_GRAY2RGB if image.ndim == 2 else cv2.COLOR_BGR2RGB
        rgb = cv2.cvtColor(image, to_rgb)
        return RawFrame(rgb if self._turn is None else self._turn(rgb), seconds)

    def interrupt(self) -> None:
        if self._body is not None:
            self._body.interrupt()

    def close(self) -> None:
        self._capture.release()
        if self._body is not None:
            self._body.close()

    def _grab(self) -> bool:
        for _ in range(_RETRIES if self._camera else 1):
            if self._capture.grab():
                return True
            if self._camera:
                time.sleep(_PATIENCE)
        if self._camera:
            raise LitePoseError(f"{self.name} gives no more images; check that it is plugged in")
        if self._body is not None and self._body.trouble:
            raise LitePoseError(self._body.trouble)
        return False

    def _time(self) -> float:
        """The time of the frame, always later than the last one."""
        if self.live:
            now = time.monotonic()
            self._start = now if math.isnan(self._start) else self._start
            return now - self._start
        said = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if not said > self._last or not math.isfinite(said):
            said = self._last + 1 / self.fps
        self._last = said
        return said

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self._limits.max_pixels:
            raise LitePoseError(
                f"the images of {self.name} have {width}x{height} pixels, more than the limit of"
                f" {self._limits.max_pixels:,}; if it is meant, raise ReadLimits.max_pixels"
                " (--max-pixels on the command line)"
            )


class ImageFrames:
    """Images as the frames of one video, in the order given."""

    live = False

    def __init__(
        self, images: Sequence[ImageSource], name: str, fps: float, limits: ReadLimits
    ) -> None:
        self.name, self.fps = name, fps
        self.count: int | None = len(images)
        self._images, self._limits, self._at = images, limits, 0

    def read(self) -> RawFrame | None:
        if self._at == len(self._images):
            return None
        seconds, image = self._at / self.fps, self._images[self._at]
        self._at += 1
        try:
            return RawFrame(read_image(image, self._limits), seconds)
        except LitePoseError:
            return RawFrame(None, seconds)

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        pass
