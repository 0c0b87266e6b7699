"""Listen for HTTP: connections that send no request in time are closed."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from litepose.core.errors import LitePoseError

FIRST_REQUEST_SECONDS = 15.0  # for a connection's first complete header
MOST_CONNECTIONS = 4000


class TimedProtocol(H11Protocol):
    """Closes a connection whose first header is not complete in time, so that idle ones never
    take the place of others."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.loop.call_later(FIRST_REQUEST_SECONDS, self._give_up)

    def _give_up(self) -> None:
        if self.cycle is None and not self.transport.is_closing():
            self.transport.close()


def listen(app: Any, listener: socket.socket) -> None:
    """Serve until Ctrl-C or SIGTERM; what was taken is finished."""
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
