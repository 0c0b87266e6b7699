"""Tell one image from several in the argument of `predict`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from litepose.core.errors import LitePoseError
from litepose.core.names import is_url, local_path
from litepose.imaging.find_images import list_images
from litepose.imaging.given import is_image_source


def expand(source: Any) -> list[Any] | None:
    """Images of a list, folder or pattern; None if the source is one image.

    Raises LitePoseError for a folder or pattern without images, and for an iterable of anything
    else.
    """
    if isinstance(source, str) and is_url(source):
        return None
    if isinstance(source, str | Path):
        path = local_path(source)
        is_one = path.is_file() or not (path.is_dir() or _is_pattern(source))
        return None if is_one else list(list_images(source))
    if is_image_source(source) or not isinstance(source, Iterable):
        return None
    kind = type(source).__name__
    if isinstance(source, Mapping | AbstractSet):
        raise LitePoseError(f"several images must be a list, in order; got a {kind}")
    many = list(source)
    if many and not any(map(is_image_source, many)):
        raise LitePoseError(
            f"the {kind} of {len(many):,} holds no images but {type(many[0]).__name__} first; an"
            " image is a path, an http(s) URL, bytes, an open file, a Pillow image, a numpy array"
            " or a torch tensor"
        )
    return many


def _is_pattern(source: str | Path) -> bool:
    return any(sign in str(source) for sign in "*?[")
