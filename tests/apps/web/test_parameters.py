"""Models and addresses that requests name, and what /openapi.json promises."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.apps.web.test_server import IMAGE, Client

import litepose
from litepose.apps.cli.main import main
from litepose.apps.cli.serve import _own_models
from litepose.apps.web import body
from litepose.apps.web.models import Models
from litepose.apps.web.openapi import STATUSES
from litepose.core.errors import LitePoseError
from litepose.imaging import url as url_module
from litepose.imaging.read import ReadLimits

ROOT = Path(__file__).parents[3]
P = ROOT / "src/litepose/weights/litepose_p_coco17.onnx"
JPEG = {"content-type": "image/jpeg"}


@pytest.fixture(scope="module")
def model() -> litepose.Predictor:
    return litepose.load("p", input_size=256, threads=1)


@pytest.fixture(scope="module")
def client(model: litepose.Predictor) -> Client:
    return Client(Models(ReadLimits(), {"usual": model, "model litepose-p": model}, {"own": model}))


def test_models_of_the_package_and_offered_ones(client: Client) -> None:
    listed = client.get("/v1/models").json()["models"]
    assert set(listed) == {"litepose-p", "litepose-pm", "own"}
    assert listed["own"]["input_size"] == 256 and listed["litepose-pm"]["views"] == [256, 512]
    assert listed["litepose-p"]["license"] and len(listed["litepose-p"]["keypoints"]) == 17
    for name in ("own", "litepose-p"):
        answer = client.post(f"?model={name}", IMAGE.read_bytes(), headers=JPEG)
        assert answer.status_code == 200 and len(answer.json()["people"]) == 1


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("?model=litepose-q", "did you mean 'litepose-p'"),
        ("?model=usual", "no model 'usual'"),
        ("?model=own&effort=fast", "not both"),
        ("?effort=own", "effort is fast, usual, best; got 'own'"),
    ],
)
def test_models_that_are_not_there(client: Client, query: str, says: str) -> None:
    answer = client.post(query, IMAGE.read_bytes(), headers=JPEG)
    assert answer.status_code == 422 and says in answer.json()["error"]


def test_files_are_offered_by_their_name() -> None:
    assert set(_own_models([str(P)], ReadLimits())) == {"litepose_p_coco17"}
    with pytest.raises(LitePoseError, match="two models are called litepose_p_coco17"):
        _own_models([str(P), str(P)], ReadLimits())


def test_a_file_that_is_no_model_ends_the_command(tmp_path: Path, capsys) -> None:
    (tmp_path / "x.onnx").write_bytes(b"no model")
    assert main(["serve", "--port", "0", "--model", str(tmp_path / "x.onnx")]) == 2
    assert "x.onnx" in capsys.readouterr().err


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def web(monkeypatch) -> Iterator[str]:
    """A server of images, at an address that counts as public."""
    monkeypatch.setattr(url_module, "_is_public", lambda address: address == "127.0.0.1")
    handler = partial(_Quiet, directory=IMAGE.parent)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def fetching(model: litepose.Predictor) -> Client:
    return Client({"usual": model}, urls=True)


def test_an_image_at_an_address(fetching: Client, web: str) -> None:
    found = fetching.post(f"?url={web}/{IMAGE.name}")
    assert found.status_code == 200
    assert found.json() == fetching.post("", IMAGE.read_bytes(), headers=JPEG).json()


def test_addresses_that_are_refused(fetching: Client, client: Client, web: str) -> None:
    def answer(client: Client, url: str) -> tuple[int, str]:
        response = client.post(f"?url={url}")
        return response.status_code, response.json()["error"]

    assert answer(client, f"{web}/a.jpg") == (403, STATUSES[403])
    for path in ("file:///etc/passwd", "/etc/passwd", "ftp://a/b.jpg", ""):
        status, says = answer(fetching, path)
        assert status == 422 and "http://" in says
    status, says = answer(fetching, f"{web}/none.jpg")
    assert status == 502 and "404" in says
    assert answer(fetching, f"{web}/notes.txt")[0] == 502


def test_private_addresses_are_refused(fetching: Client) -> None:
    answer = fetching.post("?url=http://127.0.0.1:9/a.jpg")
    assert answer.status_code == 502 and "private address" in answer.json()["error"]


@pytest.mark.slow
def test_few_images_are_fetched_at_once(model, monkeypatch) -> None:
    go = threading.Event()

    def slowly(*_: object) -> bytes:
        assert go.wait(20)
        return IMAGE.read_bytes()

    monkeypatch.setattr(body, "fetch", slowly)
    client = Client({"usual": model}, urls=True)
    threading.Timer(0.5, go.set).start()
    one = ("POST", "/v1/poses?url=http://example.org/a.jpg", {})
    statuses = sorted(answer.status_code for answer in client.ask(*[one] * (body.FETCHES + 3)))
    assert statuses == [200] * body.FETCHES + [429] * 3


@pytest.mark.slow
def test_openapi_is_true(client: Client) -> None:
    spec = client.get("/openapi.json").json()["paths"]["/v1/poses"]["post"]
    example = spec["responses"]["200"]["content"]["application/json"]["example"]
    schema = json.loads((ROOT / "docs/poses.schema.json").read_text())
    jsonschema.validate(example, schema)
    assert len(litepose.Poses.from_dict(example)) == 1
    for parameter in spec["parameters"]:  # each example is taken as it is
        if parameter["name"] not in ("url", "model"):
            value = str(parameter["example"]).lower()
            answer = client.post(f"?{parameter['name']}={value}", b"x", headers=JPEG)
            assert answer.status_code == 422 and "image" in answer.json()["error"]
    documented = {int(status) for status in spec["responses"]}
    given = {
        int(status)
        for file in (ROOT / "src/litepose/apps/web").glob("*.py")
        for status in re.findall(r"RefusedError\(\s*(\d{3})", file.read_text())
    }
    assert given <= documented and documented - given <= {200}
