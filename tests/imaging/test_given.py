"""Open files, tensors and other libraries' paths are images; what holds none is refused once."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from litepose.core.errors import LitePoseError
from litepose.imaging.read import read_image
from litepose.inference.sources import expand

RED = np.full((5, 7, 3), (255, 0, 0), np.uint8)


def png() -> io.BytesIO:
    file = io.BytesIO()
    Image.fromarray(RED).save(file, "PNG")  # and stands at its end
    return file


class OtherPath:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


def test_open_files_and_other_paths(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png().getvalue())
    assert np.array_equal(read_image(png()), RED)
    assert np.array_equal(read_image(OtherPath(path)), RED)  # type: ignore[arg-type]
    with path.open("rb") as file:
        assert np.array_equal(read_image(file), RED)
        assert np.array_equal(read_image(file), RED)


def test_open_files_that_give_no_image(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("words")
    with (tmp_path / "a.txt").open() as file, pytest.raises(LitePoseError, match="rb"):
        read_image(file)  # type: ignore[arg-type]
    with pytest.raises(LitePoseError, match="closed"):
        read_image(file)  # type: ignore[arg-type]
    with pytest.raises(LitePoseError, match="empty"):
        read_image(io.BytesIO())


def test_tensors() -> None:
    torch = pytest.importorskip("torch")
    whole = torch.from_numpy(RED)
    assert np.array_equal(read_image(whole), RED)
    for kind in (torch.float32, torch.float16, torch.bfloat16, torch.float64):
        floats = (whole.permute(2, 0, 1) / 255).to(kind).requires_grad_()
        assert np.array_equal(read_image(floats), RED)
    grays = torch.arange(256).reshape(1, 16, 16).expand(3, -1, -1) / 255
    assert np.array_equal(read_image(grays)[..., 0].ravel(), np.arange(256))
    for wrong, says in (
        (whole.permute(2, 0, 1), r"\(3, 5, 7\) uint8: turn it with .permute\(1, 2, 0\)"),
        (whole / 255, r"permute\(2, 0, 1\)"),
        (whole.permute(2, 0, 1).float(), "from 0 to 255: undo"),
        (torch.full((3, 4, 4), torch.nan), "from nan"),
        (torch.zeros(2, 3, 4, 4), r"list\(tensor\)"),
        (torch.zeros(3, 4, 4, dtype=torch.int64), "int64"),
        (torch.zeros(3), r"\(3,\)"),
    ):
        with pytest.raises(LitePoseError, match=says):
            read_image(wrong)
    assert expand(whole) is None


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: range(384), "range of 384 holds no images but int"),
        (lambda: RED.tolist(), "list of 5 holds no images but list"),
        (lambda: {"a.jpg": 1}, "got a dict"),
        (lambda: {"a.jpg"}, "got a set"),
        (lambda: iter([None]), "NoneType"),
    ],
)
def test_what_holds_no_images_is_refused_once(make: Callable[[], Any], says: str) -> None:
    with pytest.raises(LitePoseError, match=says):
        expand(make())


def test_what_is_one_image_and_what_is_many(tmp_path: Path, monkeypatch) -> None:
    assert expand(png()) is None and expand(RED) is None and expand(b"") is None
    assert expand(7) is None and expand([]) == [] and expand(("a.jpg", 3)) == ["a.jpg", 3]
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a.png").write_bytes(png().getvalue())
    assert [Path(path) for path in expand("~") or []] == [tmp_path / "a.png"]
    assert np.array_equal(read_image("~/a.png"), RED)
