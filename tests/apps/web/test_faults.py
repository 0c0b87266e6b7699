"""The HTTP API where something goes wrong on the server's side, or is meant to."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from tests.apps.web.test_server import IMAGE, Client

import litepose
from litepose.apps.cli.main import main
from litepose.apps.web.models import Models
from litepose.apps.web.server import ServerSettings
from litepose.core.errors import LitePoseError
from litepose.imaging.read import ReadLimits


class Broken:
    def predict(self, *_: Any, **__: Any) -> litepose.Poses:
        raise ZeroDivisionError("a mistake\nof two lines \x1b[2J")


def test_a_mistake_of_ours_is_a_500_with_one_line_in_the_log(capsys) -> None:
    client = Client({"usual": Broken()})
    answer = client.post("", IMAGE.read_bytes())
    assert answer.status_code == 500 and "mistake" in answer.json()["error"]
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    log = capsys.readouterr().err
    assert log.count("\n") == 1 and "ZeroDivisionError: a mistake of two lines" in log
    assert "\x1b" not in log
    assert 'litepose_requests_total{status="500"} 1.0' in client.get("/metrics").text
    assert "litepose_waiting 0.0" in client.get("/metrics").text, "its place is free again"


@pytest.mark.parametrize("kind", ["text/html", "application/json", "video/mp4", "image", "x" * 999])
def test_another_kind_of_body_is_refused_before_it_is_read(kind: str) -> None:
    answer = Client({}).post("", IMAGE.read_bytes(), headers={"content-type": kind})
    assert answer.status_code == 415 and "application/octet-stream" in answer.json()["error"]
    assert len(answer.text) < 400


def test_bodies_being_sent_share_one_limit() -> None:
    """Many large bodies at once do not fill the memory; what was refused is given back."""

    begun, all_begun = [], asyncio.Event()

    async def body() -> Any:
        begun.append(1)
        if len(begun) == 4:
            all_begun.set()
        yield bytes(600)
        await asyncio.wait_for(all_begun.wait(), 20)
        yield bytes(300)

    client = Client({"usual": Broken()}, max_bytes=1000, queue=0)
    posts = [("POST", "/v1/poses", {"content": body()}) for _ in range(4)]
    statuses = sorted(answer.status_code for answer in client.ask(*posts))
    assert statuses == [429, 429, 429, 500]
    assert client.post("", bytes(900)).status_code == 500, "room again"


def test_metrics_ask_for_the_token() -> None:
    client = Client({"usual": Broken()}, token="a secret word")
    assert client.get("/metrics").status_code == 401
    right = {"authorization": "Bearer a secret word"}
    assert client.get("/metrics", headers=right).status_code == 200
    assert client.get("/readyz").status_code == 200


def test_ready_means_that_the_default_model_is_open(monkeypatch) -> None:
    opened = threading.Event()

    def slowly(**_: Any) -> str:
        assert opened.wait(20)
        return "a predictor"

    monkeypatch.setattr("litepose.apps.web.models.open_predictor", slowly)
    models = Models(ReadLimits())
    client = Client(models)
    models.open_default()
    answer = client.get("/readyz")
    assert answer.status_code == 503 and "being opened" in answer.json()["error"]
    assert client.get("/healthz").status_code == 200
    opened.set()
    deadline = time.monotonic() + 20
    while client.get("/readyz").status_code != 200:
        assert time.monotonic() < deadline


def test_a_model_that_cannot_be_opened_is_said(monkeypatch) -> None:
    def never(**_: Any) -> None:
        raise LitePoseError("the weights are gone")

    monkeypatch.setattr("litepose.apps.web.models.open_predictor", never)
    client = Client(Models(ReadLimits()))
    answer = client.post("", IMAGE.read_bytes())
    assert answer.status_code == 503 and answer.json() == {"error": "the weights are gone"}
    assert client.get("/readyz").json() == {"error": "the weights are gone"}


def test_a_server_for_others_says_that_cameras_need_https(monkeypatch, capsys) -> None:
    monkeypatch.setattr("litepose.apps.web.listen.listen", lambda _, port: port.close())
    assert main(["serve", "--host", "0.0.0.0", "--port", "0", "--token", "a secret word"]) == 0
    assert "HTTPS" in capsys.readouterr().err
    assert main(["serve", "--port", "0"]) == 0
    assert "HTTPS" not in capsys.readouterr().err


def test_limits_of_a_server_are_checked() -> None:
    with pytest.raises(LitePoseError, match="above 0"):
        ServerSettings(max_bytes=0)
