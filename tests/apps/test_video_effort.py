"""The effort of a video: measured where nothing was defaults for, and said."""

from __future__ import annotations

import argparse

import pytest

from litepose.apps.cli import video_effort


def options(**given) -> argparse.Namespace:
    defaults = {"effort": None, "model": None, "size": None, "views": None}
    return argparse.Namespace(**(defaults | {"crops": None, "quiet": False} | given))


@pytest.fixture
def opened(monkeypatch) -> list[str | None]:
    efforts: list[str | None] = []
    monkeypatch.setattr(video_effort, "open_predictor", lambda o: efforts.append(o.effort))
    return efforts


def test_the_usual_effort_stays_where_it_keeps_up(opened, monkeypatch, capsys) -> None:
    monkeypatch.setattr(video_effort, "frame_ms", lambda predictor: 30.0)
    video_effort.open_for_video(options())
    assert opened == [None] and capsys.readouterr().err == ""


def test_a_slow_machine_takes_the_fast_one_and_says_so(opened, monkeypatch, capsys) -> None:
    monkeypatch.setattr(video_effort, "frame_ms", lambda predictor: 110.0)
    video_effort.open_for_video(options())
    assert opened == [None, "fast"]
    assert "at the usual effort takes 110 ms here, at most 40 are needed" in capsys.readouterr().err


@pytest.mark.parametrize("given", [{"effort": "best"}, {"model": "p"}, {"size": 256}])
def test_a_given_effort_is_not_measured(opened, monkeypatch, given) -> None:
    monkeypatch.setattr(video_effort, "frame_ms", lambda predictor: pytest.fail("measured"))
    video_effort.open_for_video(options(**given))
    assert opened == [given.get("effort")]
