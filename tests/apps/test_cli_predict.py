"""`litepose predict` of images: drawn files, lines of JSON, failures, nothing overwritten."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from litepose.apps.cli.main import main
from litepose.core.errors import LitePoseError
from litepose.imaging import write

ASTRONAUT = Path(__file__).parents[2] / "examples" / "images" / "astronaut.jpg"


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


@pytest.mark.slow
def test_the_home_folder_may_be_written_as_a_tilde(shots, capsys, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(shots))
    monkeypatch.setenv("USERPROFILE", str(shots))
    arguments = ["predict", "~/a.jpg", "~/b.jpg", "--output", "~/out", "--json", "~/all.jsonl"]
    assert main(arguments) == 0
    assert len(list((shots / "out").iterdir())) == 2 and (shots / "all.jsonl").is_file()


@pytest.mark.slow
def test_a_link_to_nothing_in_a_folder_fails_and_hidden_files_do_not(shots, capsys) -> None:
    (shots / "broken.jpg").rename(shots / "._a.jpg")  # as macOS leaves behind
    (shots / "link.jpg").symlink_to("gone.jpg")
    assert main(["predict", "shots", "--no-draw"]) == 1
    summary = lines(capsys)[-1]
    assert summary["images"] == 3 and summary["failed"] == 1
    assert "is a link to gone.jpg" in summary["errors"]["shots/link.jpg"]


@pytest.mark.slow
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


@pytest.mark.slow
def test_images_of_one_name_do_not_overwrite_each_other(shots, capsys) -> None:
    (shots / "more").mkdir()
    shutil.copy(ASTRONAUT, shots / "more" / "a.jpg")
    assert main(["predict", "shots/a.jpg", "shots/more/a.jpg", "--output", "out"]) == 0
    assert {p.name for p in Path("out").iterdir()} == {"a.pose.jpg", "a-2.pose.jpg"}


@pytest.mark.slow
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


@pytest.mark.slow
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


def test_unwritable_output_is_found_before_work_starts(shots, capsys, monkeypatch) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    shots.chmod(0o500)
    assert main(["predict", "shots/a.jpg"]) == 2
    assert "cannot write" in capsys.readouterr().err
