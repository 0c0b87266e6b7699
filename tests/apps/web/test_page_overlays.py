"""Overlays of heatmap and tags, from the browser's own maps and from the server."""

from __future__ import annotations

import base64
import re

import cv2
import numpy as np
import pytest
from tests.apps.web.conftest import IMAGES, IN_A_BROWSER, RESULT, WAIT, Page, expect

import litepose
from litepose.apps.web.overlays import LONGEST, overlays_of


def layer(url: str) -> np.ndarray:
    """(h, w, 4) RGBA of a data URL."""
    data = base64.b64decode(url.removeprefix("data:image/png;base64,"))
    png = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    return cv2.cvtColor(png, cv2.COLOR_BGRA2RGBA)


@pytest.mark.parametrize("name", ["astronaut.jpg", "scene.jpg"])
def test_layers_lie_where_the_people_are(name: str) -> None:
    model = litepose.load("p", threads=1)
    poses, views, *_ = model.inspect(IMAGES / name)
    layers = {kind: layer(url) for kind, url in overlays_of(views[0]).items()}
    assert set(layers) == {"heatmap", "tags"}
    wide, high = poses.image_wh
    scale = min(1, LONGEST / max(wide, high))
    for one in layers.values():
        assert one.shape == (round(high * scale), round(wide * scale), 4)
    sure = poses.keypoints_xy[poses.scores > 0.5] * scale
    assert len(sure) > 3
    x, y = sure.astype(int).T
    assert layers["heatmap"][y, x, 3].min() > 60 > np.median(layers["heatmap"][..., 3])
    # Keypoints of one person have about the same color, whatever it is.
    colors = layers["tags"][..., :3].astype(int)
    x, y = (poses[0].keypoints_xy[0][poses[0].scores[0] > 0.3] * scale).astype(int).T
    assert np.abs(colors[y, x] - np.median(colors[y, x], axis=0)).mean() < 25


class TestInABrowser:
    pytestmark = IN_A_BROWSER

    def test_overlays_are_drawn(self, opened: Page) -> None:
        opened.choose("astronaut.jpg")
        drawn = {"none": opened.download("image").read_bytes()}
        for overlay in ("heatmap", "tags"):
            opened.page.select_option("#overlay", overlay)
            expect(opened.page.locator("#message")).to_have_text(RESULT)
            drawn[overlay] = opened.download("image").read_bytes()
        opened.page.select_option("#overlay", "none")
        assert len({*drawn.values()}) == 3
        assert opened.download("image").read_bytes() == drawn["none"]

    def test_the_server_is_asked_for_the_frame_that_is_shown(self, page: Page, both: str) -> None:
        page.open(both, "server")
        page.choose("astronaut.jpg")
        page.page.click("#camera")
        expect(page.page.locator("#people li").first).to_have_text(re.compile("^id "), timeout=WAIT)
        page.page.click("#camera")
        before = page.download("json").read_bytes(), page.download("image").read_bytes()
        page.page.select_option("#overlay", "heatmap")
        page.says(RESULT)
        assert page.download("json").read_bytes() == before[0]
        assert page.download("image").read_bytes() != before[1]

    def test_an_image_of_the_browser_is_not_sent_after_a_change_of_mode(
        self, page: Page, both: str
    ) -> None:
        page.open(both, "browser")
        page.choose("astronaut.jpg")
        before = page.download("image").read_bytes()
        page.page.select_option("#mode", "server")
        page.page.select_option("#overlay", "tags")
        assert page.download("image").read_bytes() != before
        page.page.wait_for_timeout(300)
        assert not any("v1/poses" in url for url in page.asked)

    def test_an_image_of_the_server_is_not_sent_in_the_mode_of_the_browser(
        self, page: Page, both: str
    ) -> None:
        page.open(both, "server")
        page.choose("astronaut.jpg")
        page.page.select_option("#mode", "browser")
        page.says("^Ready: ")
        page.page.select_option("#overlay", "tags")
        page.says("open the image again")
        assert sum("v1/poses" in url for url in page.asked) == 1
