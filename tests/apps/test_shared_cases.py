"""Small files that ended version 0.1.0 in a traceback or worse: each is a sentence now."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from litepose.apps.cli.main import main
from litepose.core.errors import LitePoseError
from litepose.data.packed import PackedDataset
from litepose.imaging.read import ReadLimits, read_image

MODELS = (
    "deep-settings.onnx", "5000-digits.onnx", "nul-location.onnx", "long-location.onnx",
    "deep-settings.safetensors", "tag_skips-true.safetensors", "tag_width-0.safetensors",
    "zero-width.pth.tar", "cut-in-a-number.pth.tar",
)  # fmt: skip


@pytest.fixture(scope="module")
def cases(shared: Path) -> Path:
    folder = shared / "cases"
    if not folder.is_dir():
        pytest.skip("the cases are not here")
    return folder


def says(capsys) -> str:
    err = capsys.readouterr().err
    assert err.startswith("litepose ") and len(err) < 4000
    return err


@pytest.mark.parametrize("name", MODELS)
def test_models(cases: Path, name: str, tmp_path: Path, capsys) -> None:
    image = tmp_path / "a.jpg"
    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(image)
    assert main(["predict", str(image), "--no-draw", "--model", str(cases / name)]) == 2
    assert name in says(capsys)


def test_what_is_converted(cases: Path, capsys) -> None:
    assert main(["convert", str(cases / "zero-width.pth.tar")]) == 2
    assert "zero-width" in says(capsys)


@pytest.mark.parametrize("name", ["deep.toml", "5000-digits.toml"])
def test_configurations(cases: Path, name: str, capsys) -> None:
    assert main(["train", str(cases / name)]) == 2
    assert name in says(capsys)


def test_annotations_nested_without_end(cases: Path, tmp_path: Path, capsys) -> None:
    (tmp_path / "images" / "val").mkdir(parents=True)
    (tmp_path / "annotations").mkdir()
    name = "person_keypoints_val.json"
    found = next((cases / "deep-json").rglob(name))
    shutil.copyfile(found, tmp_path / "annotations" / name)
    assert main(["data", "check", str(tmp_path), "--split", "val"]) == 2
    assert "is nested more than 64 levels deep" in says(capsys)


def test_packed_dataset_with_a_deep_header(cases: Path) -> None:
    with pytest.raises(LitePoseError, match=r"deep-header\.lpc"):
        PackedDataset(cases / "deep-header.lpc")


@pytest.mark.parametrize("name", ["rgba9990.webp", "anim9900.webp"])
def test_small_files_of_huge_images_meet_the_budget(cases: Path, name: str) -> None:
    """34 bytes that are a hundred million pixels: no more memory than all images may have."""
    with pytest.raises(LitePoseError, match="MB"):
        read_image(cases / name, ReadLimits(max_memory=300 << 20))
