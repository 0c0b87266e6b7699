"""Fetch an image from the web with limits: size, time, redirects, no private addresses.

Built on the standard library. The checked address must be the one connected to, or a host name that
resolves differently the second time (DNS rebinding) reaches the private network. urllib's opener
resolves again when it connects, and a proxy resolves by itself, so neither is used.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from typing import NamedTuple
from urllib.parse import quote, urljoin

from litepose.core.errors import LitePoseError
from litepose.core.names import split_url

_CHUNK = 1 << 16
REDIRECTS = (301, 302, 303, 307, 308)
# Public IPv6 addresses are allocated from one block. Python calls many other addresses global, so
# this block decides instead.
_ROUTED = ipaddress.ip_network("2000::/3")
# Ranges within that block and IPv4 that are registered for other uses: documentation, and
# protocols, such as tunnels to an IPv4 address that cannot be checked (Teredo, 6to4).
_NOT_ROUTED = tuple(
    map(
        ipaddress.ip_network,
        ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "192.0.0.0/24", "192.88.99.0/24"),
    )
)


# Sockets being read from, and the number of calls of `interrupt`.
_open: set[socket.socket] = set()
_interrupts = [0]


class FetchLimits(NamedTuple):
    """seconds: total time limit, redirects included; a name look-up is not interrupted."""

    max_bytes: int
    seconds: float
    redirects: int
    allow_private: bool


def fetch(url: str, limits: FetchLimits) -> bytes:
    """The body of the response to a http or https URL.

    Raises LitePoseError for another scheme, a private address (also after a redirect, unless
    allowed), a status other than 200, a web page instead of an image, or an exceeded limit.
    """
    deadline = time.monotonic() + limits.seconds
    before, at = _interrupts[0], url
    for _ in range(limits.redirects + 1):
        try:
            result = _get(at, deadline, limits)
        except LitePoseError:
            _check_interrupted(url, before)
            raise
        except (OSError, http.client.HTTPException, ValueError) as exc:  # ValueError: bad names
            _check_interrupted(url, before)
            _check_deadline(url, deadline, limits)
            raise LitePoseError(f"cannot read {at}: {exc or type(exc).__name__}") from None
        if isinstance(result, bytes):
            return result
        _check_interrupted(url, before)
        at = result
    raise LitePoseError(
        f"{url} redirects more than {limits.redirects} times; give the last address"
    )


def interrupt() -> None:
    """End all fetches in progress. May be called from a signal handler."""
    _interrupts[0] += 1
    for sock in list(_open):
        hang_up(sock)


def forget(sock: socket.socket) -> None:
    """Exclude a socket of `connect` from `interrupt`."""
    _open.discard(sock)


def _check_interrupted(url: str, before: int) -> None:
    if _interrupts[0] != before:
        raise LitePoseError(f"{url} was not read: interrupted")


def _get(url: str, deadline: float, limits: FetchLimits) -> bytes | str:
    """The body, or the address that the response redirects to."""
    connection, target = connect(url, deadline, limits.allow_private)
    sock = connection.sock
    # A socket's timeout starts again with each byte; only a watchdog ends a slow trickle.
    watchdog = threading.Timer(max(0.0, deadline - time.monotonic()), hang_up, [sock])
    watchdog.daemon = True
    watchdog.start()
    try:
        if isinstance(sock, ssl.SSLSocket):
            sock.do_handshake()
        connection.request("GET", target, headers={"User-Agent": "litepose", "Accept": "image/*"})
        response = connection.getresponse()
        place = response.getheader("Location")
        if response.status in REDIRECTS and place:
            return urljoin(url, place)
        refuse_unless_media(response, url, "image")
        return _read_body(response, url, deadline, limits)
    finally:
        watchdog.cancel()
        forget(sock)
        connection.close()


def refuse_unless_media(
    response: http.client.HTTPResponse, url: str, what: str, statuses: tuple[int, ...] = (200,)
) -> None:
    """Raise LitePoseError for other statuses and for a web page. what: the expected content."""
    if response.status not in statuses:
        raise LitePoseError(
            f"{url} answered {response.status} {response.reason}: no {what} to read"
        )
    kind = response.headers.get_content_type()
    if kind in ("text/html", "application/xhtml+xml"):
        raise LitePoseError(
            f"{url} answers with a web page ({kind}); give the address of the {what} itself"
        )


def _read_body(
    response: http.client.HTTPResponse, url: str, deadline: float, limits: FetchLimits
) -> bytes:
    expected = response.length  # None where the response is chunked or gives no length
    body = bytearray()
    while (expected or len(body)) <= limits.max_bytes:
        chunk = response.read1(_CHUNK)
        _check_deadline(url, deadline, limits)
        if not chunk:
            if expected is not None and len(body) < expected:
                raise LitePoseError(f"{url} broke off after {len(body):,} of {expected:,} bytes")
            return bytes(body)
        body += chunk
    raise LitePoseError(
        f"{url} is larger than the limit of {limits.max_bytes:,} bytes; raise ReadLimits.max_bytes"
        " if it is meant"
    )


def connect(
    url: str, deadline: float, allow_private: bool
) -> tuple[http.client.HTTPConnection, str]:
    """A connection to a checked address of the URL's host, and the request target."""
    parts = split_url(url)
    host, secure = parts.hostname, parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    if parts.scheme not in ("http", "https") or not host:
        raise LitePoseError(f"only http and https addresses are read; got {url!r}")
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(host, port)
    connection.sock = _checked_socket(host, port, deadline, allow_private)
    if secure:
        forget(connection.sock)  # the TLS socket replaces it
        connection.sock = ssl.create_default_context().wrap_socket(
            connection.sock, server_hostname=host, do_handshake_on_connect=False
        )
        _open.add(connection.sock)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return connection, quote(target, safe="/%:=&?~+!$,;'@()*[]")


def _checked_socket(host: str, port: int, deadline: float, allow_private: bool) -> socket.socket:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    for *_, place in found:
        if not (allow_private or _is_public(str(place[0]))):
            raise LitePoseError(
                f"{host} is at {place[0]}, a private address; if images may be read from there,"
                " set ReadLimits.allow_private (--allow-private on the command line)"
            )
    trouble: OSError | None = None
    for family, kind, protocol, _, place in found:
        sock = socket.socket(family, kind, protocol)
        sock.settimeout(max(0.001, deadline - time.monotonic()))
        _open.add(sock)
        try:
            sock.connect(place)
        except OSError as exc:
            forget(sock)
            sock.close()
            trouble = exc
        else:
            return sock
    raise trouble or OSError(f"{host} has no address")


def _is_public(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    address = getattr(address, "ipv4_mapped", None) or address
    if any(address in block for block in _NOT_ROUTED if block.version == address.version):
        return False
    if address.version == 6 and address not in _ROUTED:
        return False
    return address.is_global and not address.is_multicast


def hang_up(sock: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the server has already closed it
        sock.shutdown(socket.SHUT_RDWR)


def _check_deadline(url: str, deadline: float, limits: FetchLimits) -> None:
    if time.monotonic() >= deadline:
        raise LitePoseError(
            f"{url} was not read within {limits.seconds:g} seconds; raise ReadLimits.seconds or"
            " download it first"
        )
