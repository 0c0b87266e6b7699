"""A server that drops connections, gives wrong bytes or says no; archives that would escape."""

from __future__ import annotations

import contextlib
import hashlib
import io
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from litepose.core.errors import LitePoseError
from litepose.data import download as subject
from litepose.data.download import Archive, download, fetch_file, unzip
from litepose.data.layouts import find_dataset

BODY = np.random.default_rng(0).bytes(300_000)


class Server(ThreadingHTTPServer):
    """Serves `bodies`; each response ends after `at_most` bytes; `ranges` False ignores Range."""

    def __init__(self, bodies):
        super().__init__(("127.0.0.1", 0), Handler)
        self.bodies, self.at_most, self.ranges = bodies, 10**9, True
        self.requested: list[str] = []
        self.respond = None  # (handler, start): responds in another way
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        wanted = self.headers.get("Range", "bytes=0-")
        self.server.requested.append(wanted)
        body = self.server.bodies.get(self.path)
        if body is None:
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if self.server.ranges else 0
        if self.server.respond is not None:
            self.server.respond(self, start)
            return
        self.send_response(206 if self.server.ranges else 200)
        if self.server.ranges:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        self.wfile.write(body[start : start + self.server.at_most])
        self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    made = Server({"/a.zip": BODY})
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(subject.time, "sleep", lambda _: None)


def archive_of(server, name="a.zip", body=None, into=".") -> Archive:
    body = server.bodies[f"/{name}"] if body is None else body
    return Archive(f"{server.url}/{name}", len(body), hashlib.sha256(body).hexdigest(), into)


def test_a_download_resumes_where_the_connection_broke(server, tmp_path):
    server.at_most = 70_000
    progress = []
    path = fetch_file(archive_of(server), tmp_path / "a.zip", lambda *what: progress.append(what))
    assert path.read_bytes() == BODY and len(list(tmp_path.iterdir())) == 1
    assert server.requested == [f"bytes={i * 70_000}-" for i in range(5)]
    assert progress[-1] == ("checking a.zip", len(BODY), len(BODY))


def test_an_earlier_run_is_continued_and_a_finished_one_is_kept(server, tmp_path):
    (tmp_path / "a.zip.part").write_bytes(BODY[:123_456])
    fetch_file(archive_of(server), tmp_path / "a.zip")
    assert server.requested == ["bytes=123456-"]
    fetch_file(archive_of(server), tmp_path / "a.zip")
    assert len(server.requested) == 1 and (tmp_path / "a.zip").read_bytes() == BODY


def test_a_server_without_ranges_starts_again(server, tmp_path):
    server.ranges = False
    (tmp_path / "a.zip.part").write_bytes(b"x" * 1000)
    assert fetch_file(archive_of(server), tmp_path / "a.zip").read_bytes() == BODY


def test_a_server_that_gives_nothing_is_given_up_but_what_there_is_is_kept(server, tmp_path):
    server.at_most = 0
    (tmp_path / "a.zip.part").write_bytes(BODY[:5000])
    with pytest.raises(LitePoseError, match="5,000 of 300,000 bytes are kept"):
        fetch_file(archive_of(server), tmp_path / "a.zip", patience=3)
    assert len(server.requested) == 3
    assert (tmp_path / "a.zip.part").read_bytes() == BODY[:5000]


def test_wrong_bytes_are_deleted(server, tmp_path):
    wanted = archive_of(server, body=BODY[:-1] + b"!")
    with pytest.raises(LitePoseError, match="not what was expected"):
        fetch_file(wanted, tmp_path / "a.zip")
    assert not list(tmp_path.iterdir())


def test_a_missing_file_and_a_server_that_does_not_respond(server, tmp_path):
    with pytest.raises(LitePoseError, match="404"):
        fetch_file(Archive(f"{server.url}/no.zip", 5, ""), tmp_path / "a.zip")
    with pytest.raises(LitePoseError, match="cannot download"):
        fetch_file(Archive("http://127.0.0.1:9/a.zip", 5, ""), tmp_path / "a.zip", patience=2)


def test_a_full_disk_is_said_before_anything_is_written(server, tmp_path, monkeypatch):
    monkeypatch.setattr(subject.shutil, "disk_usage", lambda _: type("usage", (), {"free": 1000})())
    with pytest.raises(LitePoseError, match="GiB left"):
        fetch_file(archive_of(server), tmp_path / "a.zip")
    assert not server.requested and not list(tmp_path.iterdir())


def zipped(files, link=None) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
        if link:
            entry = zipfile.ZipInfo(link)
            entry.external_attr = 0o120777 << 16
            archive.writestr(entry, "/etc/passwd")
    return made.getvalue()


@pytest.mark.parametrize("name", ["../out.txt", "/out.txt", "a/../../out.txt", "C:/out.txt"])
def test_nothing_is_unpacked_outside_the_folder(tmp_path, name):
    path = tmp_path / "a.zip"
    path.write_bytes(zipped({"fine.txt": b"1", name: b"2"}))
    with pytest.raises(LitePoseError, match="outside their folder"):
        unzip(path, tmp_path / "in")
    assert [p.name for p in tmp_path.rglob("*")] == ["a.zip"]


