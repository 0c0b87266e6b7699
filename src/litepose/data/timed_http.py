"""Open an address for a download, with a time limit for the whole header.

A socket's timeout starts again with each byte, so a watchdog ends a slowly arriving header. Unlike
imaging/url.py this uses the proxies of the environment, because the addresses are fixed.
"""

from __future__ import annotations

import http.client
import socket
import threading
import urllib.request

from litepose.imaging.url import hang_up


class _TimedHeader:
    sock: socket.socket | None

    def getresponse(self) -> http.client.HTTPResponse:
        assert self.sock is not None
        watchdog = threading.Timer(self.sock.gettimeout() or 0.0, hang_up, [self.sock])
        watchdog.daemon = True
        watchdog.start()
        try:
            return super().getresponse()  # type: ignore[misc]
        finally:
            watchdog.cancel()


class _Http(_TimedHeader, http.client.HTTPConnection):
    pass


class _Https(_TimedHeader, http.client.HTTPSConnection):
    pass


class _HttpHandler(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Http, req)


class _HttpsHandler(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(_Https, req)


def open_url(request: urllib.request.Request, seconds: float) -> http.client.HTTPResponse:
    """The response, once its header is complete. seconds: limit of each step.

    Raises OSError, HTTPException and ValueError, like urllib.
    """
    opener = urllib.request.build_opener(_HttpHandler, _HttpsHandler)
    response: http.client.HTTPResponse = opener.open(request, timeout=seconds)
    return response
