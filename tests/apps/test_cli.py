"""The command line: results on stdout, last line JSON, exit codes, nothing lost."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from litepose import __version__
from litepose.apps.cli.main import build_parser, main
from litepose.core.errors import LitePoseError
from litepose.core.progress import Progress
from litepose.imaging import write

ASTRONAUT = Path(__file__).parents[2] / "examples" / "images" / "astronaut.jpg"


@pytest.fixture
def shots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with two good images and a bad one, and we stand beside it."""
    folder = tmp_path / "shots"
    folder.mkdir()
    for name in ("a.jpg", "b.jpg"):
        shutil.copy(ASTRONAUT, folder / name)
    (folder / "broken.jpg").write_bytes(ASTRONAUT.read_bytes()[:300])
    monkeypatch.chdir(tmp_path)
    return folder


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_one_image_is_drawn_beside_and_printed(shots, capsys) -> None:
    assert main(["predict", "shots/a.jpg"]) == 0
    (record,) = lines(capsys)
    assert record["source"] == "shots/a.jpg" and len(record["people"]) == 1
    assert Path(record["drawn"]) == Path("shots/a.pose.jpg") and Path(record["drawn"]).is_file()
    assert record["schema"] == 2


def test_a_bad_image_does_not_stop_the_rest(shots, capsys, tmp_path) -> None:
    arguments = ["predict", "shots", "nowhere.jpg", "--output", "out", "--json", "all.jsonl"]
    assert main([*arguments, "--heatmaps"]) == 1
    *records, summary = lines(capsys)
    assert summary["images"] == 4 and summary["failed"] == 2 and summary["people"] == 2
    assert set(summary["errors"]) == {"nowhere.jpg", "shots/broken.jpg"}
    assert sorted(p.name for p in Path("out").iterdir()) == [
        "a.heatmaps.jpg", "a.pose.jpg", "b.heatmaps.jpg", "b.pose.jpg",
    ]  # fmt: skip
    written = [json.loads(line) for line in Path("all.jsonl").read_text().splitlines()]
    assert written == records


def test_a_bad_name_is_one_failed_record(shots, capsys, monkeypatch) -> None:
    def closed(self: Path) -> None:
        if self.name == "closed":
            raise PermissionError(13, "Permission denied")
        return listed(self)

    listed = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", closed)
    (shots / "closed").mkdir()
    long = "x" * 300
    bad = ["http://[::1/a.jpg", f"{long}.jpg", f"{long}*", "shots/closed", "~nobody/a.jpg"]
    assert main(["predict", *bad, "shots/a.jpg", "--no-draw"]) == 1
    summary = lines(capsys)[-1]
    assert summary["images"] == 6 and set(summary["errors"]) == set(bad)
    assert "cannot list the folder shots/closed: Permission" in summary["errors"]["shots/closed"]


def test_the_home_folder_may_be_written_as_a_tilde(shots, capsys, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(shots))
    monkeypatch.setenv("USERPROFILE", str(shots))
    arguments = ["predict", "~/a.jpg", "~/b.jpg", "--output", "~/out", "--json", "~/all.jsonl"]
    assert main(arguments) == 0
    assert len(list((shots / "out").iterdir())) == 2 and (shots / "all.jsonl").is_file()


def test_a_link_to_nothing_in_a_folder_fails_and_hidden_files_do_not(shots, capsys) -> None:
    (shots / "broken.jpg").rename(shots / "._a.jpg")  # as macOS leaves behind
    (shots / "link.jpg").symlink_to("gone.jpg")
    assert main(["predict", "shots", "--no-draw"]) == 1
    summary = lines(capsys)[-1]
    assert summary["images"] == 3 and summary["failed"] == 1
    assert "is a link to gone.jpg" in summary["errors"]["shots/link.jpg"]


def test_drawn_images_are_not_sources_of_the_next_run(shots, capsys) -> None:
    (shots / "broken.jpg").unlink()
    assert main(["predict", "shots"]) == 0
    assert main(["predict", "shots", "--no-draw"]) == 0
    assert lines(capsys)[-1]["images"] == 2


def test_a_folder_of_drawn_images_only_is_said_not_passed_over(shots, capsys) -> None:
    (shots / "drawn").mkdir()
    shutil.copy(ASTRONAUT, shots / "drawn" / "a.pose.jpg")
    assert main(["predict", "shots/drawn"]) == 1
    (record,) = lines(capsys)
    assert "only drawn images, such as a.pose.jpg" in record["error"]


def test_people_are_kept_where_their_image_cannot_be_drawn(shots, capsys, monkeypatch) -> None:
    def full(path: Path, image: object) -> Path:
        raise LitePoseError(f"cannot write {path}: No space left on device")

    monkeypatch.setattr(write, "save_image", full)
    assert main(["predict", "shots/a.jpg"]) == 1
    out, err = capsys.readouterr()
    record = json.loads(out)
    assert len(record["people"]) == 1 and "No space left" in record["error"]
    assert err.count("a.pose.jpg") == 1 and "->" not in err


def test_a_large_image_is_read_where_it_is_meant(shots, capsys) -> None:
    arguments = ["predict", "shots/a.jpg", "--no-draw", "--max-pixels"]
    assert main([*arguments, "1000"]) == 1
    assert "--max-pixels" in lines(capsys)[0]["error"]
    assert main([*arguments, "1000000"]) == 0


