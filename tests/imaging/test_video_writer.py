"""Films out: playable whatever happens, at true times, and sentences before the work starts."""

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
from tests.clips import WH, number_of, picture, read_film

from litepose.core.errors import LitePoseError
from litepose.imaging import video_writer as video_write
from litepose.imaging.video_writer import VideoWriter


def shown(path: Path) -> list[int]:
    return [number_of(image) for image in read_film(path)]


def test_pictures_come_back_in_order_and_color(tmp_path: Path, capfd) -> None:
    red = np.full((96, 160, 3), (220, 20, 20), np.uint8)
    with VideoWriter(tmp_path / "a.webm", WH, 25) as film:
        for i in range(5):
            film.write(picture(i), i / 25)
        film.write(red, 5 / 25)
    *numbers, last = read_film(tmp_path / "a.webm")
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
    with VideoWriter(tmp_path / "a.webm", WH, 10) as film:
        for i, time in enumerate(times):
            film.write(picture(i), time / 10)
    assert shown(tmp_path / "a.webm") == expected


def test_a_rate_beyond_reason_is_cut(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.webm", WH, 1000) as film:
        assert film.fps == 60
        film.write(picture(1), 0)


def test_other_sizes_are_fitted_in_whole_and_odd_ones_lose_nothing(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.webm", (161, 97), 25) as film:
        film.write(np.full((97, 161, 3), 200, np.uint8), 0)
        assert film.resized == 0
        film.write(np.full((50, 20, 3), 200, np.uint8), 1 / 25)
        assert film.resized == 1
    first, second = read_film(tmp_path / "a.webm")
    assert first.shape == second.shape == (98, 162, 3) and first.min() > 180
    assert second[49, 81].min() > 180 and second[:, :50].max() < 40 and second[:, -50:].max() < 40
    assert second[4:-4, 81].min() > 150, "as high as there is room"


def test_a_film_that_is_never_closed_plays(tmp_path: Path) -> None:
    code = (
        "import os, numpy as np\nfrom litepose.video import VideoWriter\n"
        "film = VideoWriter('a.webm', (160, 96), 25)\nrng = np.random.default_rng(0)\n"
        "for i in range(200): film.write(rng.integers(0, 255, (96, 160, 3), np.uint8), i / 25)\n"
        "os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
    assert len(read_film(tmp_path / "a.webm")) > 50, "all but the last seconds"


def test_a_full_disk_ends_the_film_while_it_can_be_ended(tmp_path: Path, monkeypatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(video_write, "_LOOK_EVERY", 0.0)
    with VideoWriter(tmp_path / "a.webm", WH, 25) as film:
        film.write(picture(0), 0)
        film.write(picture(1), 1 / 25)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(9, 9, 1 << 20))
        with pytest.raises(LitePoseError, match=r"a\.webm has only 1 MB left"):
            film.write(picture(2), 2 / 25)
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
        with pytest.raises(LitePoseError, match="a size and a rate above 0"):
            VideoWriter("a.webm", size_wh, fps)
    if os.geteuid() != 0:
        Path("old.webm").touch(0o400)
        with pytest.raises(LitePoseError, match="cannot write over old"):
            VideoWriter("old.webm", WH, 25)


def test_what_is_no_picture_of_a_film_is_refused(tmp_path: Path) -> None:
    with VideoWriter(tmp_path / "a.webm", WH, 25) as film:
        film.write(picture(0), 0)
        for image in (picture(0).astype(np.float32), picture(0)[..., 0], picture(0)[..., :2]):
            with pytest.raises(LitePoseError, match="uint8 RGB"):
                film.write(image, 0.04)
        with pytest.raises(LitePoseError, match="the time of a picture"):
            film.write(picture(0), math.nan)
    with pytest.raises(LitePoseError, match="was closed already"):
        film.write(picture(1), 0.04)
    assert len(read_film(tmp_path / "a.webm")) == 1
