"""The page in headless Chromium, served by Python's file server and by `litepose serve`."""

from __future__ import annotations

import importlib.util
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
RESULT = re.compile(r"^\d+ (person|people), \d+ ms\.")
NO_GPU = "No available adapters."  # Chromium's own warning where WebGPU is asked for
WAIT = 60_000  # ms; the machine may be busy
IN_A_BROWSER = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("playwright") is None, reason="needs playwright"),
    pytest.mark.skipif(CHROMIUM is None, reason="needs chromium"),
    pytest.mark.skipif(
        not RUNTIME.is_dir(),
        reason="needs `npm install --no-save onnxruntime-web@1.30` here, or ONNXRUNTIME_WEB",
    ),
]


def expect(locator: Any) -> Any:
    """Playwright's, imported where a test needs it."""
    from playwright.sync_api import expect

    return expect(locator)


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
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
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
