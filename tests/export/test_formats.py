"""Every format: what is missing is said, and what differs from PyTorch is not written."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from litepose.apps.cli.main import main  # noqa: E402
from litepose.core.errors import LitePoseError  # noqa: E402
from litepose.core.model_info import ModelInfo  # noqa: E402
from litepose.core.poses import Poses  # noqa: E402
from litepose.core.skeleton import COCO17, LSP14  # noqa: E402
from litepose.export import export, torchscript  # noqa: E402
from litepose.export.export import ExportRequest, check, export_model  # noqa: E402
from litepose.export.exportable import Source, load_source  # noqa: E402
from litepose.export.formats import FORMATS, find_format  # noqa: E402
from litepose.export.parity import Parity, check_graph, compare, difference, eager  # noqa: E402


@pytest.mark.parametrize("name", FORMATS)
def test_an_absent_converter_is_named_with_its_pip_line(name, monkeypatch) -> None:
    monkeypatch.setattr("litepose.core.packages.find_spec", lambda _: None)
    monkeypatch.setattr("litepose.export.formats._has_gpu", lambda: True)
    package, extra = FORMATS[name].packages[-1], FORMATS[name].extra
    with pytest.raises(LitePoseError, match=rf"{name} needs .*{package}.*litepose\[{extra}\]"):
        find_format(name).check_installed(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="here is a GPU")
def test_a_format_of_gpus_is_refused_without_one(capsys, tmp_path: Path) -> None:
    target = tmp_path / "p.engine"
    assert main(["export", "--format", "tensorrt", "--output", str(target)]) == 2
    said = capsys.readouterr().err
    assert "made on the NVIDIA GPU that will run it" in said and "--format onnx" in said
    assert not target.exists()


def test_an_unknown_format_gets_the_nearest_as_a_hint() -> None:
    with pytest.raises(LitePoseError, match="did you mean 'openvino'"):
        find_format("openvin")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"target": Path("x.bin")}, "must end in .onnx"),
        ({"format": "int8-onnx"}, "--calibration DIR"),
        ({"calibration": "shots"}, "are for int8"),
        ({"format": "ncnn", "target": Path("x.param"), "decoder": True}, "cannot hold the decoder"),
    ],
)
def test_what_cannot_be_is_said_beforehand(wrong, said, monkeypatch) -> None:
    monkeypatch.setattr("litepose.core.packages.find_spec", lambda _: True)
    with pytest.raises(LitePoseError, match=said):
        check(replace(ExportRequest("p", "onnx", Path("x.onnx")), **wrong))


def test_the_weights_of_another_format_are_not_overwritten(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("litepose.core.packages.find_spec", lambda _: True)
    (tmp_path / "p.xml").touch()
    (tmp_path / "p.bin").touch()
    check(ExportRequest("p", "openvino", tmp_path / "p.xml"))
    with pytest.raises(LitePoseError, match=r"p\.bin exists already"):
        check(ExportRequest("p", "ncnn", tmp_path / "p.param"))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"size_wh": (100, 64)}, "multiples of 32; got 100x64"),
        ({"flip": True}, "needs the decoder"),
    ],
)
def test_a_source_that_cannot_be(tiny: Source, wrong, said) -> None:
    with pytest.raises(LitePoseError, match=said):
        replace(tiny, **wrong)
    with pytest.raises(LitePoseError, match="17 keypoints; its skeleton lsp14 has 14"):
        Source(tiny.network, replace(tiny.info, skeleton=LSP14))
    with pytest.raises(LitePoseError, match="already exported"):
        load_source("mine.onnx")


def use(tiny: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """`export_model` opens this network, and looks at one small image."""
    monkeypatch.setattr(export, "load_source", lambda *_: tiny)
    image = np.full((96, 96, 3), 127, np.uint8)
    monkeypatch.setattr(export, "comparison_images", lambda _: ([image], "one image"))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.torch.jit.load.:DeprecationWarning")
def test_torchscript_has_the_maps_and_the_settings_inside(
    tiny: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = replace(tiny, sha256="0123")
    use(tiny, monkeypatch)
    target = tmp_path / "net.torchscript"
    report = export_model(ExportRequest("tiny", "torchscript", target))
    assert [path.name for path in tmp_path.iterdir()] == ["net.torchscript"]
    assert report.parity.ok and report.parity.file_ms > 0 and report.written == (target,)
    texts = {"litepose": "", "litepose_weights_sha256": ""}
    torch.jit.load(str(target), _extra_files=texts)
    inside = {name: bytes(text).decode() for name, text in texts.items()}
    assert ModelInfo.from_json(inside["litepose"]) == tiny.info
    assert inside["litepose_weights_sha256"] == "0123"
    assert check_graph(tiny, torchscript.open_runner(tiny, target), 1e-4) <= 1e-4
    assert json.loads(json.dumps(report.to_dict()))["written"] == str(target)


@pytest.mark.slow
def test_a_file_that_differs_is_not_written(tiny, tmp_path, monkeypatch) -> None:
    use(tiny, monkeypatch)
    far = Parity(1, 2, 2, keypoint_px=0.6, score=0.0, file_ms=1.0, torch_ms=2.0)
    monkeypatch.setattr(export, "compare", lambda *_: far)
    with pytest.raises(LitePoseError, match=r"too far from PyTorch: .*0\.6000 px"):
        export_model(ExportRequest("tiny", "torchscript", tmp_path / "net.torchscript"))
    assert not list(tmp_path.iterdir())


def test_parity_fails_by_place_score_and_count() -> None:
    good = Parity(1, 2, 2, keypoint_px=0.4, score=0.01, file_ms=1.0, torch_ms=2.0)
    assert good.ok
    assert not replace(good, people=3).ok
    assert not replace(good, keypoint_px=0.51).ok
    assert not replace(good, score=0.03).ok


def test_difference_compares_each_with_the_nearest() -> None:
    xy = np.random.default_rng(0).uniform(0, 100, (3, 17, 2)).astype(np.float32)
    scores = np.full((3, 17), 0.5, np.float32)
    theirs = Poses(xy, scores, np.array([0.9, 0.8, 0.7]), COCO17)
    moved, fainter = xy[::-1].copy(), scores.copy()
    moved[0, 4] += (3, 4)
    fainter[1, 2] = 0.25
    moved[2, 3], fainter[2, 3] = (900, 900), 0  # not found: its place says nothing
    ours = Poses(moved, fainter, np.array([0.9, 0.8, 0.7]), COCO17)
    px, score = difference(theirs, ours)
    assert px == pytest.approx(5, abs=1e-4) and score == pytest.approx(0.5)


@pytest.mark.slow
def test_a_graph_of_other_weights_is_noticed(tiny: Source, images) -> None:
    with pytest.raises(LitePoseError, match="differs from the network"):
        check_graph(tiny, lambda images: [2 * out for out in eager(tiny)(images)], 1e-4)
    same = compare(tiny, eager(tiny), images[:1])
    assert same.ok and same.keypoint_px == 0 and same.images == 1


def test_a_converter_that_pins_others_is_sent_into_an_environment_of_its_own(monkeypatch) -> None:
    monkeypatch.setattr("litepose.export.formats.missing", lambda _: ["litert_torch"])
    line = r"python -m venv (\S+) && \1/bin/pip install 'litepose\[litert\]'$"
    with pytest.raises(LitePoseError, match=line):
        find_format("litert").check_installed("litert")


@pytest.mark.slow
def test_a_file_that_cannot_run_here_is_written_without_a_comparison(
    tiny: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(tiny, monkeypatch)
    monkeypatch.setattr(torchscript, "open_runner", lambda source, path: None)
    report = export_model(ExportRequest("tiny", "torchscript", tmp_path / "net.torchscript"))
    assert report.written[0].is_file()
    assert report.to_dict()["parity"] is None and report.difference is None


def test_a_package_that_is_a_folder_is_replaced(tmp_path: Path) -> None:
    staged, target = tmp_path / "a" / "net.mlpackage", tmp_path / "net.mlpackage"
    for folder, text in ((staged, "new"), (target, "old")):
        folder.mkdir(parents=True)
        (folder / "Manifest.json").write_text(text)
    (target / "stale").touch()
    export.put_in_place(staged, target, [".mlpackage"])
    assert [each.name for each in target.iterdir()] == ["Manifest.json"]
    assert (target / "Manifest.json").read_text() == "new"


@pytest.mark.parametrize("name", ["openvino", "ncnn", "int8-openvino"])
def test_the_module_of_each_format_is_there(name) -> None:
    missing = [p for p in FORMATS[name].packages if importlib.util.find_spec(p) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed")
    assert FORMATS[name].open_module()
