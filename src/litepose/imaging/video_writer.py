"""Write a webm video (VP8) that stays playable when writing is interrupted.

Built on OpenCV's FFmpeg, whose free encoders are MPEG-4 part 2 (not played by browsers), VP8 and
VP9. VP9 takes 6 times as long as VP8 for a fifth fewer bytes. OpenCV writes constant frame rates
only, so images are repeated or left out to keep their times.
"""

from __future__ import annotations

import math
import shutil
import time
from pathlib import Path

import cv2
import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.names import local_path, name_for_c
from litepose.imaging.silence import suppress_stderr
from litepose.imaging.write import check_place

FASTEST = 60.0  # largest number of frames written per second
SLOWEST = 0.01  # below, FFmpeg has no encoder for it
LONGEST_HOLD = 60.0  # seconds; a longer gap in the times is shortened to this
_FREE_BYTES = 16 << 20  # that must be left on the disk
_CHECK_EVERY = 2.0  # seconds between checks of the free space


class VideoWriter:
    """Writes images at their times into a .webm file. Use it in a `with`, or close it.

    path: ends in .webm and is overwritten; size_wh: of the video, as the first image; images of
    another size are fitted into it on black; fps: 60 at most is kept.
    Raises LitePoseError where it cannot be written.
    """

    def __init__(self, path: str | Path, size_wh: tuple[int, int], fps: float) -> None:
        self.path = local_path(path)
        check_video(self.path)
        if min(size_wh) < 1 or not SLOWEST <= fps < math.inf:
            raise LitePoseError(
                f"a video needs a size and {SLOWEST:g} frames a second or more; got {size_wh},"
                f" {fps:g} fps"
            )
        # VP8 halves the color resolution: odd sides would lose a line.
        self.size_wh = size_wh[0] + size_wh[0] % 2, size_wh[1] + size_wh[1] % 2
        self.fps = min(fps, FASTEST)
        if max(self.size_wh) > 16382:
            raise LitePoseError(f"a webm video has at most 16382 pixels a side; got {size_wh}")
        with suppress_stderr():  # a wrong warning about webm and VP8 that cannot be disabled
            self._writer = cv2.VideoWriter(
                name_for_c(self.path.resolve()), cv2.CAP_FFMPEG,
                cv2.VideoWriter.fourcc(*"VP80"), self.fps, self.size_wh,
            )  # fmt: skip
        if not self._writer.isOpened():
            raise LitePoseError(f"cannot write {self.path}: OpenCV here has no VP8 encoder")
        self.resized = 0
        self._held: np.ndarray | None = None
        self._written, self._shift, self._checked = 0, 0.0, time.monotonic()

    def write(self, image: np.ndarray, seconds: float) -> None:
        """Show an image (H, W, 3) uint8 RGB from that time of the video on.

        Raises LitePoseError for invalid images and times, after `close`, and if the disk is nearly
        full; the video so far stays playable.
        """
        if not self._writer.isOpened():
            raise LitePoseError(f"{self.path} was closed already; nothing more can be written")
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise LitePoseError(
                f"a video takes (H, W, 3) uint8 RGB images; got {image.dtype} {image.shape}"
            )
        if not math.isfinite(seconds):
            raise LitePoseError(f"the time of an image must be a number; got {seconds}")
        self._check_disk()
        now = self._written / self.fps
        if self._held is None or seconds - self._shift > now + LONGEST_HOLD:
            hold = 0 if self._held is None else LONGEST_HOLD
            self._shift = seconds - now - hold
        place = round((seconds - self._shift) * self.fps)
        while self._held is not None and self._written < place:
            self._put(self._held)
        self._held = cv2.cvtColor(self._fitted(image), cv2.COLOR_RGB2BGR)
        if self._written <= place:
            self._put(self._held)

    def close(self) -> None:
        self._writer.release()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _put(self, bgr: np.ndarray) -> None:
        self._writer.write(bgr)
        self._written += 1

    def _fitted(self, image: np.ndarray) -> np.ndarray:
        height, width = image.shape[:2]
        if (width, height) == self.size_wh:
            return image
        right, below = self.size_wh[0] - width, self.size_wh[1] - height
        if right not in (0, 1) or below not in (0, 1):
            self.resized += 1
            scale = min(self.size_wh[0] / width, self.size_wh[1] / height)
            width, height = (max(1, round(scale * side)) for side in (width, height))
            image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
            right, below = self.size_wh[0] - width, self.size_wh[1] - height
        border = cv2.BORDER_REPLICATE if max(right, below) <= 1 else cv2.BORDER_CONSTANT
        top, left = below // 2, right // 2
        return cv2.copyMakeBorder(image, top, below - top, left, right - left, border)

    def _check_disk(self) -> None:
        """Check the free space: OpenCV does not report a failed write."""
        now = time.monotonic()
        if now - self._checked < _CHECK_EVERY:
            return
        self._checked = now
        free = shutil.disk_usage(self.path.parent).free
        if free < _FREE_BYTES:
            raise LitePoseError(
                f"the disk of {self.path} has only {free / 2**20:.0f} MB left: writing ends here,"
                " and what was written plays"
            )


def check_video(path: str | Path) -> None:
    """Raise LitePoseError if a video cannot be written to `path`. Call it before long work."""
    path = local_path(path)
    if path.suffix.lower() != ".webm":
        raise LitePoseError(f"videos are written as .webm; got {path}")
    check_place(path)
    name_for_c(path.resolve())
    try:
        if path.exists():
            path.open("ab").close()
    except OSError as exc:
        raise LitePoseError(f"cannot write over {path}: {exc.strerror}") from None