def test_links_and_damaged_archives_are_refused(tmp_path):
    path = tmp_path / "a.zip"
    path.write_bytes(zipped({}, link="l"))
    with pytest.raises(LitePoseError, match="holds a link"):
        unzip(path, tmp_path / "in")
    whole = zipped({"a.txt": b"hello" * 100})
    path.write_bytes(whole.replace(b"hello", b"jelly", 1))
    with pytest.raises(LitePoseError, match="damaged archive"):
        unzip(path, tmp_path / "in")
    assert not (tmp_path / "in/a.txt").exists()
    path.write_bytes(whole[:40])
    with pytest.raises(LitePoseError, match="damaged archive"):
        unzip(path, tmp_path / "in")


def test_a_dataset_arrives_in_a_layout_that_is_found(server, tmp_path, monkeypatch, drawn_folder):
    name = "person_keypoints_train2017.json"
    labels = {f"annotations/{name}": (drawn_folder / "annotations" / name).read_bytes()}
    images = sorted((drawn_folder / "images/train2017").iterdir())
    server.bodies["/labels.zip"] = zipped(labels)
    server.bodies["/train2017.zip"] = zipped(
        {f"train2017/{image.name}": image.read_bytes() for image in images}
    )
    monkeypatch.setattr(subject, "COCO", {
        "annotations": archive_of(server, "labels.zip"),
        "train2017": archive_of(server, "train2017.zip", into="images"),
    })  # fmt: skip
    for _ in range(2):  # the second time there is nothing left to do
        download("coco", tmp_path, splits=("train2017",))
    assert len(server.requested) == 2 and not list(tmp_path.glob("*.zip"))
    dataset = find_dataset(tmp_path, "train2017")
    assert len(dataset) == 12 and dataset[3].image.shape == (64, 96, 3)


def test_unknown_datasets_and_crowdpose_are_said(tmp_path):
    with pytest.raises(LitePoseError, match="Google Drive"):
        download("crowdpose", tmp_path)
    for name, splits in (("coc", ("val2017",)), ("coco", ("test",)), ("coco", ("annotations",))):
        with pytest.raises(LitePoseError, match="there are coco"):
            download(name, tmp_path, splits)


def responding(status: int, body: bytes = b"", **headers: str):
    def respond(handler, start):
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)
        handler.close_connection = True

    return respond


@pytest.mark.parametrize(
    ("respond", "says"),
    [
        (responding(200, b"<html>log in", Content_Type="text/html"), "web page.*login"),
        (responding(200, b"short", Content_Length="5"), "5 bytes, not the 300,000"),
        (responding(206, b"short", Content_Range="bytes 5000-5004/7000"), "7000 bytes, not"),
        (responding(206, BODY, Content_Range="bytes 0-299999/300000"), "another part.*5,000 of"),
        (responding(206, BODY), "another part.*which"),
        (responding(416), "416.*5,000 of 300,000 bytes are kept"),
        (responding(302, Location="http://[bad"), "5,000 of 300,000 bytes are kept"),
        (responding(302, Location="file:///etc/passwd"), "5,000 of 300,000 bytes are kept"),
        (responding(200, BODY[:3000]), "ended early.*5,000 of 300,000 bytes are kept"),
    ],
)
def test_kept_bytes_survive_a_bad_response(server, tmp_path, respond, says):
    server.respond = respond
    (tmp_path / "a.zip.part").write_bytes(BODY[:5000])
    with pytest.raises(LitePoseError, match=says):
        fetch_file(archive_of(server), tmp_path / "a.zip", patience=2)
    assert len(server.requested) <= 2
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip.part"]
    assert (tmp_path / "a.zip.part").read_bytes() == BODY[:5000]


def test_a_server_without_ranges_that_breaks_off_is_given_up(server, tmp_path):
    server.ranges, server.at_most = False, 70_000
    with pytest.raises(LitePoseError, match="70,000 of 300,000 bytes are kept"):
        fetch_file(archive_of(server), tmp_path / "a.zip", patience=3)
    assert len(server.requested) == 4


def test_a_server_that_drips_is_given_up(server, tmp_path):
    server.at_most = 10
    with pytest.raises(LitePoseError, match="30 of 300,000 bytes are kept"):
        fetch_file(archive_of(server), tmp_path / "a.zip", patience=3)


@pytest.mark.slow
@pytest.mark.parametrize("header", [True, False])
def test_a_connection_that_drips_is_given_up(server, tmp_path, monkeypatch, header):
    """Each byte comes before the timeout of the socket, also within the header."""
    monkeypatch.setattr(subject, "_SECONDS", 0.5)
    monkeypatch.setattr(subject, "_SLOW_SECONDS", 0.5)

    left = threading.Event()

    def drip(handler, start):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + (b"" if header else b"A: b\r\n\r\n"))
        with contextlib.suppress(OSError):
            for _ in range(200):
                handler.wfile.write(b"x")
                left.wait(0.1)  # `sleep` waits for nothing here

    server.respond = drip
    says = "cannot download" if header else r"bytes in 0\.5 s"
    with pytest.raises(LitePoseError, match=says):
        fetch_file(archive_of(server), tmp_path / "a.zip", patience=2)
    assert len(server.requested) == 2


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED])
def test_damage_in_every_compression_is_a_sentence(tmp_path, method):
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as archive:
        archive.writestr("a.txt", BODY[:2000])
    whole = bytearray(made.getvalue())
    for at in range(30, 400, 23):
        path = tmp_path / "a.zip"
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
        with contextlib.suppress(LitePoseError):
            unzip(path, tmp_path / "in")
