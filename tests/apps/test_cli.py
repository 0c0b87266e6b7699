"""The command line as a whole: verbs and options, the last line of JSON, full disks, progress."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from litepose import __version__
from litepose.apps.cli.main import build_parser, main
from litepose.core.progress import Progress

ASTRONAUT = Path(__file__).parents[2] / "examples" / "images" / "astronaut.jpg"


def last_json(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("predcit a.jpg", "did you mean 'predict'?"),
        (
            "predict a.jpg --treshold 0.3",
            "unknown option '--treshold'; did you mean '--threshold'?",
        ),
        (
            "predict a.jpg --treshold=0.3",
            "unknown option '--treshold'; did you mean '--threshold'?",
        ),
        ("data shwo a", "did you mean 'show'?"),
        ("data show a --splt b", "did you mean '--split'?"),
        ("models xyz", "unexpected argument 'xyz'"),
        ("predict a.jpg --input-sze 3", "unknown option '--input-sze'\n"),
    ],
)
def test_a_misspelled_word_gets_the_nearest_as_a_hint(words: str, said: str, capsys) -> None:
    with pytest.raises(SystemExit) as end:
        main(words.split())
    assert end.value.code == 2 and said in capsys.readouterr().err


def test_settings_of_a_training_may_stand_anywhere() -> None:
    words = "train x.toml seed=1 --resume epochs=3 --stop-after 5 run.threads=1"
    options = build_parser().parse(words.split())
    assert options.resume and options.overrides == ["seed=1", "epochs=3", "run.threads=1"]


def test_models_and_doctor_end_in_json(capsys) -> None:
    assert main(["models"]) == 0
    models = json.loads(capsys.readouterr().out.splitlines()[-1])["models"]
    assert any(m["default"] and ".onnx" in m["found"] for m in models)
    assert main(["doctor"]) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["self_test"]["passed"] and len(report["models"]["litepose-p.onnx"]) > 64


@pytest.mark.slow
def test_convert_writes_a_checkpoint_that_loads(shared: Path, tmp_path, capsys) -> None:
    source = shared / "reference" / "xs_crowdpose.pth.tar"
    target = tmp_path / "xs.safetensors"
    assert main(["convert", str(source), "--output", str(target)]) == 0
    assert last_json(capsys)["skeleton"] == "crowdpose14"
    assert main(["predict", str(ASTRONAUT), "--model", str(target), "--no-draw"]) == 0
    assert main(["convert", str(ASTRONAUT), "--output", str(target)]) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["convert", "x.pth.tar", "--output", "x.pth.tar"], "must end in .safetensors"),
        (["convert", "x.safetensors"], "needs no converting"),
        (["export", "--output", "nowhere/x.onnx"], "cannot write nowhere/x.onnx"),
        (["export", "--output", "x.bin"], "must end in .onnx"),
        (["export", "--output", "folder.onnx"], "it is a folder"),
    ],
)
def test_a_wrong_target_is_found_before_work_starts(
    arguments, said, tmp_path, monkeypatch, capsys
) -> None:
    pytest.importorskip("onnxscript")
    monkeypatch.chdir(tmp_path)
    for name in ("x.pth.tar", "x.safetensors"):
        Path(name).write_text("a model")
    Path("folder.onnx").mkdir()
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert said in err and "exporting" not in err and out == ""
    assert Path("x.pth.tar").read_text() == "a model"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("arguments", [["predict", "shots/a.jpg", "--no-draw"], ["models"]])
def test_results_that_cannot_be_written_are_a_sentence(shots, arguments) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "litepose", *arguments],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            env={k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"},
        )  # fmt: skip
    assert done.returncode == 1 and "reading or writing failed" in done.stderr
    assert len(done.stderr.splitlines()) == 1, "no traceback"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_report_on_a_full_disk_does_not_take_the_summary_with_it(shots) -> None:
    arguments = ["nowhere.jpg", "shots/a.jpg", "--no-draw", "--json", "/dev/full"]
    run = [sys.executable, "-m", "litepose", "predict", *arguments]
    done = subprocess.run(run, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and json.loads(done.stdout.splitlines()[-1])["failed"] == 1
    assert "cannot write /dev/full" in done.stderr and "Traceback" not in done.stderr


def test_the_progress_bar_gives_way_to_results(monkeypatch, capsys) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    progress = Progress(2, "images")
    progress.step()
    progress.clear()
    shown = capsys.readouterr().err
    assert "1/2 images, 0 s left" in shown and shown.endswith("\r\033[K")
    assert "\033[36m" not in shown
    monkeypatch.setenv("NO_COLOR", "")  # no-color.org: an empty one does not count
    Progress(2, "images").step()
    assert "\033[36m" in capsys.readouterr().err


@pytest.mark.slow
def test_version_and_no_progress_bar_without_a_terminal(shots) -> None:
    run = [sys.executable, "-m", "litepose"]
    version = subprocess.run([*run, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.strip() == f"litepose {__version__}"
    done = subprocess.run(
        [*run, "predict", "shots/a.jpg", "shots/b.jpg", "--no-draw"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "\r" not in done.stderr and "\033" not in done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["failed"] == 0
