"""The HTTP API: people as the command line gives them, and a sentence for every bad request."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path
from typing import Any

import httpx
import pytest

import litepose
from litepose.apps.cli.main import main
from litepose.apps.web.listen import open_port
from litepose.apps.web.models import Models
from litepose.apps.web.server import ServerSettings, make_app, page_files
from litepose.core.errors import LitePoseError
from litepose.imaging.read import ReadLimits
from litepose.inference.predictor import divided

IMAGE = Path(__file__).parents[3] / "examples/images/astronaut.jpg"
JPEG = {"content-type": "image/jpeg"}


@pytest.fixture(scope="module")
def model() -> litepose.Predictor:
    return litepose.load(effort="fast", threads=1)


class Client:
    """Requests to an application in this process, several at once where wanted."""

    def __init__(self, models: Any, **settings: Any) -> None:
        divide = settings.pop("divide", divided)
        if not isinstance(models, Models):
            models = Models(ReadLimits(), models)
        self.app = make_app(ServerSettings(**settings), models, divide)

    def ask(self, *requests: tuple[str, str, dict[str, Any]]) -> list[httpx.Response]:
        async def run() -> list[httpx.Response]:
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await asyncio.gather(*(client.request(m, p, **k) for m, p, k in requests))

        return asyncio.run(run())

    def post(self, query: str = "", content: Any = b"", **more: Any) -> httpx.Response:
        return self.ask(("POST", f"/v1/poses{query}", {"content": content, **more}))[0]

    def get(self, path: str, **more: Any) -> httpx.Response:
        return self.ask(("GET", path, more))[0]


@pytest.fixture(scope="module")
def client(model: litepose.Predictor) -> Client:
    return Client({"fast": model, "usual": model})


def test_people_are_those_of_the_predictor(client: Client, model: litepose.Predictor) -> None:
    expected = json.loads(json.dumps(model.predict(IMAGE).to_dict()))
    raw = client.post("?effort=fast", IMAGE.read_bytes(), headers=JPEG)
    form = client.post(
        "?effort=fast", None, files={"file": ("../../etc/a.jpg", IMAGE.read_bytes())}
    )
    assert raw.status_code == form.status_code == 200
    assert raw.json() == form.json() == expected and len(raw.json()["people"]) == 1


@pytest.mark.slow
def test_a_threshold_and_a_drawn_image(client: Client) -> None:
    assert client.post("?threshold=1", IMAGE.read_bytes()).json()["people"] == []
    drawn = client.post("?format=image&flip_test=true", IMAGE.read_bytes())
    assert drawn.headers["content-type"] == "image/jpeg" and drawn.content[:2] == b"\xff\xd8"
    assert len(drawn.content) > 20_000


def _huge_png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + kind + data + check

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(100_000))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    ("query", "content", "status", "said"),
    [
        ("", b"", 400, "no image"),
        ("", b"not an image at all", 422, "is not a JPEG"),
        ("", IMAGE.read_bytes()[:300], 422, ""),
        ("", _huge_png(), 422, "pixels"),
        ("?threshold=nan", b"x", 422, r"must be in [0, 1]; got 'nan'"),
        ("?threshold=2", b"x", 422, "got '2'"),
        ("?effort=bset", b"x", 422, "fast, usual, best"),
        ("?format=gif", b"x", 422, "json or image"),
        ("?flip_test=perhaps", b"x", 422, "true or false"),
        ("?treshold=0.3", b"x", 422, "did you mean 'threshold'?"),
    ],
)
def test_bad_requests_are_sentences(client: Client, query, content, status, said) -> None:
    answer = client.post(query, content)
    assert answer.status_code == status and said in answer.json()["error"]
    assert "Traceback" not in answer.text


def test_forms_that_are_none(client: Client) -> None:
    kind = {"content-type": "multipart/form-data; boundary=x"}
    assert "cannot be read" in client.post("", b"--y broken", headers=kind).json()["error"]
    kind = {"content-type": "multipart/form-data"}
    assert client.post("", b"--y broken", headers=kind).status_code == 400
    kind = {"content-type": "Multipart/Form-Data; boundary=x"}
    assert "cannot be read" in client.post("", b"--y broken", headers=kind).json()["error"]
    other = client.post("", None, files={"picture": ("a.jpg", b"x")})
    assert other.status_code == 400 and "no field `file`" in other.json()["error"]


def test_a_body_too_large_is_refused_while_it_comes(model: litepose.Predictor) -> None:
    sent = []

    async def endless() -> Any:
        for _ in range(1000):
            sent.append(1)
            yield bytes(1000)

    answer = Client({"usual": model}, max_bytes=5000).post("", endless())
    assert answer.status_code == 413 and "0.005 MB" in answer.json()["error"] and len(sent) < 10


def test_a_body_too_slow_is_given_up(model: litepose.Predictor) -> None:
    async def slow() -> Any:
        yield b"a"
        await asyncio.sleep(30)

    answer = Client({"usual": model}, body_seconds=0.05).post("", slow())
    assert answer.status_code == 408


class Slow:
    """A model whose predictions wait until it is told."""

    def __init__(self, model: litepose.Predictor) -> None:
        self.model, self.go = model, threading.Event()

    def predict(self, *args: Any, **how: Any) -> litepose.Poses:
        assert self.go.wait(20)
        return self.model.predict(*args, **how)


@pytest.mark.slow
def test_a_full_queue_says_to_come_back_and_loses_nothing(model: litepose.Predictor) -> None:
    slow = Slow(model)
    client = Client({"usual": slow}, queue=2, divide=lambda model: (model, 1))
    threading.Timer(0.5, slow.go.set).start()
    post = ("POST", "/v1/poses", {"content": IMAGE.read_bytes()})
    answers = client.ask(*[post] * 8)
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [200] * 3 + [429] * 5
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.headers["retry-after"] == "1" and "waiting" in refused.json()["error"]
    assert client.post("", IMAGE.read_bytes()).status_code == 200, "room again"


def test_a_token_is_asked_for_where_there_is_one(model: litepose.Predictor) -> None:
    client = Client({"usual": model}, token="a secret word")
    assert client.post("", IMAGE.read_bytes()).status_code == 401
    assert client.get("/v1/models", headers={"authorization": "Bearer wrong"}).status_code == 401
    right = {"authorization": "Bearer a secret word"}
    assert client.post("", IMAGE.read_bytes(), headers=right).status_code == 200
    assert client.get("/healthz").status_code == 200
    for wrong in ("short", "žluťoučký", "a secret word\n", " secrets"):
        with pytest.raises(LitePoseError, match="8 characters"):
            ServerSettings(token=wrong)


def test_health_models_metrics_and_openapi(client: Client) -> None:
    client.post("?effort=none", b"x")
    assert client.get("/healthz").json() == client.get("/readyz").json() == {"status": "ok"}
    assert client.get("/v1/models").json()["efforts"]["fast"] == "litepose-pm"
    assert 'litepose_requests_total{status="422"}' in client.get("/metrics").text
    assert "/v1/poses" in client.get("/openapi.json").json()["paths"]
    nothing = client.get("/v1/nothing")
    assert nothing.status_code == 404 and nothing.json() == {"error": "Not Found"}


@pytest.mark.parametrize("path", page_files(None))
def test_the_page_asks_nobody_else(client: Client, path: str) -> None:
    answer = client.get(path)
    text = answer.text.replace("http://www.w3.org/2000/svg", "")  # a name, not an address
    assert answer.status_code == 200 and "http://" not in text and "https://" not in text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cross-origin-embedder-policy"] == "require-corp"


def test_the_settings_name_the_server(client: Client) -> None:
    settings = client.get("/settings.json").json()
    assert settings["server"]["skeleton"]["name"] == "coco17" and "model" not in settings


def test_a_host_beyond_this_machine_needs_a_token(capsys) -> None:
    assert main(["serve", "--host", "0.0.0.0"]) == 2
    assert "give --token" in capsys.readouterr().err


def test_the_missing_extra_is_named(monkeypatch, capsys) -> None:
    monkeypatch.setattr("litepose.core.packages.find_spec", lambda _: None)
    assert main(["serve"]) == 2
    assert "pip install 'litepose[serve]'" in capsys.readouterr().err


def _a_slow_second_header(port: int) -> None:
    """Drips a header on a connection that has had an answer: it is closed, not waited for."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as kept:
        kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = b""
        while b'"ok"}' not in answer:
            answer += kept.recv(4096)
        with pytest.raises(OSError):
            for _ in range(200):
                kept.sendall(b"G")
                time.sleep(0.05)


@pytest.mark.slow
def test_a_started_server_answers_closes_idle_connections_and_ends(monkeypatch) -> None:
    """In a process of its own: its port is busy for others, and a silent connection is closed."""
    program = (
        "import litepose.apps.web.listen as listen, sys; listen.HEADER_SECONDS = 0.5;"
        "from litepose.apps.cli.main import main; sys.exit(main(['serve', '--port', '0']))"
    )
    server = subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE, text=True)
    try:
        assert server.stderr is not None
        url = server.stderr.readline().split()[0]
        port = int(url.rpartition(":")[2])
        assert httpx.get(f"{url}/healthz", timeout=20).json() == {"status": "ok"}
        with socket.create_connection(("127.0.0.1", port), timeout=20) as silent:
            assert silent.recv(1) == b"", "closed"
        _a_slow_second_header(port)
        with pytest.raises(LitePoseError, match=f"cannot listen on 127.0.0.1 port {port}: "):
            open_port("127.0.0.1", port)
        server.send_signal(signal.SIGINT)
        assert server.wait(20) in (0, 130)
        assert "Traceback" not in server.stderr.read()
    finally:
        server.kill()
        server.wait()
        server.stderr.close()
