"""List the images of a folder, glob pattern or path; suggest the nearest name to a missing one."""

from __future__ import annotations

import glob
import re
from itertools import islice
from pathlib import Path

from litepose.core.errors import LitePoseError, did_you_mean
from litepose.core.names import local_path

IMAGE_SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
)  # fmt: skip
_NAMES_COMPARED = 5000  # a folder may hold millions; a hint is not worth reading them all


def list_images(source: str | Path) -> list[Path]:
    """The images in a folder (not below it), of a pattern (`shots/**/*.jpg`), or the one file.

    Folders and patterns give the files with an image suffix in natural order (2 before 10), without
    hidden ones (`.x.jpg`); a path to one file gives that file, whatever its name. Broken links are
    included, so that reading reports them.
    Raises LitePoseError if nothing is found.
    """
    if not str(source):
        raise LitePoseError("the name of the image is empty; for the folder here give '.'")
    path = local_path(source)
    if path.is_dir():
        found = [p for p in _entries(path) if not p.name.startswith(".")]
        searched = f"folder {source}"
    elif glob.has_magic(str(path)) and not path.exists():
        found = [Path(p) for p in glob.glob(str(path), recursive=True)]  # noqa: PTH207
        searched = f"pattern {source}"
    elif path.exists():
        return [path]
    else:
        raise LitePoseError(missing_message(path))
    named = [p for p in found if p.suffix.lower() in IMAGE_SUFFIXES]
    images = [p for p in named if _may_be_file(p)]
    if not images:
        raise LitePoseError(f"{searched} holds no images ({' '.join(sorted(IMAGE_SUFFIXES))})")
    return sorted(images, key=lambda p: [_natural_key(part) for part in p.parts])


def missing_message(path: Path) -> str:
    """`no file a/catt.jpg; did you mean 'cat.jpg'?`"""
    if path.is_symlink():
        return f"{path} is a link to {path.readlink()}, which is not there"
    if not path.parent.is_dir():
        return f"no file {path}: there is no folder {path.parent}"
    try:
        names = [p.name for p in islice(path.parent.iterdir(), _NAMES_COMPARED)]
    except OSError:
        names = []
    return f"no file {path}{did_you_mean(path.name, names, cutoff=0.8)}"


def _may_be_file(path: Path) -> bool:
    """Whether it is a file, or a path that cannot be read, which reading then reports."""
    try:
        return path.is_file() or (path.is_symlink() and not path.exists())
    except OSError:
        return True


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as exc:
        raise LitePoseError(f"cannot list the folder {folder}: {exc.strerror}") from None


def _natural_key(text: str) -> list[tuple[int, int, str]]:
    return [
        (0, int(piece), piece) if piece.isdecimal() else (1, 0, piece.lower())
        for piece in re.split(r"(\d+)", text)
        if piece
    ]
