"""Find the image files of an annotation file, and add missing sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from litepose.core.errors import LitePoseError
from litepose.imaging.read import read_size


def find_image(folder: Path, file_name: str) -> Path:
    """Path of an image; also for names with backslashes, as in Windows paths.

    Raises OSError or ValueError for a name that no file can have.
    """
    path = folder / file_name
    if "\\" in file_name and not path.exists():
        turned = folder / file_name.replace("\\", "/")
        if turned.exists():
            return turned
    return path


def has_size(image: Mapping[str, Any]) -> bool:
    return image.get("width") is not None and image.get("height") is not None


def with_sizes(
    images: Sequence[Mapping[str, Any]], folder: Path, check: Callable[[str], None]
) -> list[Mapping[str, Any]]:
    """The same entries, with missing width and height read from the image files.

    check: raises LitePoseError for a name that leads out of the folder, which is not opened. An
    unreadable image gets the size 1x1; reading it later reports the reason.
    """
    return [image if has_size(image) else _measured(image, folder, check) for image in images]


def _measured(
    image: Mapping[str, Any], folder: Path, check: Callable[[str], None]
) -> Mapping[str, Any]:
    name, size = str(image.get("file_name", "")), (1, 1)
    try:
        check(name)
        path = find_image(folder, name)
        if path.resolve().is_relative_to(folder.resolve()):
            size = read_size(path)
    except (LitePoseError, OSError, ValueError, RuntimeError):
        pass
    return {**image, "width": size[0], "height": size[1]}
