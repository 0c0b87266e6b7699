"""The examples of videos: short enough to copy, and they say what is true of a video we know."""

from __future__ import annotations

import importlib
import runpy
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from tests.clips import read_video

from litepose.imaging.read import read_image

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NAMES = ("count_people", "count_repetitions", "compare_models")


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.syspath_prepend(str(EXAMPLES))
    monkeypatch.chdir(tmp_path)

    def load(name: str) -> ModuleType:
        return importlib.import_module(name)

    return load


@pytest.mark.parametrize("name", NAMES)
def test_examples_fit_on_a_screen(name: str) -> None:
    assert len((EXAMPLES / f"{name}.py").read_text().splitlines()) < 64


@pytest.mark.parametrize("name", NAMES)
def test_a_video_that_is_not_there_is_a_sentence(name: str, tmp_path: Path, monkeypatch) -> None:
    program = str(EXAMPLES / f"{name}.py")
    monkeypatch.setattr("sys.argv", [program, str(tmp_path / "no.mp4")])
    with pytest.raises(SystemExit, match="no file "):
        runpy.run_path(program, run_name="__main__")


@pytest.mark.slow
def test_the_people_of_a_group_are_counted(example) -> None:
    found = example("count_people").count_people(example("clips").group_video(seconds=3))
    assert list(found.at_once) == [0, 1, 2] and min(found.at_once.values()) >= 4
    assert 4 <= found.different <= 12


@pytest.mark.slow
def test_arms_raised_once_are_counted_once(example) -> None:
    assert example("count_repetitions").count_repetitions(example("clips").exercise_video(1)) == 1


@pytest.mark.slow
def test_two_models_are_compared_on_the_same_frames(example, tmp_path: Path) -> None:
    video = example("clips").group_video(seconds=0.5)
    fine, coarse = example("compare_models").compare(video, ("p@256", "p@128"), "both.webm")
    assert fine.people_per_frame > coarse.people_per_frame
    assert fine.ms_per_frame > 0 and coarse.ms_per_frame > 0
    drawn = read_video(tmp_path / "both.webm")
    assert len(drawn) == 6 and drawn[0].shape == (480, 1280, 3)


@pytest.mark.slow
def test_the_stills_of_the_documents_are_made_by_their_script(example) -> None:
    made = example("make_stills").make_stills()
    shipped = EXAMPLES.parent / "docs" / "images" / "video.jpg"
    assert shipped.stat().st_size < 300_000
    assert np.abs(read_image(shipped).astype(int) - made).mean() < 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "said"),
    [("count_people", "different people"), ("count_repetitions", "3 repetitions"),
     ("compare_models", "p@256")],
)  # fmt: skip
def test_examples_run_without_arguments(example, capsys, name: str, said: str) -> None:
    example(name).main()
    assert said in capsys.readouterr().out