def test_an_old_report_is_kept_where_work_cannot_start(shots, capsys) -> None:
    Path("old.jsonl").write_text("precious")
    assert main(["predict", "shots/a.jpg", "--json", "old.jsonl", "--model", "nothing"]) == 2
    assert Path("old.jsonl").read_text() == "precious"


def test_images_of_one_name_do_not_overwrite_each_other(shots, capsys) -> None:
    (shots / "more").mkdir()
    shutil.copy(ASTRONAUT, shots / "more" / "a.jpg")
    assert main(["predict", "shots/a.jpg", "shots/more/a.jpg", "--output", "out"]) == 0
    assert {p.name for p in Path("out").iterdir()} == {"a.pose.jpg", "a-2.pose.jpg"}


def test_no_source_is_drawn_over_before_it_is_read(shots, capsys, monkeypatch) -> None:
    source = Path("shots/a.pose.jpg")
    shutil.copy(shots / "a.jpg", source)
    before = source.read_bytes()
    assert main(["predict", "shots/a.jpg", str(source)]) == 0
    first, second, _ = lines(capsys)
    assert first["drawn"] == "shots/a-2.pose.jpg" and second["drawn"] == "shots/a.pose.pose.jpg"
    monkeypatch.chdir(shots)  # the same files by other names
    Path("link").symlink_to(".")
    assert main(["predict", "a.jpg", "link/a.pose.jpg"]) == 0
    assert Path("a.pose.jpg").read_bytes() == before


def test_no_source_is_written_over_by_the_report(shots, capsys) -> None:
    shutil.copy(shots / "a.jpg", "photo")
    assert main(["predict", "photo", "--no-draw", "--json", "./photo"]) == 2
    assert "is one of the sources" in capsys.readouterr().err
    assert Path("photo").read_bytes() == ASTRONAUT.read_bytes()


def test_quiet_says_nothing_but_errors(shots, capsys) -> None:
    assert main(["predict", "shots/a.jpg", "--no-draw", "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    assert main(["predict", "shots/broken.jpg", "--quiet"]) == 1
    assert "broken.jpg" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "litepose-z"], "did you mean"),
        (["--threshold", "7"], "threshold"),
        (["--scales", "1,two"], "--scales"),
        (["--backend", "magic"], "magic"),
        (["--output", "shots/a.jpg/x"], "cannot make the folder"),
        (["--json", "no/such/folder.jsonl"], "cannot write"),
        (["--size", "1"], "size"),
        (["--keypoint-threshold", "nan"], "--keypoint-threshold"),
        (["--max-pixels", "0"], "--max-pixels"),
        (["--no-draw", "--heatmaps"], "leave out --heatmaps"),
        (["--json", "shots/b.jpg"], "names an image or a video"),
        (["--device", "cuda"], "is for PyTorch"),
    ],
)
def test_misuse_is_a_sentence_and_exit_2(shots, capsys, arguments, said) -> None:
    assert main(["predict", "shots/a.jpg", *arguments]) == 2
    out, err = capsys.readouterr()
    assert said in err and out == "" and "Traceback" not in err
    assert not list(shots.glob("*.pose.jpg")), "nothing was started"


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
def test_a_misspelt_word_is_answered_with_the_nearest(words: str, said: str, capsys) -> None:
    with pytest.raises(SystemExit) as end:
        main(words.split())
    assert end.value.code == 2 and said in capsys.readouterr().err


def test_settings_of_a_training_may_stand_anywhere() -> None:
    words = "train x.toml seed=1 --resume epochs=3 --stop-after 5 run.threads=1"
    options = build_parser().parse(words.split())
    assert options.resume and options.overrides == ["seed=1", "epochs=3", "run.threads=1"]


def test_unwritable_output_is_found_before_work_starts(shots, capsys, monkeypatch) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    shots.chmod(0o500)
    assert main(["predict", "shots/a.jpg"]) == 2
    assert "cannot write" in capsys.readouterr().err


def test_models_and_doctor_end_in_json(capsys) -> None:
    assert main(["models"]) == 0
    models = json.loads(capsys.readouterr().out.splitlines()[-1])["models"]
    assert any(m["default"] and ".onnx" in m["found"] for m in models)
    assert main(["doctor"]) == 0
    report = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert report["self_test"]["passed"] and len(report["models"]["litepose-p.onnx"]) > 64


def test_convert_writes_a_checkpoint_that_loads(shared: Path, tmp_path, capsys) -> None:
    source = shared / "reference" / "xs_crowdpose.pth.tar"
    target = tmp_path / "xs.safetensors"
    assert main(["convert", str(source), "--output", str(target)]) == 0
    assert lines_after_text(capsys)["skeleton"] == "crowdpose14"
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


def lines_after_text(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


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


def test_version_and_no_progress_bar_where_nobody_watches(shots) -> None:
    run = [sys.executable, "-m", "litepose"]
    version = subprocess.run([*run, "--version"], capture_output=True, text=True, check=True)
    assert version.stdout.strip() == f"litepose {__version__}"
    done = subprocess.run(
        [*run, "predict", "shots/a.jpg", "shots/b.jpg", "--no-draw"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "\r" not in done.stderr and "\033" not in done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["failed"] == 0
