"""The image of a request: its body, a form's field or a URL, within limits of size and time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from litepose.core.console import plain
from litepose.core.errors import LitePoseError
from litepose.imaging.url import FetchLimits, fetch

_FORM = "multipart/form-data"
FETCHES = 4  # at once
FETCH_SECONDS, FETCH_REDIRECTS = 10.0, 5


class RefusedError(Exception):
    """A request that is answered with a status and a sentence."""

    def __init__(self, status: int, sentence: str, headers: Mapping[str, str] = {}) -> None:
        super().__init__(sentence)
        self.status, self.headers = status, dict(headers)


class Bodies:
    """Reads bodies. max_bytes: of one; seconds: to send one in; most_bytes: of all at once, so that
    many large ones sent slowly do not fill the memory."""

    def __init__(self, max_bytes: int, seconds: float, most_bytes: int) -> None:
        self._max_bytes, self._seconds, self._left = max_bytes, seconds, most_bytes

    async def image(self, request: Request) -> bytes:
        """The image's bytes. Raises RefusedError: 400, 408, 413, 415, 429."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in ("", _FORM, "application/octet-stream") and not kind.startswith("image/"):
            raise RefusedError(
                415,
                f"an image is sent as image/jpeg (or another image/*), application/octet-stream or"
                f" in the field `file` of {_FORM}; got the Content-Type {plain(kind, 100)}",
            )
        try:
            body = await asyncio.wait_for(self._body(request), self._seconds)
        except ClientDisconnect:
            raise RefusedError(400, "the sender left before the body was complete") from None
        except TimeoutError:
            raise RefusedError(408, f"the body took more than {self._seconds:g} s") from None
        if kind == _FORM:
            body = await _file(request, body)
        if not body:
            raise RefusedError(400, "no image in the request: send one as the body or as `file`")
        return body

    async def _body(self, request: Request) -> bytes:
        body = bytearray()
        try:
            async for piece in request.stream():
                body += piece
                self._left -= len(piece)
                if len(body) > self._max_bytes:
                    raise RefusedError(413, f"the body is larger than {self._max_bytes / 1e6:g} MB")
                if self._left < 0:
                    raise RefusedError(
                        429, "too many images are being sent; try again", {"Retry-After": "1"}
                    )
            return bytes(body)
        finally:
            self._left += len(body)


class Fetches:
    """Fetches images from the web, a few at once, never from private addresses."""

    def __init__(self, max_bytes: int, allowed: bool) -> None:
        self._limits = FetchLimits(max_bytes, FETCH_SECONDS, FETCH_REDIRECTS, allow_private=False)
        self._allowed, self._left = allowed, FETCHES

    async def image(self, url: str) -> bytes:
        """The image's bytes. Raises RefusedError: 403, 422, 429; 502 where it cannot be read."""
        if not self._allowed:
            raise RefusedError(
                403, "this server fetches nothing from the web; it was started without --allow-urls"
            )
        if not url.lower().startswith(("http://", "https://")):
            raise RefusedError(422, f"url begins with http:// or https://; got {plain(url, 100)}")
        if self._left < 1:
            raise RefusedError(
                429, "too many images are being fetched; try again", {"Retry-After": "1"}
            )
        self._left -= 1
        try:
            return await asyncio.to_thread(fetch, url, self._limits)
        except LitePoseError as exc:
            raise RefusedError(502, plain(exc, 500)) from None
        finally:
            self._left += 1


async def _file(request: Request, body: bytes) -> bytes:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield body

    try:
        form = await MultiPartParser(request.headers, stream(), max_files=1, max_fields=8).parse()
    except (MultiPartException, KeyError, ValueError) as exc:
        raise RefusedError(400, f"the form cannot be read: {exc}") from None
    try:
        upload = form.get("file")
        if not isinstance(upload, UploadFile):
            raise RefusedError(400, "the form has no field `file` with an image")
        return await upload.read()
    finally:
        await form.close()
