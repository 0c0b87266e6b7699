"""`litepose predict` of videos: a playable video and whole lines of JSON, whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from tests.clips import make_video, read_video

from litepose.apps.cli import video_display as video_screen
from litepose.apps.cli.main import main
from litepose.apps.cli.output import OutputPaths
from litepose.imaging import video_reader as video
from litepose.imaging.read import read_image
from litepose.imaging.video_capture import RawFrame
from litepose.imaging.video_writer import VideoWriter
from litepose.imaging.write import save_image

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs" / "poses.schema.json").read_text())
QUICK = ["--size", "192", "--threads", "1"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """We stand beside video.webm: the astronaut, for ten frames."""
    monkeypatch.chdir(tmp_path)
    image = read_image(ROOT / "examples" / "images" / "astronaut.jpg")
    with VideoWriter("video.webm", (400, 400), 25) as video:
        for i in range(10):
            video.write(np.ascontiguousarray(image[:400, 4 * i : 4 * i + 400]), i / 25)
    return tmp_path


def predict(*arguments: str) -> int:
    return main(["predict", *arguments, *QUICK])


def output(capsys: pytest.CaptureFixture[str]) -> tuple[list[dict], dict, str]:
    """The lines of the frames, the last line, stderr."""
    out, err = capsys.readouterr()
    *frames, summary = [json.loads(line) for line in out.splitlines()]
    return frames, summary, err


@pytest.mark.slow
def test_a_video_is_drawn_beside_it_with_a_line_for_each_frame(here: Path, capsys) -> None:
    assert predict("video.webm", "--json", "all.jsonl") == 0
    frames, summary, err = output(capsys)
    assert [f["frame"] for f in frames] == list(range(10))
    assert [f["seconds"] for f in frames] == pytest.approx([i / 25 for i in range(10)], abs=2e-3)
    for frame in frames:
        jsonschema.validate(frame, SCHEMA)
        assert frame["source"] == "video.webm" and len(frame["people"]) == 1
        assert "id" not in frame["people"][0]
    assert summary["frames"] == 10 and summary["most_people"] == 1 and "error" not in summary
    assert summary["drawn"] == "video.pose.webm" and "-> video.pose.webm" in err
    assert [json.loads(line) for line in Path("all.jsonl").read_text().splitlines()] == frames
    drawn = read_video(Path("video.pose.webm"))
    plain = read_video(Path("video.webm"))
    assert len(drawn) == 10
    changed = np.abs(drawn[9].astype(int) - plain[9]).max(axis=2) > 90
    assert 0.001 < changed.mean() < 0.3, "a skeleton, and the rest of the image"


def test_people_are_followed_and_numbered(here: Path, capsys) -> None:
    assert predict("video.webm", "--track", "--max-people", "1", "--no-draw") == 0
    frames, summary, _ = output(capsys)
    assert {f["people"][0]["id"] for f in frames} == {1} and summary["ids"] == 1
    tracked = [f["people"][0]["keypoints"] for f in frames]
    assert predict("video.webm", "--smooth", "--max-people", "1", "--no-draw") == 0
    frames, *_ = output(capsys)
    assert {f["people"][0]["id"] for f in frames} == {1}
    assert tracked[0] == frames[0]["people"][0]["keypoints"]
    assert tracked[5] != frames[5]["people"][0]["keypoints"]
    assert not Path("video.pose.webm").exists()


@pytest.mark.slow
def test_a_large_video_is_drawn_smaller_with_people_in_place(here: Path, capsys) -> None:
    assert predict("video.webm", "--video-size", "200") == 0
    small = read_video(Path("video.pose.webm"))[0]
    frames, *_ = output(capsys)
    assert small.shape == (200, 200, 3) and frames[0]["image_wh"] == [400, 400]
    assert predict("video.webm") == 0
    large = read_video(Path("video.pose.webm"))[0].reshape(200, 2, 200, 2, 3).mean(axis=(1, 3))
    plain = read_video(Path("video.webm"))[0].reshape(200, 2, 200, 2, 3).mean(axis=(1, 3))
    drawn, expected = (np.abs(image - plain).max(axis=2) > 60 for image in (small, large))
    assert (drawn & expected).sum() > 0.4 * (drawn | expected).sum() > 0


def test_a_folder_of_frames_of_several_sizes(here: Path, capsys) -> None:
    Path("shots").mkdir()
    for i, shape in enumerate([(64, 96, 3), (64, 96, 3), (96, 40, 3), (30, 30, 3)]):
        save_image(f"shots/{i}.png", np.full(shape, 90, np.uint8))
    Path("shots/1.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    assert predict("shots", "--frames", "--fps", "10", "--output", "out") == 0
    frames, summary, err = output(capsys)
    assert [f["frame"] for f in frames] == [0, 2, 3] and summary["broken"] == 1
    assert [f["seconds"] for f in frames] == [0.0, 0.2, 0.3]
    assert err.count("change their size; the video stays at 96x64") == 1
    assert len(read_video(Path("out/shots.pose.webm"))) == 4, (
        "the first is held where one is broken"
    )


@pytest.mark.slow
def test_several_videos_and_one_that_is_cut_off(here: Path, capsys) -> None:
    whole = make_video(Path("whole.webm"), 50).read_bytes()
    Path("cut.webm").write_bytes(whole[: len(whole) // 3])
    Path("none.mp4").write_text("nothing")
    Path("whole.webm").unlink()
    assert predict("*.webm", "none.mp4", "--quiet") == 1
    lines, summary, err = output(capsys)
    videos = {line["source"]: line for line in lines if "frame" not in line}
    assert set(videos) == {"cut.webm", "video.webm", "none.mp4"}
    assert "it is cut off or damaged" in videos["cut.webm"]["warning"]
    assert len(read_video(Path("cut.pose.webm"))) == videos["cut.webm"]["frames"] > 3
    assert summary["videos"] == 3 and set(summary["errors"]) == {"none.mp4"}
    assert "none.mp4 is not a video" in err and "FFMPEG" not in err


class Hanging:
    name, fps, count, live = "video", 25.0, None, False

    def __init__(self, *_: object, **__: object) -> None:
        self.at, self.go = 0, threading.Event()

    def read(self) -> RawFrame:
        if self.at == 5:
            self.go.wait(30)
        self.at += 1
        return RawFrame(np.zeros((64, 64, 3), np.uint8), self.at / 25)

    def interrupt(self) -> None:
        self.go.set()

    def close(self) -> None:
        pass


@pytest.mark.slow
def test_a_stream_that_stalls_leaves_a_video_that_plays(here: Path, capsys, monkeypatch) -> None:
    monkeypatch.setattr(video, "open_frames", Hanging)
    assert predict("rtsp://me:secret@host/street?x", "--stall", "0.3") == 1
    frames, summary, err = output(capsys)
    assert len(frames) == summary["frames"] == 5 and "has stalled" in summary["error"]
    assert frames[0]["source"] == summary["source"] == "rtsp://host/street?x"
    assert len(read_video(Path("street.pose.webm"))) == 5 and "has stalled" in err


def test_a_camera_that_is_not_there(here: Path, capsys) -> None:
    assert predict("97") == 1
    _, summary, err = output(capsys)
    assert "camera 97 cannot be opened" in summary["error"]
    assert err.startswith("failed: camera 97") and not Path("camera97.pose.webm").exists()


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("0", "camera0"), ("shots", "shots"), ("shots/*.jpg", "shots"), ("a/video.mp4", "video"),
        ("rtsp://me:secret@host", "host"), ("what?.mp4", "what?"),
        ("https://host/a/video.mp4?key=1", "video"),
    ],
)  # fmt: skip
def test_the_video_that_is_drawn_is_named_after_its_source(source: str, name: str) -> None:
    assert OutputPaths("out", []).name(source, ".pose", ".webm") == Path(f"out/{name}.pose.webm")


@pytest.mark.slow
def test_a_bad_name_is_one_failed_record(here: Path, capsys) -> None:
    (here / "shut").mkdir()
    shut = "shut/video.webm" if os.geteuid() else "shut/\0.webm"  # root may enter every folder
    (here / "shut").chmod(0)
    bad = ["none/*.mp4", "x" * 300 + ".mp4", "rtsp://me:secret@[x", shut]
    assert predict(*bad, "video.webm", "--no-draw", "--track") == 1
    out, err = capsys.readouterr()
    summary = json.loads(out.splitlines()[-1])
    assert summary["videos"] == 5 and len(summary["errors"]) == summary["failed"] == 4
    assert "secret" not in out + err and err.count("failed: ") == 4 and "Traceback" not in err


@pytest.mark.slow
def test_a_video_is_not_drawn_over_one_that_is_still_to_be_read(here: Path, capsys) -> None:
    before = Path("video.webm").read_bytes()
    Path("video.pose.webm").write_bytes(before)
    assert predict("video.webm", "video.pose.webm") == 0
    assert Path("video.pose.webm").read_bytes() == before
    assert Path("video-2.pose.webm").exists() and Path("video.pose.pose.webm").exists()


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_ctrl_c_ends_video_and_json_properly(here: Path, number: signal.Signals) -> None:
    make_video(Path("long.avi"), 800)
    command = [sys.executable, "-m", "litepose", "predict", "long.avi", "--json", "all.jsonl"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*command, *QUICK], text=True, **pipes) as run:  # type: ignore[call-overload]
        first = [run.stdout.readline() for _ in range(20)]
        run.send_signal(number)
        rest, errors = run.communicate(timeout=30)
    lines = [*first, *rest.splitlines()]
    assert run.returncode == 130 and "Traceback" not in errors and "(stopped)" in errors
    *frames, summary = [json.loads(line) for line in lines]
    assert summary["interrupted"] and 20 <= summary["frames"] == len(frames) < 800
    assert len(Path("all.jsonl").read_text().splitlines()) == len(frames)
    assert len(read_video(Path("long.pose.webm"))) == len(frames)


@pytest.mark.slow
def test_on_a_terminal_there_is_a_bar_and_no_flood_of_lines(here: Path, capsys, monkeypatch):
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    assert predict("video.webm", "--no-draw") == 0
    frames, summary, err = output(capsys)
    assert frames == [] and summary["frames"] == 10
    assert "5/10 frames" in err and "s left" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["video.webm", "photo.jpg"], "in two commands"),
        (["photo.jpg", "--track"], "--track is for videos; where these images"),
        (["video.webm", "--heatmaps"], "--heatmaps is for images"),
        (["video.webm", "--video-size", "7"], "--video-size"),
        (["video.webm", "--stall", "0"], "--stall"),
        (["video.webm", "--threshold", "2"], "must lie in [0, 1]"),
        (["video.webm", "--fps", "5"], "--fps is of images that are frames; video.webm says"),
        (["frames", "--frames", "--fps", "-3"], "--fps must lie in 0.01"),
        (["video.webm", "--json", "video.webm"], "names an image or a video"),
        (["video.webm", "--output", "video.webm/x"], "cannot make the folder"),
        (["video.webm", "--show"], "there is no screen here"),
    ],
)
def test_misuse_is_a_sentence_before_work_starts(here, capsys, monkeypatch, arguments, said):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    before = Path("video.webm").read_bytes()
    assert predict(*arguments) == 2
    out, err = capsys.readouterr()
    assert said in err and out == "" and not list(here.glob("*.pose.*"))
    assert Path("video.webm").read_bytes() == before


def test_a_pattern_that_the_shell_took_apart_is_no_video(here, capsys) -> None:
    for name in ("1.jpg", "2.jpg"):
        Path(name).touch()
    assert predict("1.jpg", "2.jpg", "--frames") == 2
    assert "put the pattern in quotes" in capsys.readouterr().err


def test_a_video_that_cannot_be_written_is_said_before_work_starts(here, capsys) -> None:
    Path("video.pose.webm").mkdir()
    assert predict("video.webm") == 2
    out, err = capsys.readouterr()
    assert "cannot write video.pose.webm: it is a folder" in err and out == ""


def test_a_window_without_full_opencv_is_a_sentence(here, capsys, monkeypatch) -> None:
    def none(*_: object) -> None:
        raise video_screen.cv2.error("The function is not implemented")

    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(video_screen.cv2, "namedWindow", none, raising=False)
    assert predict("video.webm", "--show") == 2
    assert "pip install opencv-python" in capsys.readouterr().err


def test_a_window_shows_what_is_drawn_until_q(here, capsys, monkeypatch) -> None:
    shown: list[np.ndarray] = []
    monkeypatch.setenv("DISPLAY", ":0")
    for name, act in (
        ("namedWindow", lambda *_: None),
        ("imshow", lambda _, image: shown.append(image)),
        ("waitKey", lambda _: ord("q") if len(shown) == 4 else -1),
        ("destroyAllWindows", lambda: None),
    ):
        monkeypatch.setattr(video_screen.cv2, name, act, raising=False)
    assert predict("video.webm", "--show", "--no-draw") == 0
    assert 4 <= len(shown) <= 5 and shown[0].shape == (400, 400, 3)
    assert not Path("video.pose.webm").exists()
