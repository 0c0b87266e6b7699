"""Write drawn video frames to a .webm file, a window, or both."""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from litepose.core.console import say
from litepose.core.errors import LitePoseError
from litepose.core.geometry import Affine
from litepose.imaging.draw import DrawStyle, draw_poses
from litepose.imaging.video_reader import Frames
from litepose.imaging.video_writer import VideoWriter
from litepose.inference.stream import PosedFrame

LIVE_FPS = 25.0  # a camera's video is written at this rate at most
WINDOW = "litepose (q closes)"


def check_window() -> None:
    """Raise LitePoseError where there is no screen, or OpenCV has no window support."""
    why = None
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        why = "there is no screen here"
    else:
        try:
            cv2.namedWindow(WINDOW, cv2.WINDOW_NORMAL)
        except cv2.error:
            why = (
                "the OpenCV installed here has no windows: pip uninstall opencv-python-headless,"
                " then pip install opencv-python"
            )
    if why:
        raise LitePoseError(f"--show cannot open a window: {why}; leave it out")


class Screen:
    """Draws each frame into the video, one frame behind, in a thread of its own; and shows it."""

    def __init__(self, target: Path | None, opened: Frames, options: argparse.Namespace) -> None:
        self._target, self._options = target, options
        self._fps = min(opened.fps, LIVE_FPS) if opened.live else opened.fps
        ids = options.track or options.smooth
        self._style = DrawStyle(label="id" if ids else "none")
        self._writer: VideoWriter | None = None
        self._thread = ThreadPoolExecutor(1, "litepose-draw")
        self._pending: Future[np.ndarray] | None = None
        self.closed = False

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._finish()
        finally:
            self._thread.shutdown()
            if self._writer is not None:
                self._writer.close()
            if self._options.show:
                cv2.destroyAllWindows()

    def add(self, frame: PosedFrame) -> None:
        if self._target is None and not self._options.show:
            return
        self._finish()
        self._pending = self._thread.submit(self._draw, frame)

    def _finish(self) -> None:
        if self._pending is None:
            return
        pending, self._pending = self._pending, None
        drawn = pending.result()
        if self._options.show:
            cv2.imshow(WINDOW, drawn[..., ::-1])
            self.closed = cv2.waitKey(1) & 0xFF == ord("q")

    def _draw(self, frame: PosedFrame) -> np.ndarray:
        image, poses = frame.image, frame.poses
        height, width = image.shape[:2]
        scale = min(1.0, (self._options.video_size or max(width, height)) / max(width, height))
        if scale < 1:
            size_wh = max(1, round(scale * width)), max(1, round(scale * height))
            image = cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA)
            poses = poses.moved(Affine.scale_shift((size_wh[0] / width, size_wh[1] / height)))
        drawn = draw_poses(
            image, poses, threshold=self._options.keypoint_threshold, style=self._style
        )
        if self._target is not None:
            self._write(drawn, frame.seconds)
        return drawn

    def _write(self, drawn: np.ndarray, seconds: float) -> None:
        if self._writer is None:
            assert self._target is not None
            size_wh = drawn.shape[1], drawn.shape[0]
            self._writer = VideoWriter(self._target, size_wh, self._fps)
        before = self._writer.resized
        self._writer.write(drawn, seconds)
        if self._writer.resized and not before and not self._options.quiet:
            wide, high = self._writer.size_wh
            say(f"the images change their size; the video stays at {wide}x{high}")
