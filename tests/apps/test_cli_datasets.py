"""The verbs for datasets, judging and training, on drawn people."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pytest

import litepose
from litepose.apps.cli.main import main


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    assert main(["data", "synth", str(folder), "--count", "6", "--split", "val2017"]) == 0
    return folder


def last(capsys: pytest.CaptureFixture[str]) -> dict:
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_evaluate_prints_tables_writes_a_report_and_ends_in_json(drawn, tmp_path, capsys) -> None:
    out = tmp_path / "report"
    arguments = ["evaluate", "--data", str(drawn), "--split", "val2017", "--output", str(out)]
    assert main([*arguments, "--limit", "4", "--size", "192"]) == 0
    report = last(capsys)
    assert report["schema"] == 1 and report["interrupted"] is False
    names = {p.name for p in out.iterdir()}
    assert {"report.json", "report.txt", "results.json", "sheet.png"} <= names


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--limit", "0"], "1 or more; got 0"),
        (["--limit", "-3"], "1 or more; got -3"),
        (["--resume"], "--output DIR"),
    ],
)
def test_what_evaluate_cannot_do_is_misuse(drawn, arguments, said, capsys) -> None:
    assert main(["evaluate", "--data", str(drawn), "--split", "val2017", *arguments]) == 2
    out, err = capsys.readouterr()
    assert said in err and out == ""


def test_help_of_evaluate_has_one_sign_for_percent(capsys) -> None:
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    assert "95 % interval" in " ".join(capsys.readouterr().out.split())


def test_data_check_show_and_pack(drawn, tmp_path, capsys) -> None:
    where = [str(drawn), "--split", "val2017"]
    assert main(["data", "check", *where]) == 0
    assert last(capsys)["ok"] is True
    sheet = tmp_path / "sheet.png"
    assert main(["data", "show", *where, "--count", "4", "--output", str(sheet)]) == 0
    assert sheet.stat().st_size > 1000 and last(capsys)["images"] == 4
    packed = tmp_path / "val.lpc"
    assert main(["data", "pack", *where, "--output", str(packed), "--short-side", "64"]) == 0
    assert last(capsys)["images"] == 6 and packed.is_file()


def test_data_pseudo_label_resumes_only_with_the_same_settings(drawn, tmp_path, capsys) -> None:
    arguments = [
        "data",
        "pseudo-label",
        "--model",
        "p",
        str(drawn),
        "--split",
        "val2017",
        "--output",
        str(tmp_path),
    ]
    for _ in range(2):
        assert main([*arguments, "--size", "64"]) == 0
    said = json.loads((tmp_path / "teacher_maps.json").read_text())
    model = Path(litepose.__file__).parent / "weights" / "litepose_p_coco17.onnx"
    assert said["weights_sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert main([*arguments, "--size", "64", "--flip-test"]) == 2
    assert "flip_test False, now True" in capsys.readouterr().err


def test_data_synth_leaves_a_dataset_alone(drawn, capsys) -> None:
    before = {path: path.stat().st_mtime_ns for path in drawn.rglob("*")}
    assert main(["data", "synth", str(drawn), "--split", "val2017"]) == 2
    assert "annotations/person_keypoints_val2017.json" in capsys.readouterr().err
    assert {path: path.stat().st_mtime_ns for path in drawn.rglob("*")} == before


def test_data_show_without_a_image_says_why(drawn, tmp_path, capsys) -> None:
    where = [str(drawn), "--split", "val2017", "--output", str(tmp_path / "sheet.png")]
    assert main(["data", "show", *where, "--count", "0"]) == 2
    assert "count of images to show must be 1 or more; got 0" in capsys.readouterr().err
    shutil.copytree(drawn, tmp_path / "spoilt")
    for image in (tmp_path / "spoilt/images/val2017").iterdir():
        image.write_bytes(b"no image")
    assert main(["data", "show", str(tmp_path / "spoilt"), *where[1:]]) == 2
    err = capsys.readouterr().err
    assert "none of the 6 images can be read" in err and "it begins with b'no image'" in err


def test_data_check_exits_1_on_errors(drawn, tmp_path, capsys) -> None:
    spoilt = tmp_path / "spoilt"
    (spoilt / "annotations").mkdir(parents=True)
    name = "annotations/person_keypoints_val2017.json"
    (spoilt / name).write_text((drawn / name).read_text())
    (spoilt / "images" / "val2017").mkdir(parents=True)
    assert main(["data", "check", str(spoilt), "--split", "val2017"]) == 1
    assert not last(capsys)["ok"]


@pytest.mark.slow
def test_cost_counts_a_model_without_weights(capsys) -> None:
    pytest.importorskip("torch")
    assert main(["cost", "--model", "xs"]) == 0
    cost = last(capsys)
    assert cost["params"] == 1_675_912 and cost["macs"] == pytest.approx(0.886e9, rel=1e-3)
    assert "latency_ms" not in cost


@pytest.mark.slow
def test_cost_ends_in_json(capsys) -> None:
    pytest.importorskip("torch")
    assert main(["cost", "--runs", "2", "--size", "128"]) == 0
    cost = last(capsys)
    assert cost["params"] > 2e6 and cost["latency_ms"]["net"]["p50"] > 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["evaluate", "--data", "nowhere", "--split", "val2017"], "nowhere"),
        (["data", "check", "nowhere"], "nowhere"),
        (["data", "download", "imagenet", "here"], "coco"),
        (["train", "no.toml"], "no.toml"),
        (["export", "--model", "gone.safetensors"], "gone.safetensors"),
        (["export", "--model", "xs"], "no weights"),
        (["cost", "--model", "zzz"], "no model"),
    ],
)
def test_misuse_is_a_sentence_and_exit_2(arguments, said, capsys) -> None:
    assert main(arguments) == 2
    err = capsys.readouterr().err
    assert said in err and "Traceback" not in err


@pytest.mark.slow
def test_export_writes_a_model_that_loads(tmp_path, capsys) -> None:
    target = tmp_path / "p.onnx"
    assert main(["export", "--model", "p", "--output", str(target)]) == 0
    assert last(capsys)["difference"] < 1e-4
    assert main(["cost", "--model", str(target), "--runs", "1", "--size", "128"]) == 0


@pytest.mark.parametrize(("old", "new"), [("doctor", "check"), ("answers", "pseudo-label")])
def test_a_renamed_tool_names_its_new_name(old, new, capsys) -> None:
    with pytest.raises(SystemExit) as left:
        main(["data", old, "somewhere"])
    assert left.value.code == 2
    assert f"{old!r} is now called {new!r}" in capsys.readouterr().err
