"""Write an image file, whole or not at all.

JPEG keeps full color resolution, because the usual half resolution smears thin limbs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from litepose.core.errors import LitePoseError
from litepose.core.names import local_path
from litepose.core.temporary import temporary_beside

_QUALITY: Mapping[str, int | None] = {  # OpenCV's quality setting, if the format has one
    ".jpg": cv2.IMWRITE_JPEG_QUALITY,
    ".jpeg": cv2.IMWRITE_JPEG_QUALITY,
    ".webp": cv2.IMWRITE_WEBP_QUALITY,
    ".png": None,
    ".bmp": None,
    ".tif": None,
    ".tiff": None,
}


def save_image(path: str | Path, image: np.ndarray, quality: int = 92) -> Path:
    """Write (H, W, 3) uint8 RGB in the format that the suffix names; returns the path.

    quality: 1..100, for JPEG and WebP. An existing file is replaced only when the new one is
    complete. Raises LitePoseError for an unknown suffix or if writing fails.
    """
    path = local_path(path)
    data = encode_image(image, path.suffix, quality)
    part = _part_of(path)
    try:
        part.write_bytes(data)
        part.replace(path)
    except OSError as exc:
        with contextlib.suppress(OSError):
            part.unlink()
        raise LitePoseError(_refusal(path, exc)) from None
    return path


def encode_image(image: np.ndarray, suffix: str, quality: int = 92) -> bytes:
    """(H, W, 3) uint8 RGB as a file of that suffix, such as ".jpg".

    Raises LitePoseError for an unknown suffix, or a size that the format cannot hold.
    """
    setting = _setting(Path(f"image{suffix}"))
    options = [] if setting is None else [setting, quality]
    if setting == cv2.IMWRITE_JPEG_QUALITY:
        options += [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    try:
        done, data = cv2.imencode(suffix.lower(), cv2.cvtColor(image, cv2.COLOR_RGB2BGR), options)
    except cv2.error as exc:
        raise LitePoseError(f"cannot make a {suffix} of {_size(image)}: {exc.err}") from None
    if not done:
        raise LitePoseError(f"cannot make a {suffix} of {_size(image)}")
    return bytes(data.tobytes())


def check_writable(path: str | Path) -> None:
    """Raise LitePoseError if `save_image` could not write to `path`. Call it before long work.

    An existing file at `path` is not touched.
    """
    path = local_path(path)
    _setting(path)
    check_place(path)


def check_place(path: Path) -> None:
    """Raise LitePoseError if no new file can be created at `path`."""
    if path.is_dir():
        raise LitePoseError(f"cannot write {path}: it is a folder; name a file in it")
    part = _part_of(path)
    try:
        part.touch(exist_ok=False)
        part.unlink()
    except OSError as exc:
        raise LitePoseError(_refusal(path, exc)) from None


def _setting(path: Path) -> int | None:
    if path.suffix.lower() not in _QUALITY:
        raise LitePoseError(
            f"cannot write {path}: its suffix {path.suffix!r} names no known format; use one of"
            f" {' '.join(_QUALITY)}"
        )
    return _QUALITY[path.suffix.lower()]


def _part_of(path: Path) -> Path:
    return temporary_beside(path)


def _refusal(path: Path, exc: OSError) -> str:
    hint = f"; make the folder {path.parent} first" if not path.parent.exists() else ""
    return f"cannot write {path}: {exc.strerror or exc}{hint}"


def _size(image: np.ndarray) -> str:
    return f"{image.shape[1]}x{image.shape[0]} pixels"
