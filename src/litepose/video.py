"""Videos in and out: `litepose.video.frames(source)`, `litepose.video.VideoWriter`."""

from __future__ import annotations

from litepose.imaging.video_reader import Frame, Frames, frames
from litepose.imaging.video_writer import VideoWriter

__all__ = ["Frame", "Frames", "VideoWriter", "frames"]
