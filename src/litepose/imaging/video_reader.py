"""Frames of a video, read ahead by a thread.

Files are read a few frames ahead and lose none; live sources (cameras, streams) keep only the
newest frame, so that a slow consumer never falls behind.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from litepose.core.errors import LitePoseError
from litepose.imaging.read import ReadLimits
from litepose.imaging.video_capture import FrameSource
from litepose.imaging.video_open import VideoSource, is_camera, open_frames

_AHEAD = 3  # frames of a file kept ready
_PARTING = 2.0  # seconds to wait for the reader to end
_GLANCE = 0.1  # seconds between checks for a request to stop
_SHORT_BY = 0.5, 0.05  # seconds, share of the length, that a whole video may lack


class Frame(NamedTuple):
    """One image of a video.

    image:   (H, W, 3) uint8 RGB
    number:  its index in the source, broken and dropped frames included
    seconds: its presentation time; for live sources the time since the first frame
    """

    image: np.ndarray
    number: int
    seconds: float


def frames(
    source: VideoSource,
    *,
    fps: float | None = None,
    stall_seconds: float = 10.0,
    limits: ReadLimits | None = None,
) -> Frames:
    """Open a video and iterate over its frames. Close it, or use it in a `with`.

    source: a video file; the number of a camera; an rtsp, http or https address; a folder, glob
            pattern or list of images, which are its frames in natural order
    fps:    of a sequence of images, 25 by default; other sources have their own
    stall_seconds: the longest wait for the source to open and for each frame
    limits: max_pixels for a frame; allow_private for http and https (rtsp may lead anywhere)
    Frames that cannot be decoded are counted in `.broken` and skipped.
    Raises LitePoseError if it cannot be opened, has no frames, stalls, or a camera disconnects.
    """
    if fps is not None and not 0 < fps <= 1000:
        raise LitePoseError(f"fps must lie above 0 and be at most 1000; got {fps}")
    if not stall_seconds > 0:
        raise LitePoseError(f"stall_seconds must be above 0; got {stall_seconds}")
    name = f"camera {source}" if is_camera(source) else str(source)
    return Frames(
        lambda: open_frames(source, fps=fps, seconds=stall_seconds, limits=limits or ReadLimits()),
        name,
        stall_seconds,
    )


class Frames(Iterator[Frame]):
    """An open video; see `frames`.

    fps: stated frames per second (an average if the rate varies); count: stated number of frames,
    or None; live: old frames are dropped; broken, dropped: numbers of such frames so far;
    ended_early: a sentence if the video ended before its stated length
    """

    def __init__(self, opener: Callable[[], FrameSource], name: str, stall_seconds: float) -> None:
        self._name, self._stall_seconds = name, stall_seconds
        self._reader = _Reader(opener)
        weakref.finalize(self, self._reader.end)  # for callers that do not close it
        self._reader.start()
        self._wait(lambda: self._reader.frame_source is not None)
        frame_source = self._reader.frame_source
        if frame_source is None:
            raise self._reader.trouble or LitePoseError(f"{name} was closed while it was opened")
        self.name, self.fps = frame_source.name, frame_source.fps
        self.count, self.live = frame_source.count, frame_source.live
        self.ended_early: str | None = None
        self._seen_until = 0.0

    @property
    def broken(self) -> int:
        return self._reader.broken

    @property
    def dropped(self) -> int:
        return self._reader.dropped

    @property
    def duration(self) -> float | None:
        """The stated length in seconds, or None."""
        return None if self.count is None else self.count / self.fps

    def __next__(self) -> Frame:
        reader = self._reader
        self._wait(lambda: bool(reader.ready))
        if reader.ready and not reader.leaving:
            frame = reader.take()
            self._seen_until = frame.seconds + 1 / self.fps
            return frame
        if reader.trouble is not None and not reader.leaving:
            raise reader.trouble
        if not reader.leaving:
            self.ended_early = self._short()
        raise StopIteration

    def stop(self) -> None:
        """End the iteration after the current frame. May be called from a signal handler."""
        self._reader.leaving = True

    def close(self) -> None:
        self._reader.end()

    def __enter__(self) -> Frames:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _short(self) -> str | None:
        said, over = self.duration, self._seen_until
        if said is None or said - over <= max(_SHORT_BY[0], _SHORT_BY[1] * said):
            return None
        return (
            f"{self.name} says it lasts {said:.1f} s and ended at {over:.1f} s: it is cut off or"
            " damaged"
        )

    def _wait(self, here: Callable[[], bool]) -> None:
        """Wait until the frame arrives, the source ends, or a stop is requested."""
        reader, patience = self._reader, self._stall_seconds
        with reader.change:
            while not (here() or reader.ended or reader.leaving):
                if patience <= 0:
                    reader.leaving = True
                    raise LitePoseError(
                        f"{self._name} gave nothing for {self._stall_seconds:g} seconds: it has"
                        " stalled"
                    )
                # Counts waits instead of reading the clock: a suspended process has not waited.
                if not reader.change.wait(min(_GLANCE, patience)):
                    patience -= _GLANCE


class _Reader(threading.Thread):
    """Opens, reads and closes the source. `ready` and the rest change under `change` only."""

    def __init__(self, opener: Callable[[], FrameSource]) -> None:
        super().__init__(name="litepose-frames", daemon=True)
        self._opener = opener
        self.change = threading.Condition()
        self.leaving = False  # no lock, because a signal handler may set it
        self.frame_source: FrameSource | None = None
        self.ready: deque[Frame] = deque()
        self.broken = self.dropped = 0
        self.ended = False
        self.trouble: Exception | None = None

    def run(self) -> None:
        try:
            frame_source = self._opener()
            with self.change:
                self.frame_source = frame_source
                self.change.notify_all()
            self._read(frame_source)
        except Exception as exc:  # raised again in the consumer's thread
            self.trouble = exc
        finally:
            with self.change:
                self.ended = True
                self.change.notify_all()
            if self.frame_source is not None:
                self.frame_source.close()

    def take(self) -> Frame:
        with self.change:
            frame = self.ready.popleft()
            self.change.notify_all()
            return frame

    def end(self) -> None:
        """Stop reading and close the source.

        A thread that still runs inside OpenCV when Python exits crashes the process. So this waits
        for it, with a time limit because a camera's driver may hang.
        """
        self.leaving = True
        with self.change:
            self.change.notify_all()
        if self.frame_source is not None:
            self.frame_source.interrupt()
        if self.is_alive() and threading.current_thread() is not self:
            self.join(timeout=_PARTING)

    def _read(self, frame_source: FrameSource) -> None:
        number = 0
        while not self.leaving:
            raw = frame_source.read()
            if raw is None:
                break
            if raw.image is None:
                self.broken += 1
            else:
                self._put(Frame(raw.image, number, raw.seconds), frame_source.live)
            number += 1
        if number == self.broken and not self.leaving:
            found = f"; all {number} are broken" if number else ""
            raise LitePoseError(f"{frame_source.name} has no frames that can be read{found}")

    def _put(self, frame: Frame, live: bool) -> None:
        with self.change:
            if live:
                self.dropped += len(self.ready)
                self.ready.clear()
            while len(self.ready) >= _AHEAD and not self.leaving:
                self.change.wait()
            self.ready.append(frame)
            self.change.notify_all()
