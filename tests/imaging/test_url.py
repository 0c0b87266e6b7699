"""Images from the web: what is followed, and everything that is refused."""

from __future__ import annotations

import io
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from litepose.core.errors import LitePoseError
from litepose.imaging import url as fetch_module
from litepose.imaging.read import ReadLimits, read_image

LOCAL = ReadLimits(allow_private=True, seconds=5.0)


def png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (5, 3), "red").save(file, "PNG")
    return file.getvalue()


class Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        name, _, number = self.path.strip("/").partition("/")
        getattr(self, f"serve_{name}")(number)

    def send(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def serve_image(self, _: str) -> None:
        self.send(200, png(), Content_Type="image/png", Content_Length=str(len(png())))

    def serve_unsized(self, _: str) -> None:
        self.send(200, png())

    def serve_gone(self, _: str) -> None:
        self.send(404)

    def serve_part(self, _: str) -> None:
        self.send(206, png(), Content_Type="image/png", Content_Length=str(len(png())))

    def serve_page(self, _: str) -> None:
        self.send(200, b"<html>", Content_Type="text/html; charset=utf-8")

    def serve_words(self, _: str) -> None:
        self.send(200, b"only words", Content_Type="image/png")

    def serve_hop(self, number: str) -> None:
        left = int(number) - 1
        self.send(302, Location=f"/hop/{left}" if left else "/image")

    def serve_loop(self, _: str) -> None:
        self.send(301, Location="/loop")

    def serve_file(self, _: str) -> None:
        self.send(302, Location="file:///etc/hostname")

    def serve_odd(self, _: str) -> None:
        self.send(302, Location="http://[::odd/")

    def serve_broken(self, _: str) -> None:
        self.send(200, png()[:20], Content_Length=str(len(png())))

    def serve_large(self, _: str) -> None:
        self.send(200, bytes(3000), Content_Length="3000")

    def serve_large_unsized(self, _: str) -> None:
        self.send(200, bytes(3000))

    def serve_dripping(self, _: str) -> None:
        self.send(200)
        self.drip()

    def serve_dripping_header(self, _: str) -> None:
        self.wfile.write(b"HTTP/1.0 200 OK\r\nX: ")
        self.drip()

    def drip(self) -> None:
        try:
            for _ in range(100):
                self.wfile.write(b".")
                time.sleep(0.05)
        except OSError:
            pass

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    web = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    web.daemon_threads = True
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{web.server_port}"
    web.shutdown()
    thread.join()
    web.server_close()


@pytest.mark.parametrize("page", ["image", "unsized", "hop/5", "image?a=b c&d=é"])
def test_images_are_read(server: str, page: str) -> None:
    image = read_image(f"{server}/{page}".replace("image?", "image/?"), LOCAL)
    assert image.shape == (3, 5, 3) and (image == (255, 0, 0)).all()


@pytest.mark.parametrize(
    ("page", "says"),
    [
        ("gone", "answered 404 Not Found"),
        ("part", "answered 206 Partial Content: no image"),  # no part was requested
        ("page", "web page"),
        ("words", "is not a JPEG.*only words"),
        ("hop/6", "redirects more than 5 times"),
        ("loop", "redirects more than 5 times"),
        ("file", "only http and https.*file:///etc/hostname"),
        ("odd", "cannot read .*/odd: Invalid IPv6"),
        ("broken", "broke off after 20 of"),
        ("large", "limit of 2,000 bytes"),
        ("large_unsized", "limit of 2,000 bytes"),
    ],
)
def test_responses_that_are_refused(server: str, page: str, says: str) -> None:
    limits = ReadLimits(allow_private=True, max_bytes=2000)
    with pytest.raises(LitePoseError, match=says):
        read_image(f"{server}/{page}", limits)


@pytest.mark.parametrize("host", ["a" * 70 + ".example", "a..example", ".example", "[::odd"])
def test_a_host_that_cannot_be_is_a_sentence(host: str) -> None:
    with pytest.raises(LitePoseError, match=r"example|odd"):
        read_image(f"http://{host}/image", LOCAL)


@pytest.mark.parametrize("page", ["dripping", "dripping_header"])
def test_a_server_that_never_ends_is_cut(server: str, page: str) -> None:
    began = time.monotonic()
    with pytest.raises(LitePoseError, match=r"not read within 0\.2 seconds"):
        read_image(f"{server}/{page}", ReadLimits(allow_private=True, seconds=0.2))
    assert time.monotonic() - began < 2


def test_private_addresses_are_refused(server: str) -> None:
    with pytest.raises(LitePoseError, match=r"127\.0\.0\.1.*allow_private"):
        read_image(f"{server}/image")


def test_a_redirect_to_a_private_address_is_refused(server: str, monkeypatch) -> None:
    port = int(server.rpartition(":")[2])
    resolved = []

    def lookup(host: str, port_: int, **_: object) -> list:
        resolved.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port_))]

    monkeypatch.setattr(fetch_module.socket, "getaddrinfo", lookup)
    monkeypatch.setattr(fetch_module, "_is_public", lambda address: address == "127.0.0.1")
    monkeypatch.setattr(
        Pages, "serve_loop", lambda self, _: self.send(302, Location="http://10.0.0.7/x")
    )
    with pytest.raises(LitePoseError, match=r"10\.0\.0\.7.*private"):
        read_image(f"http://127.0.0.1:{port}/loop")
    assert resolved == ["127.0.0.1", "10.0.0.7"]


def test_the_checked_address_is_the_one_connected_to(server: str, monkeypatch) -> None:
    """A name that addresses differently at its second look-up is looked up once."""
    port = int(server.rpartition(":")[2])
    addresses = iter(["127.0.0.1"])

    def lookup(host: str, port_: int, **_: object) -> list:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(addresses), port_))]

    monkeypatch.setattr(fetch_module.socket, "getaddrinfo", lookup)
    assert read_image(f"http://images.example:{port}/image", LOCAL).shape == (3, 5, 3)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("192.168.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("240.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("2002:7f00:1::", False),
        ("64:ff9b::7f00:1", False),
        ("64:ff9b:1::7f00:1", False),
        ("fec0::1", False),
        ("::7f00:1", False),  # IPv4-compatible
        ("::ffff:0:7f00:1", False),  # IPv4-translated
        ("::", False),
        ("4000::1", False),  # not given out to anyone
        ("5f00::1", False),
        ("fe00::1", False),
        ("ff0e::1", False),
        ("2001::7f00:1", False),
        ("2001:db8::1", False),
        ("3fff::1", False),
        ("192.88.99.1", False),
        ("198.18.0.1", False),
        ("2a00:1450::1", True),
        ("3ffe::1", True),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert fetch_module._is_public(address) is public


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("ftp://example.org/x.jpg", "only http and https"),
        ("file:///etc/passwd", "only http and https"),
        ("http://", "only http and https"),
        ("http://[::1", "not an address"),
        ("http://host:99999/x", "not an address"),
    ],
)
def test_odd_addresses(url: str, says: str) -> None:
    with pytest.raises(LitePoseError, match=says):
        read_image(url)


def test_a_server_that_is_not_there() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(LitePoseError, match="cannot read http://127"):
            read_image(f"http://127.0.0.1:{port}/x.jpg", LOCAL)


def test_pixels_of_the_serve_are_limited_too(server: str) -> None:
    with pytest.raises(LitePoseError, match="limit of 10"):
        read_image(f"{server}/image", ReadLimits(allow_private=True, max_pixels=10))
    assert np.array_equal(read_image(f"{server}/image", LOCAL)[0, 0], (255, 0, 0))
