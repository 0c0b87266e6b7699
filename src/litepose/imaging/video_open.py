"""Resolve a video source (camera, stream, file, folder of frames) and open it safely.

OpenCV passes names to FFmpeg, which opens more than videos: playlists that name other files and
addresses, `concat:` and others. So FFmpeg is limited to known containers and protocols and gets
absolute paths only. Bytes from the web come through a checked connection (web_video.py). An rtsp
address returns only video, and most network cameras have private addresses, so rtsp is not checked.
"""

from __future__ import annotations

import glob
import os
import re
import threading
from collections.abc import Sequence
from pathlib import Path

import cv2

from litepose.core.errors import LitePoseError
from litepose.core.names import is_url, local_path, name_for_c, split_url, without_password
from litepose.imaging.find_images import list_images, missing_message
from litepose.imaging.read import ImageSource, ReadLimits
from litepose.imaging.silence import suppress_stderr
from litepose.imaging.video_capture import USUAL_FPS, CapturedFrames, FrameSource, ImageFrames
from litepose.imaging.video_kinds import PROBED_BYTES, is_container, names_others
from litepose.imaging.video_refusal import diagnose_video, mp4_index
from litepose.imaging.video_turn import mirrored_turn
from litepose.imaging.web_video import WebVideo

VIDEO_SUFFIXES = frozenset(
    (".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts",
     ".wmv", ".flv", ".ogv", ".3gp", ".mjpeg", ".mjpg", ".m3u8")
)  # fmt: skip
STREAM_SCHEMES = frozenset(("rtsp", "rtsps"))
_CONTAINERS = (
    "mov,mp4,matroska,webm,avi,mpegts,mpeg,mpegvideo,m4v,flv,asf,ogg,ivf,h264,hevc,av1,obu,mxf,nut,"
    "dv,rm,gif,apng,mjpeg,mpjpeg,jpeg_pipe,yuv4mpegpipe"
)
_FILE = f"protocol_whitelist;file|format_whitelist;{_CONTAINERS}"
_BYTES = f"protocol_whitelist;data|format_whitelist;{_CONTAINERS}"
_STREAM = "rtsp_flags;prefer_tcp|protocol_whitelist;rtsp,rtp,udp,tcp,tls"
_PLAYLIST = "protocol_whitelist;http,https,tcp,tls,crypto"
_ENVIRONMENT = "OPENCV_FFMPEG_CAPTURE_OPTIONS"  # the only way to pass these options to OpenCV
_CAMERA_DIGITS = 10  # at most, as in OpenCV's camera numbers
_one_at_a_time = threading.Lock()

VideoSource = str | Path | int | Sequence[ImageSource]


def is_camera(source: object) -> bool:
    """Whether it is a number, or its text and no file of that name exists."""
    if isinstance(source, bool):
        return False
    return isinstance(source, int) or (
        isinstance(source, str)
        and source.isdecimal()
        and len(source) < _CAMERA_DIGITS
        and not Path(source).exists()
    )


def is_video(source: str) -> bool:
    """Whether a name alone shows that it means a video."""
    if is_url(source):  # not parsed here: opening an invalid URL reports it
        scheme, _, rest = source.partition("://")
        path = Path(re.split("[?#]", rest)[0].partition("/")[2])
        return scheme in STREAM_SCHEMES or path.suffix.lower() in VIDEO_SUFFIXES
    if is_camera(source):
        return True
    named = Path(source).suffix.lower() in VIDEO_SUFFIXES
    return named and not os.path.isdir(source)  # noqa: PTH112  (is_dir raises for long names)


def list_videos(source: str) -> list[str]:
    """The videos of a pattern such as `clips/*.mp4`, without drawn ones; else the source itself."""
    if is_url(source) or not glob.has_magic(source) or local_path(source).exists():
        return [source]
    found = sorted(glob.glob(str(local_path(source)), recursive=True))  # noqa: PTH207
    videos = [path for path in found if is_video(path) and not Path(path).stem.endswith(".pose")]
    if not videos:
        raise LitePoseError(f"pattern {source} holds no videos")
    return videos


