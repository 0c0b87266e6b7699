"""The page with images: in the browser and on the server, served in two ways."""

from __future__ import annotations

import base64
import json
import re
import shutil
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest
from tests.apps.web.conftest import IMAGES, IN_A_BROWSER, RESULT, Page, expect, served

import litepose

pytestmark = IN_A_BROWSER


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
        ours = litepose.load("p", threads=1).predict(IMAGES / name)
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


def test_sliders_choose_without_another_request(opened: Page) -> None:
    opened.choose("scene.jpg")
    usual, asked = opened.people(), len(opened.asked)
    opened.slide("person", 1)
    assert opened.people() == 0
    opened.says("^0 people, ")
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


def test_a_transparent_image_is_put_on_white(opened: Page, tmp_path: Path) -> None:
    clear = tmp_path / "clear.png"
    cv2.imwrite(str(clear), np.zeros((512, 512, 4), np.uint8))
    opened.choose("astronaut.jpg")  # of the same size: nothing of it may stay
    opened.page.set_input_files("#file", clear)
    opened.says("^0 people, ")
    assert cv2.imread(str(opened.download("image"))).min() == 255


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


def test_a_change_of_mode_ends_what_is_being_worked_on(page: Page, both: str) -> None:
    page.page.route("**/*.onnx", lambda route: None)  # never loaded
    page.page.goto(both)
    page.page.set_input_files("#file", IMAGES / "astronaut.jpg")
    page.says("^(Loading|Working) ")
    page.page.select_option("#mode", "server")
    page.says("^Drop, paste or choose")
    page.page.wait_for_timeout(500)
    page.says("^Drop, paste or choose")
    assert not any("v1/poses" in url for url in page.asked)
    page.choose("astronaut.jpg")


def test_an_image_given_before_the_settings_are_there(page: Page, server_only: str) -> None:
    held: list[Any] = []
    page.page.route("**/settings.json", lambda route: held.append(route))
    page.page.goto(server_only)
    page.page.set_input_files("#file", IMAGES / "astronaut.jpg")
    page.page.wait_for_timeout(500)
    held[0].continue_()
    page.says(RESULT)


def test_settings_that_are_none_are_a_sentence(page: Page, server_only: str) -> None:
    page.page.route("**/settings.json", lambda route: route.fulfill(body="<p>moved</p>"))
    page.page.goto(server_only)
    page.says("^The page has no settings")
    page.page.set_input_files("#file", IMAGES / "astronaut.jpg")
    page.page.wait_for_timeout(500)
    page.says("^The page has no settings")


def test_a_token_that_no_header_holds_is_a_sentence(page: Page, server_only: str) -> None:
    page.page.goto(server_only)
    page.page.evaluate("document.getElementById('token-row').hidden = false")
    page.page.fill("#token", "žluťoučký")
    page.page.set_input_files("#file", IMAGES / "astronaut.jpg")
    page.says("^a token has letters, digits and signs of ASCII")


def test_offline_after_one_visit(page: Page, plain: str) -> None:
    page.open(plain)
    page.page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.page.context.set_offline(True)
    page.page.reload()
    page.says("^Ready: ")
    page.choose("astronaut.jpg")
    assert page.people() == 1


def test_the_server_is_offered_where_the_bare_folder_was_visited_before(
    page: Page, web: Path
) -> None:
    with served("http.server", "0", "--bind", "127.0.0.1", "-d", str(web)) as address:
        page.open(address)
        page.page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    port = str(urlsplit(address).port)
    with served("litepose", "serve", "--port", port, "--web", str(web)) as again:
        assert again == address
        page.open(address)
        page.page.evaluate(
            """async () => {
            const worker = await navigator.serviceWorker.ready;
            await worker.update();
            const old = () =>
                worker.installing || worker.waiting || worker.active.state !== 'activated';
            for (let i = 0; i < 400 && old(); i++)
                await new Promise((done) => setTimeout(done, 50));
            }"""
        )
        page.open(address)
        expect(page.page.locator("#mode-row")).to_be_visible()


def test_it_fits_a_narrow_screen(page: Page, both: str) -> None:
    page.page.set_viewport_size({"width": 360, "height": 640})
    page.open(both, "browser")
    page.choose("scene.jpg")
    assert page.page.evaluate("document.documentElement.scrollWidth") <= 360
    for control in ("#camera", "#size", "#person", "#save-json"):
        box = page.page.locator(control).bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 360
