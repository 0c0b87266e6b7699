"""Videos through a model: the same people as in single images, ids, and no lag."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

import litepose
from litepose.core.errors import LitePoseError
from litepose.imaging.read import read_image
from litepose.imaging.video_capture import RawFrame
from litepose.imaging.video_reader import Frames
from litepose.imaging.write import save_image
from litepose.inference.predictor import PredictOptions, Predictor

ASTRONAUT = Path(__file__).parents[2] / "examples" / "images" / "astronaut.jpg"


@pytest.fixture(scope="module")
def model() -> Predictor:
    return litepose.load("p", input_size=192, threads=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The astronaut drifts to the left; frame 5 is broken."""
    folder = tmp_path_factory.mktemp("frames")
    image = read_image(ASTRONAUT)
    for i in range(9):
        save_image(folder / f"{i}.png", image[:400, 8 * i : 8 * i + 400])
    (folder / "5.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    return folder


def test_frames_have_the_people_that_their_images_have(model: Predictor, folder: Path) -> None:
    seen = list(model.stream(folder))
    assert [frame.number for frame in seen] == [0, 1, 2, 3, 4, 6, 7, 8]
    assert seen[-1].seconds == pytest.approx(8 / 25)
    for frame in seen:
        alone = model.predict(frame.image)
        assert len(alone) and np.array_equal(frame.poses.keypoints_xy, alone.keypoints_xy)
        assert np.array_equal(frame.image, read_image(folder / f"{frame.number}.png"))
        assert frame.poses.track_ids is None


def test_ids_stay_and_smoothing_tracks_as_well(model: Predictor, folder: Path) -> None:
    best = PredictOptions(max_people=1)
    raw = list(model.stream(folder, best, track=True))
    assert all(frame.poses.track_ids.tolist() == [1] for frame in raw)
    calm = list(model.stream(folder, best, smooth=True))
    assert all(frame.poses.track_ids.tolist() == [1] for frame in calm)
    moved = []
    for one, other in zip(raw, calm, strict=True):
        sure = one.poses.scores > 0.5
        moved.append(np.abs(one.poses.keypoints_xy - other.poses.keypoints_xy)[sure].max())
    assert moved[0] == 0 and 0 < max(moved) < 20


class Live:
    """A camera whose image says when it was made."""

    name, fps, count, live = "camera", 25.0, None, True

    def __init__(self, count: int) -> None:
        self.made, self.count_, self.closed = 0, count, threading.Event()

    def read(self) -> RawFrame | None:
        if self.made == self.count_:
            return None
        self.made += 1
        return RawFrame(np.full((64, 64, 3), self.made % 256, np.uint8), self.made / 25)

    def interrupt(self) -> None:
        pass

    def close(self) -> None:
        self.closed.set()


def test_a_live_source_is_not_read_ahead(monkeypatch) -> None:
    """What is worked on is the newest, not what a queue of work kept."""
    model = litepose.load("p", input_size=64, threads=2)
    source = Live(2000)
    threads = []
    plain = Predictor.inspect

    def slow(self, image, options):
        threads.append(threading.current_thread())
        return plain(self, image, options)

    monkeypatch.setattr(Predictor, "inspect", slow)
    video = Frames(lambda: source, "camera", 30.0)
    seen = list(model.stream(video))
    assert video.dropped + len(seen) == 2000
    assert source.closed.wait(30)
    assert len(threads) == len(seen) < 2000 and set(threads) == {threading.main_thread()}


def test_stopping_early_closes_the_source(model: Predictor, folder: Path) -> None:
    video = litepose.video.frames(folder)
    stream = model.stream(video)
    next(stream)
    stream.close()
    assert list(video) == []


def test_errors_name_the_frame(model: Predictor, folder: Path, monkeypatch) -> None:
    def fail(self, source, options):
        raise LitePoseError("no")

    monkeypatch.setattr(Predictor, "inspect", fail)
    with pytest.raises(LitePoseError, match=f"frame 0 of {folder}: no"):
        list(model.stream(folder))


def test_the_source_is_opened_at_once(model: Predictor) -> None:
    with pytest.raises(LitePoseError, match=r"no file nowhere\.mp4"):
        model.stream("nowhere.mp4")
