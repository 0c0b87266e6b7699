"""Numbers that are none, or that nothing could be done with, are wrong use: exit code 2."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from litepose.apps.cli.main import main
from litepose.data.synthetic import synthesize

CONFIG = Path(__file__).parents[2] / "configs" / "tiny.toml"


@pytest.fixture(scope="module")
def people(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("people")
    synthesize(folder, 1, split="val2017")
    return folder


@pytest.mark.parametrize(
    "line",
    [
        "data synth OUT --seed -1",
        "data synth OUT --count -1",
        "data synth OUT --size 0",
        "data show DATA --seed -1",
        "data show DATA --seed 99999999999999999999999999999999",
        "data show DATA --count -1",
        "data pack DATA --output OUT/x.lpc --piece-mb nan",
        "data pack DATA --output OUT/x.lpc --piece-mb inf",
        "data pack DATA --output OUT/x.lpc --piece-mb -1",
        "data pack DATA --output OUT/x.lpc --quality 101",
        "train CONFIG --stop-after nan",
        "train CONFIG epochs=" + "9" * 5000,
        "predict a.jpg --threads 99999999999",
        "predict a.jpg --threads x",
        "predict a.jpg --size 100000000",
        "predict a.jpg --size 0",
        "predict a.jpg --views 256,999999999",
        "predict a.jpg --scales nan",
        "predict a.jpg --threshold nan",
        "predict a.jpg --keypoint-threshold inf",
        "predict a.jpg --max-pixels 0",
        "predict a.jpg --model .",
        "predict a.jpg --model ''",
        "predict a.jpg --model p --backend torch --device meta",
        "predict frames --frames --fps 0.001",
        "predict frames --frames --fps nan",
        "predict frames --frames --stall inf",
        "predict frames --frames --video-size -5",
    ],
)
def test_wrong_numbers(line: str, people: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (32, 32)).save("a.jpg")
    Path("frames").mkdir()
    Image.new("RGB", (32, 32)).save("frames/1.jpg")
    words = line.replace("DATA", f"{people} --split val2017").replace("OUT", "out").split()
    words = [word.replace("CONFIG", str(CONFIG)).strip("'") for word in words]
    try:
        code = main(words)
    except SystemExit as left:  # argparse
        code = left.code
    out, err = capsys.readouterr()
    assert code == 2 and out == "", (code, out)
    assert 10 < len(err.splitlines()[-1]) < 1100 and "encoder" not in err


def test_a_name_with_a_question_mark_keeps_it(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (32, 32)).save("what?.jpg", "JPEG")
    assert main(["predict", "what?.jpg", "--model", "p", "--size", "32"]) == 0
    assert json.loads(capsys.readouterr().out)["drawn"] == "what?.pose.jpg"
