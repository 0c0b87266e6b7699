"""Small videos for tests, whose frames say their numbers, and a server that is good and bad."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np

WH = (160, 96)


def image(number: int, size_wh: tuple[int, int] = WH) -> np.ndarray:
    """(H, W, 3): eight stripes, white where the number has that bit."""
    bits = np.array([255 * (number >> bit & 1) for bit in range(8)], np.uint8)
    stripes = cv2.resize(bits[None], size_wh, interpolation=cv2.INTER_NEAREST)
    return cv2.merge([stripes] * 3)


def number_of(image: np.ndarray) -> int:
    stripes = image.mean(axis=(0, 2)).reshape(8, -1).mean(axis=1)
    return int(((stripes > 128) << np.arange(8)).sum())


def make_video(path: Path, count: int = 30, fps: float = 25, size_wh: tuple[int, int] = WH) -> Path:
    codec = {".mp4": "mp4v", ".avi": "MJPG", ".webm": "VP80", ".ts": "mp4v"}[path.suffix]
    fourcc = cv2.VideoWriter.fourcc(*codec)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, fourcc, fps, size_wh)
    for number in range(count):
        writer.write(image(number, size_wh))
    writer.release()
    return path


def read_video(path: Path) -> list[np.ndarray]:
    """What a player would show."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    shown = []
    while True:
        more, image = capture.read()
        if not more:
            return shown
        shown.append(image)


class FakeCamera:
    """In place of `cv2.VideoCapture`: `good` frames, of which some are broken, and no more."""

    def __init__(self, good: int, broken: tuple[int, ...] = ()) -> None:
        self._good, self._broken, self._at = good, broken, -1

    def isOpened(self) -> bool:  # noqa: N802
        return True

    def get(self, which: int) -> float:
        return {3: WH[0], 4: WH[1], cv2.CAP_PROP_FPS: 30.0}.get(which, 0.0)

    def set(self, which: int, value: float) -> bool:
        return False

    def grab(self) -> bool:
        self._at += 1
        return self._at < self._good

    def retrieve(self) -> tuple[bool, np.ndarray | None]:
        return (False, None) if self._at in self._broken else (True, image(self._at))

    def release(self) -> None:
        pass


class Site:
    """A web server of this test: `files` by name; `requested` is what was requested for."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.kinds: dict[str, str] = {}
        self.redirects: dict[str, str] = {}
        self.password: str | None = None
        self.ranges = True
        self.jumps = 0  # responses that began where the reader wanted
        self.sized = True
        self.requested: list[str] = []
        self.hang = threading.Event()
        self.hang_after: int | None = None
        self.drip_after: int | None = None  # bytes come one by one behind so many
        self.url = ""


@contextmanager
def serving() -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name = self.path.lstrip("/")
            site.requested.append(name)
            if name in site.redirects:
                self.send_response(302)
                self.send_header("Location", site.redirects[name])
                self.end_headers()
                return
            if site.password and self.headers.get("Authorization") != site.password:
                self.send_error(401)
                return
            if name not in site.files:
                self.send_error(404)
                return
            data, first = site.files[name], 0
            requested = self.headers.get("Range")
            if requested and site.ranges:
                site.jumps += 1
                first = int(requested.removeprefix("bytes=").rstrip("-"))
            self.send_response(206 if first else 200)
            self.send_header("Content-Type", site.kinds.get(name, "application/octet-stream"))
            if site.sized:
                self.send_header("Content-Length", str(len(data) - first))
            self.end_headers()
            try:
                if site.drip_after is not None:
                    self.wfile.write(data[: site.drip_after])
                    for byte in data[site.drip_after :]:
                        self.wfile.write(bytes([byte]))
                        if site.hang.wait(0.1):
                            break
                    return
                self.wfile.write(data[first : site.hang_after])
                self.wfile.flush()
                if site.hang_after is not None:
                    site.hang.wait(20)
            except OSError:  # the reader has left
                pass

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield site
    finally:
        site.hang.set()
        server.shutdown()
        server.server_close()
