"""Check file names and URLs before they are used."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from litepose.core.errors import LitePoseError


def local_path(name: str | os.PathLike[str]) -> Path:
    """The path of a name; `~` at its start is the home folder.

    The file need not exist, but `exists()` and similar methods of the result never raise.
    Raises LitePoseError for an impossible name or a folder without permission.
    """
    path = Path(name)
    if not _is_there(path) and str(path).startswith("~"):
        with contextlib.suppress(RuntimeError):  # no home is known: keep the name as it is
            path = path.expanduser()
        _is_there(path)
    return path


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as exc:
        raise LitePoseError(f"cannot read {path}: {exc.strerror or exc}") from None
    except ValueError as exc:  # a zero byte
        raise LitePoseError(f"{str(path)!r} is not a valid file name: {exc}") from None
    return True


def is_url(source: str) -> bool:
    return "://" in source


def split_url(url: str) -> SplitResult:
    """The parts of a URL. Raises LitePoseError, without the password, if it is invalid."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # read here, because a wrong port raises
    except ValueError as exc:
        shown = without_password(url)
        raise LitePoseError(f"{shown!r} is not an address on the web: {exc}") from None
    return parts


def without_password(url: str) -> str:
    """The URL for messages: rtsp://me:secret@host/video -> rtsp://host/video."""
    return re.sub(r"^([^/?#]*://)[^/?#]*@", r"\1", url)


def name_for_c(name: str | Path) -> str:
    """The name as text for a C library. Raises LitePoseError if it is not UTF-8.

    Python keeps invalid bytes of a name as surrogates, which end the process inside OpenCV.
    """
    text = str(name)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise LitePoseError(
            f"the name {text!a} is not UTF-8, which OpenCV and the runtimes need: rename the"
            " file, or the folder it is in"
        ) from None
    return text
