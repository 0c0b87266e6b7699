"""Folders, patterns and paths to images."""

from __future__ import annotations

from pathlib import Path

import pytest

from litepose.core.errors import LitePoseError
from litepose.imaging.find_images import list_images


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("shot10.jpg", "shot2.JPG", "Shot1.png", "notes.txt", "sub/deep.webp", ".png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / "folder.jpg").mkdir()
    return tmp_path


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def test_a_folder_in_natural_order(folder: Path) -> None:
    assert names(list_images(folder)) == ["Shot1.png", "shot2.JPG", "shot10.jpg"]
    assert names(list_images(str(folder))) == ["Shot1.png", "shot2.JPG", "shot10.jpg"]


def test_patterns(folder: Path) -> None:
    assert names(list_images(f"{folder}/shot*")) == ["shot2.JPG", "shot10.jpg"]
    assert names(list_images(f"{folder}/**/*.webp")) == ["deep.webp"]


def test_hidden_files_are_skipped_unless_they_are_named(folder: Path) -> None:
    for name in (".hidden.jpg", "._shot2.JPG"):
        (folder / name).write_bytes(b"")
    assert names(list_images(folder)) == ["Shot1.png", "shot2.JPG", "shot10.jpg"]
    assert names(list_images(f"{folder}/*.jpg")) == ["shot10.jpg"]
    assert names(list_images(f"{folder}/.*.jpg")) == [".hidden.jpg"]
    assert names(list_images(folder / ".hidden.jpg")) == [".hidden.jpg"]


def test_links_to_nothing_are_not_passed_over(folder: Path) -> None:
    (folder / "shot3.jpg").symlink_to("gone.jpg")
    (folder / "shot4.jpg").symlink_to("sub")
    assert names(list_images(folder)) == ["Shot1.png", "shot2.JPG", "shot3.jpg", "shot10.jpg"]
    assert names(list_images(f"{folder}/shot*.jpg")) == ["shot3.jpg", "shot10.jpg"]


def test_one_file_whatever_its_name(folder: Path) -> None:
    assert list_images(folder / "notes.txt") == [folder / "notes.txt"]
    (folder / "a[1].jpg").write_bytes(b"")
    assert list_images(folder / "a[1].jpg") == [folder / "a[1].jpg"]


def test_an_empty_name_is_not_the_folder_here(folder: Path, monkeypatch) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(LitePoseError, match="is empty"):
        list_images("")


def test_a_link_to_nothing_and_names_that_are_not_near(folder: Path) -> None:
    (folder / "link.jpg").symlink_to("gone.jpg")
    with pytest.raises(LitePoseError, match=r"link\.jpg is a link to gone\.jpg"):
        list_images(folder / "link.jpg")
    with pytest.raises(LitePoseError, match=r"no file .*xyz\.jpg$"):
        list_images(folder / "xyz.jpg")


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("empty", "folder .*empty holds no images"),
        ("*.tiff", r"pattern .*\*\.tiff holds no images"),
        ("shot11.jpg", r"no file .*shot11\.jpg; did you mean .*shot1"),
    ],
)
def test_nothing_found(folder: Path, source: str, says: str) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(LitePoseError, match=says):
        list_images(f"{folder}/{source}")
