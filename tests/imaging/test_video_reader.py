"""Videos, cameras and folders of frames: all frames, their times, a sentence for what is bad."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
import wave
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from tests.clips import WH, FakeCamera, image, make_video, number_of

from litepose.core.errors import LitePoseError
from litepose.imaging import video_capture as frame_source
from litepose.imaging import video_open as video_source
from litepose.imaging.read import ReadLimits
from litepose.imaging.video_capture import RawFrame
from litepose.imaging.video_open import is_video, list_videos
from litepose.imaging.video_reader import Frames, frames
from litepose.imaging.write import save_image


@pytest.mark.parametrize("suffix", [".webm", ".mp4", ".avi", ".ts"])
def test_every_frame_comes_once_in_order_with_its_time(tmp_path: Path, suffix: str) -> None:
    with frames(make_video(tmp_path / f"video{suffix}", 30)) as video:
        seen = list(video)
    assert [f.number for f in seen] == [number_of(f.image) for f in seen] == list(range(30))
    assert [f.seconds for f in seen] == pytest.approx([i / 25 for i in range(30)], abs=2e-3)
    assert video.fps == 25 and video.count == 30 and not video.live
    assert video.broken == video.dropped == 0 and video.ended_early is None
    assert seen[0].image.shape == (WH[1], WH[0], 3)


def test_colors_are_rgb(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    save_image(path, np.full((*WH[::-1], 3), (200, 0, 0), np.uint8))
    fourcc = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(tmp_path / "red.avi"), cv2.CAP_FFMPEG, fourcc, 25, WH)
    writer.write(cv2.imread(str(path)))
    writer.release()
    for source in ([path], tmp_path / "red.avi"):
        red, green, blue = next(frames(source)).image[48, 80].tolist()
        assert red > 180 and green < 40 and blue < 40


def test_a_variable_frame_rate_keeps_its_times(tmp_path: Path) -> None:
    first, *rest = (Image.fromarray(image(i)) for i in range(6))
    path = tmp_path / "uneven.gif"
    milliseconds = [100, 300, 50, 500, 100, 100]
    first.save(path, save_all=True, append_images=rest, duration=milliseconds)
    seen = [f.seconds for f in frames(path)]
    assert seen == pytest.approx([0, 0.1, 0.4, 0.45, 0.95, 1.05], abs=1e-3)


def test_a_video_cut_off_gives_what_is_there_and_says_so(tmp_path: Path) -> None:
    whole = make_video(tmp_path / "whole.webm", 60).read_bytes()
    cut = tmp_path / "cut.webm"
    cut.write_bytes(whole[: len(whole) // 3])
    with frames(cut) as video:
        seen = [number_of(f.image) for f in video]
    assert 3 < len(seen) < 40 and seen == list(range(len(seen)))
    assert "cut.webm says it lasts 2.4 s and ended at" in (video.ended_early or "")
    with frames(cut) as video:
        next(video)
    assert video.ended_early is None, "it was we who stopped"


def sound(path: Path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(8000))


def replaced(path: Path, *old: bytes) -> None:
    whole = make_video(path.with_name(f"whole{path.suffix}"), 5).read_bytes()
    for name in old:
        assert name in whole
        whole = whole.replace(name, b"soun" if name == b"vide" else b"zzzz")
    path.write_bytes(whole)


def playlist(path: Path) -> None:
    """FFmpeg would read the file that it names."""
    make_video(path.with_name("x.ts"), 10)
    path.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:0.4,\nx.ts\n#EXT-X-ENDLIST\n")


BAD = {
    "empty.mp4": (lambda p: p.touch(), "is empty"),
    "text.mp4": (lambda p: p.write_text("not a video, " * 20), "is not a video: it begins with"),
    "sound.wav": (sound, "sound only"),
    "nothing.mp4": (lambda p: replaced(p, b"trak", b"vide"), "has no frames: nothing was recorded"),
    "sound.mp4": (lambda p: replaced(p, b"vide"), "sound only"),
    "odd.avi": (lambda p: replaced(p, b"MJPG"), "codec unknown"),
    "odd.mp4": (lambda p: replaced(p, b"mp4v", b"esds"), "codec unknown"),
    "list.m3u8": (playlist, "is a playlist"),
    "list.mp4": (playlist, "is a playlist"),
    "cut.mp4": (
        lambda p: p.write_bytes(make_video(p.with_name("whole.mp4"), 30).read_bytes()[:2000]),
        "is cut off: its index",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_video_is_named_with_its_reason(tmp_path: Path, name: str) -> None:
    make, said = BAD[name]
    make(tmp_path / name)
    with pytest.raises(LitePoseError, match=said) as exc:
        frames(tmp_path / name)
    assert name in str(exc.value)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nowhere.mp4", "no file nowhere.mp4"),
        ("nowhere", "no file nowhere"),
        ("ftp://host/video.mp4", "rtsp, http and https"),
        ("rtsp://user:secret@127.0.0.1:9/video", "rtsp://127.0.0.1:9/video gives no video"),
        ([], "a list of images"),
        (97, "camera 97 cannot be opened"),
        ("97", "camera 97 cannot be opened"),
    ],
)
def test_what_is_not_there_is_a_sentence(source, said, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LitePoseError, match=said) as exc:
        frames(source)
    assert "secret" not in str(exc.value)


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(LitePoseError, match="fps"):
        frames("x.mp4", fps=0)
    with pytest.raises(LitePoseError, match="stall_seconds"):
        frames("x.mp4", stall_seconds=0)


def test_images_are_frames_in_natural_order_and_broken_ones_are_counted(tmp_path: Path) -> None:
    for i in range(12):
        save_image(tmp_path / f"frame{i}.png", image(i))
    (tmp_path / "frame3.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    for source in (tmp_path, f"{tmp_path}/*.png"):
        with frames(source, fps=10) as video:
            seen = list(video)
        assert [number_of(f.image) for f in seen] == [i for i in range(12) if i != 3]
        assert [f.number for f in seen] == [number_of(f.image) for f in seen]
        assert seen[-1].seconds == pytest.approx(1.1) and video.broken == 1


def test_arrays_are_frames_too() -> None:
    with frames([image(0), image(1)], fps=10) as video:
        assert [(number_of(f.image), f.seconds) for f in video] == [(0, 0.0), (1, 0.1)]
    with pytest.raises(LitePoseError, match=r"a list of images; got") as exc:
        frames({"a": np.zeros((99, 99))})  # type: ignore[arg-type]
    assert len(str(exc.value)) < 300


def test_a_video_without_onegood_frame_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    with pytest.raises(LitePoseError, match="no frames that can be read; all 1 are broken"):
        list(frames(tmp_path))


def test_large_frames_are_refused_before_they_are_decoded(tmp_path: Path) -> None:
    path = make_video(tmp_path / "video.webm", 3)
    with pytest.raises(LitePoseError, match=r"160x96 pixels.*--max-pixels"):
        frames(path, limits=ReadLimits(max_pixels=WH[0] * WH[1] - 1))


def test_a_camera_that_is_unplugged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_source, "_PATIENCE", 0.001)
    monkeypatch.setattr(video_source.cv2, "VideoCapture", lambda *_: FakeCamera(5, broken=(2,)))
    with pytest.raises(LitePoseError, match="camera 0 gives no more images"), frames(0) as video:
        for frame in video:
            assert frame.number == number_of(frame.image)
    assert video.live and video.broken == 1 and video.count is None


class Slow:
    """Footage that gives `let` shots, and more when it is let."""

    def __init__(self, let: int, live: bool = False) -> None:
        self.name, self.fps, self.count, self.live = "it", 25.0, None, live
        self.closed, self.given, self.let = threading.Event(), 0, threading.Semaphore(let)

    def read(self) -> RawFrame | None:
        if not self.let.acquire(timeout=60):
            return None
        self.given += 1
        return RawFrame(image(self.given - 1), self.given - 1.0)

    def interrupt(self) -> None:
        self.let.release()

    def close(self) -> None:
        self.closed.set()


def reading(source: Slow, count: int) -> None:
    """Wait until that many were read, and the last is where it is taken from."""
    for _ in range(2000):
        if source.given == count:
            break
        time.sleep(0.005)
    time.sleep(0.05)


def test_live_sources_give_the_newest() -> None:
    source = Slow(1, live=True)
    video = Frames(lambda: source, "it", 30.0)
    assert next(video).number == 0
    source.let.release(29)
    reading(source, 30)
    assert next(video).number == 29 and video.dropped == 28
    video.stop()
    source.let.release()
    video.close()


def test_files_wait_for_who_is_slow() -> None:
    source = Slow(40)
    video = Frames(lambda: source, "it", 30.0)
    assert next(video).number == 0
    reading(source, 5)
    assert source.given == 5, "one taken, three ready, one in hand"
    assert next(video).number == 1 and video.dropped == 0
    video.close()


@pytest.mark.parametrize("hang_at", [0, 2])
def test_what_stalls_is_given_up(hang_at: int) -> None:
    video = Frames(lambda: Slow(hang_at), "it", 0.3)
    seen = []
    with pytest.raises(LitePoseError, match=r"it gave nothing for 0\.3 seconds: it has stalled"):
        seen.extend(frame.number for frame in video)
    assert seen == list(range(hang_at))


@pytest.mark.slow
def test_opening_that_stalls_is_given_up() -> None:
    with pytest.raises(LitePoseError, match="has stalled"):
        Frames(lambda: time.sleep(1), "it", 0.2)  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize("how", ["close", "with", "forget", "stop"])
def test_the_source_is_closed_when_the_reader_leaves(how: str) -> None:
    source = Slow(1000)
    video = Frames(lambda: source, "it", 30.0)
    next(video)
    if how == "close":
        video.close()
    elif how == "with":
        with video:
            pass
    elif how == "stop":
        video.stop()
        assert list(video) == []
        video.close()
    else:
        del video
        gc.collect()
    assert source.closed.wait(30)


def test_a_script_may_end_while_a_video_is_open(tmp_path: Path) -> None:
    """A thread killed inside OpenCV would abort the process."""
    video = make_video(tmp_path / "video.webm", 30)
    code = "import sys, litepose; x = litepose.video.frames(sys.argv[1]); next(x); sys.exit(3)"
    assert subprocess.run([sys.executable, "-c", code, video], check=False).returncode == 3


def test_bugs_in_the_reader_are_raised_where_frames_are_taken() -> None:
    source = Slow(3)
    source.read = lambda: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    with pytest.raises(ZeroDivisionError):
        list(Frames(lambda: source, "it", 30.0))


def test_a_users_own_capture_options_stay(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;udp")
    assert len(list(frames(make_video(tmp_path / "a.webm", 3)))) == 3
    assert os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] == "rtsp_transport;udp"


@pytest.mark.parametrize(
    ("source", "means"),
    [
        ("a.mp4", True), ("a.MOV", True), ("0", True), ("rtsp://host/x", True),
        ("https://host/video.webm?key=1", True), ("https://host/photo.jpg", False),
        ("a.jpg", False), ("shots", False), ("shots/*.jpg", False), ("a.gif", False),
    ],
)  # fmt: skip
def test_names_that_mean_a_video(source: str, means: bool) -> None:
    assert is_video(source) is means


def test_a_file_called_0_is_no_camera(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("0").touch()
    assert not is_video("0")


def test_a_pattern_means_its_videos_but_those_we_drew(tmp_path: Path) -> None:
    for name in ("b.mp4", "a.webm", "a.pose.webm", "c.jpg"):
        (tmp_path / name).touch()
    assert list_videos(f"{tmp_path}/*") == [f"{tmp_path}/a.webm", f"{tmp_path}/b.mp4"]
    with pytest.raises(LitePoseError, match="holds no videos"):
        list_videos(f"{tmp_path}/*.mov")
