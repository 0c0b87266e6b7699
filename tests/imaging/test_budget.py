"""Small files that ask for much: scans are counted before decoding, memory has one budget."""

from __future__ import annotations

import io
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from litepose.core.errors import LitePoseError
from litepose.imaging import budget
from litepose.imaging.read import ReadLimits, read_image


def jpeg(side: int, **how) -> bytes:
    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    Image.fromarray(noise).save(file, "JPEG", **how)
    return file.getvalue()


def with_scans(data: bytes, scans: int) -> bytes:
    """The same JPEG with its last scan's header again and again, and nothing in it."""
    at = data.rfind(b"\xff\xda")
    header = data[at : at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")]
    return data[:-2] + header * scans + data[-2:]


def test_scans_without_end_are_refused_before_they_are_decoded(monkeypatch) -> None:
    data = with_scans(jpeg(64, progressive=True), 3000)
    assert read_image(data).shape == (64, 64, 3)  # small ones may
    monkeypatch.setattr(budget, "jpeg_bytes", lambda *_: pytest.fail("it was decoded"))
    with pytest.raises(LitePoseError, match=r"64x64 pixels in 3,0\d\d scans"):
        read_image(data, ReadLimits(max_pixels=64 * 64))


def test_usual_progressive_images_of_the_most_pixels_are_read() -> None:
    data = jpeg(64, progressive=True)
    assert 5 < data.count(b"\xff\xda") < budget.FREE_SCANS
    assert read_image(data, ReadLimits(max_pixels=64 * 64)).shape == (64, 64, 3)


def test_the_shared_case(shared: Path) -> None:
    path = shared / "cases" / "scans-9992px-3000.jpg"
    if not path.is_file():
        pytest.skip("the cases are not here")
    began = time.monotonic()
    with pytest.raises(LitePoseError, match=r"3,0\d\d scans"):
        read_image(path)
    assert time.monotonic() - began < 5


def test_an_image_larger_than_all_memory_is_refused() -> None:
    file = io.BytesIO()
    Image.new("RGBA", (100, 100)).save(file, "WEBP")
    limits = ReadLimits(max_memory=100 * 100 * 16 - 1)
    with pytest.raises(LitePoseError, match=r"max_memory \(--max-memory"):
        read_image(file.getvalue(), limits)
    assert read_image(file.getvalue(), ReadLimits(max_memory=100 * 100 * 16)).shape == (100, 100, 3)
    assert read_image(jpeg(100), limits).shape == (100, 100, 3)


def test_what_has_no_room_waits_and_errors_give_it_back() -> None:
    order: list[str] = []

    def second() -> None:
        with budget.memory(60, 100, "second"):
            order.append("second")

    with pytest.raises(ZeroDivisionError), budget.memory(60, 100, "first"):
        waiting = threading.Thread(target=second)
        waiting.start()
        waiting.join(0.2)
        assert waiting.is_alive()
        with budget.memory(40, 100, "small"):
            order.append("small")
        order.append("first")
        _ = 1 / 0
    waiting.join(10)
    assert order == ["small", "first", "second"] and budget._taken == 0
