"""Names that are odd are a sentence, wherever they go."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.clips import make_video

from litepose.core.errors import LitePoseError
from litepose.core.names import local_path
from litepose.imaging.find_images import list_images
from litepose.imaging.read import read_image
from litepose.imaging.video_reader import frames
from litepose.imaging.video_writer import VideoWriter
from litepose.imaging.write import save_image
from litepose.inference.predictor import expand

WEIGHTS = Path(__file__).parents[2] / "src/litepose/weights/litepose_p_coco17.onnx"
BAD = "odd\udcff"
CODE = """
import sys, litepose
from litepose.core.errors import LitePoseError
from litepose.imaging.read import ReadLimits
anywhere = ReadLimits(allow_private=True)
for call in sys.argv[1:]:
    print(call, file=sys.stderr, flush=True)
    try:
        eval(call)
    except LitePoseError as wrong:
        assert "is not UTF-8" in str(wrong), ascii(str(wrong))
    else:
        raise AssertionError("nothing was said")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="names there are always Unicode")
def test_names_that_are_not_utf_8_do_not_kill_the_process(tmp_path: Path) -> None:
    video = make_video(tmp_path / "video.webm", 3)
    (tmp_path / BAD).mkdir()
    for copy in (f"{BAD}.webm", f"{BAD}/video.webm"):
        shutil.copy(video, tmp_path / copy)
    for suffix in (".onnx", ".xml"):
        shutil.copy(WEIGHTS, tmp_path / f"{BAD}{suffix}")
    calls = [
        f"litepose.video.frames({f'{BAD}.webm'!a})",
        f"litepose.video.frames({f'{BAD}/video.webm'!a})",
        f"litepose.video.frames({f'rtsp://127.0.0.1:9/{BAD}'!a})",
        f"litepose.video.frames({f'http://127.0.0.1:9/{BAD}.m3u8'!a}, limits=anywhere)",
        f"litepose.video.VideoWriter({f'{BAD}-2.webm'!a}, (64, 64), 25)",
        f"litepose.video.VideoWriter({f'{BAD}/new.webm'!a}, (64, 64), 25)",
        f"litepose.load({f'{BAD}.onnx'!a})",
        f"litepose.load({f'{BAD}.xml'!a})",
    ]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = [sys.executable, "-c", CODE, *calls]  # of its own: it was killed
    done = subprocess.run(
        run, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


LONG = "x" * 300


@pytest.mark.parametrize(
    "call",
    [
        lambda: read_image(f"{LONG}.jpg"),
        lambda: read_image("a\0.jpg"),
        lambda: read_image("http://[::1/a.jpg"),
        lambda: list_images(LONG),
        lambda: list_images("a\0/*.jpg"),
        lambda: frames(f"{LONG}.mp4"),
        lambda: frames("a\0.mp4"),
        lambda: frames("rtsp://[x"),
        lambda: frames("https://[x/video.mp4"),
        lambda: frames("9" * 5000),
        lambda: expand(LONG),
        lambda: expand("a\0"),
        lambda: save_image("a\0.jpg", np.zeros((9, 9, 3), np.uint8)),
        lambda: VideoWriter(f"{LONG}.webm", (64, 64), 25),
        lambda: VideoWriter("a\0.webm", (64, 64), 25),
    ],
)
def test_a_name_that_cannot_be_is_a_sentence(call, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(
        LitePoseError, match=r"cannot read|is not a valid file name|not an address|cannot write"
    ):
        call()


def test_a_name_in_a_folder_that_may_not_be_entered_is_a_sentence(monkeypatch) -> None:
    def shut(self: Path, **_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "stat", shut)
    for call in (read_image, list_images, frames, expand):
        with pytest.raises(LitePoseError, match=r"cannot read shut/a\.mp4: Permission denied"):
            call("shut/a.mp4")


def test_a_name_with_a_tilde_is_in_the_home_folder(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    (tmp_path / "~lock.jpg").touch()
    assert local_path("~/a.jpg") == tmp_path / "home" / "a.jpg"
    assert local_path("~lock.jpg") == Path("~lock.jpg") and local_path("a~") == Path("a~")
    assert local_path("~nobody-of-that-name/a") == Path("~nobody-of-that-name/a")
