"""Progress: what a terminal shows, and that nothing else shows any."""

from __future__ import annotations

import os

import pytest

from litepose.core import progress
from litepose.core.progress import Progress, status


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "is_terminal", lambda stream: True)
    monkeypatch.setenv("NO_COLOR", "1")
    size = os.terminal_size((60, 24))
    monkeypatch.setattr(progress.shutil, "get_terminal_size", lambda: size)


def shown(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.rpartition("\r\033[K")[2]


def test_a_line_is_never_longer_than_the_terminal(terminal, capsys) -> None:
    Progress(3, "images").step(note="loss 0.5 " * 20)
    line = shown(capsys)
    assert len(line) == 59 and line.endswith("loss 0.5 ") and "1/3 images, 0 s left" in line
    status("x" * 200)
    assert shown(capsys) == "x" * 59


def test_what_was_done_before_counts_but_took_no_time(terminal, monkeypatch, capsys) -> None:
    bar = Progress(10, "batches", done=6)
    monkeypatch.setattr(progress.time, "monotonic", lambda: bar._start + 5)
    bar.step(7)
    assert "7/10 batches, 15 s left" in shown(capsys)


def test_without_a_total_it_is_a_count_and_a_rate(terminal, monkeypatch, capsys) -> None:
    bar = Progress(None, "frames")
    monkeypatch.setattr(progress.time, "monotonic", lambda: bar._start + 0.5)
    bar.step(2)
    assert shown(capsys).strip() == "2 frames, 4.0 a second"


def test_an_escape_in_a_note_does_not_reach_the_terminal(terminal, capsys) -> None:
    status("\x1b[2J")
    assert shown(capsys) == r"\x1b[2J"


def test_elsewhere_nothing_is_shown(capsys) -> None:
    Progress(3, "images").step()
    status("at work")
    assert capsys.readouterr().err == ""
