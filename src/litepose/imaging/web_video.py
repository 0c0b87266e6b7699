"""Read a video from the web through the checked connection.

FFmpeg would follow redirects to any address. Here every address is checked as for images (url.py),
and the bytes before OpenCV sees them. An exception raised into OpenCV's C++ code would crash the
process, so an error ends the bytes and is kept in `trouble`.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import threading
import time
from base64 import b64encode
from urllib.parse import unquote, urljoin

from litepose.core.errors import LitePoseError
from litepose.core.names import split_url, without_password
from litepose.imaging.read import ReadLimits
from litepose.imaging.url import REDIRECTS, connect, forget, hang_up, refuse_unless_media
from litepose.imaging.video_kinds import PROBED_BYTES, is_container, names_others
from litepose.imaging.video_turn import TRACK_HEADER

_SKIP = 1 << 16
_SIGNATURE = 200  # bytes that identify the kind of a file
_NO_VIDEO = "gives no video: its bytes are those of no kind of video that is read"
_MOST_HEADERS = 1 << 16
_LIVE = ("multipart/x-mixed-replace", "video/mp2t")  # kinds that arrive in real time


class WebVideo(io.BufferedIOBase):
    """size: in bytes, or None if unknown; live: from a camera; trouble: the error that ended it;
    headers: the track headers of an mp4, as far as it was read

    Raises LitePoseError if the address is refused or does not return a video.
    """

    def __init__(self, url: str, seconds: float, limits: ReadLimits) -> None:
        self._address, self._seconds, self._limits = url, seconds, limits
        self._url = without_password(url)  # for messages
        self.trouble: str | None = None
        self._at = self._wanted = 0
        self._connection: http.client.HTTPConnection | None = None
        self._response: http.client.HTTPResponse | None = None
        self._sock: socket.socket | None = None
        # No other time limit holds until the video is open, so this one stops a slow trickle.
        self._opening = threading.Timer(seconds, self._open_too_long)
        self._opening.daemon = True
        self._opening.start()
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        self._request(0)
        self.size = self._body.length
        kind = self._body.headers.get_content_type()
        self.live = self.size is None and kind in _LIVE
        self.headers = self._tail = b""
        self._first = self._check_first()

    def read(self, size: int | None = -1, /) -> bytes:
        wanted = _SKIP if size is None or size < 0 else size
        if self._wanted < len(self._first):
            data = self._first[self._wanted : self._wanted + wanted]
            self._wanted += len(data)
            return data
        try:
            if self._wanted != self._at:
                self._go_to(self._wanted)
            data = self._body.read1(wanted)
            self._at += len(data)
            self._wanted = self._at
            if not data and self.size is not None and self._at < self.size and not self.trouble:
                self.trouble = f"{self._url} broke off after {self._at:,} of {self.size:,} bytes"
            if self._at <= 2 * PROBED_BYTES and names_others(self._tail + data):
                self.trouble, data = f"{self._url} {_NO_VIDEO}", b""
            self._note(data)
            return data
        except Exception as exc:  # no exception may reach OpenCV
            self.trouble = self.trouble or f"{self._url} broke off: {exc or type(exc).__name__}"
            return b""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        if whence == io.SEEK_END:  # FFmpeg requests the size
            return -1 if self.size is None else self.size + min(0, offset + 1)
        target = offset + (self._wanted if whence == io.SEEK_CUR else 0)
        if self.size is None and target != self._wanted:
            return -1
        self._wanted = target
        return target

    def opened(self) -> None:
        """End the time limit for opening: frames have a limit of their own."""
        self._opening.cancel()

    def _open_too_long(self) -> None:
        self.trouble = f"{self._url} gave no video within {self._seconds:g} seconds"
        self.interrupt()

    def interrupt(self) -> None:
        """End a read that waits, as if the server had disconnected."""
        if self._sock is not None:
            hang_up(self._sock)

    def close(self) -> None:
        self.opened()
        self._leave()
        super().close()

    @property
    def _body(self) -> http.client.HTTPResponse:
        assert self._response is not None
        return self._response

    def _leave(self) -> None:
        for opened in (self._response, self._connection):
            if opened is not None:
                opened.close()

    def _check_first(self) -> bytes:
        """Read the first bytes and check their kind."""
        first = b""
        try:
            while data := self._body.read1(_SIGNATURE - len(first)):
                first += data
                if len(first) == _SIGNATURE:
                    break
        except (OSError, http.client.HTTPException) as exc:
            raise LitePoseError(self.trouble or f"{self._url} broke off: {exc}") from None
        if self.trouble:
            raise LitePoseError(self.trouble)
        if not is_container(first) or names_others(first):
            raise LitePoseError(f"{self._url} {_NO_VIDEO}: it begins with {first[:16]!r}")
        self._at = len(first)
        self._note(first)
        return first

    def _note(self, data: bytes) -> None:
        """Keep track headers, and the end of the data, where the next header may begin."""
        both = self._tail + data
        place = both.find(b"tkhd")
        if place >= 0 and len(self.headers) < _MOST_HEADERS:
            self.headers += both[place : place + _MOST_HEADERS // 8]
        self._tail = both[-TRACK_HEADER:]

    def _go_to(self, place: int) -> None:
        if place < self._at or place - self._at > _SKIP:
            self._request(place)
            self._at = place if self._body.status == http.client.PARTIAL_CONTENT else 0
        while self._at < place:  # near, or the server does not support ranges
            data = self._body.read1(min(_SKIP, place - self._at))
            if not data:
                return
            self._at += len(data)

    def _request(self, place: int) -> None:
        """Request the video from byte `place` on, if the server supports it; follows redirects."""
        at = self._address
        for _ in range(self._limits.redirects + 1):
            try:
                response = self._send(at, place)
            except LitePoseError:
                raise
            except (OSError, http.client.HTTPException, ValueError) as exc:
                raise LitePoseError(
                    f"cannot read {without_password(at)}: {exc or type(exc).__name__}"
                ) from None
            where = response.getheader("Location")
            if response.status not in REDIRECTS or not where:
                break
            at = urljoin(at, where)
        else:
            raise LitePoseError(
                f"{self._url} redirects more than {self._limits.redirects} times; give the last"
                " address"
            )
        refuse_unless_media(response, self._url, "video", (200, http.client.PARTIAL_CONTENT))

    def _send(self, url: str, place: int) -> http.client.HTTPResponse:
        deadline = time.monotonic() + self._seconds
        self._leave()
        connection, target = connect(url, deadline, self._limits.allow_private)
        self._connection = connection
        sock = self._sock = connection.sock
        # A socket's timeout starts again with each byte; only a watchdog ends a slow trickle.
        watchdog = threading.Timer(self._seconds, hang_up, [sock])
        watchdog.daemon = True
        watchdog.start()
        try:
            if isinstance(sock, ssl.SSLSocket):
                sock.do_handshake()
            sock.settimeout(self._seconds)
            headers = {"User-Agent": "litepose", "Accept": "video/*, multipart/*"}
            if place:
                headers["Range"] = f"bytes={place}-"
            parts = split_url(url)
            if parts.username is not None:
                login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
                headers["Authorization"] = f"Basic {b64encode(login.encode()).decode()}"
            connection.request("GET", target, headers=headers)
            self._response = connection.getresponse()
            return self._response
        finally:
            watchdog.cancel()
            forget(sock)  # from now on the video's own `interrupt` ends it
