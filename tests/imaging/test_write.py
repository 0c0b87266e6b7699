"""Images written whole, or an error and nothing changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from litepose.core.errors import LitePoseError
from litepose.imaging.read import read_image
from litepose.imaging.write import check_writable, save_image

IMAGE = np.kron(np.random.default_rng(0).integers(0, 256, (6, 8, 3)), np.ones((8, 8, 1))).astype(
    np.uint8
)


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tiff", ".jpg", ".JPEG", ".webp"])
def test_what_is_written_is_read_back(suffix: str, tmp_path: Path) -> None:
    path = save_image(tmp_path / f"x{suffix}", IMAGE, quality=100)
    back = read_image(path)
    difference = np.abs(back.astype(int) - IMAGE)
    assert difference.max() <= {".jpg": 6, ".jpeg": 6, ".webp": 255}.get(suffix.lower(), 0)
    assert difference.mean() < 8
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_quality_is_heard_and_color_kept_at_full_resolution(tmp_path: Path) -> None:
    small, large = (save_image(tmp_path / f"{q}.jpg", IMAGE, q) for q in (30, 95))
    assert small.stat().st_size < large.stat().st_size
    with Image.open(large) as image:
        assert {layer[1:3] for layer in image.layer} == {(1, 1)}


@pytest.mark.parametrize("make", [save_image, lambda path, _: check_writable(path)])
def test_places_that_cannot_be_written(make, tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_text("x")
    for path, says in (
        (tmp_path / "x.gif", r"suffix '\.gif' names no known format; use one of \.jpg"),
        (tmp_path / "x", "suffix '' names"),
        (tmp_path / "none" / "x.png", "make the folder .*none first"),
        (tmp_path / "folder.png", "cannot write"),
        (tmp_path / "file" / "x.png", "cannot write"),
    ):
        with pytest.raises(LitePoseError, match=says):
            make(path, IMAGE)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder.png"]


def test_a_failure_leaves_the_old_file(tmp_path: Path, monkeypatch) -> None:
    path = save_image(tmp_path / "x.png", IMAGE)
    before = path.read_bytes()

    def disk_full(self: Path, data: bytes) -> int:
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", disk_full)
    with pytest.raises(LitePoseError, match=r"x\.png: No space left on device"):
        save_image(path, IMAGE[::-1])
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_checking_changes_nothing(tmp_path: Path) -> None:
    check_writable(tmp_path / "new.png")
    assert not list(tmp_path.iterdir())
    path = save_image(tmp_path / "x.png", IMAGE)
    before = path.stat().st_mtime_ns
    check_writable(path)
    assert path.stat().st_mtime_ns == before


def test_a_image_that_the_format_cannot_hold(tmp_path: Path) -> None:
    with pytest.raises(LitePoseError, match="70000x1"):
        save_image(tmp_path / "x.jpg", np.zeros((1, 70_000, 3), np.uint8))
    assert not list(tmp_path.iterdir())
