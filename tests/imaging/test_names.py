"""Names that are odd are a sentence, wherever they go."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.clips import make_film

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


@pytest.mark.skipif(sys.platform != "linux", reason="names there are always Unicode")
def test_names_that_are_not_utf_8_do_not_kill_the_process(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.webm", 3)
    (tmp_path / BAD).mkdir()
    for copy in (f"{BAD}.webm", f"{BAD}/film.webm"):
        shutil.copy(film, tmp_path / copy)
    for suffix in (".onnx", ".xml"):
        shutil.copy(WEIGHTS, tmp_path / f"{BAD}{suffix}")
    calls = [
        f"litepose.video.frames({f'{BAD}.webm'!a})",
        f"litepose.video.frames({f'{BAD}/film.webm'!a})",
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