def open_frames(
    source: VideoSource, *, fps: float | None, seconds: float, limits: ReadLimits
) -> FrameSource:
    """Open a source. seconds: time limit for a stream to respond.

    Raises LitePoseError, naming the source, if it is missing or no video.
    """
    if is_camera(source):
        return _camera(int(source), limits)  # type: ignore[arg-type]
    if isinstance(source, str) and is_url(source):
        return _stream(source, seconds, limits)
    if isinstance(source, str | Path):
        path = local_path(source)
        if path.is_file():
            return _file(path, limits)
        if not path.is_dir() and path.suffix.lower() in VIDEO_SUFFIXES:
            raise LitePoseError(missing_message(path))
        return ImageFrames(list_images(source), str(source), fps or USUAL_FPS, limits)
    if isinstance(source, Sequence) and source:
        return ImageFrames(source, f"{len(source)} images", fps or USUAL_FPS, limits)
    raise LitePoseError(
        "a video is a file, an address, the number of a camera, a folder, a pattern or a"
        f" list of images; got {_short(source)}"
    )


def _short(thing: object) -> str:
    text = repr(thing)
    return text if len(text) <= 80 else f"{text[:80]}... ({type(thing).__name__})"


def _camera(number: int, limits: ReadLimits) -> FrameSource:
    with suppress_stderr():  # OpenCV prints a line for every driver that it tries
        capture = cv2.VideoCapture(number)
    if not capture.isOpened():
        raise LitePoseError(
            f"camera {number} cannot be opened: there is none, another program"
            " uses it, or this user has no permission; the first camera is 0"
        )
    return CapturedFrames(capture, f"camera {number}", "camera", limits)


def _file(path: Path, limits: ReadLimits) -> FrameSource:
    try:
        with path.open("rb") as file:
            first = file.read(PROBED_BYTES)
            turn = mirrored_turn(mp4_index(file) or b"")
    except OSError as exc:
        raise LitePoseError(f"cannot read {path}: {exc.strerror or exc}") from None
    # OpenCV 4 does not pass the options on, so kinds are checked here too. The path is absolute:
    # FFmpeg treats `concat:x` as a protocol, but never a name that begins with a slash.
    known = is_container(first) and not names_others(first)
    capture = _open(str(path.resolve()), _FILE, []) if known else None
    if capture is None:
        raise LitePoseError(diagnose_video(path))
    return CapturedFrames(capture, str(path), "file", limits, turn=turn)


def _stream(url: str, seconds: float, limits: ReadLimits) -> FrameSource:
    parts = split_url(url)
    timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, cv2.CAP_PROP_READ_TIMEOUT_MSEC]
    patience = [number for key in timeouts for number in (key, int(1000 * seconds))]
    body = None
    shown = without_password(url)
    if parts.scheme in STREAM_SCHEMES:
        capture, kind = _open(url, _STREAM, patience), "stream"
    elif parts.scheme not in ("http", "https"):
        raise LitePoseError(f"streams are read from rtsp, http and https addresses; got {shown!r}")
    elif Path(parts.path).suffix.lower() == ".m3u8":
        if not limits.allow_private:
            raise LitePoseError(
                f"{shown} is a playlist that names further addresses, which cannot be checked; if"
                " it may lead anywhere, private addresses too, set ReadLimits.allow_private"
                " (--allow-private on the command line)"
            )
        capture = _open(url, _PLAYLIST, patience)
        ends = capture is not None and capture.get(cv2.CAP_PROP_FRAME_COUNT) > 0
        kind = "file" if ends else "stream"
    else:
        body = WebVideo(url, seconds, limits)
        capture, kind = _open(body, _BYTES, []), "stream" if body.live else "file"
        body.opened()
        if capture is None:
            body.close()
            if body.trouble:
                raise LitePoseError(body.trouble)
    if capture is None:
        hint = "there is no response, it needs a password, or " if body is None else ""
        raise LitePoseError(
            f"{shown} gives no video: {hint}this OpenCV does not know its format; try"
            " a player such as VLC"
        )
    turn = None if body is None else mirrored_turn(body.headers)
    return CapturedFrames(capture, shown, kind, limits, body, turn)


def _open(source: str | WebVideo, rules: str, settings: list[int]) -> cv2.VideoCapture | None:
    source = name_for_c(source) if isinstance(source, str) else source
    with _one_at_a_time:
        before = os.environ.get(_ENVIRONMENT)
        os.environ[_ENVIRONMENT] = f"{before}|{rules}" if before else rules
        try:
            capture = cv2.VideoCapture(source, cv2.CAP_FFMPEG, settings)  # type: ignore[arg-type]
        except cv2.error:
            return None
        finally:
            if before is None:
                del os.environ[_ENVIRONMENT]
            else:
                os.environ[_ENVIRONMENT] = before
    return capture if capture.isOpened() else None
