"""The page with the camera and clips: ids, smoothing, and what cannot be played."""

from __future__ import annotations

import json
import re
import wave
from pathlib import Path

import cv2
import numpy as np
import pytest
from tests.apps.web.conftest import IMAGES, IN_A_BROWSER, RESULT, WAIT, Page, expect

import litepose
from litepose.video import VideoWriter

pytestmark = IN_A_BROWSER
KEYFRAME = b"\x9d\x01\x2a"  # begins the header of each of VP8


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of the astronaut moving."""
    path = tmp_path_factory.mktemp("clips") / "astronaut.webm"
    image = cv2.resize(cv2.imread(str(IMAGES / "astronaut.jpg")), (320, 320))[..., ::-1]
    with VideoWriter(path, (320, 320), 10) as writer:
        for i in range(20):
            writer.write(np.roll(image, i // 2, axis=1), i / 10)  # slow: few frames are seen
    return path


def test_the_camera_keeps_ids(opened: Page) -> None:
    opened.page.click("#camera")
    opened.says(RESULT)
    row = opened.page.locator("#people li")
    for _ in range(5):
        expect(row.first).to_have_text(re.compile("^id 1, score"), timeout=WAIT)
        opened.page.wait_for_timeout(300)
    opened.page.click("#camera")
    expect(opened.page.locator("#camera")).to_have_text("Camera")


def test_a_refused_camera_is_a_sentence(page: Page, plain: str) -> None:
    page.page.add_init_script(
        "navigator.mediaDevices.getUserMedia = () => Promise.reject(new Error('no camera here'))"
    )
    page.open(plain)
    page.page.click("#camera")
    page.says("The camera cannot be used: no camera here")


def test_a_clip_is_played_to_its_end(opened: Page, clip: Path) -> None:
    opened.choose("astronaut.jpg")  # opens the model: a second without answers would cost the id
    opened.page.set_input_files("#file", clip)
    opened.says(r"^1 person, \d+ ms\. The clip has ended\.$")
    expect(opened.page.locator("#people li").first).to_have_text(re.compile("^id 1, score"))
    record = json.loads(opened.download("json").read_text())
    assert record["image_wh"] == [320, 320] and len(litepose.Poses.from_dict(record)) == 1
    expect(opened.page.locator("#camera")).to_have_text("Camera")
    opened.page.click("#again")
    opened.says("^(Opening|1 person, \\d+ ms\\.$)")
    opened.says("The clip has ended")


def test_a_clip_is_stopped(page: Page, plain: str, clip: Path) -> None:
    page.open(plain)
    page.page.set_input_files("#file", clip)
    expect(page.page.locator("#camera")).to_have_text("Stop", timeout=WAIT)
    page.page.click("#camera")
    expect(page.page.locator("#camera")).to_have_text("Camera")
    page.choose("astronaut.jpg")
    assert page.people() == 1 and page.page.locator("#again").is_hidden()


def test_a_clip_that_cannot_be_played_is_a_sentence(page: Page, plain: str, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(bytes(5000))
    page.open(plain)
    page.page.set_input_files("#file", broken)
    page.says("^This browser cannot play the clip")
    page.choose("astronaut.jpg")
    assert page.people() == 1


def test_a_clip_that_breaks_off_is_a_sentence(page: Page, plain: str, clip: Path) -> None:
    data = clip.read_bytes()
    broken = clip.with_name("broken.webm")
    half = data.index(KEYFRAME, len(data) // 2)
    broken.write_bytes(data[:half] + data[half:].replace(KEYFRAME, bytes(3)))
    page.open(plain)
    page.page.set_input_files("#file", broken)
    page.says(r"^The clip is broken after \d\.\d s\.$")
    expect(page.page.locator("#camera")).to_have_text("Camera")


def test_a_clip_of_sound_alone_is_a_sentence(page: Page, plain: str, tmp_path: Path) -> None:
    sound = tmp_path / "sound.webm"
    with wave.open(str(sound), "wb") as file:
        file.setparams((1, 2, 8000, 8000, "NONE", ""))
        file.writeframes(bytes(16000))
    page.open(plain)
    page.page.set_input_files("#file", sound)
    page.says("^This clip has sound but no images")


def test_a_clip_whose_server_is_gone_says_so(page: Page, both: str, clip: Path) -> None:
    # route() does not see what a page with a service worker asks for.
    page.page.add_init_script("delete Navigator.prototype.serviceWorker")
    page.open(both, "server")
    page.page.route("**/v1/poses*", lambda route: route.abort())
    page.page.set_input_files("#file", clip)
    page.says("^the server cannot be reached$")
    expect(page.page.locator("#camera")).to_have_text("Camera", timeout=WAIT)
    page.says("^the server cannot be reached$")
    while page.wrong:
        assert "ERR_FAILED" in page.wrong.pop()  # Chromium's own lines


def test_video_is_smoothed_unless_switched_off(page: Page, plain: str, clip: Path) -> None:
    page.open(plain)
    page.page.set_input_files("#file", clip)
    page.says("The clip has ended")
    smooth = json.loads(page.download("json").read_text())
    page.page.uncheck("#smooth")
    page.page.click("#again")
    page.says("^Opening|ms\\.$")
    page.says("The clip has ended")
    plain_ones = json.loads(page.download("json").read_text())
    assert smooth["people"][0]["keypoints"] != plain_ones["people"][0]["keypoints"]
