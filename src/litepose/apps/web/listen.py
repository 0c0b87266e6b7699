"""Listen for HTTP: connections that send no request in time are closed."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from litepose.core.errors import LitePoseError

HEADER_SECONDS = 15.0  # for each complete header of a connection, the first and later ones
MOST_CONNECTIONS = 4000
# Threads that predict give way to the one that answers so soon; Python lets it wait 5 ms each time.
SWITCH_SECONDS = 0.0005


class TimedProtocol(H11Protocol):
    """Closes a connection whose next header is not complete in time, so that idle and slow ones
    never take the place of others. Between two requests uvicorn's own timer closes silent ones."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._start_timer()

    def data_received(self, data: bytes) -> None:
        if self._awaits_header():
            self._start_timer()
        super().data_received(data)
        if not self._awaits_header():
            self._stop_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        super().connection_lost(exc)

    def _awaits_header(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if self._awaits_header() and not self.transport.is_closing():
            self.transport.close()


def listen(app: Any, listener: socket.socket) -> None:
    """Serve until Ctrl-C or SIGTERM; what was taken is finished."""
    sys.setswitchinterval(SWITCH_SECONDS)
    config = uvicorn.Config(
        app,
        http=TimedProtocol,
        log_level="warning",
        timeout_keep_alive=10,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=60,
        server_header=False,
    )
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


def open_port(host: str, port: int) -> socket.socket:
    """A listening socket. Raises LitePoseError where the host or port cannot be had."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except OSError as exc:
        raise LitePoseError(
            f"cannot listen on {host} port {port}: {exc.strerror or exc}; give another --port"
        ) from None
    listener.setblocking(False)
    return listener
