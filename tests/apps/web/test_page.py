"""The page in headless Chromium, served by Python's file server and by `litepose serve`."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

import litepose
from litepose.apps.cli.main import main

ROOT = Path(__file__).parents[3]
IMAGES = ROOT / "examples/images"
RUNTIME = Path(os.environ.get("ONNXRUNTIME_WEB", ROOT / "node_modules/onnxruntime-web"))
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
RESULT = re.compile(r"^\d+ (person|people), \d+ ms\.$")
NO_GPU = "No available adapters."  # Chromium's own warning where WebGPU is asked for
WAIT = 60_000  # ms; the machine may be busy

sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
expect = sync_api.expect
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium"),
    pytest.mark.skipif(
        not RUNTIME.is_dir(),
        reason="needs `npm install --no-save onnxruntime-web@1.30` here, or ONNXRUNTIME_WEB",
    ),
]


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("web") / "out"
    assert (
        main(["export", "--format", "web", "--runtime", str(RUNTIME), "--output", str(folder)]) == 0
    )
    return folder


@contextmanager
def served(*command: str) -> Iterator[str]:
    """Run a server of this machine, give its address."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        port = None
        while port is None:
            line = process.stdout.readline()
            assert line, "the server ended"
            port = re.search(r"(?:port |:)(\d+)\b", line)
        yield f"http://127.0.0.1:{port[1]}/"
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(scope="module")
def plain(web: Path) -> Iterator[str]:
    with served("http.server", "0", "--bind", "127.0.0.1", "-d", str(web)) as address:
        yield address


@pytest.fixture(scope="module")
def both(web: Path) -> Iterator[str]:
    with served("litepose", "serve", "--port", "0", "--web", str(web)) as address:
        yield address


@pytest.fixture(scope="module")
def server_only() -> Iterator[str]:
    with served("litepose", "serve", "--port", "0") as address:
        yield address


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    clip = tmp_path_factory.mktemp("clip") / "clip.mjpeg"
    image = cv2.resize(cv2.imread(str(IMAGES / "astronaut.jpg")), (480, 480))
    frames = [np.roll(image, 2 * min(i, 20 - i), axis=1) for i in range(20)]
    clip.write_bytes(b"".join(cv2.imencode(".jpg", frame)[1].tobytes() for frame in frames))
    with sync_api.sync_playwright() as started:
        browser = started.chromium.launch(
            executable_path=CHROMIUM, args=[*FLAGS, f"--use-file-for-fake-video-capture={clip}"]
        )
        yield browser
        browser.close()


class Page:
    """A page that notes what goes wrong on it and whom it asks."""

    def __init__(self, context: Any) -> None:
        self.page = context.new_page()
        self.wrong: list[str] = []
        self.asked: set[str] = set()
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", lambda request: self.asked.add(request.url))

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning") and message.text != NO_GPU:
            self.wrong.append(message.text)

    def open(self, address: str, mode: str | None = None) -> None:
        self.page.goto(address)
        if mode is not None:
            self.page.select_option("#mode", mode)
        if mode != "server":
            self.says(r"^Ready: ")

    def says(self, text: str | re.Pattern[str]) -> str:
        message = self.page.locator("#message")
        expect(message).to_have_text(re.compile(text), timeout=WAIT)
        return str(message.text_content())

    def choose(self, name: str) -> None:
        self.page.set_input_files("#file", IMAGES / name)
        self.says(RESULT)

    def people(self) -> int:
        return int(self.page.locator("#people li").count())

    def slide(self, slider: str, value: float) -> None:
        self.page.locator(f"#{slider}").fill(str(value))

    def download(self, button: str) -> Path:
        with self.page.expect_download() as started:
            self.page.click(f"#save-{button}")
        return Path(started.value.path())


@pytest.fixture
def page(browser: Any) -> Iterator[Page]:
    context = browser.new_context()
    page = Page(context)
    yield page
    context.close()
    assert not page.wrong
    assert {urlsplit(url).hostname for url in page.asked if url.startswith("http")} <= {"127.0.0.1"}


@pytest.fixture(params=["browser", "server"])
def opened(page: Page, both: str, request: pytest.FixtureRequest) -> Page:
    page.open(both, request.param)
    return page


def test_an_image_in_either_mode(opened: Page) -> None:
    opened.choose("astronaut.jpg")
    assert opened.people() == 1
    stages = opened.page.locator("#stages").text_content()
    mode = opened.page.locator("#mode").input_value()
    for stage in ("resize", "network", "grouping") if mode == "browser" else ("server",):
        assert re.search(rf"{stage} \d+\.\d ms", stages)


def test_the_same_people_as_in_python(page: Page, plain: str) -> None:
    page.open(plain)
    page.page.select_option("#size", "384")
    for name in ("astronaut.jpg", "scene.jpg"):
        page.choose(name)
        ours = litepose.load(effort="fast", threads=1).predict(IMAGES / name)
        theirs = json.loads(page.download("json").read_text())
        assert theirs["image_wh"] == list(ours.image_wh)
        assert len(theirs["people"]) == len(ours)
        found = np.array([person["keypoints"] for person in theirs["people"]])
        sure = (found[..., 2] > 0.3) & (ours.scores > 0.3)
        apart = np.linalg.norm(found[..., :2] - ours.keypoints_xy, axis=2)[sure]
        assert np.median(apart) < 1.5, "a canvas resizes otherwise than OpenCV"


