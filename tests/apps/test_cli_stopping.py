"""Ctrl-C, SIGTERM and full disks: no record of an image that was drawn is lost."""

from __future__ import annotations

import json
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.clips import serving

from litepose.apps.cli import predict
from litepose.apps.cli.main import main
from litepose.apps.cli.stopping import sigterm_as_ctrl_c, stopping, until
from litepose.imaging import write

COUNT = 12


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for i in range(COUNT):
        image = np.full((40, 60, 3), 10 * i, np.uint8)
        Image.fromarray(image).save(tmp_path / "in" / f"{i:02}.jpg")
    return tmp_path


@pytest.fixture(autouse=True)
def in_main_thread() -> None:
    """A signal that nobody listens to would end the test process."""
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("the runner gave these tests a thread, and signals are heard in the main one")


def test_the_first_signal_requests_a_stop_and_the_second_ends() -> None:
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    requested: list[str] = []
    with pytest.raises(KeyboardInterrupt), stopping(lambda: requested.append("stop")) as caught:
        assert list(until(caught, [1, 2])) == [1, 2]
        signal.raise_signal(signal.SIGTERM)
        assert caught == [signal.SIGTERM] and requested == ["stop"]
        assert list(until(caught, [1, 2])) == []
        signal.raise_signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), sigterm_as_ctrl_c():
        signal.raise_signal(signal.SIGTERM)
    assert handlers == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_folder_has_a_record_of_everything_drawn(
    folder: Path, number: int, monkeypatch, capsys
) -> None:
    save, drawn = write.save_image, []

    def save_and_stop(path, image, quality=92):
        drawn.append(path.name)
        if len(drawn) == 2:
            signal.raise_signal(number)
        return save(path, image, quality)

    monkeypatch.setattr(write, "save_image", save_and_stop)
    report = folder / "people.jsonl"
    options = ["--model", "p", "--size", "32", "--threads", "2", "--json", str(report)]
    assert main(["predict", str(folder / "in"), *options]) == 130
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    reported = sorted(Path(line["drawn"]).name for line in lines[:-1])
    there = sorted(path.name for path in (folder / "in").glob("*.pose.jpg"))
    assert 2 <= len(reported) < COUNT and reported == there == sorted(drawn)
    assert lines[-1]["interrupted"] and lines[-1]["not_begun"] == COUNT - len(reported)
    assert len(report.read_text().splitlines()) == len(reported)


def test_a_full_disk_for_the_report_is_said_and_drawing_goes_on(folder: Path, capsys) -> None:
    options = ["--model", "p", "--size", "32", "--json", "/dev/full"]
    assert main(["predict", str(folder / "in"), *options]) == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == COUNT + 1 and err.count("/dev/full") == 1
    assert len(list((folder / "in").glob("*.pose.jpg"))) == COUNT


def test_sigterm_while_a_verb_works_is_130(monkeypatch, tmp_path: Path, capsys) -> None:
    monkeypatch.setattr(predict, "_check", lambda _: signal.raise_signal(signal.SIGTERM))
    assert main(["predict", str(tmp_path)]) == 130
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("slow", [1, 4])
def test_ctrl_c_does_not_wait_for_a_slow_server(folder: Path, slow: int, capsys) -> None:
    """Alone, and beside images that are worked on side by side: what was finished is reported."""
    with serving() as site:
        site.files["a.jpg"], site.hang_after = b"\xff\xd8", 1
        urls = [f"{site.url}/a.jpg"] * slow
        good = [str(folder / "in" / f"{i:02}.jpg") for i in range(slow - 1)]

        def stop() -> None:
            while not site.requested:
                time.sleep(0.02)
            time.sleep(0.5)
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

        threading.Thread(target=stop).start()
        options = ["--model", "p", "--size", "32", "--threads", "2", "--allow-private"]
        began = time.monotonic()
        assert main(["predict", *good, *urls, *options]) == 130
        assert time.monotonic() - began < 15, "the server answers after 20"
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    reported = [line for line in lines if "drawn" in line]
    assert len(reported) == len(good)
    assert all("interrupted" in line["error"] for line in lines if "error" in line)
