"""Videos out: playable whatever happens, at true times, and sentences before the work starts."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
from tests.clips import WH, image, number_of, read_video

from litepose.core.errors import LitePoseError
from litepose.imaging import video_writer as video_write
from litepose.imaging.video_writer import VideoWriter


def shown(path: Path) -> list[int]:
    return [number_of(image) for image in read_video(path)]


def test_images_come_back_in_order_and_color(tmp_path: Path, capfd) -> None:
    red = np.full((96, 160, 3), (220, 20, 20), np.uint8)
    with VideoWriter(tmp_path / "a.webm", WH, 25) as video:
        for i in range(5):
            video.write(image(i), i / 25)
        video.write(red, 5 / 25)
    *numbers, last = read_video(tmp_path / "a.webm")
    assert [number_of(image) for image in numbers] == list(range(5))
    blue, _, high = last[48, 80].tolist()
    assert high > 180 and blue < 60
    assert capfd.readouterr().err == "", "OpenCV's wrong warning about webm is kept away"


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([0, 1, 2, 3], [0, 1, 2, 3]),
        ([5, 6, 7], [0, 1, 2]),  # it begins when it begins
        ([0, 1, 4, 5], [0, 1, 1, 1, 2, 3]),  # held
        ([0, 0.3, 1, 1.2, 2], [0, 2, 4]),  # too fast for the rate
        ([0, 1, 1e6, 1e6 + 1], [0, *[1] * 6, 2, 3]),  # a leap is shortened
    ],
)
def test_times_are_kept_at_a_constant_rate(times, expected, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(video_write, "LONGEST_HOLD", 5 / 10)
    with VideoWriter(tmp_path / "a.webm", WH, 10) as video:
        for i, time in enumerate(times):
            video.write(image(i), time / 10)
    assert shown(tmp_path / "a.webm") == expected


def test_a_rate_beyond_reason_is_cut(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.webm", WH, 1000) as video:
        assert video.fps == 60
        video.write(image(1), 0)


def test_other_sizes_are_fitted_in_whole_and_odd_ones_lose_nothing(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.webm", (161, 97), 25) as video:
        video.write(np.full((97, 161, 3), 200, np.uint8), 0)
        assert video.resized == 0
        video.write(np.full((50, 20, 3), 200, np.uint8), 1 / 25)
        assert video.resized == 1
    first, second = read_video(tmp_path / "a.webm")
    assert first.shape == second.shape == (98, 162, 3) and first.min() > 180
    assert second[49, 81].min() > 180 and second[:, :50].max() < 40 and second[:, -50:].max() < 40
    assert second[4:-4, 81].min() > 150, "as high as there is room"


@pytest.mark.slow
def test_a_video_that_is_never_closed_plays(tmp_path: Path) -> None:
    code = (
        "import os, numpy as np\nfrom litepose.video import VideoWriter\n"
        "video = VideoWriter('a.webm', (160, 96), 25)\nrng = np.random.default_rng(0)\n"
        "for i in range(200): video.write(rng.integers(0, 255, (96, 160, 3), np.uint8), i / 25)\n"
        "os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
    assert len(read_video(tmp_path / "a.webm")) > 50, "all but the last seconds"


def test_a_full_disk_ends_the_video_while_it_can_be_ended(tmp_path: Path, monkeypatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(video_write, "_CHECK_EVERY", 0.0)
    with VideoWriter(tmp_path / "a.webm", WH, 25) as video:
        video.write(image(0), 0)
        video.write(image(1), 1 / 25)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(9, 9, 1 << 20))
        with pytest.raises(LitePoseError, match=r"a\.webm has only 1 MB left"):
            video.write(image(2), 2 / 25)
    assert shown(tmp_path / "a.webm") == [0, 1]


def test_what_cannot_be_written_is_said_at_once(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder.webm").mkdir()
    for path, said in (
        ("a.mp4", r"written as \.webm"),
        ("none/a.webm", "make the folder none first"),
        ("folder.webm", "it is a folder"),
    ):
        with pytest.raises(LitePoseError, match=said):
            VideoWriter(path, WH, 25)
    with pytest.raises(LitePoseError, match="16382"):
        VideoWriter("a.webm", (20000, 100), 25)
    for size_wh, fps in (((0, 64), 25), (WH, 0), (WH, -1), (WH, math.nan), (WH, math.inf)):
        with pytest.raises(LitePoseError, match="a size and"):
            VideoWriter("a.webm", size_wh, fps)
    if os.geteuid() != 0:
        Path("old.webm").touch(0o400)
        with pytest.raises(LitePoseError, match="cannot write over old"):
            VideoWriter("old.webm", WH, 25)


def test_what_is_no_image_of_a_video_is_refused(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.webm", WH, 25) as video:
        video.write(image(0), 0)
        for frame in (image(0).astype(np.float32), image(0)[..., 0], image(0)[..., :2]):
            with pytest.raises(LitePoseError, match="uint8 RGB"):
                video.write(frame, 0.04)
        with pytest.raises(LitePoseError, match="the time of an image"):
            video.write(image(0), math.nan)
    with pytest.raises(LitePoseError, match="was closed already"):
        video.write(image(1), 0.04)
    assert len(read_video(tmp_path / "a.webm")) == 1