def test_the_newest_image_wins(page: Page, plain: str) -> None:
    page.open(plain)
    for name in ("scene.jpg", "scene.jpg", "astronaut.jpg"):
        page.page.set_input_files("#file", IMAGES / name)
    page.says("^1 person, ")
    page.page.wait_for_timeout(2000)
    assert page.people() == 1


def test_a_pasted_image(opened: Page) -> None:
    data = base64.b64encode((IMAGES / "astronaut.jpg").read_bytes()).decode()
    opened.page.evaluate(
        """(data) => {
        const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
        const given = new DataTransfer();
        given.items.add(new File([bytes], 'a.jpg', { type: 'image/jpeg' }));
        dispatchEvent(new ClipboardEvent('paste', { clipboardData: given }));
        }""",
        data,
    )
    opened.says(RESULT)
    assert opened.people() == 1


def test_the_camera_keeps_ids(opened: Page) -> None:
    opened.page.click("#camera")
    opened.says(RESULT)
    row = opened.page.locator("#people li")
    for _ in range(5):
        expect(row.first).to_have_text(re.compile("^id 1, score"), timeout=WAIT)
        opened.page.wait_for_timeout(300)
    opened.page.click("#camera")
    expect(opened.page.locator("#camera")).to_have_text("Camera")


def test_sliders_choose_without_another_request(opened: Page) -> None:
    opened.choose("scene.jpg")
    usual, asked = opened.people(), len(opened.asked)
    opened.slide("person", 1)
    assert opened.people() == 0
    opened.slide("person", 0)
    assert opened.people() >= usual > 5
    opened.slide("keypoint", 1)
    assert "elbow" not in opened.page.locator("#people").text_content()
    assert len(opened.asked) == asked


def test_downloads(opened: Page) -> None:
    opened.choose("astronaut.jpg")
    record = json.loads(opened.download("json").read_text())
    assert len(litepose.Poses.from_dict(record)) == 1
    coco = json.loads(opened.download("coco").read_text())
    poses = litepose.Poses.from_coco(coco, litepose.Poses.from_dict(record).skeleton)
    assert len(poses) == 1 and poses.keypoints_xy[0, 0] == pytest.approx(
        np.array(record["people"][0]["keypoints"][0][:2]), abs=0.01
    )
    drawn = cv2.imread(str(opened.download("image")))
    assert drawn.shape == cv2.imread(str(IMAGES / "astronaut.jpg")).shape


def test_a_heatmap_over_the_image(page: Page, plain: str) -> None:
    page.open(plain)
    page.choose("astronaut.jpg")
    before = page.download("image").read_bytes()
    page.page.check("#heat")
    assert page.download("image").read_bytes() != before


def test_what_is_no_image_is_a_sentence(page: Page, both: str, tmp_path: Path) -> None:
    text = tmp_path / "notes.jpg"
    text.write_text("no image")
    page.open(both, "browser")
    page.page.set_input_files("#file", text)
    page.says("not an image that the browser can read")
    page.page.select_option("#mode", "server")
    page.page.set_input_files("#file", text)
    page.says("image")
    expect(page.page.locator("#message")).to_have_class("error")
    assert len(page.wrong) == 1 and "422" in page.wrong.pop()  # Chromium's own line


def test_a_refused_camera_is_a_sentence(page: Page, plain: str) -> None:
    page.page.add_init_script(
        "navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error('no camera here'))"
    )
    page.open(plain)
    page.page.click("#camera")
    page.says("The camera cannot be used: no camera here")


def test_a_missing_model_is_a_sentence(page: Page, web: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(web, broken)
    (broken / "litepose-p.onnx").unlink()
    with served("http.server", "0", "--bind", "127.0.0.1", "-d", str(broken)) as address:
        page.page.goto(address)
        page.says(r"The model cannot be opened: litepose-p.onnx is not in this folder \(status 404")
    assert any("404" in page.wrong.pop() for _ in range(len(page.wrong)))


def test_a_plain_file_server_gives_one_thread_and_ours_several(
    page: Page, plain: str, both: str
) -> None:
    page.page.goto(plain)
    assert "1 thread." in page.says("^Ready: ")
    assert page.page.locator("#mode-row").is_hidden()
    page.page.goto(both)
    page.says("^Ready: ")
    assert page.page.evaluate("crossOriginIsolated")
    assert page.page.locator("#mode-row").is_visible()


def test_a_server_without_a_folder_finds_people_itself(page: Page, server_only: str) -> None:
    page.page.goto(server_only)
    expect(page.page.locator("#effort-row")).to_be_visible()
    assert page.page.locator("#mode-row").is_hidden()
    page.choose("astronaut.jpg")
    assert page.people() == 1


def test_offline_after_one_visit(page: Page, plain: str) -> None:
    page.open(plain)
    page.page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.page.context.set_offline(True)
    page.page.reload()
    page.says("^Ready: ")
    page.choose("astronaut.jpg")
    assert page.people() == 1


def test_it_fits_a_narrow_screen(page: Page, both: str) -> None:
    page.page.set_viewport_size({"width": 360, "height": 640})
    page.open(both, "browser")
    page.choose("scene.jpg")
    assert page.page.evaluate("document.documentElement.scrollWidth") <= 360
    for control in ("#camera", "#size", "#person", "#save-json"):
        box = page.page.locator(control).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 360
